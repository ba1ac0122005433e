//! Runs upstream's PromQL test scripts against the engine.

mod parse;

use std::collections::BTreeMap;

use model::{LabelSet, METRIC_NAME, is_stale};
use promql::parser::{Expr, ParserOptions, parse as parse_promql};
use promql::{Engine, EngineOptions, QueryOptions, QueryResult, Value};

use crate::support::Memory;
use parse::{Command, Eval, Text, When, parse_script};

/// What became of a case.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    /// Something that the product does not do yet.
    Skipped(&'static str),
    Failed(String),
}

/// A case with its place.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) line: usize,
    pub(crate) query: String,
    pub(crate) outcome: Outcome,
}

const HISTOGRAMS: &str = "native histograms";
const START_TIMESTAMPS: &str = "start timestamps";

/// Series per batch of the store: few, so that most results are put together from several.
const BATCH: usize = 3;

/// When the metric name goes that a result does not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameRemoval {
    /// At the end of the query; the scripts are written for it.
    Delayed,
    /// By the function or operator itself.
    AtOnce,
}

/// Runs a script and returns what became of each query.
pub(crate) fn run_script(text: &str, removal: NameRemoval) -> Result<Vec<Case>, String> {
    let engine = Engine::new(EngineOptions {
        parser: ParserOptions::all(),
        delayed_name_removal: removal == NameRemoval::Delayed,
        ..EngineOptions::default()
    });
    let empty = || Memory { batch: BATCH, ..Memory::default() };
    let mut runner = Runner { engine, store: empty(), incomplete: Vec::new() };
    let mut cases = Vec::new();
    for command in parse_script(text)? {
        match command {
            Command::Clear => {
                runner.store = empty();
                runner.incomplete.clear();
            }
            Command::Load { step_ms, series, nhcb } => runner.load(step_ms, &series, nhcb)?,
            Command::Eval(eval) => {
                let outcome = runner.eval(&eval);
                cases.push(Case { line: eval.line, query: eval.query, outcome });
            }
        }
    }
    Ok(cases)
}

struct Runner {
    engine: Engine,
    store: Memory,
    /// Series that hold what the store does not keep, and what that is.
    incomplete: Vec<(LabelSet, &'static str)>,
}

impl Runner {
    fn load(&mut self, step_ms: i64, lines: &[String], nhcb: bool) -> Result<(), String> {
        // Of several definitions of a series in one block the last one counts.
        let mut defined = BTreeMap::new();
        for line in lines {
            if let Some((head, _)) = line.split_once("@st ") {
                self.incomplete.push((parse::series(head)?.0, START_TIMESTAMPS));
                continue;
            }
            if let Some((head, _)) = line.split_once("{{") {
                // Floats may come before the first histogram.
                let end = head.find('}').map_or_else(|| head.find(' ').unwrap_or(head.len()), |i| i + 1);
                self.incomplete.push((parse::series(&head[..end])?.0, HISTOGRAMS));
                continue;
            }
            let (labels, values) = parse::series(line)?;
            if nhcb && let Some(base) = labels.metric_name().strip_suffix("_bucket") {
                let mut builder = labels.without(&["le"]).to_builder();
                builder.set(METRIC_NAME, base);
                self.incomplete.push((builder.build(), HISTOGRAMS));
            }
            defined.insert(labels, values);
        }
        for (labels, values) in defined {
            let samples = values.iter().zip(0_i64..).filter_map(|(v, i)| v.map(|v| (step_ms * i, v)));
            self.store.add(&labels, samples);
        }
        Ok(())
    }

    /// Runs a case. One that needs what is not there yet may pass all the same, but not fail.
    fn eval(&self, eval: &Eval) -> Outcome {
        match (self.check(eval), self.excuse(eval)) {
            (Ok(()), _) => Outcome::Passed,
            (Err(_), Some(reason)) => Outcome::Skipped(reason),
            (Err(e), None) => Outcome::Failed(e),
        }
    }

