//! Matchers to series, as upstream's `PostingsForMatchers`: positive matchers intersect, those that also match the empty
//! value subtract what they exclude.

use model::Matcher;
use roaring::RoaringBitmap;

use super::Index;

impl Index {
    /// The series that satisfy all matchers; all series without any.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let mut includes: Vec<RoaringBitmap> = vec![];
        let mut excludes = RoaringBitmap::new();
        for m in matchers {
            if m.matches_empty() {
                // A series without the label matches: what has it with a value that does not match is out.
                self.union(&m.name, |value| !m.matches(value), &mut excludes);
                continue;
            }
            let mut hit = RoaringBitmap::new();
            match m.accepted_values() {
                Some(values) => {
                    for value in values {
                        if let Some(id) = self.pairs.find(&m.name, value) {
                            self.pairs.postings(id).add_to(&mut hit);
                        }
                    }
                }
                None => self.union(&m.name, |value| m.matches(value), &mut hit),
            }
            if hit.is_empty() {
                return hit;
            }
            includes.push(hit);
        }
        includes.sort_unstable_by_key(RoaringBitmap::len);
        let mut sets = includes.into_iter();
        let mut selected = sets.next().unwrap_or_else(|| self.live.clone());
        for set in sets {
            selected &= set;
        }
        selected -= excludes;
        selected
    }

    fn union(&self, name: &str, accept: impl Fn(&str) -> bool, union: &mut RoaringBitmap) {
        for (value, postings) in self.pairs.of_name(name) {
            if accept(value) {
                postings.add_to(union);
            }
        }
    }
}
