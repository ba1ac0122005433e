//! What targets say of their metric families. Targets of a job say the same, so the texts are kept once for all.

use std::borrow::Borrow;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::{HashSet, HashTable};
use model::{LabelSet, Metadata, MetricType};
use parking_lot::Mutex;

/// A family as a target describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricMetadata {
    /// The target's labels.
    pub target: LabelSet,
    /// The family's name.
    pub metric: String,
    /// Type, unit and help.
    pub metadata: Metadata,
}

/// Texts shared by all targets.
#[derive(Debug, Default)]
pub struct MetadataStore {
    inner: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    names: HashSet<Arc<str>>,
    metadata: HashSet<Arc<Metadata>>,
    sweep_at: usize,
}

impl MetadataStore {
    fn name(&self, name: &str) -> Arc<str> {
        intern(&mut self.inner.lock().names, name, || Arc::from(name))
    }

    fn metadata(&self, metadata: Metadata) -> Arc<Metadata> {
        let mut shared = self.inner.lock();
        if shared.metadata.len() >= shared.sweep_at {
            shared.names.retain(|n| Arc::strong_count(n) > 1);
            shared.metadata.retain(|m| Arc::strong_count(m) > 1);
            shared.sweep_at = 2 * shared.metadata.len() + 1024;
        }
        if let Some(found) = shared.metadata.get(&metadata) {
            return Arc::clone(found);
        }
        let new = Arc::new(metadata);
        shared.metadata.insert(Arc::clone(&new));
        new
    }
}

fn intern<T: ?Sized + Eq + std::hash::Hash>(
    set: &mut HashSet<Arc<T>>,
    key: &T,
    make: impl FnOnce() -> Arc<T>,
) -> Arc<T>
where
    Arc<T>: Borrow<T>,
{
    if let Some(found) = set.get(key) {
        return Arc::clone(found);
    }
    let new = make();
    set.insert(Arc::clone(&new));
    new
}

/// The families of one target.
#[derive(Debug, Default)]
pub(crate) struct Families {
    /// The number of the body being read, or read last.
    body: u32,
    entries: Vec<Family>,
    by_name: HashTable<u32>,
}

#[derive(Debug)]
struct Family {
    name: Arc<str>,
    metadata: Arc<Metadata>,
    /// The body that named it last.
    seen: u32,
}

/// One piece of metadata.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    Help(&'a str),
    Kind(MetricType),
    Unit(&'a str),
}

const HASHER: FixedState = FixedState::with_seed(0);
/// A family that a target has not named in this many bodies is forgotten, as upstream.
const FORGET_AFTER: u32 = 10;
/// No target needs more families than this; further ones go without metadata.
const MAX_FAMILIES: usize = 100_000;

impl Families {
    /// The next body begins.
    pub(crate) fn next_body(&mut self) {
        self.body = self.body.wrapping_add(1);
    }

    /// Takes note of what a line says; the result is the family's index.
    pub(crate) fn set(&mut self, store: &MetadataStore, name: &str, piece: &Piece<'_>) -> Option<u32> {
        let body = self.body;
        let hash = HASHER.hash_one(name);
        let found = self.by_name.find(hash, |i| &*self.entries[*i as usize].name == name).copied();
        let index = match found {
            Some(index) => index,
            None if self.entries.len() >= MAX_FAMILIES => return None,
            None => {
                let index = u32::try_from(self.entries.len()).ok()?;
                let metadata = store.metadata(Metadata::default());
                self.entries.push(Family { name: store.name(name), metadata, seen: body });
                let entries = &self.entries;
                self.by_name.insert_unique(hash, index, |i| HASHER.hash_one(&*entries[*i as usize].name));
                index
            }
        };
        let entry = &mut self.entries[index as usize];
        entry.seen = body;
        let same = match piece {
            Piece::Help(help) => entry.metadata.help == *help,
            Piece::Kind(kind) => entry.metadata.kind == *kind,
            Piece::Unit(unit) => entry.metadata.unit == *unit,
        };
        if !same {
            let mut changed = Metadata::clone(&entry.metadata);
            match piece {
                Piece::Help(help) => (*help).clone_into(&mut changed.help),
                Piece::Kind(kind) => changed.kind = *kind,
                Piece::Unit(unit) => (*unit).clone_into(&mut changed.unit),
            }
            entry.metadata = store.metadata(changed);
        }
        Some(index)
    }

    /// A line that is known was there again.
    pub(crate) fn touch(&mut self, index: u32) {
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.seen = self.body;
        }
    }

    /// The declared type.
    pub(crate) fn kind(&self, index: u32) -> MetricType {
        self.entries.get(index as usize).map_or(MetricType::Unknown, |e| e.metadata.kind)
    }

    /// The families named in the last bodies.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Metadata)> {
        self.entries
            .iter()
            .filter(|e| self.body.wrapping_sub(e.seen) <= FORGET_AFTER)
            .map(|e| (&*e.name, &*e.metadata))
    }

    /// How many families are there, and how many of them are forgotten.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.entries.len(), self.entries.len() - self.iter().count())
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
