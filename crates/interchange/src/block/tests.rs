use super::*;
use crate::ErrorKind;
use model::{Histogram, MatchOp, Matcher, ResetHint, Span};
use proptest::prelude::*;

const ULID: &str = "01HF7YAT000000000000000005";

fn write(series: &[(LabelSet, Samples)]) -> (tempfile::TempDir, Block) {
    let dir = tempfile::tempdir().unwrap();
    let mut w = BlockWriter::create(dir.path(), ULID).unwrap();
    for (labels, samples) in series {
        w.series(labels, samples).unwrap();
    }
    let meta = w.finish().unwrap();
    let block = Block::open(&dir.path().join(ULID)).unwrap();
    assert_eq!(block.meta(), &meta);
    (dir, block)
}

fn floats(n: i64) -> Samples {
    Samples { floats: (0..n).map(|i| (i * 1000, i as f64)).collect(), histograms: Vec::new() }
}

fn read_all(block: &Block) -> Vec<(LabelSet, Samples)> {
    block
        .series()
        .map(|s| {
            let s = s.unwrap();
            let samples = block.samples(&s, TimeRange::ALL).unwrap();
            (s.labels, samples)
        })
        .collect()
}

#[test]
fn what_is_written_is_read() {
    let histogram = Histogram {
        count: 3.0,
        sum: 4.5,
        positive_spans: vec![Span { offset: 1, length: 2 }],
        positive_buckets: vec![1.0, 2.0],
        integer: true,
        reset_hint: ResetHint::Unknown,
        ..Histogram::default()
    };
    let series: Vec<_> = [
        (LabelSet::from_pairs([("__name__", "a")]), floats(300)),
        (LabelSet::from_pairs([("__name__", "a"), ("job", "é")]), floats(1)),
        (
            LabelSet::from_pairs([("__name__", "h")]),
            Samples { floats: Vec::new(), histograms: vec![(7, histogram)] },
        ),
    ]
    .into();
    let (_dir, block) = write(&series);
    assert_eq!(read_all(&block), series);
    assert_eq!(block.meta().stats.num_chunks, 5);
    assert_eq!((block.meta().min_time, block.meta().max_time), (0, 299_001));
    assert_eq!(block.label_names().collect::<Vec<_>>(), ["__name__", "job"]);
    assert_eq!(block.label_values("__name__").collect::<Vec<_>>(), ["a", "h"]);
    let first = block.series().next().unwrap().unwrap();
    let some = block.samples(&first, TimeRange { mint: 119_500, maxt: 121_000 }).unwrap();
    assert_eq!(some.floats, [(120_000, 120.0), (121_000, 121.0)]);
}

#[test]
fn matchers_select_as_everywhere() {
    let sets = ["a=1", "a=1 b=1", "a=2", "a=2 b=3", "b=1"];
    let sets: Vec<LabelSet> =
        sets.iter().map(|s| LabelSet::from_pairs(s.split(' ').filter_map(|p| p.split_once('=')))).collect();
    let series: Vec<_> = sets.iter().map(|l| (l.clone(), floats(2))).collect();
    let (_dir, block) = write(&series);
    let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
    let values = ["", "1", "2", "1|2", "1|", ".*", ".+", "[12]", "9", "[^1]?"];
    let all: Vec<Matcher> = ["a", "b", "c"]
        .iter()
        .flat_map(|n| ops.iter().flat_map(move |op| values.map(move |v| Matcher::new(*n, *op, v).unwrap())))
        .collect();
    let check = |matchers: &[Matcher]| {
        let expected: Vec<_> = sets.iter().filter(|l| matchers.iter().all(|m| m.matches_labels(l))).collect();
        let found = block.select(matchers).unwrap();
        let found: Vec<_> = found.iter().map(|r| block.resolve(*r).unwrap().labels).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{matchers:?}");
    };
    check(&[]);
    for a in &all {
        check(std::slice::from_ref(a));
        for b in &all {
            check(&[a.clone(), b.clone()]);
        }
    }
}

