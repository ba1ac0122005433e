//! Why two servers answer a query differently: the smallest part that differs, and whether that is meant.
//!
//! The peer is Prometheus 2.42, ours follows the current release. What changed between the two on purpose is listed in
//! [`Reason`]; each is recognised by what the smallest differing part is and how it differs, not by the query as a whole.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::{Answer, Points, Sameness, TOLERANCE, ask, compare, near};
use super::query::{Expr, Modifiers, Times};
use super::recomputed::{Release, extrapolate, subnormal_power};

/// Differences that are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// `topk` and `bottomk` may choose freely among equal values.
    Tie,
    /// An operand differs in its last bits, and the operation makes that visible: a difference, a comparison, a step.
    Rounding,
    /// Sums and means are compensated since 2.54 and 2.55; the difference is small beside what was summed.
    Compensated,
    /// The same with sums that overflow or hold infinities, of which the compensation yields infinities now, NaN then.
    Overflow,
    /// `topk` and `bottomk` of less than one are empty since 3.5, however much less.
    NegativeCount,
    /// `topk` and `bottomk` of NaN are an error since 3.5, and were empty.
    NanCount,
    /// `stddev` and `stdvar` of values that are not finite: NaN since 3.0, formerly it depended on the order.
    NotFinite,
    /// `rate` and `increase` extrapolate by half an interval at most since 2.51, also before a counter's zero.
    Extrapolation,
    /// A selector with `@` in a function that changes from step to step (`predict_linear`, a parameter that does) keeps its
    /// samples since 2.51; formerly its window moved.
    MovedWindow,
    /// Which of 0 and -0 is the greater is a matter of their order.
    SignOfZero,
    /// Go's logarithms on amd64 take numbers below 2.2e-308 for that, also those within powers.
    Subnormal,
    /// Go brings large angles into one turn with an error of about 1e-17, which shows where a sine, a cosine or a tangent is tiny.
    Angle,
    /// `timestamp` of a selector with both `@` and `offset` forgets the offset, still in the current release; ours is that of the
    /// sample which the selector has.
    ForgottenOffset,
    /// The original's answer changes from time to time: ties, and the order in which it sums.
    Unrepeatable,
    /// Negation, `label_replace` and `label_join` may give two series the same labels since 3.9, at different times.
    Merged,
    /// `atan2` drops the metric's name by now, as the other arithmetic does.
    NameOfAtan2,
    /// Comparisons that filter refuse many-to-one matches since 3.9, also of pairs that the comparison drops.
    FilteredMatch,
}

/// The smallest part that differs.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Its text.
    pub part: String,
    /// When it was evaluated.
    pub times: Times,
    /// What differs.
    pub difference: String,
    /// Why it may.
    pub reason: Option<Reason>,
}

/// Two servers, by `HOST:PORT`.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// What is tested.
    pub ours: &'a str,
    /// The original.
    pub theirs: &'a str,
}

/// A part's answers.
struct Asked {
    sameness: Sameness,
    ours: Option<Answer>,
}

/// More points than this in a part's series are not asked for; the API's own bound is a little higher.
const MAX_STEPS: i64 = 10_000;
/// How old a sample may be that an instant selector takes: both servers run with the default.
const LOOKBACK_MS: i64 = 300_000;
/// How often the original is asked again, to see whether it answers the same.
const REPEATS: usize = 5;

