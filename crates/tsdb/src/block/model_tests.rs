//! Random blocks against a `BTreeMap`: written, deleted from, merged, opened again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use model::{Histogram, LabelSet, MatchOp, Matcher, Span};
use proptest::prelude::*;
use roaring::RoaringBitmap;
use storage::TimeRange;

use super::{About, Block, BlockWriter, Blocks, SeriesData, merge, series_key};
use crate::codec::histogram::HistogramCodec;
use crate::codec::{Decoder, Effort, IntDecoder};
use crate::disk::Faults;
use crate::segment::Damaged;

/// A sample, comparable to the bit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sample {
    Float(u64),
    Histogram(String),
}

pub(super) type Model = BTreeMap<LabelSet, BTreeMap<i64, Sample>>;

pub(super) const ALL: TimeRange = TimeRange { mint: i64::MIN, maxt: i64::MAX };

pub(super) fn histogram(seed: u32) -> Arc<Histogram> {
    let buckets = (seed % 3 + 1) as usize;
    Arc::new(Histogram {
        schema: 2,
        zero_threshold: 1e-9,
        count: f64::from(seed),
        sum: f64::from(seed) / 10.0,
        positive_spans: vec![Span { offset: -1, length: seed % 3 + 1 }],
        positive_buckets: vec![f64::from(seed); buckets],
        integer: seed.is_multiple_of(2),
        ..Histogram::default()
    })
}

fn of_histogram(h: &Histogram) -> Sample {
    Sample::Histogram(format!("{h:?}"))
}

/// What a series has, to be written.
pub(super) type Data = BTreeMap<i64, Result<f64, u32>>;

pub(super) fn to_model(series: &BTreeMap<LabelSet, Data>) -> Model {
    let sample = |v: &Result<f64, u32>| match v {
        Ok(v) => Sample::Float(v.to_bits()),
        Err(seed) => of_histogram(&histogram(*seed)),
    };
    series
        .iter()
        .filter(|(_, data)| !data.is_empty())
        .map(|(l, data)| (l.clone(), data.iter().map(|(t, v)| (*t, sample(v))).collect()))
        .collect()
}

pub(super) fn put(writer: &mut BlockWriter, labels: &LabelSet, data: &Data) {
    let ts: Vec<i64> = data.iter().filter(|(_, v)| v.is_ok()).map(|(t, _)| *t).collect();
    let values: Vec<f64> = data.values().filter_map(|v| v.ok()).collect();
    let histograms: Vec<_> = data.iter().filter_map(|(t, v)| Some((*t, histogram(v.err()?)))).collect();
    writer.series(labels, &SeriesData { ts: &ts, values: &values, histograms: &histograms }).unwrap();
}

pub(super) fn write(blocks: &Path, number: u128, series: &BTreeMap<LabelSet, Data>) -> Option<Block> {
    let now = 1_700_000_000_000 + i64::try_from(number).unwrap();
    let mut writer = BlockWriter::create(blocks, now, number, Effort::Fresh, &Faults::default()).unwrap();
    series.iter().for_each(|(labels, data)| put(&mut writer, labels, data));
    writer.finish(About { level: 1, ..About::default() }).unwrap()
}

