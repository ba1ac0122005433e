//! The index against label sets tested one by one.

use model::{MatchOp, Matcher};
use proptest::prelude::*;

use super::*;

fn index(sets: &[LabelSet]) -> Index {
    let mut index = Index::default();
    for (i, set) in sets.iter().enumerate() {
        index.insert(u32::try_from(i).unwrap(), set).unwrap();
    }
    index
}

#[test]
fn sets_are_found_returned_and_forgotten() {
    let sets: Vec<LabelSet> = (0..300)
        .map(|i: u32| {
            LabelSet::from_pairs([
                ("__name__", "m".into()),
                ("i", i.to_string()),
                ("z", "y".repeat(i as usize)),
            ])
        })
        .collect();
    let mut index = index(&sets);
    for (i, set) in (0..).zip(&sets) {
        assert_eq!(index.find(set), Some(i));
        assert_eq!(&index.labels(i), set);
        assert_eq!(index.key(i), crate::block::series_key(set));
    }
    index.remove(7);
    assert_eq!(index.find(&sets[7]), None);
    assert_eq!(index.select(&[Matcher::equal("i", "7")]).len(), 0);
    index.insert(300, &sets[7]).unwrap();
    assert_eq!(index.find(&sets[7]), Some(300));
    assert_eq!(index.pairs.names().collect::<Vec<_>>(), ["__name__", "i", "z"]);
}

#[test]
fn locations_come_and_go() {
    let mut index = index(&[LabelSet::from_pairs([("a", "b")])]);
    for l in [(1, 0), (2, 5), (2, 5), (3, 1)] {
        index.add_location(0, l);
    }
    assert_eq!(index.locations(0).collect::<Vec<_>>(), [(1, 0), (2, 5), (3, 1)]);
    index.remove_locations(0, 1);
    assert_eq!(index.locations(0).collect::<Vec<_>>(), [(2, 5), (3, 1)]);
    index.remove_locations(0, 3);
    index.remove_locations(0, 2);
    assert_eq!(index.locations(0).count(), 0);
}

proptest! {
    #[test]
    fn selects_what_matches(
        sets in proptest::collection::hash_set(proptest::collection::btree_map("[a-c]", "[x-z]{0,2}", 0..4), 0..40),
        matchers in proptest::collection::vec(("[a-d]", 0..4_usize, prop_oneof!["[x-z]{0,2}", Just("x|yy|".to_owned()), Just(".*".to_owned()), Just("x.*".to_owned()), Just(".+".to_owned())]), 0..4),
    ) {
        let sets: std::collections::BTreeSet<LabelSet> = sets.iter().map(LabelSet::from_pairs).collect();
        let sets: Vec<LabelSet> = sets.into_iter().collect();
        let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
        let matchers: Vec<Matcher> = matchers.into_iter().map(|(n, op, v)| Matcher::new(n, ops[op], v).unwrap()).collect();
        let expect: Vec<u32> = (0..).zip(&sets).filter(|(_, s)| matchers.iter().all(|m| m.matches_labels(s))).map(|(i, _)| i).collect();
        prop_assert_eq!(index(&sets).select(&matchers).iter().collect::<Vec<_>>(), expect);
    }
}
