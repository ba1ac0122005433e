//! All blocks of a store, and the directory that holds them.
//!
//! A block is there when its directory has its name. It is taken away by renaming the directory to `.deleted` first, so that a
//! crash leaves all of it or none. A crash between the birth of a merged block and the end of those it was made from leaves both:
//! it names them as parents, and they go when the store is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashSet;
use parking_lot::RwLock;
use storage::Error;

use super::{Block, file, ulid};
use crate::disk::{Faults, sync_dir};

/// The blocks in force. Readers take references, and keep what they have while it is replaced.
#[derive(Debug)]
pub(crate) struct Blocks {
    dir: PathBuf,
    /// By oldest sample, newest sample, name.
    blocks: RwLock<Vec<Arc<Block>>>,
}

impl Blocks {
    /// Opens what is in `dir`, creating it, and removes leftovers. Returns also how many blocks cannot be read; those are left
    /// alone.
    ///
    /// # Errors
    /// When the directory cannot be created or listed.
    pub(crate) fn open(dir: &Path, faults: &Faults) -> Result<(Self, u64), Error> {
        let failed = |e| Error::io(format!("blocks {}: open", dir.display()), e);
        std::fs::create_dir_all(dir).map_err(failed)?;
        let (mut blocks, mut damaged) = (vec![], 0);
        for entry in std::fs::read_dir(dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
            let leftover = name.strip_suffix(file::TEMPORARY).or_else(|| name.strip_suffix(file::DELETED));
            if leftover.is_some_and(|n| ulid::parse(n).is_some()) {
                if let Err(error) = std::fs::remove_dir_all(&path) {
                    tracing::warn!(path = %path.display(), %error, "block: leftover cannot be removed");
                }
                continue;
            }
            if ulid::parse(name).is_none() {
                continue;
            }
            match Block::open_with(&path, faults) {
                Ok(block) => blocks.push(Arc::new(block)),
                Err(error) => {
                    damaged += 1;
                    tracing::error!(block = name, %error, "block: left out, its samples are missing");
                }
            }
        }
        sort(&mut blocks);
        let this = Self { dir: dir.to_owned(), blocks: RwLock::new(blocks) };
        this.drop_parents()?;
        Ok((this, damaged))
    }

    fn drop_parents(&self) -> Result<(), Error> {
        let all = self.all();
        let parents: HashSet<&str> = all.iter().flat_map(|b| &b.meta().parents).map(String::as_str).collect();
        let old: Vec<Arc<Block>> =
            all.iter().filter(|b| parents.contains(b.meta().ulid.as_str())).cloned().collect();
        if old.is_empty() { Ok(()) } else { self.replace(&old, None) }
    }

    /// All blocks, by (oldest sample, newest sample, name).
    pub(crate) fn all(&self) -> Vec<Arc<Block>> {
        self.blocks.read().clone()
    }

    /// Adds a block that was just written.
    pub(crate) fn add(&self, block: Block) {
        let mut blocks = self.blocks.write();
        blocks.push(Arc::new(block));
        sort(&mut blocks);
    }

    /// Puts `new` in the place of `old` at once for readers, and removes `old` from disk.
    ///
    /// # Errors
    /// When a directory cannot be renamed; the old blocks are out of use all the same, and go when the store is next opened.
    pub(crate) fn replace(&self, old: &[Arc<Block>], new: Option<Block>) -> Result<(), Error> {
        {
            let mut blocks = self.blocks.write();
            blocks.retain(|b| !old.iter().any(|o| Arc::ptr_eq(o, b)));
            blocks.extend(new.map(Arc::new));
            sort(&mut blocks);
        }
        let failed = |what: &Path, e| Error::io(format!("block: remove {}", what.display()), e);
        let mut gone = vec![];
        for block in old {
            let mut name = block.dir().as_os_str().to_owned();
            name.push(file::DELETED);
            std::fs::rename(block.dir(), &name).map_err(|e| failed(block.dir(), e))?;
            gone.push(PathBuf::from(name));
        }
        sync_dir(&self.dir).map_err(|e| failed(&self.dir, e))?;
        for path in gone {
            // Those who still read it have it mapped.
            if let Err(error) = std::fs::remove_dir_all(&path) {
                tracing::warn!(path = %path.display(), %error, "block: cannot be removed, the next start tries again");
            }
        }
        Ok(())
    }

    /// Takes a block away, as retention does.
    ///
    /// # Errors
    /// As [`Blocks::replace`].
    pub(crate) fn remove(&self, block: &Arc<Block>) -> Result<(), Error> {
        self.replace(std::slice::from_ref(block), None)
    }

    /// Bytes of all blocks on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.blocks.read().iter().map(|b| b.bytes()).sum()
    }
}

fn sort(blocks: &mut [Arc<Block>]) {
    blocks.sort_by(|a, b| {
        let key = |b: &Block| (b.meta().mint, b.meta().maxt);
        key(a).cmp(&key(b)).then_with(|| a.meta().ulid.cmp(&b.meta().ulid))
    });
}
