//! The series that have a label pair. Many pairs occur a few times only, so few series cost no bitmap.

use roaring::RoaringBitmap;

/// A set of series references.
#[derive(Debug, Default)]
pub(crate) enum Postings {
    #[default]
    None,
    One(u32),
    Few(Box<Few>),
    Many(Box<RoaringBitmap>),
}

/// Up to 15 references, ascending: one allocation of 64 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Few {
    len: u32,
    refs: [u32; FEW],
}

const FEW: usize = 15;

impl Few {
    fn as_slice(&self) -> &[u32] {
        &self.refs[..self.len as usize]
    }

    /// `None` where there is no room.
    fn insert(&mut self, series: u32) -> Option<()> {
        let len = self.len as usize;
        let Err(at) = self.as_slice().binary_search(&series) else { return Some(()) };
        if len == FEW {
            return None;
        }
        self.refs.copy_within(at..len, at + 1);
        self.refs[at] = series;
        self.len += 1;
        Some(())
    }

    fn remove(&mut self, series: u32) {
        let len = self.len as usize;
        if let Ok(at) = self.as_slice().binary_search(&series) {
            self.refs.copy_within(at + 1..len, at);
            self.len -= 1;
        }
    }
}

impl Postings {
    pub(crate) fn insert(&mut self, series: u32) {
        match self {
            Self::None => *self = Self::One(series),
            Self::One(one) if *one == series => {}
            Self::One(one) => {
                let mut few = Few { len: 1, refs: [*one; FEW] };
                few.insert(series);
                *self = Self::Few(Box::new(few));
            }
            Self::Few(few) => {
                if few.insert(series).is_none() {
                    let mut many: RoaringBitmap = few.as_slice().iter().copied().collect();
                    many.insert(series);
                    *self = Self::Many(Box::new(many));
                }
            }
            Self::Many(many) => {
                // Not `try_push`: it looks for the greatest member, through up to 8 KiB of bits.
                many.insert(series);
            }
        }
    }

    /// Adds references, ascending, all above those that are there.
    pub(crate) fn extend(&mut self, series: &[u32]) {
        let (Some(&first), Some(&last)) = (series.first(), series.last()) else { return };
        if self.len() + series.len() as u64 <= FEW as u64 {
            return series.iter().for_each(|&s| self.insert(s));
        }
        if !matches!(self, Self::Many(_)) {
            let mut many = RoaringBitmap::new();
            self.add_to(&mut many);
            *self = Self::Many(Box::new(many));
        }
        let Self::Many(many) = self else { return };
        if (last - first) as usize == series.len() - 1 {
            many.insert_range(first..=last);
        } else if many.append(series.iter().copied()).is_err() {
            // Some are there or below what is there.
            many.extend(series);
        }
    }

    /// Takes out many at once.
    pub(crate) fn remove_all(&mut self, gone: &RoaringBitmap) {
        match self {
            Self::None => {}
            Self::One(one) => {
                if gone.contains(*one) {
                    *self = Self::None;
                }
            }
            Self::Few(few) => {
                let old = **few;
                old.as_slice().iter().filter(|&&s| gone.contains(s)).for_each(|&s| few.remove(s));
                if few.len == 0 {
                    *self = Self::None;
                }
            }
            Self::Many(many) => {
                **many -= gone;
                self.narrow();
            }
        }
    }

    /// A bitmap of few becomes few, well below where few become a bitmap.
    fn narrow(&mut self) {
        let Self::Many(many) = self else { return };
        let len = many.len();
        if len == 0 {
            *self = Self::None;
        } else if len <= FEW as u64 / 2 {
            let mut few = Few { len: 0, refs: [0; FEW] };
            many.iter().for_each(|s| {
                few.insert(s);
            });
            *self = Self::Few(Box::new(few));
        }
    }

    /// Gives back what growing left over, and packs runs of neighbours.
    pub(crate) fn shrink(&mut self) {
        if let Self::Many(many) = self {
            many.optimize();
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Few(few) => u64::from(few.len),
            Self::Many(many) => many.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Adds this set to `union`.
    pub(crate) fn add_to(&self, union: &mut RoaringBitmap) {
        match self {
            Self::None => {}
            Self::One(one) => {
                union.insert(*one);
            }
            Self::Few(few) => union.extend(few.as_slice()),
            Self::Many(many) => *union |= &**many,
        }
    }

    /// Takes this set out of `set`.
    pub(super) fn subtract_from(&self, set: &mut RoaringBitmap) {
        match self {
            Self::None => {}
            Self::One(one) => {
                set.remove(*one);
            }
            Self::Few(few) => few.as_slice().iter().for_each(|&s| {
                set.remove(s);
            }),
            Self::Many(many) => *set -= &**many,
        }
    }

    /// Leaves in `set` what is in this set too.
    pub(super) fn intersect(&self, set: &mut RoaringBitmap) {
        match self {
            Self::None => set.clear(),
            Self::Many(many) => *set &= &**many,
            _ => {
                let mut own = RoaringBitmap::new();
                self.add_to(&mut own);
                *set &= own;
            }
        }
    }

    /// Whether a series of `selected` is in this set.
    pub(crate) fn meets(&self, selected: &RoaringBitmap) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => selected.contains(*one),
            Self::Few(few) => few.as_slice().iter().any(|&s| selected.contains(s)),
            Self::Many(many) => !many.is_disjoint(selected),
        }
    }

    pub(crate) fn resident_bytes(&self) -> usize {
        match self {
            Self::Few(_) => size_of::<Few>() + 16,
            Self::Many(many) => many.serialized_size() + 96,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn is_a_set(steps in proptest::collection::vec((any::<bool>(), 0_u32..60), 0..200),
                    gone in proptest::collection::btree_set(0_u32..60, 0..60), stride in 1_u32..3000) {
            let mut set = Postings::default();
            let mut model = BTreeSet::new();
            for (insert, s) in steps {
                if insert { set.insert(s); model.insert(s); } else { set.remove_all(&[s].into_iter().collect()); model.remove(&s); }
                let mut all = RoaringBitmap::new();
                set.add_to(&mut all);
                prop_assert!(all.iter().eq(model.iter().copied()));
                prop_assert_eq!(set.len(), model.len() as u64);
                prop_assert_eq!(set.is_empty(), model.is_empty());
            }
            let above: Vec<u32> = gone.iter().map(|s| s * stride + 60).collect();
            let mut longer = Postings::default();
            model.iter().for_each(|&s| longer.insert(s));
            longer.extend(&above);
            let mut all = RoaringBitmap::new();
            longer.add_to(&mut all);
            prop_assert!(all.iter().eq(model.iter().chain(&above).copied()));
            let gone: RoaringBitmap = gone.into_iter().collect();
            prop_assert_eq!(set.meets(&gone), model.iter().any(|s| gone.contains(*s)));
            let mut rest: RoaringBitmap = (0..60).collect();
            set.subtract_from(&mut rest);
            prop_assert!(rest.iter().eq((0..60).filter(|s| !model.contains(s))));
            let mut both = gone.clone();
            set.intersect(&mut both);
            prop_assert!(both.iter().eq(model.iter().copied().filter(|s| gone.contains(*s))));
            set.remove_all(&gone);
            let mut all = RoaringBitmap::new();
            set.add_to(&mut all);
            prop_assert!(all.iter().eq(model.iter().copied().filter(|s| !gone.contains(*s))));
        }
    }
}
