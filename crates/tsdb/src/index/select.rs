//! Matchers to series, as upstream's `PostingsForMatchers`: positive matchers intersect, those that also match the empty
//! value subtract what they exclude.
//!
//! Matchers with a finite list of values come first, the most selective of them before the others; a pattern is then tried
//! either on all values of its label or, where fewer series are left than there are values, on theirs.

use hashbrown::HashMap;
use model::Matcher;
use roaring::RoaringBitmap;

use super::{Index, Postings};

impl Index {
    /// The series that satisfy all matchers; all series without any.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> RoaringBitmap {
        // What must be there and has a list of values.
        let mut lists: Vec<(u64, Vec<&Postings>)> = vec![];
        let mut rest: Vec<&Matcher> = vec![];
        for m in matchers {
            match m.accepted_values() {
                Some(values) if !m.matches_empty() => {
                    let list: Vec<&Postings> =
                        values.iter().filter_map(|v| self.of_pair(&m.name, v)).collect();
                    lists.push((list.iter().map(|p| p.len()).sum(), list));
                }
                _ => rest.push(m),
            }
        }
        lists.sort_by_key(|(len, _)| *len);
        let mut lists = lists.into_iter();
        let mut selected = match lists.next() {
            Some((_, list)) => union(&list),
            // Nothing may be left of all series but what a pattern accepts: begin with that one.
            None => match rest.iter().position(|m| !m.matches_empty()) {
                Some(i) => self.of_values(rest.remove(i)),
                None => self.live.clone(),
            },
        };
        for (_, list) in lists {
            match &list[..] {
                [one] => one.intersect(&mut selected),
                list => selected &= union(list),
            }
        }
        // What can only take away, and is a lookup; then what has to look at values.
        rest.sort_by_key(|m| m.refused_values().is_none());
        for m in rest {
            if selected.is_empty() {
                break;
            }
            match m.refused_values() {
                Some(values) if m.matches_empty() => {
                    for postings in values.iter().filter_map(|v| self.of_pair(&m.name, v)) {
                        postings.subtract_from(&mut selected);
                    }
                }
                _ if selected.len() < self.pairs.count_of_name(&m.name) as u64 => self.keep(m, &mut selected),
                // A series without the label matches: what has it with a value that does not match is out.
                _ if m.matches_empty() => {
                    let mut out = RoaringBitmap::new();
                    self.union(m, |hit| !hit, &mut out);
                    selected -= out;
                }
                _ => selected &= self.of_values(m),
            }
        }
        selected
    }

    fn of_pair(&self, name: &str, value: &str) -> Option<&Postings> {
        self.pairs.find(name, value).map(|id| self.pairs.postings(id)).filter(|p| !p.is_empty())
    }

    /// The series whose value matches.
    fn of_values(&self, m: &Matcher) -> RoaringBitmap {
        let mut all = RoaringBitmap::new();
        self.union(m, |hit| hit, &mut all);
        all
    }

    fn union(&self, m: &Matcher, accept: impl Fn(bool) -> bool, union: &mut RoaringBitmap) {
        for (value, postings) in self.pairs.of_name(&m.name) {
            if accept(m.matches(value)) {
                postings.add_to(union);
            }
        }
    }

    /// Keeps the series whose value, or the empty one, matches; each value is tried once.
    fn keep(&self, m: &Matcher, selected: &mut RoaringBitmap) {
        let name = self.pairs.name_id(&m.name);
        let mut known: HashMap<Option<u32>, bool> = HashMap::new();
        let keep = |series| {
            let id = self.pair_ids(series).find(|&id| Some(self.pairs.name_of(id)) == name);
            *known.entry(id).or_insert_with(|| m.matches(id.map_or("", |id| self.pairs.get(id).1)))
        };
        selected.retain(keep);
    }
}

fn union(list: &[&Postings]) -> RoaringBitmap {
    let mut all = RoaringBitmap::new();
    list.iter().for_each(|p| p.add_to(&mut all));
    all
}
