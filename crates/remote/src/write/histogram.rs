//! Native histograms of a request: decoding, and upstream's checks (`model/histogram`, `Validate`) with its texts.

use model::{CUSTOM_BUCKETS_SCHEMA, Histogram, ResetHint, Span, TimestampMs};

use super::budget::Budget;
use super::decode::Fault;
use crate::wire::{BYTES, FIXED64, Reader, Tag, VARINT, WireError};

/// The finest exponential schema that is stored; finer ones are reduced to it.
const MAX_SCHEMA: i32 = 8;
const MIN_SCHEMA: i32 = -4;
/// The finest schema that the numbering leaves room for.
const MAX_RESERVED_SCHEMA: i32 = 52;

/// Spans, counts and deltas of one side.
#[derive(Debug, Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

/// A count as it travels: whole or not.
#[derive(Debug, Clone, Copy)]
enum Count {
    Whole(u64),
    Real(f64),
}

impl Count {
    fn whole(self) -> u64 {
        if let Self::Whole(n) = self { n } else { 0 }
    }

    fn real(self) -> f64 {
        if let Self::Real(n) = self { n } else { 0.0 }
    }
}

/// Decodes a `Histogram` and checks it.
pub(super) fn decode(bytes: &[u8], budget: &mut Budget) -> Result<(TimestampMs, Histogram), Fault> {
    budget.take(size_of::<Histogram>() + size_of::<TimestampMs>())?;
    let mut reader = Reader::new(bytes);
    let (mut count, mut zero_count) = (Count::Whole(0), Count::Whole(0));
    let (mut positive, mut negative) = (Side::default(), Side::default());
    let mut ts = 0;
    let mut histogram = Histogram::default();
    while let Some(tag) = reader.tag()? {
        match tag.field {
            1 => count = Count::Whole(reader.varint_of(tag)?),
            2 => count = Count::Real(reader.double_of(tag)?),
            3 => histogram.sum = reader.double_of(tag)?,
            // A sint32 is cut to 32 bits, as Go does.
            4 => histogram.schema = unzigzag(reader.varint_of(tag)?) as i32,
            5 => histogram.zero_threshold = reader.double_of(tag)?,
            6 => zero_count = Count::Whole(reader.varint_of(tag)?),
            7 => zero_count = Count::Real(reader.double_of(tag)?),
            8 => negative.spans.push(span(reader.bytes_of(tag)?, budget)?),
            9 => deltas(&mut reader, tag, &mut negative.deltas, budget)?,
            10 => doubles(&mut reader, tag, &mut negative.counts, budget)?,
            11 => positive.spans.push(span(reader.bytes_of(tag)?, budget)?),
            12 => deltas(&mut reader, tag, &mut positive.deltas, budget)?,
            13 => doubles(&mut reader, tag, &mut positive.counts, budget)?,
            14 => histogram.reset_hint = reset_hint(reader.varint_of(tag)?),
            15 => ts = reader.varint_of(tag)? as i64,
            16 => doubles(&mut reader, tag, &mut histogram.custom_values, budget)?,
            _ => reader.skip(tag)?,
        }
    }
    histogram.integer = matches!(count, Count::Whole(_));
    if histogram.integer {
        let negative_sum = whole_buckets("negative", &mut negative)?;
        let positive_sum = whole_buckets("positive", &mut positive)?;
        check_whole_sum(
            negative_sum + positive_sum + u128::from(zero_count.whole()),
            count.whole(),
            histogram.sum,
        )?;
        histogram.count = count.whole() as f64;
        histogram.zero_count = zero_count.whole() as f64;
    } else {
        histogram.count = count.real();
        histogram.zero_count = zero_count.real();
    }
    (histogram.positive_spans, histogram.positive_buckets) = (positive.spans, positive.counts);
    (histogram.negative_spans, histogram.negative_buckets) = (negative.spans, negative.counts);
    check(&mut histogram)?;
    Ok((ts, histogram))
}

fn unzigzag(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

fn reset_hint(raw: u64) -> ResetHint {
    match raw {
        1 => ResetHint::Reset,
        2 => ResetHint::NoReset,
        3 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    }
}

fn span(bytes: &[u8], budget: &mut Budget) -> Result<Span, Fault> {
    budget.take(size_of::<Span>())?;
    let mut span = Span { offset: 0, length: 0 };
    let mut reader = Reader::new(bytes);
    while let Some(tag) = reader.tag()? {
        match tag.field {
            1 => span.offset = unzigzag(reader.varint_of(tag)?) as i32,
            2 => span.length = reader.varint_of(tag)? as u32,
            _ => reader.skip(tag)?,
        }
    }
    Ok(span)
}

/// Packed or not.
fn deltas(reader: &mut Reader<'_>, tag: Tag, out: &mut Vec<i64>, budget: &mut Budget) -> Result<(), Fault> {
    let mut push = |reader: &mut Reader<'_>| -> Result<(), Fault> {
        // Twice: the counts they become are held beside them.
        budget.take(2 * size_of::<i64>())?;
        out.push(reader.zigzag()?);
        Ok(())
    };
    match tag.wire {
        VARINT => push(reader),
        BYTES => {
            let mut packed = Reader::new(reader.bytes()?);
            while !packed.rest.is_empty() {
                push(&mut packed)?;
            }
            Ok(())
        }
        _ => Err(tag.mismatch().into()),
    }
}

