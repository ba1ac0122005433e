//! The series that have a label pair. Many pairs occur once, so a single series costs no bitmap.

use roaring::RoaringBitmap;

/// A set of series references.
#[derive(Debug, Default)]
pub(crate) enum Postings {
    #[default]
    None,
    One(u32),
    Many(Box<RoaringBitmap>),
}

impl Postings {
    pub(crate) fn insert(&mut self, series: u32) {
        match self {
            Self::None => *self = Self::One(series),
            Self::One(one) if *one == series => {}
            Self::One(one) => *self = Self::Many(Box::new([*one, series].into_iter().collect())),
            Self::Many(many) => {
                many.insert(series);
            }
        }
    }

    pub(crate) fn remove(&mut self, series: u32) {
        match self {
            Self::One(one) if *one == series => *self = Self::None,
            Self::Many(many) => {
                many.remove(series);
                if many.is_empty() {
                    *self = Self::None;
                }
            }
            _ => {}
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
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
            Self::Many(many) => *union |= &**many,
        }
    }

    /// Whether a series of `selected` is in this set.
    pub(crate) fn meets(&self, selected: &RoaringBitmap) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => selected.contains(*one),
            Self::Many(many) => !many.is_disjoint(selected),
        }
    }

    pub(crate) fn resident_bytes(&self) -> usize {
        match self {
            Self::Many(many) => many.serialized_size() + 64,
            _ => 0,
        }
    }
}