#[test]
fn a_writer_refuses_disorder_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (LabelSet::from_pairs([("a", "1")]), LabelSet::from_pairs([("a", "2")]));
    let mut w = BlockWriter::create(dir.path(), ULID).unwrap();
    w.series(&b, &floats(3)).unwrap();
    assert_eq!(w.series(&a, &floats(3)).unwrap_err().kind(), ErrorKind::Misuse);
    assert_eq!(w.series(&b, &floats(3)).unwrap_err().kind(), ErrorKind::Misuse);
    drop(w);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(BlockWriter::create(dir.path(), "x").is_err());
    let empty = BlockWriter::create(dir.path(), ULID).unwrap();
    assert_eq!(empty.finish().unwrap_err().kind(), ErrorKind::Misuse);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn deleted_samples_are_not_read() {
    let (dir, block) = write(&[(LabelSet::from_pairs([("a", "1")]), floats(10))]);
    let series = block.series().next().unwrap().unwrap();
    let mut body = Vec::new();
    crate::bytes::put_uvarint(&mut body, series.reference);
    crate::bytes::put_varint(&mut body, 2000);
    crate::bytes::put_varint(&mut body, 6500);
    let mut file = vec![0x01, 0x30, 0xba, 0x30, 1];
    file.extend_from_slice(&body);
    file.extend_from_slice(&crc32c::crc32c(&body).to_be_bytes());
    let path = dir.path().join(ULID).join("tombstones");
    std::fs::write(&path, &file).unwrap();
    let block = Block::open(&dir.path().join(ULID)).unwrap();
    let left: Vec<i64> =
        block.samples(&series, TimeRange::ALL).unwrap().floats.iter().map(|(ts, _)| ts / 1000).collect();
    assert_eq!(left, [0, 1, 7, 8, 9]);
    file[6] ^= 1;
    std::fs::write(&path, &file).unwrap();
    assert!(
        Block::open(&dir.path().join(ULID))
            .unwrap_err()
            .to_string()
            .contains("tombstones: tombstones: crc mismatch")
    );
}

#[test]
fn a_flipped_byte_anywhere_is_told_or_harmless() {
    let series: Vec<_> = (0..20)
        .map(|i| (LabelSet::from_pairs([("a", format!("{i:03}")), ("b", "x".into())]), floats(5)))
        .collect();
    let (dir, block) = write(&series);
    let good = read_all(&block);
    drop(block);
    for file in ["index", "chunks/000001"] {
        let path = dir.path().join(ULID).join(file);
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            std::fs::write(&path, &bad).unwrap();
            let Ok(block) = Block::open(&dir.path().join(ULID)) else { continue };
            for found in block.series() {
                let Ok(s) = found else { continue };
                if let Ok(samples) = block.samples(&s, TimeRange::ALL) {
                    assert!(good.contains(&(s.labels, samples)), "{file} at {at}: another value");
                }
            }
        }
        std::fs::write(&path, &bytes).unwrap();
    }
}

/// A deterministic source of bytes.
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 17
    }
}

#[test]
fn mutated_indices_do_no_harm() {
    let series: Vec<_> = (0..30)
        .map(|i| (LabelSet::from_pairs([("a", i.to_string()), ("b", "x".into())]), floats(2)))
        .collect();
    let mut sorted = series;
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let (dir, _block) = write(&sorted);
    let index = std::fs::read(dir.path().join(ULID).join("index")).unwrap();
    let mut random = Lcg(1);
    for round in 0..3000 {
        let mut bytes = index.clone();
        for _ in 0..=random.next() % 4 {
            let at = random.next() as usize % bytes.len();
            bytes[at] = random.next().to_le_bytes()[0];
        }
        // Checksums would stop all of it; every other round the table of contents is made right again.
        if round % 2 == 0 {
            let toc = bytes.len() - 52;
            let crc = crc32c::crc32c(&bytes[toc..toc + 48]).to_be_bytes();
            bytes[toc + 48..].copy_from_slice(&crc);
        }
        if round % 7 == 0 {
            bytes.truncate(random.next() as usize % index.len());
        }
        crate::fuzz::index(&bytes);
        crate::fuzz::wal(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_labels_and_values_round_trip(
        series in proptest::collection::btree_map(
            proptest::collection::btree_map("[a-zé]{1,4}", ".{1,12}", 1..4),
            proptest::collection::btree_map(any::<i64>().prop_map(|t| t >> 2), any::<u64>(), 1..130), 1..20)
    ) {
        let mut series: Vec<(LabelSet, Samples)> = series
            .iter()
            .map(|(l, s)| {
                let floats = s.iter().map(|(t, v)| (*t, f64::from_bits(*v))).collect();
                (LabelSet::from_pairs(l), Samples { floats, histograms: Vec::new() })
            })
            .collect();
        series.sort_by(|a, b| a.0.cmp(&b.0));
        let (_dir, block) = write(&series);
        let read = read_all(&block);
        prop_assert_eq!(read.len(), series.len());
        let bits = |s: &Samples| s.floats.iter().map(|(t, v)| (*t, v.to_bits())).collect::<Vec<_>>();
        for (a, b) in series.iter().zip(&read) {
            prop_assert_eq!(&a.0, &b.0);
            prop_assert_eq!(bits(&a.1), bits(&b.1));
        }
    }
}