/// Packed or not.
fn doubles(reader: &mut Reader<'_>, tag: Tag, out: &mut Vec<f64>, budget: &mut Budget) -> Result<(), Fault> {
    match tag.wire {
        FIXED64 => {
            budget.take(size_of::<f64>())?;
            out.push(f64::from_bits(reader.fixed64()?));
            Ok(())
        }
        BYTES => {
            let (values, rest) = reader.bytes()?.as_chunks::<8>();
            if !rest.is_empty() {
                return Err(WireError::End.into());
            }
            budget.take(size_of_val(values))?;
            out.extend(values.iter().map(|b| f64::from_le_bytes(*b)));
            Ok(())
        }
        _ => Err(tag.mismatch().into()),
    }
}

fn invalid(text: impl Into<String>) -> Fault {
    Fault::Histogram(text.into())
}

/// Turns deltas into counts; gives the sum of the counts.
fn whole_buckets(name: &str, side: &mut Side) -> Result<u128, Fault> {
    let (mut last, mut sum) = (0_i64, 0_u128);
    side.counts.clear();
    for (i, delta) in side.deltas.iter().enumerate() {
        // Go wraps around, and then finds the count negative.
        last = last.wrapping_add(*delta);
        if last < 0 {
            return Err(negative_bucket(name, i, last));
        }
        sum += u128::from(last.unsigned_abs());
        side.counts.push(last as f64);
    }
    Ok(sum)
}

fn negative_bucket(name: &str, i: usize, count: impl std::fmt::Display) -> Fault {
    let text = "histogram has a bucket whose observation count is negative";
    invalid(format!("{name} side: bucket number {} has observation count of {count}: {text}", i + 1))
}

fn check_whole_sum(found: u128, count: u64, sum: f64) -> Result<(), Fault> {
    let count_wide = u128::from(count);
    let text = match sum.is_nan() {
        true if found > count_wide => {
            "histogram's observation count should be at least the number of observations found in the buckets"
        }
        false if found != count_wide => {
            "histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)"
        }
        _ => return Ok(()),
    };
    Err(invalid(format!("{found} observations found in buckets, but the Count field is {count}: {text}")))
}

/// Reduces a schema that is too fine, then checks layout and counts.
fn check(h: &mut Histogram) -> Result<(), Fault> {
    if h.schema == CUSTOM_BUCKETS_SCHEMA {
        check_custom(h)?;
    } else {
        check_spans("positive", &h.positive_spans, h.positive_buckets.len())?;
        check_spans("negative", &h.negative_spans, h.negative_buckets.len())?;
        if (MAX_SCHEMA + 1..=MAX_RESERVED_SCHEMA).contains(&h.schema) {
            reduce(h);
        }
        if !(MIN_SCHEMA..=MAX_SCHEMA).contains(&h.schema) {
            return Err(invalid(format!(
                "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom buckets, got schema {}",
                h.schema
            )));
        }
        check_counts("negative", &h.negative_buckets)?;
        if h.zero_count < 0.0 {
            return Err(invalid(format!(
                "zero bucket has observation count of {}: histogram has a bucket whose observation count is negative",
                h.zero_count
            )));
        }
        if !h.custom_values.is_empty() {
            return Err(invalid("histogram with exponential schema must not have custom bounds"));
        }
    }
    if h.count < 0.0 {
        return Err(invalid(format!(
            "observation count is  {}: histogram's observation count is negative",
            h.count
        )));
    }
    check_counts("positive", &h.positive_buckets)
}

fn check_counts(name: &str, buckets: &[f64]) -> Result<(), Fault> {
    match buckets.iter().position(|c| *c < 0.0) {
        Some(i) => Err(negative_bucket(name, i, buckets[i])),
        None => Ok(()),
    }
}

fn check_spans(name: &str, spans: &[Span], buckets: usize) -> Result<(), Fault> {
    let mut needed = 0_u64;
    for (i, span) in spans.iter().enumerate() {
        if i > 0 && span.offset < 0 {
            return Err(negative_offset(&format!("{name} side"), i, span));
        }
        needed += u64::from(span.length);
    }
    enough_buckets(&format!("{name} side"), needed, buckets)?;
    // The index of each bucket is an i32; upstream's wraps around.
    let end = spans.iter().map(|s| i64::from(s.offset) + i64::from(s.length)).sum::<i64>();
    if i32::try_from(end).is_err() {
        return Err(invalid(format!("{name} side: spans end at bucket {end}, beyond what an index can be")));
    }
    Ok(())
}

fn negative_offset(what: &str, i: usize, span: &Span) -> Fault {
    invalid(format!(
        "{what}: span number {} with offset {}: histogram has a span whose offset is negative",
        i + 1,
        span.offset
    ))
}

