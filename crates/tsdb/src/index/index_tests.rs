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

/// Series `i` of a job that churns: an instance of its own every 50 series, besides labels that stay.
fn churning(i: u32) -> LabelSet {
    let name = if i.is_multiple_of(2) { "up" } else { "requests_total" };
    LabelSet::from_pairs([
        ("__name__", name.to_owned()),
        ("instance", format!("10.0.0.{}", i / 50)),
        ("pod", format!("pod-{i}")),
    ])
}

#[test]
fn what_is_removed_is_given_back_once_it_is_half_of_all() {
    const ALL: u32 = 8_000;
    let mut index = index(&(0..ALL).map(churning).collect::<Vec<_>>());
    index.add_location(7_001, (3, 4));
    let before = (index.arena.len(), index.pairs.count(), index.epoch());
    // Removed where no more than half is garbage: numbers stay.
    index.remove_many(&(0..3_000).collect());
    assert_eq!((index.arena.len(), index.pairs.count(), index.epoch()), before);
    assert_eq!(index.garbage, 9_000);
    // The rest of most: all is made anew.
    index.remove_many(&(2_000..7_000).collect());
    assert_eq!((index.epoch(), index.garbage, index.arena.len()), (before.2 + 1, 0, 3_000));
    assert_eq!(index.pairs.count() as usize, index.pairs.used());
    assert_eq!(index.pairs.used(), 2 + 20 + 1_000);
    assert_eq!(index.by_labels.len(), 1_000);
    for i in 0..ALL {
        let set = churning(i);
        let there = i >= 7_000;
        assert_eq!(index.find(&set), there.then_some(i));
        assert_eq!(index.contains(i), there);
        if there {
            assert_eq!(index.labels(i), set);
        }
    }
    assert_eq!(index.locations(7_001).collect::<Vec<_>>(), [(3, 4)]);
    let up = index.select(&[Matcher::equal("__name__", "up")]);
    assert!(up.iter().eq((7_000..ALL).step_by(2)));
    assert_eq!(index.select(&[Matcher::new("pod", MatchOp::Regex, "pod-1.*").unwrap()]).len(), 0);
    assert_eq!(index.take_forgotten(), (0..7_000).collect());
    // And it goes on: what was removed comes back under a reference of its own.
    index.insert(ALL, &churning(5)).unwrap();
    assert_eq!((index.find(&churning(5)), index.next_series()), (Some(ALL), ALL + 1));
    assert_eq!(index.select(&[Matcher::equal("instance", "10.0.0.0")]).iter().collect::<Vec<_>>(), [ALL]);
}

#[test]
fn pairs_alone_can_be_the_garbage() {
    // Long sets that stay, and many series of one pair each that do not: the arena is mostly in use.
    let long = |i: u32| LabelSet::from_pairs((0..40).map(|l| (format!("l{l}"), format!("v{}", i % 3 + l))));
    let stays: Vec<LabelSet> = (0..3).map(long).collect();
    let mut index = index(&stays);
    for i in 3..5_003 {
        index.insert(i, &LabelSet::from_pairs([("id", i.to_string())])).unwrap();
    }
    let pairs = index.pairs.count();
    index.remove_many(&(3..5_003).collect());
    assert!(index.pairs.count() < pairs - 5_000 + 1, "{}", index.pairs.count());
    assert_eq!(index.pairs.names().count(), 40);
    for (i, set) in (0..).zip(&stays) {
        assert_eq!((index.find(set), index.labels(i)), (Some(i), set.clone()));
    }
}

#[test]
fn sets_in_bulk_are_as_sets_one_by_one() {
    // Over several windows of references, with gaps; bitmaps, runs and few.
    let refs: Vec<u32> = (0..9_000_u32).map(|i| i * 17 + i / 3_000 * 40_000).collect();
    let mut one_by_one = Index::default();
    let mut bulk = Index::default();
    let mut sets = Sets::default();
    for (&s, i) in refs.iter().zip(0..) {
        let set = if i == 4_000 { LabelSet::default() } else { churning(i) };
        one_by_one.insert(s, &set).unwrap();
        let ids: Vec<u32> = set.iter().map(|(n, v)| bulk.pairs.intern(n, v).unwrap()).collect();
        sets.series.push(s);
        sets.starts.push(if ids.is_empty() {
            Sets::NO_LABELS
        } else {
            u32::try_from(sets.ids.len()).unwrap()
        });
        sets.ids.extend(marked(ids));
    }
    bulk.take_sets(sets);
    assert_eq!(bulk.live, one_by_one.live);
    assert_eq!(bulk.pairs.used(), one_by_one.pairs.used());
    for id in 0..one_by_one.pairs.count() {
        let all = |index: &Index| {
            let mut all = RoaringBitmap::new();
            index.pairs.postings(id).add_to(&mut all);
            all
        };
        assert_eq!(all(&bulk), all(&one_by_one), "{:?}", bulk.pairs.get(id));
    }
    for &s in &refs {
        let set = one_by_one.labels(s);
        assert_eq!((bulk.labels(s), bulk.find(&set)), (set, Some(s)));
    }
}

proptest! {
    #[test]
    fn selects_what_matches(
        sets in proptest::collection::hash_set(proptest::collection::btree_map("[a-c]", "[x-z]{0,2}", 0..4), 0..40),
        matchers in proptest::collection::vec(("[a-d]", 0..4_usize, prop_oneof!["[x-z]{0,2}", Just("x|yy|".to_owned()), Just(".*".to_owned()), Just("x.*".to_owned()), Just("(x|yz).*".to_owned()), Just("[xy]".to_owned()), Just("(z.*|)".to_owned()), Just(".+".to_owned())]), 0..4),
    ) {
        let sets: std::collections::BTreeSet<LabelSet> = sets.iter().map(LabelSet::from_pairs).collect();
        let sets: Vec<LabelSet> = sets.into_iter().collect();
        let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
        let matchers: Vec<Matcher> = matchers.into_iter().map(|(n, op, v)| Matcher::new(n, ops[op], v).unwrap()).collect();
        let expect: Vec<u32> = (0..).zip(&sets).filter(|(_, s)| matchers.iter().all(|m| m.matches_labels(s))).map(|(i, _)| i).collect();
        prop_assert_eq!(index(&sets).select(&matchers).iter().collect::<Vec<_>>(), expect);
    }
}