/// The samples of one series that are not deleted.
pub(super) fn read_series(block: &Block, ordinal: u32) -> Result<BTreeMap<i64, Sample>, Damaged> {
    let (mut ints, mut decoder, mut codec) =
        (IntDecoder::default(), Decoder::default(), HistogramCodec::default());
    let mut chunks = vec![];
    block.chunks(ordinal, ALL, &mut chunks)?;
    assert!(chunks.windows(2).all(|w| w[0].mint <= w[1].mint));
    let mut out = BTreeMap::new();
    for chunk in &chunks {
        let mut ts = vec![];
        block.timestamps(chunk, &mut ints, &mut ts)?;
        assert_eq!((ts.len(), ts[0], ts[ts.len() - 1]), (chunk.rows as usize, chunk.mint, chunk.maxt));
        let samples: Vec<Sample> = if chunk.histogram {
            let mut histograms = vec![];
            block.histograms(chunk, &mut codec, &mut histograms)?;
            histograms.iter().map(|h| of_histogram(h)).collect()
        } else {
            let mut values = vec![0.0; chunk.rows as usize];
            block.values(chunk, &mut decoder, &mut values)?;
            values.iter().map(|v| Sample::Float(v.to_bits())).collect()
        };
        out.extend(ts.into_iter().zip(samples));
    }
    for range in block.deleted(ordinal) {
        out.retain(|t, _| *t < range.mint || range.maxt < *t);
    }
    Ok(out)
}

pub(super) fn read(block: &Block) -> Model {
    let mut model = Model::new();
    let mut labels = block.label_reader();
    for ordinal in block.select(&[]).unwrap() {
        let set = labels.get(ordinal).unwrap();
        assert_eq!(block.key(ordinal), series_key(&set));
        assert_eq!(block.labels(ordinal).unwrap(), set);
        let samples = read_series(block, ordinal).unwrap();
        if !samples.is_empty() {
            assert!(model.last_key_value().is_none_or(|(last, _)| *last < set));
            model.insert(set, samples);
        }
    }
    model
}

fn label_sets() -> impl Strategy<Value = LabelSet> {
    let name = prop_oneof![Just("up"), Just("http_requests_total"), Just("métrique"), Just("")];
    let value = prop_oneof!["[ab]{1,2}", "inst-[0-9]{1,2}", "[é\u{10ffff}]", ".{1,3}", Just(String::new())];
    (name, proptest::collection::btree_map("[a-d]|job|ünit", value, 0..5)).prop_map(|(name, rest)| {
        LabelSet::from_pairs(rest.iter().map(|(n, v)| (n.as_str(), v.as_str())).chain([("__name__", name)]))
    })
}

fn data() -> impl Strategy<Value = Data> {
    let value = prop_oneof![
        8 => (0_i32..2_000).prop_map(|v| Ok(f64::from(v) / 10.0)),
        1 => any::<u64>().prop_map(|b| Ok(f64::from_bits(if b == storage::ABSENT_BITS { 0 } else { b }))),
        1 => Just(Ok(model::STALE_NAN)),
    ];
    let times = prop_oneof![
        4 => (0_i64..4, 1_usize..1_200, prop_oneof![Just(15_000_i64), Just(1_000), Just(60_000)])
            .prop_map(|(from, n, step)| (0..n).map(|i| from * 7_200_000 / 3 + i64::try_from(i).unwrap() * step).collect()),
        2 => proptest::collection::vec(0_i64..20_000_000, 0..60),
        1 => proptest::collection::vec(any::<i64>(), 0..6),
    ];
    (times, proptest::collection::vec(value, 1..20), 0_u32..8, any::<u32>()).prop_map(
        |(times, values, kind, seed): (Vec<i64>, Vec<Result<f64, u32>>, u32, u32)| {
            let sample = |i: usize| {
                let turn = seed.wrapping_add(u32::try_from(i).unwrap());
                match kind {
                    0 if turn % 7 < 3 => Err(turn % 100),
                    1 => Err(seed % 3 + turn % 40 / 20 * 3),
                    _ => values[i % values.len()],
                }
            };
            times.into_iter().enumerate().map(|(i, t)| (t, sample(i))).collect()
        },
    )
}

fn series() -> impl Strategy<Value = BTreeMap<LabelSet, Data>> {
    proptest::collection::btree_map(label_sets(), data(), 0..25)
}