    fn check(&self, eval: &Eval) -> Result<(), String> {
        let result = match (self.query(eval, eval.when), &eval.fail) {
            (Err(e), Some(want)) if want.matches(&e) => return Ok(()),
            (Err(e), Some(want)) => return Err(format!("fails with {e:?}, not {want:?}")),
            (Err(e), None) => return Err(format!("fails: {e}")),
            (Ok(got), Some(_)) => return Err(format!("should fail, yields {:?}", got.value)),
            (Ok(result), None) => result,
        };
        annotations(eval, &result)?;
        values(eval, &result.value)?;
        self.as_range(eval, &result.value).map_err(|e| format!("as a range query: {e}"))
    }

    fn query(&self, eval: &Eval, when: When) -> Result<QueryResult, String> {
        let options = QueryOptions::default();
        let result = match when {
            When::At(t) => self.engine.instant_query(&self.store, &eval.query, t, &options),
            When::Range { start, end, step } => {
                self.engine.range_query(&self.store, &eval.query, start, end, step, &options)
            }
        };
        result.map_err(|e| e.to_string())
    }

    /// Why a case may fail: the one list of what is not there yet.
    fn excuse(&self, eval: &Eval) -> Option<&'static str> {
        if eval.series.iter().any(|l| l.contains("{{")) {
            return Some(HISTOGRAMS);
        }
        let expr = parse_promql(&eval.query, &ParserOptions::all()).ok()?;
        let mut reason = None;
        expr.for_each_selector(&mut |s| {
            let selected =
                self.incomplete.iter().find(|(l, _)| s.matchers.iter().all(|m| m.matches_labels(l)));
            reason = reason.or(selected.map(|(_, what)| *what));
        });
        reason.or_else(|| unsupported(&expr))
    }

    /// An instant query must yield the same in the middle of a range query.
    fn as_range(&self, eval: &Eval, instant: &Value) -> Result<(), String> {
        let When::At(t) = eval.when else { return Ok(()) };
        let depends_on_range =
            ["start()", "end()", "range()", "step()"].iter().any(|w| eval.query.contains(w));
        if eval.ordered || eval.string.is_some() || eval.range_vector.is_some() || depends_on_range {
            return Ok(());
        }
        if matches!(instant, Value::Matrix(_) | Value::String { .. }) {
            return Ok(());
        }
        let range = When::Range { start: t - 60_000, end: t + 60_000, step: 60_000 };
        let Value::Matrix(series) = self.query(eval, range)?.value else {
            return Err("no matrix".to_owned());
        };
        let at = |samples: &[(i64, f64)]| samples.iter().find(|s| s.0 == t).map(|s| s.1);
        let middle: BTreeMap<_, _> =
            series.iter().filter_map(|s| Some((s.labels.clone(), at(&s.samples)?))).collect();
        let want: BTreeMap<_, _> = match instant {
            Value::Vector(v) => v.iter().map(|s| (s.labels.clone(), s.value)).collect(),
            Value::Scalar { value, .. } => BTreeMap::from([(LabelSet::empty(), *value)]),
            _ => return Ok(()),
        };
        let same = middle.len() == want.len()
            && middle.iter().all(|(l, v)| want.get(l).is_some_and(|w| almost_equal(*v, *w)));
        if same { Ok(()) } else { Err(format!("{middle:?} instead of {want:?}")) }
    }
}

/// Parts of the language that the engine does not evaluate yet.
fn unsupported(expr: &Expr) -> Option<&'static str> {
    use promql::parser::BinaryOp::{TrimLower, TrimUpper};
    let here = match expr {
        Expr::Binary { op: TrimLower | TrimUpper, .. } => Some("histogram trim operators"),
        Expr::Call { func, .. } => match func.name {
            "histogram_avg" | "histogram_count" | "histogram_sum" | "histogram_stddev"
            | "histogram_stdvar" => Some(HISTOGRAMS),
            
            "start_timestamp" => Some(START_TIMESTAMPS),
            _ => None,
        },
        _ => None,
    };
    here.or_else(|| expr.children().into_iter().find_map(unsupported))
}

