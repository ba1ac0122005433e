//! Matchers to series, as upstream's `PostingsForMatchers`: positive matchers intersect, those that also match the empty
//! value subtract what they exclude.
//!
//! Matchers with a finite list of values come first, the most selective of them before the others; a pattern is then tried
//! either on all values of its label that begin as it does or, where fewer series are left than there are values, on theirs.

use hashbrown::HashMap;
use model::{MatchOp, Matcher};
use roaring::RoaringBitmap;

use super::{Index, Postings};
use crate::candidates::Candidates;

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
                    self.union(m, false, &mut out);
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
        self.union(m, true, &mut all);
        all
    }

    /// Adds the series with a value for which the matcher says `hit`.
    fn union(&self, m: &Matcher, hit: bool, union: &mut RoaringBitmap) {
        let positive = matches!(m.op, MatchOp::Equal | MatchOp::Regex);
        let regex = matches!(m.op, MatchOp::Regex | MatchOp::NotRegex);
        let candidates = regex.then(|| Candidates::of(&m.value));
        // The values that pass the pattern, as opposed to all others.
        if hit == positive
            && let Some(Candidates::Exact(values)) = &candidates
        {
            let values = values.iter().filter_map(|v| std::str::from_utf8(v).ok());
            for value in values.filter(|v| m.matches(v) == hit) {
                if let Some(postings) = self.of_pair(&m.name, value) {
                    postings.add_to(union);
                }
            }
            return;
        }
        for (value, postings) in self.pairs.of_name(&m.name) {
            // A pattern takes ten times what its beginning does.
            let matches = match &candidates {
                Some(candidates) if !candidates.admit(value) => !positive,
                _ => m.matches(value),
            };
            if matches == hit {
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