fn matchers() -> impl Strategy<Value = Vec<Matcher>> {
    let op = prop_oneof![
        Just(MatchOp::Equal),
        Just(MatchOp::NotEqual),
        Just(MatchOp::Regex),
        Just(MatchOp::NotRegex),
    ];
    let value = prop_oneof![
        Just(""),
        Just("a"),
        Just("ab"),
        Just("up"),
        Just(".*"),
        Just(".+"),
        Just("a|b"),
        Just("a|"),
        Just("|é"),
        Just("inst-1.*"),
        Just("inst-(1|2)[0-9]?"),
        Just(".*-.*"),
        Just("é"),
        Just("(?i:A.?)"),
        Just("m.*e|up"),
        Just("[^a]"),
        Just("a\\b"),
        Just("^a$"),
        Just("(a|b){2}"),
        Just("."),
        Just("u?p?"),
        Just("\\w+"),
        Just("h(ttp|x)_.+"),
        Just("(?-s).*"),
        Just("zzz"),
    ];
    let name =
        prop_oneof![Just("__name__"), Just("a"), Just("b"), Just("job"), Just("ünit"), Just("nowhere")];
    proptest::collection::vec((name, op, value).prop_map(|(n, op, v)| Matcher::new(n, op, v).unwrap()), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn blocks_hold_what_was_written_deleted_and_merged(
        parts in proptest::collection::vec(series(), 1..4),
        deletions in proptest::collection::vec((any::<prop::sample::Index>(), matchers(), 0_i64..20_000_000, 0_i64..9_000_000), 0..3),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut blocks = vec![];
        for (i, part) in parts.iter().enumerate() {
            let block = write(dir.path(), i as u128, part);
            let model = to_model(part);
            prop_assert_eq!(block.is_none(), model.is_empty());
            if let Some(block) = block {
                prop_assert_eq!(&read(&block), &model);
                let meta = block.meta();
                prop_assert_eq!(meta.series, model.len() as u64);
                prop_assert_eq!(meta.samples, model.values().map(|s| s.len() as u64).sum::<u64>());
                prop_assert_eq!(Some(&meta.mint), model.values().filter_map(|s| s.keys().next()).min());
                prop_assert_eq!(Some(&meta.maxt), model.values().filter_map(|s| s.keys().last()).max());
                blocks.push((Arc::new(block), model));
            }
        }
        for (which, matchers, mint, len) in deletions {
            if blocks.is_empty() { break }
            let (block, model) = {
                let n = blocks.len();
                &mut blocks[which.index(n)]
            };
            let range = TimeRange { mint, maxt: mint + len };
            block.delete(&block.select(&matchers).unwrap(), range).unwrap();
            for (labels, samples) in model.iter_mut() {
                if matchers.iter().all(|m| m.matches_labels(labels)) {
                    samples.retain(|t, _| *t < range.mint || range.maxt < *t);
                }
            }
            model.retain(|_, s| !s.is_empty());
            prop_assert_eq!(&read(block), &*model);
            prop_assert_eq!(&read(&Block::open(block.dir()).unwrap()), &*model);
        }
        let mut expect = Model::new();
        for (_, model) in &blocks {
            for (labels, samples) in model {
                expect.entry(labels.clone()).or_default().extend(samples.clone());
            }
        }
        let inputs: Vec<Arc<Block>> = blocks.into_iter().map(|(b, _)| b).collect();
        let merged = merge(dir.path(), &inputs, 1_800_000_000_000, 9, Effort::Cold, &Faults::default()).unwrap();
        prop_assert_eq!(merged.is_none(), expect.is_empty());
        let Some(merged) = merged else { return Ok(()) };
        prop_assert_eq!(&read(&merged), &expect);
        // A crash before the old ones go leaves both; the next start keeps the new one.
        drop((inputs, merged));
        let (blocks, damaged) = Blocks::open(dir.path(), &Faults::default()).unwrap();
        prop_assert_eq!((blocks.all().len(), damaged), (1, 0));
        prop_assert_eq!(&read(&blocks.all()[0]), &expect);
        prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn selects_what_matches(
        sets in proptest::collection::btree_set(label_sets(), 1..60),
        queries in proptest::collection::vec(matchers(), 12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let sets: Vec<LabelSet> = sets.into_iter().collect();
        let all = sets.iter().map(|l| (l.clone(), Data::from([(1, Ok(1.0))]))).collect();
        let block = write(dir.path(), 1, &all).unwrap();
        for query in queries {
            let expect: RoaringBitmap = (0_u32..)
                .zip(&sets)
                .filter(|(_, l)| query.iter().all(|m| m.matches_labels(l)))
                .map(|(i, _)| i)
                .collect();
            let found = block.select(&query).unwrap();
            prop_assert_eq!(&found, &expect, "{:?}", query);
            let of = |f: &dyn Fn(&LabelSet) -> Vec<String>| -> Vec<String> {
                expect.iter().flat_map(|i| f(&sets[i as usize])).collect::<BTreeSet<_>>().into_iter().collect()
            };
            let names = of(&|l| l.iter().map(|(n, _)| n.to_owned()).collect());
            prop_assert_eq!(block.label_names(Some(&found)).unwrap(), names);
            for name in ["__name__", "a", "nowhere"] {
                let values = of(&|l| l.get(name).map(str::to_owned).into_iter().collect());
                prop_assert_eq!(block.label_values(name, Some(&found)).unwrap(), values.clone());
                if expect.len() == sets.len() as u64 {
                    prop_assert_eq!(block.label_values(name, None).unwrap(), values);
                }
            }
        }
    }
}

#[test]
fn postings_of_many_series_and_names_in_batches() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = BlockWriter::create(dir.path(), 1, 1, Effort::Fresh, &Faults::default()).unwrap();
    let mut sets: Vec<LabelSet> = (0..30_000_u32)
        .map(|i| {
            let labels =
                [("__name__", format!("m{}", i % 50)), ("id", i.to_string()), ("even", (i % 2).to_string())];
            LabelSet::from_pairs(labels.iter().map(|(n, v)| (*n, v.as_str())))
        })
        .collect();
    sets.sort();
    for set in &sets {
        writer.series(set, &SeriesData { ts: &[5], values: &[1.5], histograms: &[] }).unwrap();
    }
    let block = writer.finish(About::default()).unwrap().unwrap();
    let count =
        |text: &str, op, value: &str| block.select(&[Matcher::new(text, op, value).unwrap()]).unwrap().len();
    assert_eq!(count("even", MatchOp::Equal, "1"), 15_000);
    assert_eq!(count("id", MatchOp::Regex, "2[0-9]*"), 11_111);
    assert_eq!(count("id", MatchOp::Regex, ".*77"), 300);
    assert_eq!(count("__name__", MatchOp::NotEqual, "m7"), 29_400);
    for (i, set) in (0_u32..).zip(&sets).step_by(997) {
        assert_eq!(&block.labels(i).unwrap(), set);
        assert_eq!(block.key(i), series_key(set));
    }
    assert!(block.labels(30_000).is_err());
    assert_eq!(block.label_values("__name__", None).unwrap().len(), 50);
}

#[test]
fn refuses_disorder_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = BlockWriter::create(dir.path(), 1, 1, Effort::Fresh, &Faults::default()).unwrap();
    let labels = |v: &str| LabelSet::from_pairs([("a", v)]);
    let one = SeriesData { ts: &[5], values: &[1.5], histograms: &[] };
    writer.series(&labels("b"), &one).unwrap();
    assert!(writer.series(&labels("b"), &one).is_err());
    assert!(writer.series(&labels("c"), &SeriesData { ts: &[5, 5], values: &[1.5, 2.0], ..one }).is_err());
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let writer = BlockWriter::create(dir.path(), 1, 1, Effort::Fresh, &Faults::default()).unwrap();
    assert!(writer.finish(About::default()).unwrap().is_none());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