fn enough_buckets(what: &str, needed: u64, buckets: usize) -> Result<(), Fault> {
    if needed == buckets as u64 {
        return Ok(());
    }
    Err(invalid(format!(
        "{what}: spans need {needed} buckets, have {buckets} buckets: histogram spans specify different number of buckets than provided"
    )))
}

fn check_custom(h: &Histogram) -> Result<(), Fault> {
    let what = "custom buckets";
    let mut last = f64::NEG_INFINITY;
    for (i, bound) in h.custom_values.iter().enumerate() {
        if bound.is_nan() {
            return Err(invalid(format!("{what}: histogram custom bounds must not be NaN")));
        }
        if i > 0 && *bound <= last {
            return Err(invalid(format!(
                "{what}: previous bound is {last:.6} and current is {bound:.6}: histogram custom bounds must be in strictly increasing order"
            )));
        }
        last = *bound;
    }
    if last == f64::INFINITY {
        return Err(invalid(format!(
            "{what}: last +Inf bound must not be explicitly defined: histogram custom bounds must be finite"
        )));
    }
    let (mut needed, mut covered) = (0_u64, 0_u64);
    for (i, span) in h.positive_spans.iter().enumerate() {
        let offset = u64::try_from(span.offset).map_err(|_| negative_offset(what, i, span))?;
        needed += u64::from(span.length);
        covered += offset + u64::from(span.length);
    }
    enough_buckets(what, needed, h.positive_buckets.len())?;
    let bounds = h.custom_values.len();
    if (bounds as u64) + 1 < covered {
        return Err(invalid(format!(
            "{what}: only {bounds} custom bounds defined which is insufficient to cover total span length of {covered}: histogram custom bounds are too few"
        )));
    }
    for (wrong, text) in [
        (h.zero_count != 0.0, "must have zero count of 0"),
        (h.zero_threshold != 0.0, "must have zero threshold of 0"),
        (!h.negative_spans.is_empty(), "must not have negative spans"),
        (!h.negative_buckets.is_empty(), "must not have negative buckets"),
    ] {
        if wrong {
            return Err(invalid(format!("{what}: {text}")));
        }
    }
    Ok(())
}

/// Joins buckets until the schema is [`MAX_SCHEMA`]. The spans must have been checked.
fn reduce(h: &mut Histogram) {
    let shift = u32::try_from(h.schema - MAX_SCHEMA).unwrap_or(0);
    (h.positive_spans, h.positive_buckets) = reduce_side(&h.positive_spans, &h.positive_buckets, shift);
    (h.negative_spans, h.negative_buckets) = reduce_side(&h.negative_spans, &h.negative_buckets, shift);
    h.schema = MAX_SCHEMA;
}

fn reduce_side(spans: &[Span], buckets: &[f64], shift: u32) -> (Vec<Span>, Vec<f64>) {
    let (mut new_spans, mut new_buckets): (Vec<Span>, Vec<f64>) = (vec![], vec![]);
    let mut buckets = buckets.iter();
    let mut index = 0_i64;
    let mut last: Option<i64> = None;
    for span in spans {
        index += i64::from(span.offset);
        for (_, &count) in (0..span.length).zip(&mut buckets) {
            // Bucket `i` ends at 2^(i·2^-schema), so the one that holds it ends at the next multiple above.
            let target = ((index - 1) >> shift.min(63)) + 1;
            index += 1;
            match (last, new_spans.last_mut(), new_buckets.last_mut()) {
                (Some(l), _, Some(bucket)) if l == target => *bucket += count,
                (Some(l), Some(span), _) if l + 1 == target => {
                    span.length += 1;
                    new_buckets.push(count);
                }
                _ => {
                    // Indices fit i32 before, and are nearer to zero now.
                    let offset = (target - last.map_or(0, |l| l + 1)) as i32;
                    new_spans.push(Span { offset, length: 1 });
                    new_buckets.push(count);
                }
            }
            last = Some(target);
        }
    }
    (new_spans, new_buckets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finer_schemas_are_reduced() {
        // Indices -3..=4 of schema 9 become -1,-1,0,0,1,1,2,2 of schema 8 (ceil of half).
        let spans = [Span { offset: -3, length: 3 }, Span { offset: 1, length: 4 }];
        let (spans, buckets) = reduce_side(&spans, &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0], 1);
        assert_eq!(spans, [Span { offset: -1, length: 4 }]);
        // -3,-2 -> -1; -1 -> 0; 1,2 -> 1; 3,4 -> 2
        assert_eq!(buckets, [3.0, 4.0, 24.0, 96.0]);
        let (spans, buckets) = reduce_side(
            &[Span { offset: 100, length: 1 }, Span { offset: 1000, length: 2 }],
            &[1.0, 2.0, 3.0],
            44,
        );
        assert_eq!((spans, buckets), (vec![Span { offset: 1, length: 1 }], vec![6.0]));
    }
}
