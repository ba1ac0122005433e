//! Quantiles and fractions of histograms: of classic ones, whose buckets are series with the label `le`, and of native ones.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use kernels::{Grid, GridBlock, bit};
use model::float::{format_g, parse_go_float};
use model::{LabelSet, NORMAL_NAN};

use super::Evaluator;
use super::block::Block;
use super::functions::Args;
use crate::annotations::Monotonicity;
use crate::error::QueryError;
use crate::histogram::NanObservations;
use crate::parser::Span;

/// Relative differences below this are noise of floating point.
const SMALL_DELTA: f64 = 1e-12;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    upper: f64,
    count: f64,
}

/// A histogram's labels without `le`, and its rows, ascending by bound.
struct Histogram {
    labels: LabelSet,
    drop_name: bool,
    rows: Vec<(f64, usize)>,
}

/// `histogram_quantile(q, v)`
pub(super) fn quantile(ev: &Evaluator<'_>, args: &mut Args<'_>, grid: &Grid) -> Result<Block, QueryError> {
    let (qs, block) = (args.scalar()?, args.vector()?);
    check_quantiles(ev, &qs, args.span(0));
    let mut out = each_quantile(ev, &block, &qs, args.span(1), grid)?;
    ev.settle(&mut out)?;
    Ok(out)
}

/// `histogram_quantiles(v, label, q…)`
pub(super) fn quantiles(ev: &Evaluator<'_>, args: &mut Args<'_>, grid: &Grid) -> Result<Block, QueryError> {
    let (block, label) = (args.vector()?, args.text()?);
    let mut out = Block::new(grid.steps);
    let mut at = 2;
    while !args.is_empty() {
        let qs = args.scalar()?;
        check_quantiles(ev, &qs, args.span(at));
        at += 1;
        let part = each_quantile(ev, &block, &qs, args.span(0), grid)?;
        for row in 0..part.rows() {
            let (values, present) = part.cells.row(row);
            for (step, q) in qs.iter().enumerate().filter(|(i, _)| bit(present, *i)) {
                let mut labels = part.labels[row].to_builder();
                labels.set(&label, &open_metrics(*q));
                let mut cells = GridBlock::new(1, grid.steps);
                cells.set(0, step, values[step]);
                let constant = qs.iter().all(|x| x.to_bits() == q.to_bits());
                let (one, one_present) = if constant { (values, present) } else { cells.row(0) };
                out.push(labels.build(), part.drop_name[row], one, one_present);
                if constant {
                    break;
                }
            }
        }
    }
    ev.settle(&mut out)?;
    Ok(out)
}

/// A number as OpenMetrics writes it in `le` and `quantile`: with a point.
fn open_metrics(v: f64) -> String {
    let text = format_g(v);
    if v.is_finite() && !text.contains(['.', 'e']) { text + ".0" } else { text }
}

fn check_quantiles(ev: &Evaluator<'_>, qs: &[f64], span: Span) {
    for &q in qs.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
        ev.notes.borrow_mut().invalid_quantile(q, span);
    }
}

fn each_quantile(
    ev: &Evaluator<'_>,
    block: &Block,
    qs: &[f64],
    span: Span,
    grid: &Grid,
) -> Result<Block, QueryError> {
    let classic = |labels: &LabelSet, step: usize, buckets: &mut Vec<Bucket>| {
        let (value, fixed) = bucket_quantile(qs[step], buckets);
        if let Some(mut fixed) = fixed {
            (fixed.min_ts, fixed.max_ts) = (grid.at(step), grid.at(step));
            ev.notes.borrow_mut().forced_monotonicity(name_left(ev, labels), fixed, span);
        }
        value
    };
    let native = |labels: &LabelSet, step: usize, h: &model::Histogram| {
        let (value, nan) = crate::histogram::quantile(qs[step], h);
        let effect = match nan {
            NanObservations::None => return value,
            NanObservations::Result => "NaN",
            NanObservations::Skew => "skewed higher",
        };
        ev.notes.borrow_mut().quantile_of_nan(name_left(ev, labels), effect, span);
        value
    };
    evaluate(ev, block, span, classic, native)
}

/// `histogram_fraction(lower, upper, v)`
pub(super) fn fraction(ev: &Evaluator<'_>, args: &mut Args<'_>, _: &Grid) -> Result<Block, QueryError> {
    let (lower, upper, block) = (args.scalar()?, args.scalar()?, args.vector()?);
    let span = args.span(2);
    let classic = |_: &LabelSet, step: usize, buckets: &mut Vec<Bucket>| {
        bucket_fraction(lower[step], upper[step], buckets)
    };
    let native = |labels: &LabelSet, step: usize, h: &model::Histogram| {
        let (value, nan) = crate::histogram::fraction(lower[step], upper[step], h);
        if nan != NanObservations::None {
            ev.notes.borrow_mut().fraction_of_nan(name_left(ev, labels), span);
        }
        value
    };
    let mut out = evaluate(ev, &block, span, classic, native)?;
    ev.settle(&mut out)?;
    Ok(out)
}

