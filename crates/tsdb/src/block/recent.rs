//! A map from hashes to ids that forgets what was not asked for lately, so that its size is bounded.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

type Map = HashMap<u128, u32, FixedState>;

/// Two generations: when the younger is full it becomes the older, and the older is forgotten.
#[derive(Debug)]
pub(super) struct Recent {
    young: Map,
    old: Map,
    limit: usize,
}

impl Recent {
    /// Remembers at least the last `limit` keys.
    pub(super) fn new(limit: usize) -> Self {
        Self { young: Map::default(), old: Map::default(), limit }
    }

    pub(super) fn get(&mut self, key: u128) -> Option<u32> {
        if let Some(&id) = self.young.get(&key) {
            return Some(id);
        }
        let id = *self.old.get(&key)?;
        self.insert(key, id);
        Some(id)
    }

    pub(super) fn insert(&mut self, key: u128, id: u32) {
        if self.young.len() >= self.limit {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_asked_for() {
        let mut recent = Recent::new(8);
        for i in 0..100_u32 {
            recent.insert(u128::from(i), i);
            assert_eq!(recent.get(u128::from(i.saturating_sub(2))), Some(i.saturating_sub(2)));
            assert_eq!(recent.get(0), Some(0));
        }
        assert_eq!(recent.get(50), None);
        assert!(recent.young.len() + recent.old.len() <= 16);
    }
}
