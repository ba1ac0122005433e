//! Definitions come back as they were, and bytes under good checksums that mean nothing do no harm.

use proptest::prelude::*;

use super::load::load;
use super::*;

fn set(i: u32) -> LabelSet {
    LabelSet::from_pairs([
        ("__name__", format!("metric_{}", i % 7)),
        ("instance", format!("host-{}", i / 7)),
        ("empty", if i.is_multiple_of(3) { String::new() } else { "no".to_owned() }),
    ])
}

fn index(series: impl Iterator<Item = u32>) -> RwLock<Index> {
    let mut index = Index::default();
    series.for_each(|i| index.insert(i, &set(i)).unwrap());
    RwLock::new(index)
}

/// Appends all of an index and one group of `slots`.
fn append(definitions: &mut Definitions, index: &RwLock<Index>, slots: &[u32]) -> (u32, u64) {
    let key = LabelSet::from_pairs([("job", "j")]);
    let with_group = |_: usize, put: &mut Put<'_>| put(&GroupDefinition { id: 5, key: &key, slots });
    definitions.append(index, std::iter::once(5), with_group).unwrap()
}

#[test]
fn what_was_appended_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut definitions = Definitions::none(dir.path(), 1, &Faults::default());
    let index = index(0..5_000);
    append(&mut definitions, &index, &(0..4_000).collect::<Vec<_>>());
    let gone: RoaringBitmap = (100..2_000).collect();
    index.write().remove_many(&gone);
    (5_000..5_100).for_each(|i| index.write().insert(i, &set(i)).unwrap());
    let slots: Vec<u32> = (0..4_000).chain(5_000..5_050).collect();
    let named = append(&mut definitions, &index, &slots);
    for named in [Some(named), None] {
        let loaded = load(dir.path(), named, &Faults::default()).unwrap();
        assert_eq!(loaded.damaged, 0);
        assert_eq!(loaded.next_series, 5_100);
        for i in 0..5_100 {
            assert_eq!(loaded.index.contains(i), !gone.contains(i), "series {i}");
            if !gone.contains(i) {
                assert_eq!(loaded.index.labels(i), set(i));
                assert_eq!(loaded.index.find(&set(i)), Some(i));
            }
        }
        let [group] = &loaded.groups[..] else { panic!("one group") };
        assert_eq!(group.id, 5);
        // Slots of series that are gone may be named or lost.
        let same = group.slots.iter().zip(&slots).all(|(a, b)| a == b || gone.contains(*b));
        assert!(same && group.slots.len() == slots.len());
    }
}

proptest! {
    #[test]
    fn foreign_records_do_no_harm(
        records in proptest::collection::vec((32_u8..40, proptest::collection::vec(any::<u8>(), 0..60)), 1..8),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = header(1).to_vec();
        for (kind, payload) in &records {
            record::frame(&mut bytes, *kind, |out| out.extend_from_slice(payload));
        }
        std::fs::write(path(dir.path(), 1), &bytes).unwrap();
        let _ = load(dir.path(), None, &Faults::default());
        let _ = load(dir.path(), Some((1, bytes.len() as u64)), &Faults::default());
    }

    #[test]
    fn a_changed_record_under_a_good_checksum_does_no_harm(
        at in any::<prop::sample::Index>(), xor in 1_u8..,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut definitions = Definitions::none(dir.path(), 1, &Faults::default());
        let index = index(0..60);
        append(&mut definitions, &index, &(0..60).collect::<Vec<_>>());
        let file = path(dir.path(), 1);
        let bytes = std::fs::read(&file).unwrap();
        let mut changed = header(1).to_vec();
        let (mut offset, mut payloads) = (HEADER_LEN, vec![]);
        while let Some((kind, payload, next)) = record::frame_at(&bytes, offset) {
            payloads.push((kind, payload.to_vec()));
            offset = next;
        }
        let total: usize = payloads.iter().map(|p| p.1.len()).sum();
        let mut at = at.index(total);
        for (kind, payload) in &mut payloads {
            if at < payload.len() {
                payload[at] ^= xor;
                at = usize::MAX;
            } else {
                at = at.saturating_sub(payload.len());
            }
            record::frame(&mut changed, *kind, |out| out.extend_from_slice(payload));
        }
        std::fs::write(&file, &changed).unwrap();
        let _ = load(dir.path(), None, &Faults::default());
    }
}