impl Pair<'_> {
    /// Asks both for the whole query.
    ///
    /// # Errors
    /// Where one gives no answer.
    pub fn compare(&self, expr: &Expr, times: Times) -> anyhow::Result<(Answer, Sameness)> {
        let ordered = matches!(expr, Expr::Call("sort" | "sort_desc", _));
        let ours = ask(self.ours, &expr.to_string(), times, ordered)?;
        let theirs = ask(self.theirs, &expr.to_string(), times, ordered)?;
        let sameness = compare(&ours, &theirs);
        Ok((ours, sameness))
    }

    /// The smallest part of a query that differs; `None` where every part is alike by itself.
    ///
    /// # Errors
    /// Where one gives no answer.
    pub fn explain(&self, expr: &Expr, whole: Times) -> anyhow::Result<Option<Finding>> {
        Ok(self.visit(expr, whole, whole)?.err())
    }

    fn visit(&self, expr: &Expr, times: Times, whole: Times) -> anyhow::Result<Result<Asked, Finding>> {
        let mut parts = Vec::new();
        for (part, times) in expr.parts(times, whole) {
            match self.visit(part, times, whole)? {
                Ok(asked) => parts.push(asked),
                Err(finding) => return Ok(Err(finding)),
            }
        }
        let near = parts.iter().any(|p| p.sameness == Sameness::Near);
        let inherited = if near { Sameness::Near } else { Sameness::Equal };
        let steps = if times.step_ms == 0 { 0 } else { (times.end_ms - times.start_ms) / times.step_ms };
        let askable = match expr {
            Expr::Text(_) => false,
            _ if expr.is_range() => times.step_ms == 0,
            _ => times.end_ms >= times.start_ms && steps <= MAX_STEPS,
        };
        if !askable {
            return Ok(Ok(Asked { sameness: inherited, ours: None }));
        }
        let text = expr.text(whole);
        let ours = ask(self.ours, &text, times, false)?;
        let theirs = ask(self.theirs, &text, times, false)?;
        let sameness = compare(&ours, &theirs);
        let Sameness::Different(difference) = sameness else {
            let sameness = if near { Sameness::Near } else { sameness };
            return Ok(Ok(Asked { sameness, ours: Some(ours) }));
        };
        let mut reason = self.reason(expr, times, whole, &parts, (&ours, &theirs))?;
        for _ in 0..REPEATS {
            let again = if reason.is_none() { ask(self.theirs, &text, times, false)? } else { break };
            if matches!(compare(&again, &theirs), Sameness::Different(_)) {
                reason = Some(Reason::Unrepeatable);
            }
        }
        Ok(Err(Finding { part: text, times, difference, reason }))
    }

    fn reason(
        &self,
        expr: &Expr,
        times: Times,
        whole: Times,
        parts: &[Asked],
        (ours, theirs): (&Answer, &Answer),
    ) -> anyhow::Result<Option<Reason>> {
        let (series, their_series) = match (ours, theirs) {
            (Answer::Points(_, series), Answer::Points(_, their_series)) => (series, their_series),
            (Answer::Points(..), Answer::Error(422, _, text)) if text.contains("same labelset") => {
                let merges = matches!(expr, Expr::Negate(_) | Expr::Call("label_replace" | "label_join", _));
                return Ok((merges && times.step_ms > 0).then_some(Reason::Merged));
            }
            (Answer::Error(422, _, text), Answer::Points(..))
                if text.contains("multiple matches for labels") =>
            {
                let filters = matches!(expr, Expr::Binary { op, .. } if ["==", "!=", "<", "<=", ">", ">="].contains(&op.as_str()));
                return Ok(filters.then_some(Reason::FilteredMatch));
            }
            (Answer::Error(422, _, text), Answer::Points(..)) if text.contains("Parameter value is NaN") => {
                let ranks = matches!(expr, Expr::Aggregate { op: "topk" | "bottomk", .. });
                return Ok(ranks.then_some(Reason::NanCount));
            }
            (Answer::Points(_, series), Answer::Error(422, _, text)) if text.contains("overflows int64") => {
                return Ok(series.is_empty().then_some(Reason::NegativeCount));
            }
            _ => return Ok(None),
        };
        if parts.iter().any(|p| p.sameness == Sameness::Near) {
            return Ok(Some(Reason::Rounding));
        }
        if let Expr::Binary { op, .. } = expr
            && op == "atan2"
        {
            let unnamed: BTreeSet<String> = their_series.keys().map(|labels| without_name(labels)).collect();
            return Ok(unnamed.iter().eq(series.keys()).then_some(Reason::NameOfAtan2));
        }
        if orders_values(expr) && differ_in_zeros(series, their_series) {
            return Ok(Some(Reason::SignOfZero));
        }
        let values = || parts.last().and_then(|p| p.ours.as_ref()).into_iter().flat_map(Answer::values);
        match expr {
            Expr::Aggregate { op: "topk" | "bottomk", .. } => {
                Ok((by_time(series) == by_time(their_series)).then_some(Reason::Tie))
            }
            Expr::Aggregate { op: "stddev" | "stdvar", .. } if values().any(|v| !v.is_finite()) => {
                Ok(Some(Reason::NotFinite))
            }
            Expr::Aggregate { op: op @ ("sum" | "avg" | "stddev" | "stdvar"), .. } => {
                Ok(within(op, series, their_series, largest(values())))
            }
            Expr::Call(name @ ("rate" | "increase"), args) => {
                let checked = self.extrapolated(name, &args[0], whole, series, their_series)?;
                Ok(checked.then_some(Reason::Extrapolation))
            }
            Expr::Binary { op, .. } if op == "^" => {
                Ok(powers_of_subnormals(parts, series, their_series).then_some(Reason::Subnormal))
            }
            Expr::Call("timestamp", args) => match &args[..] {
                [Expr::Select(text, modifiers)] if modifiers.at.is_some() && modifiers.offset_ms != 0 => {
                    let ours = self.sample_times(text, *modifiers, times, whole, series)?;
                    Ok(ours.then_some(Reason::ForgottenOffset))
                }
                _ => Ok(None),
            },
            Expr::Call("sin" | "cos" | "tan", _) => {
                Ok(all_alike(series, their_series, |_, a, b| near(a, b) || same_angle(a, b))
                    .then_some(Reason::Angle))
            }
            Expr::Call("ln" | "log2" | "log10", _) => {
                Ok(values().any(f64::is_subnormal).then_some(Reason::Subnormal))
            }
            Expr::Call(name, args)
                if times.step_ms > 0
                    && args.iter().any(Expr::has_at)
                    && (*name == "predict_linear" || args.iter().any(changes)) =>
            {
                let first = Times::instant(times.start_ms);
                let text = expr.text(whole);
                let (a, b) = (ask(self.ours, &text, first, false)?, ask(self.theirs, &text, first, false)?);
                Ok((!matches!(compare(&a, &b), Sameness::Different(_))).then_some(Reason::MovedWindow))
            }
            Expr::Call(name, args) if args.iter().any(Expr::is_range) => {
                let Some(range) = args.iter().find(|a| a.is_range()) else { return Ok(None) };
                let mut scale: f64 = 0.0;
                for f in ["max_over_time", "min_over_time"] {
                    let answer = ask(self.ours, &format!("{f}({})", range.text(whole)), times, false)?;
                    scale = scale.max(largest(answer.values()));
                }
                Ok(within(name, series, their_series, scale))
            }
            _ => Ok(None),
        }
    }

    /// Whether all values are the times of the samples that the peer has for a selector with `@`.
    fn sample_times(
        &self,
        selector: &str,
        modifiers: Modifiers,
        times: Times,
        whole: Times,
        series: &Points,
    ) -> anyhow::Result<bool> {
        let selected =
            ask(self.theirs, &Expr::Select(selector.to_owned(), modifiers).text(whole), times, false)?;
        let window = Expr::Range(selector.to_owned(), LOOKBACK_MS, modifiers);
        let window = ask(self.theirs, &window.text(whole), Times::instant(times.start_ms), false)?;
        let (Answer::Points(_, selected), Answer::Points(_, window)) = (selected, window) else {
            return Ok(false);
        };
        let last = |labels: &String| window.get(labels)?.last()?.0.parse::<f64>().ok();
        let expect: BTreeMap<String, Option<f64>> =
            selected.keys().map(|labels| (without_name(labels), last(labels))).collect();
        let right = |(labels, points): (&String, &Vec<(String, f64)>)| {
            let Some(Some(time)) = expect.get(labels) else { return false };
            points.iter().all(|(_, value)| value == time)
        };
        Ok(series.len() == expect.len() && series.iter().all(right))
    }

    /// Whether each value that differs is what the old and the new extrapolation make of the same samples.
    fn extrapolated(
        &self,
        name: &str,
        range: &Expr,
        whole: Times,
        series: &Points,
        their_series: &Points,
    ) -> anyhow::Result<bool> {
        let (Expr::Range(_, range_ms, modifiers) | Expr::Subquery { range_ms, modifiers, .. }) = range else {
            return Ok(false);
        };
        if !all_alike(series, their_series, |_, _, _| true) {
            return Ok(false);
        }
        for ((labels, ours), theirs) in series.iter().zip(their_series.values()) {
            for ((ts, new), (_, old)) in ours.iter().zip(theirs) {
                if near(*new, *old) {
                    continue;
                }
                let at = (ts.parse::<f64>()? * 1000.0).round() as i64;
                let raw = ask(self.ours, &range.text(whole), Times::instant(at), false)?;
                let Answer::Points(_, raw) = raw else { return Ok(false) };
                let end = modifiers.time(at, whole) - modifiers.offset_ms;
                let window = (end - range_ms, end);
                // Labels of a rate are those of its samples without the name.
                let found = raw.iter().any(|(raw_labels, samples)| {
                    without_name(raw_labels) == *labels
                        && near(extrapolate(name, samples, window, Release::New), *new)
                        && near(extrapolate(name, samples, window, Release::Old), *old)
                });
                if !found {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// Whether each value that differs is a power of a subnormal number, computed right here and as Go does there.
fn powers_of_subnormals(sides: &[Asked], series: &Points, their_series: &Points) -> bool {
    let at = |side: usize, time: &str| -> Vec<f64> {
        let points = match sides.get(side).and_then(|part| part.ours.as_ref()) {
            Some(Answer::Points(_, series)) => series.values().flatten(),
            _ => return Vec::new(),
        };
        points.filter(|(ts, _)| ts == time).map(|(_, value)| *value).collect()
    };
    let meant = |time: &str, ours: f64, theirs: f64| {
        let (bases, exponents) = (at(0, time), at(1, time));
        let mut pairs =
            bases.iter().flat_map(|base| exponents.iter().map(move |exponent| (*base, *exponent)));
        pairs.any(|(base, exponent)| {
            near(base.powf(exponent), ours) && near(subnormal_power(base, exponent), theirs)
        })
    };
    all_alike(series, their_series, |time, a, b| near(a, b) || meant(time, a, b))
}

/// Whether two results of a trigonometric function, both tiny or, as tangents, both huge, are of angles that are next to the same.
fn same_angle(a: f64, b: f64) -> bool {
    const MOST: f64 = 1e-16;
    (a - b).abs() <= MOST || (a.recip() - b.recip()).abs() <= MOST
}

/// Whether both have the same series and times, and all their values are `alike`, given the time.
fn all_alike(series: &Points, their_series: &Points, alike: impl Fn(&str, f64, f64) -> bool) -> bool {
    let mut pairs = series.iter().zip(their_series);
    series.len() == their_series.len()
        && pairs.all(|((labels, ours), (their_labels, theirs))| {
            let mut points = ours.iter().zip(theirs);
            labels == their_labels
                && ours.len() == theirs.len()
                && points.all(|((time, a), (their_time, b))| time == their_time && alike(time, *a, *b))
        })
}

/// Whether an argument is a number that may change from step to step.
fn changes(argument: &Expr) -> bool {
    !argument.is_range() && !matches!(argument, Expr::Number(_))
}

/// Whether it, or a part of it, takes the greater of values.
fn orders_values(expr: &Expr) -> bool {
    let itself = match expr {
        Expr::Aggregate { op, .. } => ["min", "max", "quantile", "topk", "bottomk"].contains(op),
        Expr::Call(name, _) => ["min_over_time", "max_over_time", "quantile_over_time"].contains(name),
        _ => false,
    };
    let now = Times::instant(0);
    itself || expr.parts(now, now).iter().any(|(part, _)| orders_values(part))
}

/// Whether what differs is zero on both sides.
fn differ_in_zeros(ours: &Points, theirs: &Points) -> bool {
    let unsigned = |points: &Points| -> Points {
        let points = points.iter();
        points.map(|(l, p)| (l.clone(), p.iter().map(|(t, v)| (t.clone(), v + 0.0)).collect())).collect()
    };
    let kind = || "matrix".to_owned();
    let (ours, theirs) = (Answer::Points(kind(), unsigned(ours)), Answer::Points(kind(), unsigned(theirs)));
    !matches!(compare(&ours, &theirs), Sameness::Different(_))
}

fn without_name(labels: &str) -> String {
    let Ok(serde_json::Value::Object(mut labels)) = serde_json::from_str(labels) else {
        return String::new();
    };
    labels.remove("__name__");
    serde_json::Value::Object(labels).to_string()
}

fn by_time(series: &Points) -> BTreeMap<&str, Vec<String>> {
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (ts, value) in series.values().flatten() {
        // Zeros of either sign are one value.
        all.entry(ts).or_default().push((value + 0.0).to_string());
    }
    all.values_mut().for_each(|values| values.sort_unstable());
    all
}

/// The largest magnitude; NaNs are none.
fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |a, b| a.max(b.abs()))
}

/// From here on a product of two such numbers may overflow.
const HUGE: f64 = 1e150;

/// Whether values differ only by what sums of numbers as large as `scale` may lose.
fn within(name: &str, ours: &Points, theirs: &Points, scale: f64) -> Option<Reason> {
    let bound = match name {
        "sum" | "avg" | "stddev" | "sum_over_time" | "avg_over_time" | "stddev_over_time" | "deriv" => scale,
        "stdvar" | "stdvar_over_time" => scale * scale,
        // An hour ahead of windows that have at least seconds.
        "predict_linear" => scale * 3600.0,
        _ => return None,
    };
    if !all_alike(ours, theirs, |_, _, _| true) {
        return None;
    }
    if scale >= HUGE {
        return Some(Reason::Overflow);
    }
    let close = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * bound;
    all_alike(ours, theirs, |_, a, b| close(a, b)).then_some(Reason::Compensated)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seed 22, query 22152, and neighbours.
    #[test]
    fn angles() {
        let (ours, theirs) = (-0.000000004438428704158291_f64, -0.0000000044384287225402556_f64);
        assert!(!near(ours, theirs));
        assert!(same_angle(ours, theirs));
        assert!(same_angle(ours.recip(), theirs.recip()));
        assert!(
            !same_angle(ours, -theirs) && !same_angle(0.5, 0.500_000_001) && !same_angle(3e4, 3e4 + 1e-4)
        );
    }
}
