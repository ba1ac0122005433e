//! Which group a series belongs to: found once per series, not per step.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use model::{LabelSet, METRIC_NAME};

/// Groups by labels: those named, or all but those named.
#[derive(Debug)]
pub(crate) struct Grouping {
    /// Sorted.
    names: Vec<String>,
    without: bool,
    hasher: RandomState,
    table: HashTable<usize>,
    keys: Vec<Box<[u8]>>,
    labels: Vec<LabelSet>,
    key: Vec<u8>,
}

impl Grouping {
    /// `by` or (`without`) all but `names`; `without` drops the metric name, too.
    pub(crate) fn new(names: &[String], without: bool) -> Self {
        let mut names = names.to_vec();
        if without {
            names.push(METRIC_NAME.to_owned());
        }
        names.sort_unstable();
        names.dedup();
        Self {
            names,
            without,
            hasher: RandomState::default(),
            table: HashTable::new(),
            keys: Vec::new(),
            labels: Vec::new(),
            key: Vec::new(),
        }
    }

    /// The group's index, in order of first appearance.
    pub(crate) fn group_of(&mut self, labels: &LabelSet) -> usize {
        self.key.clear();
        if self.without {
            let names = &self.names;
            let named = |name: &[u8]| names.binary_search_by(|n| n.as_bytes().cmp(name)).is_ok();
            for (n, v) in labels.byte_pairs().filter(|(n, _)| !named(n)) {
                put(&mut self.key, n);
                put(&mut self.key, v);
            }
        } else {
            let mut names = self.names.iter().peekable();
            for (n, v) in labels.byte_pairs() {
                while names.next_if(|name| name.as_bytes() < n).is_some() {
                    put(&mut self.key, b"");
                }
                if names.peek().is_none() {
                    break;
                }
                if names.next_if(|name| name.as_bytes() == n).is_some() {
                    put(&mut self.key, v);
                }
            }
            names.for_each(|_| put(&mut self.key, b""));
        }
        let hash = self.hasher.hash_one(&self.key[..]);
        if let Some(&group) = self.table.find(hash, |&g| *self.keys[g] == self.key[..]) {
            return group;
        }
        let group = self.keys.len();
        self.keys.push(self.key.as_slice().into());
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        self.labels.push(if self.without { labels.without(&names) } else { labels.only(&names) });
        let (keys, hasher) = (&self.keys, &self.hasher);
        self.table.insert_unique(hash, group, |&g| hasher.hash_one(&keys[g][..]));
        group
    }

    /// The number of groups so far.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The groups' labels.
    pub(crate) fn into_labels(self) -> Vec<LabelSet> {
        self.labels
    }
}

fn put(key: &mut Vec<u8>, s: &[u8]) {
    key.extend_from_slice(&(s.len() as u64).to_le_bytes());
    key.extend_from_slice(s);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_by_and_without() {
        let set = |s: &str| LabelSet::from_pairs(s.split(' ').filter_map(|p| p.split_once('=')));
        let sets = ["__name__=m a=1 b=1", "__name__=n a=1 b=2", "a=2", "b=1"].map(set);
        for (names, without, groups, labels) in [
            (&["a"][..], false, [0, 0, 1, 2], vec!["a=1", "a=2", ""]),
            (&["zz"][..], false, [0, 0, 0, 0], vec![""]),
            (&["b"][..], true, [0, 0, 1, 2], vec!["a=1", "a=2", ""]),
            (&["b", "a"][..], false, [0, 1, 2, 3], vec!["a=1 b=1", "a=1 b=2", "a=2", "b=1"]),
        ] {
            let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            let mut grouping = Grouping::new(&names, without);
            assert_eq!(sets.each_ref().map(|s| grouping.group_of(s)), groups, "{names:?} {without}");
            assert_eq!(grouping.into_labels(), labels.into_iter().map(set).collect::<Vec<_>>());
        }
    }
}
