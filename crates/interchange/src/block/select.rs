//! Series by matchers, through postings.

use model::{MatchOp, Matcher};

use super::Block;
use super::index::postings;
use crate::Error;

impl Block {
    /// References of the series that all matchers select, in label order. Without matchers: all series.
    ///
    /// A label that a series does not have is tested as the empty value, as everywhere.
    ///
    /// # Errors
    /// When a list of postings is damaged.
    pub fn select(&self, matchers: &[Matcher]) -> Result<Vec<u64>, Error> {
        let mut found: Option<Vec<u64>> = None;
        // What must have the label first; what may lack it only takes away.
        for matcher in matchers.iter().filter(|m| !m.matches_empty()) {
            let list = self.union(&self.places(matcher))?;
            found = Some(match found {
                None => list,
                Some(before) => intersect(&before, &list),
            });
            if found.as_ref().is_some_and(Vec::is_empty) {
                return Ok(Vec::new());
            }
        }
        let mut found = match found {
            Some(list) => list,
            None => self.index.all(&self.index_bytes)?,
        };
        for matcher in matchers.iter().filter(|m| m.matches_empty()) {
            let unwanted =
                self.index.values(&self.index_bytes, &matcher.name).filter(|(v, _)| !matcher.matches(v));
            let places: Vec<u64> = unwanted.map(|(_, at)| at).collect();
            if !places.is_empty() {
                found = subtract(&found, &self.union(&places)?);
            }
        }
        Ok(found)
    }

    /// Where the postings are of the values that a matcher accepts.
    fn places(&self, matcher: &Matcher) -> Vec<u64> {
        let bytes = &self.index_bytes;
        match matcher.accepted_values() {
            Some(values) if matches!(matcher.op, MatchOp::Equal | MatchOp::Regex) => {
                values.iter().filter_map(|v| self.index.find(bytes, &matcher.name, v)).collect()
            }
            _ => {
                let values = self.index.values(bytes, &matcher.name);
                values.filter(|(v, _)| matcher.matches(v)).map(|(_, at)| at).collect()
            }
        }
    }

    fn union(&self, places: &[u64]) -> Result<Vec<u64>, Error> {
        let mut all = Vec::new();
        for &at in places {
            all.append(&mut postings(&self.index_bytes, at)?);
        }
        if places.len() > 1 {
            all.sort_unstable();
            all.dedup();
        }
        Ok(all)
    }
}

/// What is in both; the shorter list is sought in the longer one when it is much shorter.
fn intersect(a: &[u64], b: &[u64]) -> Vec<u64> {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.len() * 16 < long.len() {
        return short.iter().copied().filter(|s| long.binary_search(s).is_ok()).collect();
    }
    let mut rest = long.iter().peekable();
    let keep = |s: &&u64| {
        while rest.next_if(|l| l < s).is_some() {}
        rest.peek() == Some(s)
    };
    short.iter().filter(keep).copied().collect()
}

fn subtract(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut rest = b.iter().peekable();
    let keep = |s: &&u64| {
        while rest.next_if(|l| l < s).is_some() {}
        rest.peek() != Some(s)
    };
    a.iter().filter(keep).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn lists_are_sets(a in proptest::collection::btree_set(0_u64..99, 0..60), b in proptest::collection::btree_set(0_u64..99, 0..60)) {
            let list = |s: &BTreeSet<u64>| s.iter().copied().collect::<Vec<_>>();
            let both: BTreeSet<u64> = a.intersection(&b).copied().collect();
            let less: BTreeSet<u64> = a.difference(&b).copied().collect();
            prop_assert_eq!(intersect(&list(&a), &list(&b)), list(&both));
            prop_assert_eq!(subtract(&list(&a), &list(&b)), list(&less));
        }
    }
}