/// The metric's name as remarks give it: with names dropped at once it is gone.
fn name_left<'a>(ev: &Evaluator<'_>, labels: &'a LabelSet) -> &'a str {
    if ev.delayed_name_removal { labels.metric_name() } else { "" }
}

/// Joins buckets to histograms and applies `classic(labels, step, buckets)` where a histogram has any, and `native` to native
/// histograms. Where there is one of each for the same labels at a step, neither.
fn evaluate(
    ev: &Evaluator<'_>,
    block: &Block,
    span: Span,
    classic: impl Fn(&LabelSet, usize, &mut Vec<Bucket>) -> f64,
    native: impl Fn(&LabelSet, usize, &model::Histogram) -> f64,
) -> Result<Block, QueryError> {
    let steps = block.steps();
    let mut out = Block::new(steps);
    let mut buckets = Vec::new();
    let found = histograms(ev, block, span);
    let mut conflicts: HashMap<usize, Vec<u64>, RandomState> = HashMap::default();
    if block.has_histograms() {
        let index: HashMap<&LabelSet, usize, RandomState> =
            found.iter().enumerate().map(|(i, h)| (&h.labels, i)).collect();
        for (row, labels) in block.labels.iter().enumerate() {
            let mut cells = GridBlock::new(1, steps);
            let same = index.get(labels).copied();
            for (step, h) in block.histograms_of(row) {
                let has_bucket =
                    |i: usize| found[i].rows.iter().any(|(_, r)| bit(block.cells.row(*r).1, *step));
                if let Some(i) = same.filter(|i| has_bucket(*i)) {
                    ev.notes.borrow_mut().mixed_classic_native(name_left(ev, labels), span);
                    let words = conflicts.entry(i).or_insert_with(|| vec![0; steps.div_ceil(64)]);
                    words[step / 64] |= 1 << (step % 64);
                    continue;
                }
                cells.set(0, *step, native(labels, *step, h));
            }
            if !cells.is_row_empty(0) {
                let (values, present) = cells.row(0);
                out.push(labels.clone(), block.drop_name[row], values, present);
            }
        }
    }
    for (i, histogram) in found.into_iter().enumerate() {
        ev.ctx.check()?;
        let mut cells = GridBlock::new(1, steps);
        let conflict = conflicts.get(&i);
        for step in (0..steps).filter(|step| !conflict.is_some_and(|c| bit(c, *step))) {
            buckets.clear();
            buckets.extend(
                histogram.rows.iter().filter_map(|&(upper, row)| {
                    block.cells.get(row, step).map(|count| Bucket { upper, count })
                }),
            );
            if !buckets.is_empty() {
                cells.set(0, step, classic(&histogram.labels, step, &mut buckets));
            }
        }
        if conflict.is_some() && cells.is_row_empty(0) {
            continue;
        }
        let (values, present) = cells.row(0);
        out.push(histogram.labels, histogram.drop_name, values, present);
    }
    // Names are dropped last: remarks may name the metric.
    out.drop_names(ev.delayed_name_removal);
    Ok(out)
}

