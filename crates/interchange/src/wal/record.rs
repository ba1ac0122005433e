//! Records of the log (`tsdb/record/record.go`).

use model::{CUSTOM_BUCKETS_SCHEMA, Exemplar, Histogram, LabelSet, Metadata, MetricType, ResetHint, Span};

use super::Event;
use crate::bytes::Reader;

/// What a record could not be read for.
const SHORT: &str = "record ends early or has a length that does not fit";

/// Tells `sink` what a record says. Types that are not known are left out, as upstream does.
pub(super) fn read(record: &[u8], sink: &mut dyn FnMut(Event)) -> Result<(), String> {
    let Some((&kind, body)) = record.split_first() else { return Err(SHORT.to_owned()) };
    let mut r = Reader::new(body);
    let done = match kind {
        1 => series(&mut r, sink),
        2 => samples(&mut r, Heads::V1, float, &mut |reference, ts, value| {
            sink(Event::Sample { reference, ts, value });
        }),
        3 => tombstones(&mut r, sink),
        4 => exemplars(&mut r, sink),
        // Markers of the out-of-order log say which samples are in mapped chunks too; they stay in the log as well.
        5 => Some(()),
        6 => metadata(&mut r, sink),
        7 | 9 => histograms(&mut r, Heads::V1, integer_histogram, sink),
        8 | 10 => histograms(&mut r, Heads::V1, float_histogram, sink),
        11 => samples(&mut r, Heads::V2, float, &mut |reference, ts, value| {
            sink(Event::Sample { reference, ts, value });
        }),
        12 => histograms(&mut r, Heads::V2, integer_histogram, sink),
        13 => histograms(&mut r, Heads::V2, float_histogram, sink),
        _ => Some(()),
    };
    done.ok_or_else(|| format!("type {kind}: {SHORT}"))
}

fn float(r: &mut Reader<'_>) -> Option<f64> {
    r.f64()
}

fn labels(r: &mut Reader<'_>) -> Option<LabelSet> {
    let count = r.count(2)?;
    let pairs: Option<Vec<_>> = (0..count).map(|_| Some((r.str()?, r.str()?))).collect();
    Some(LabelSet::from_pairs(pairs?))
}

fn series(r: &mut Reader<'_>, sink: &mut dyn FnMut(Event)) -> Option<()> {
    while !r.is_empty() {
        let reference = r.u64()?;
        sink(Event::Series { reference, labels: labels(r)? });
    }
    Some(())
}

/// How the samples of a record name their series and time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heads {
    /// Both as differences to a base in front.
    V1,
    /// The series by difference to the sample before, the time to the first, then a start time.
    V2,
}