fn annotations(eval: &Eval, result: &QueryResult) -> Result<(), String> {
    let found = &result.annotations;
    for (kind, list, want, none) in [
        ("warnings", &found.warnings, &eval.warn, eval.no_warn),
        ("infos", &found.infos, &eval.info, eval.no_info),
    ] {
        if none && !list.is_empty() {
            return Err(format!("unexpected {kind}: {list:?}"));
        }
        let texts: Vec<_> = list.iter().map(String::as_str).collect();
        let missing = want.iter().find(|w| !texts.iter().any(|t| w.matches(t)));
        let extra = texts.iter().find(|t| !want.is_empty() && !want.iter().any(|w: &Text| w.matches(t)));
        if missing.is_some() || extra.is_some() {
            return Err(format!("{kind} {texts:?}, wanted {want:?}"));
        }
    }
    Ok(())
}

fn values(eval: &Eval, value: &Value) -> Result<(), String> {
    let expected = eval.series.iter().map(|l| parse::series(l)).collect::<Result<Vec<_>, _>>()?;
    if let Some(want) = &eval.string {
        return match value {
            Value::String { value, .. } if value == want => Ok(()),
            other => Err(format!("{other:?}, wanted the string {want:?}")),
        };
    }
    match (value, eval.when, eval.range_vector) {
        (Value::Scalar { value, .. }, _, _) => match eval.scalar {
            Some(want) if almost_equal(*value, want) => Ok(()),
            want => Err(format!("{value}, wanted {want:?}")),
        },
        (Value::Vector(samples), When::At(_), None) => {
            let got: Vec<_> = samples.iter().map(|s| (s.labels.clone(), s.value)).collect();
            vector(&got, &expected, eval.ordered)
        }
        (Value::Matrix(series), When::Range { start, step, .. }, _) => {
            if series.windows(2).any(|w| w[0].labels >= w[1].labels) {
                return Err("series are not sorted".to_owned());
            }
            matrix(series, &expected, start, step)
        }
        (Value::Matrix(series), When::At(_), Some((start, step))) => matrix(series, &expected, start, step),
        (other, ..) => Err(format!("unexpected {}: {other:?}", other.type_name())),
    }
}

type Expected = [(LabelSet, Vec<Option<f64>>)];

fn vector(got: &[(LabelSet, f64)], expected: &Expected, ordered: bool) -> Result<(), String> {
    let describe = || format!("{got:?}, wanted {expected:?}");
    if got.len() != expected.len() {
        return Err(describe());
    }
    for (i, (labels, values)) in expected.iter().enumerate() {
        let found =
            if ordered { got.get(i).filter(|g| g.0 == *labels) } else { got.iter().find(|g| g.0 == *labels) };
        match (found, values.as_slice()) {
            (Some((_, v)), [Some(want)]) if almost_equal(*v, *want) => {}
            _ => return Err(describe()),
        }
    }
    Ok(())
}

fn matrix(got: &[promql::Series], expected: &Expected, start: i64, step: i64) -> Result<(), String> {
    let describe = || format!("{got:?}, wanted {expected:?}");
    if got.len() != expected.len() {
        return Err(describe());
    }
    for (labels, values) in expected {
        let Some(series) = got.iter().find(|s| s.labels == *labels) else { return Err(describe()) };
        let want: Vec<_> =
            values.iter().zip(0_i64..).filter_map(|(v, i)| v.map(|v| (start + step * i, v))).collect();
        let same = want.len() == series.samples.len()
            && want.iter().zip(&series.samples).all(|(w, g)| w.0 == g.0 && almost_equal(g.1, w.1));
        if !same {
            return Err(describe());
        }
    }
    Ok(())
}

/// Within a relative 1e-6; a NaN equals a NaN, but not a staleness marker.
fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (diff, sum) = ((a - b).abs(), a.abs() + b.abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < 1e-6 * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < 1e-6
}