fn histograms(ev: &Evaluator<'_>, block: &Block, span: Span) -> Vec<Histogram> {
    let mut found: Vec<Histogram> = Vec::new();
    let mut index: HashMap<LabelSet, usize, RandomState> = HashMap::default();
    for (row, labels) in block.labels.iter().enumerate() {
        if !block.histograms_of(row).is_empty() && block.cells.is_row_empty(row) {
            continue;
        }
        let le = labels.value("le");
        let Some(upper) = parse_go_float(le) else {
            ev.notes.borrow_mut().bad_bucket_label(name_left(ev, labels), le, span);
            continue;
        };
        let drop_name = block.drop_name[row];
        let at = *index.entry(labels.without(&["le"])).or_insert_with_key(|labels| {
            found.push(Histogram { labels: labels.clone(), drop_name, rows: Vec::new() });
            found.len() - 1
        });
        found[at].rows.push((upper, row));
    }
    for histogram in &mut found {
        histogram.rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    found
}

/// The quantile, and where counts had to be made monotonic (times left open).
fn bucket_quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Monotonicity>) {
    if q.is_nan() {
        return (NORMAL_NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return (NORMAL_NAN, None);
    }
    coalesce(buckets);
    let fixed = make_monotonic(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return (NORMAL_NAN, fixed);
    }
    let mut rank = q * observations;
    // Go's search: the first bucket that reaches the rank, the last one if none does; NaN counts never do.
    let b = search(last, |i| buckets[i].count >= rank);
    let value = if b == last {
        buckets[last - 1].upper
    } else if b == 0 && buckets[0].upper <= 0.0 {
        buckets[0].upper
    } else {
        let (end, mut count) = (buckets[b].upper, buckets[b].count);
        let mut start = 0.0;
        if b > 0 {
            start = buckets[b - 1].upper;
            count -= buckets[b - 1].count;
            rank -= buckets[b - 1].count;
        }
        start + (end - start) * (rank / count)
    };
    (value, fixed)
}

/// Go's `sort.Search`: the least index below `n` for which `f` holds, if it is monotonic; else `n`.
fn search(n: usize, f: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low + (high - low) / 2;
        if f(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return NORMAL_NAN;
    }
    coalesce(buckets);
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return NORMAL_NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let mut bound = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let mut rank = 0.0;
    let (mut lower_rank, mut upper_rank) = (None, None);
    for b in buckets.iter() {
        let interpolate = |v: f64| {
            // A bucket without a lower bound cannot be divided.
            if bound == f64::NEG_INFINITY {
                b.count
            } else {
                rank + (b.count - rank) * (v - bound) / (b.upper - bound)
            }
        };
        for (limit, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_none() && bound >= limit {
                *found = Some(rank);
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        for (limit, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_none() && bound < limit && b.upper > limit {
                *found = Some(interpolate(limit));
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank = b.count;
        bound = b.upper;
    }
    let cut = |rank: Option<f64>| rank.filter(|r| *r <= count || r.is_nan()).unwrap_or(count);
    (cut(upper_rank) - cut(lower_rank)) / count
}

/// Adds up buckets with the same bound; they are sorted.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
}

/// Removes decreases of the cumulative counts; tells of those that are more than noise.
fn make_monotonic(buckets: &mut [Bucket]) -> Option<Monotonicity> {
    let mut fixed: Option<Monotonicity> = None;
    let mut previous = buckets[0].count;
    for b in &mut buckets[1..] {
        let count = b.count;
        if count == previous {
            continue;
        }
        if nearly_equal(previous, count) {
            b.count = previous;
        } else if count < previous {
            b.count = previous;
            let fixed = fixed.get_or_insert(Monotonicity {
                min_bucket: b.upper,
                max_bucket: b.upper,
                max_diff: 0.0,
                min_ts: 0,
                max_ts: 0,
                samples: 1,
            });
            fixed.min_bucket = fixed.min_bucket.min(b.upper);
            fixed.max_bucket = fixed.max_bucket.max(b.upper);
            fixed.max_diff = fixed.max_diff.max(previous - count);
        } else {
            previous = count;
        }
    }
    fixed
}

fn nearly_equal(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DELTA
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|&(upper, count)| Bucket { upper, count }).collect()
    }

    #[test]
    fn quantiles_interpolate() {
        const INF: f64 = f64::INFINITY;
        for (q, pairs, expect) in [
            (0.5, &[(0.1, 1.0), (0.2, 3.0), (INF, 4.0)][..], 0.15),
            (1.0, &[(0.1, 1.0), (0.2, 3.0), (INF, 4.0)], 0.2),
            (0.1, &[(-1.0, 3.0), (INF, 4.0)], -1.0),
            (-0.1, &[(1.0, 1.0)], f64::NEG_INFINITY),
            (1.1, &[(1.0, 1.0)], INF),
        ] {
            let (value, fixed) = bucket_quantile(q, &mut buckets(pairs));
            assert!((value - expect).abs() < 1e-12 || value == expect, "{q} of {pairs:?}: {value}");
            assert!(fixed.is_none());
        }
        for pairs in [&[(1.0, 1.0)][..], &[(INF, 1.0)], &[(1.0, 0.0), (INF, 0.0)]] {
            assert!(bucket_quantile(0.5, &mut buckets(pairs)).0.is_nan());
        }
        let (value, fixed) = bucket_quantile(0.5, &mut buckets(&[(1.0, 4.0), (2.0, 2.0), (INF, 4.0)]));
        let fixed = fixed.unwrap();
        assert_eq!((value, fixed.min_bucket, fixed.max_diff), (0.5, 2.0, 2.0));
    }

    #[test]
    fn fractions_interpolate() {
        let pairs = [(1.0, 2.0), (3.0, 6.0), (f64::INFINITY, 8.0)];
        for (lower, upper, expect) in
            [(0.0, 1.0, 0.25), (1.0, 2.0, 0.25), (-5.0, f64::INFINITY, 1.0), (2.0, 2.0, 0.0)]
        {
            assert_eq!(bucket_fraction(lower, upper, &mut buckets(&pairs)), expect, "{lower} {upper}");
        }
    }
}