fn samples<T>(
    r: &mut Reader<'_>,
    heads: Heads,
    value: fn(&mut Reader<'_>) -> Option<T>,
    sink: &mut dyn FnMut(u64, i64, T),
) -> Option<()> {
    if r.is_empty() {
        return Some(());
    }
    if heads == Heads::V1 {
        let (base, base_ts) = (r.u64()?, r.i64()?);
        while !r.is_empty() {
            let reference = base.wrapping_add_signed(r.varint()?);
            let ts = base_ts.wrapping_add(r.varint()?);
            sink(reference, ts, value(r)?);
        }
        return Some(());
    }
    let (mut reference, first_ts, _first_start) = (r.varint()?, r.varint()?, r.varint()?);
    sink(reference.cast_unsigned(), first_ts, value(r)?);
    while !r.is_empty() {
        reference = reference.wrapping_add(r.varint()?);
        let ts = first_ts.wrapping_add(r.varint()?);
        // 0: no start time, 1: the same as before, else written out.
        if r.u8()? > 1 {
            r.varint()?;
        }
        sink(reference.cast_unsigned(), ts, value(r)?);
    }
    Some(())
}

fn histograms(
    r: &mut Reader<'_>,
    heads: Heads,
    decode: fn(&mut Reader<'_>) -> Option<Histogram>,
    sink: &mut dyn FnMut(Event),
) -> Option<()> {
    samples(r, heads, decode, &mut |reference, ts, histogram| {
        // Resolutions that do not exist yet are left out, as upstream leaves out what it does not know.
        if (-9..=8).contains(&histogram.schema) || histogram.schema == CUSTOM_BUCKETS_SCHEMA {
            sink(Event::Histogram { reference, ts, histogram: Box::new(histogram) });
        }
    })
}

fn tombstones(r: &mut Reader<'_>, sink: &mut dyn FnMut(Event)) -> Option<()> {
    while !r.is_empty() {
        sink(Event::Tombstone { reference: r.u64()?, mint: r.varint()?, maxt: r.varint()? });
    }
    Some(())
}

fn exemplars(r: &mut Reader<'_>, sink: &mut dyn FnMut(Event)) -> Option<()> {
    if r.is_empty() {
        return Some(());
    }
    let (base, base_ts) = (r.u64()?, r.i64()?);
    while !r.is_empty() {
        let reference = base.wrapping_add_signed(r.varint()?);
        let ts = Some(base_ts.wrapping_add(r.varint()?));
        let value = r.f64()?;
        sink(Event::Exemplar { reference, exemplar: Exemplar { labels: labels(r)?, value, ts } });
    }
    Some(())
}

fn metadata(r: &mut Reader<'_>, sink: &mut dyn FnMut(Event)) -> Option<()> {
    while !r.is_empty() {
        let reference = r.uvarint()?;
        let kind = match r.u8()? {
            1 => MetricType::Counter,
            2 => MetricType::Gauge,
            3 => MetricType::Histogram,
            4 => MetricType::GaugeHistogram,
            5 => MetricType::Summary,
            6 => MetricType::Info,
            7 => MetricType::StateSet,
            _ => MetricType::Unknown,
        };
        let mut metadata = Metadata { kind, ..Metadata::default() };
        for _ in 0..r.count(2)? {
            let (name, value) = (r.str()?, r.str()?);
            match name {
                "UNIT" => value.clone_into(&mut metadata.unit),
                "HELP" => value.clone_into(&mut metadata.help),
                _ => {}
            }
        }
        sink(Event::Metadata { reference, metadata });
    }
    Some(())
}

/// Hint, schema and zero threshold.
fn histogram_head(r: &mut Reader<'_>) -> Option<Histogram> {
    let reset_hint = match r.u8()? {
        1 => ResetHint::Reset,
        2 => ResetHint::NoReset,
        3 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    };
    let schema = i32::try_from(r.varint()?).ok()?;
    Some(Histogram { schema, zero_threshold: r.f64()?, reset_hint, ..Histogram::default() })
}

fn spans(r: &mut Reader<'_>) -> Option<Vec<Span>> {
    let count = r.count(2)?;
    (0..count)
        .map(|_| Some(Span { offset: i32::try_from(r.varint()?).ok()?, length: r.uvarint32()? }))
        .collect()
}

fn float_list(r: &mut Reader<'_>) -> Option<Vec<f64>> {
    let count = r.count(8)?;
    (0..count).map(|_| r.f64()).collect()
}

/// Counts from differences.
fn integer_list(r: &mut Reader<'_>) -> Option<Vec<f64>> {
    let count = r.count(1)?;
    let mut sum = 0_i64;
    (0..count)
        .map(|_| {
            sum = sum.wrapping_add(r.varint()?);
            Some(sum as f64)
        })
        .collect()
}

fn integer_histogram(r: &mut Reader<'_>) -> Option<Histogram> {
    let mut h = histogram_head(r)?;
    h.integer = true;
    h.zero_count = r.uvarint()? as f64;
    h.count = r.uvarint()? as f64;
    h.sum = r.f64()?;
    buckets(r, h, integer_list)
}

fn float_histogram(r: &mut Reader<'_>) -> Option<Histogram> {
    let mut h = histogram_head(r)?;
    h.zero_count = r.f64()?;
    h.count = r.f64()?;
    h.sum = r.f64()?;
    buckets(r, h, float_list)
}

fn buckets(
    r: &mut Reader<'_>,
    mut h: Histogram,
    list: fn(&mut Reader<'_>) -> Option<Vec<f64>>,
) -> Option<Histogram> {
    h.positive_spans = spans(r)?;
    h.negative_spans = spans(r)?;
    h.positive_buckets = list(r)?;
    h.negative_buckets = list(r)?;
    if h.schema == CUSTOM_BUCKETS_SCHEMA {
        h.custom_values = float_list(r)?;
    }
    let covered = |spans: &[Span]| spans.iter().map(|s| u64::from(s.length)).sum::<u64>();
    let whole = covered(&h.positive_spans) == h.positive_buckets.len() as u64
        && covered(&h.negative_spans) == h.negative_buckets.len() as u64;
    whole.then_some(h)
}
