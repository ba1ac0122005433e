//! Matchers to series of a block, as upstream's `PostingsForMatchers`.
//!
//! A matcher is a test of a value and whether it is negated. Which values pass is found in the sorted dictionary: literals by
//! look-up, other patterns among the values with a prefix that the pattern demands, each tried with the matcher itself.

use model::{MatchOp, Matcher};
use roaring::RoaringBitmap;

use super::index_read::Index;
use super::postings::Union;
use crate::candidates::Candidates;
use crate::segment::Damaged;

impl Index {
    /// The series that satisfy all matchers; all series without any.
    pub(super) fn select(&self, matchers: &[Matcher]) -> Result<RoaringBitmap, Damaged> {
        let mut includes: Vec<RoaringBitmap> = vec![];
        let mut excludes = RoaringBitmap::new();
        for m in matchers {
            let Some(name) = self.find_name(&m.name) else {
                // No series has the label.
                if m.matches_empty() {
                    continue;
                }
                return Ok(RoaringBitmap::new());
            };
            let positive = matches!(m.op, MatchOp::Equal | MatchOp::Regex);
            let test_empty = m.matches_empty() == positive;
            let hits = self.passing(name, m, positive)?;
            // Of those with the label the ones that pass a test which the empty value passes too are the lesser part of the
            // answer, or, negated, of what is left out.
            match (positive, test_empty) {
                (true, false) => includes.push(hits),
                (true, true) => excludes |= self.postings(name).all()? - hits,
                (false, true) => includes.push(self.postings(name).all()? - hits),
                (false, false) => excludes |= hits,
            }
            if includes.last().is_some_and(RoaringBitmap::is_empty) {
                return Ok(RoaringBitmap::new());
            }
        }
        includes.sort_unstable_by_key(RoaringBitmap::len);
        let mut sets = includes.into_iter();
        let mut selected = sets.next().unwrap_or_else(|| self.all());
        for set in sets {
            selected &= set;
        }
        selected -= excludes;
        Ok(selected)
    }

    pub(super) fn all(&self) -> RoaringBitmap {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..self.series);
        all
    }

    /// The series with a value of `name` that passes the matcher's test, negation aside.
    fn passing(&self, name: usize, m: &Matcher, positive: bool) -> Result<RoaringBitmap, Damaged> {
        let (dictionary, postings) = (self.dictionary(name), self.postings(name));
        let mut union = Union::default();
        let regex = matches!(m.op, MatchOp::Regex | MatchOp::NotRegex);
        if regex && matches!(m.value.as_str(), ".*" | ".+") {
            return postings.all();
        }
        let candidates = if regex {
            Candidates::of(&m.value)
        } else {
            Candidates::Exact(vec![m.value.clone().into_bytes()])
        };
        match candidates {
            Candidates::Exact(values) => {
                for value in values {
                    let (number, there) = dictionary.find(&value)?;
                    // What the literals of a pattern do not say, such as a word's boundary, the matcher knows.
                    let passes = || std::str::from_utf8(&value).is_ok_and(|v| m.matches(v) == positive);
                    if there && passes() {
                        union.add(postings.get(number)?);
                    }
                }
            }
            Candidates::Prefixes(prefixes) => {
                for prefix in prefixes {
                    let mut scan = dictionary.scan(dictionary.with_prefix(&prefix)?);
                    while let Some((number, value)) = scan.next_value()? {
                        if m.matches(value) == positive {
                            union.add(postings.get(number)?);
                        }
                    }
                }
            }
        }
        Ok(union.into_bitmap())
    }

    /// The names that some of the selected series have.
    pub(super) fn label_names(&self, selected: Option<&RoaringBitmap>) -> Result<Vec<String>, Damaged> {
        let mut names = vec![];
        for (i, name) in self.names.iter().enumerate() {
            if selected.is_none_or(|s| s.len() == u64::from(self.series) && !s.is_empty())
                || selected.is_some_and(|s| !s.is_empty())
                    && self.postings(i).all().map(|all| selected.is_some_and(|s| !all.is_disjoint(s)))?
            {
                names.push(name.text.clone());
            }
        }
        Ok(names)
    }

    /// The values of a label that some of the selected series have.
    pub(super) fn label_values(
        &self,
        name: &str,
        selected: Option<&RoaringBitmap>,
    ) -> Result<Vec<String>, Damaged> {
        let Some(name) = self.find_name(name) else { return Ok(vec![]) };
        let (dictionary, postings) = (self.dictionary(name), self.postings(name));
        let mut values = vec![];
        let mut left = match selected {
            Some(selected) => Some(postings.all()? & selected),
            None => None,
        };
        let mut scan = dictionary.scan(0..dictionary.len());
        while let Some((number, value)) = scan.next_value()? {
            match &mut left {
                None => values.push(value.to_owned()),
                Some(left) if left.is_empty() => break,
                // A series has one value, so it need not be looked at again.
                Some(left) => {
                    if postings.get(number)?.take_from(left) {
                        values.push(value.to_owned());
                    }
                }
            }
        }
        Ok(values)
    }
}
