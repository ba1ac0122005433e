//! Runs upstream's PromQL test scripts against the engine, with all that upstream's own runner does beside: each instant
//! query is asked again at other times with `@`, and each of these once more as the middle step of a range query.

mod at;
mod compare;
mod nhcb;
mod parse;
mod starts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::LabelSet;
use promql::parser::ParserOptions;
use promql::{Engine, EngineOptions, QueryOptions, QueryResult, Value};

use crate::support::Memory;
use compare::{Found, almost_equal};
use parse::{Cell, Command, Eval, Text, When, parse_script};

/// A case with its place, and why it failed, if it did.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) line: usize,
    pub(crate) query: String,
    pub(crate) failure: Option<String>,
    /// How many queries were asked for it.
    pub(crate) queries: usize,
}

/// Series per batch of the store: few, so that most results are put together from several.
const BATCH: usize = 3;

/// The budget that the scripts are written for.
const MAX_SAMPLES: u64 = 10_000;

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
        max_samples: MAX_SAMPLES,
        timeout: Duration::from_secs(100),
        use_start_timestamps: true,
        ..EngineOptions::default()
    });
    let empty = || Memory { batch: BATCH, ..Memory::default() };
    let mut runner = Runner { engine, store: empty(), asked: 0 };
    let mut cases = Vec::new();
    for command in parse_script(text)? {
        match command {
            Command::Clear => runner.store = empty(),
            Command::Load { step_ms, lines, nhcb } => runner.load(step_ms, &lines, nhcb)?,
            Command::Eval(eval) => {
                runner.asked = 0;
                let failure = runner.eval(&eval).err();
                let queries = runner.asked;
                cases.push(Case { line: eval.line, query: eval.query, failure, queries });
            }
        }
    }
    Ok(cases)
}

struct Runner {
    engine: Engine,
    store: Memory,
    asked: usize,
}

impl Runner {
    fn load(&mut self, step_ms: i64, lines: &[String], nhcb: bool) -> Result<(), String> {
        // Of several definitions of a series in one block the last one counts.
        let (mut defined, mut starts) = (BTreeMap::new(), None);
        for line in lines {
            if let Some(found) = starts::line(line)? {
                if starts.replace(found).is_some() {
                    return Err(format!("no samples behind the start timestamps before {line:?}"));
                }
                continue;
            }
            let (labels, cells) = parse::series(line)?;
            if let Some((of, offsets)) = starts.take() {
                if of != labels || offsets.len() != cells.len() {
                    return Err(format!("start timestamps of other samples before {line:?}"));
                }
                let at = offsets.iter().zip(0_i64..).map(|(o, i)| (step_ms * i, *o));
                self.store.add_starts(&labels, at.filter_map(|(t, o)| Some((t, t + o?))));
            }
            defined.insert(labels, cells);
        }
        let mut classic = nhcb::Converter::default();
        for (labels, cells) in defined {
            let (mut floats, mut histograms) = (Vec::new(), Vec::new());
            for (cell, i) in cells.into_iter().zip(0_i64..) {
                match cell {
                    None => {}
                    Some(Cell::Float(v)) => {
                        classic.add(&labels, step_ms * i, v);
                        floats.push((step_ms * i, v));
                    }
                    Some(Cell::Histogram { value, .. }) => histograms.push((step_ms * i, value)),
                }
            }
            self.store.add(&labels, floats);
            self.store.add_histograms(&labels, histograms);
        }
        if nhcb {
            for (labels, histograms) in classic.finish()? {
                self.store.add_histograms(&labels, histograms.into_iter().map(|(t, h)| (t, Arc::new(h))));
            }
        }
        Ok(())
    }

    fn eval(&mut self, eval: &Eval) -> Result<(), String> {
        let t = match eval.when {
            When::At(t) => t,
            When::Range { .. } => return self.check(eval, &eval.query, eval.when).map(|_| ()),
        };
        self.instant(eval, &eval.query, t)?;
        let Some((query, times)) = at::pinned(&eval.query, t) else { return Ok(()) };
        for t in times {
            self.instant(eval, &query, t).map_err(|e| format!("as {query} at {t}: {e}"))?;
        }
        Ok(())
    }

    /// Asks once, and once more in the middle of a range.
    fn instant(&mut self, eval: &Eval, query: &str, t: i64) -> Result<(), String> {
        let value = self.check(eval, query, When::At(t))?;
        let depends_on_range = ["start()", "end()", "range()", "step()"].iter().any(|w| query.contains(w));
        let skipped =
            eval.ordered || eval.string.is_some() || eval.range_vector.is_some() || depends_on_range;
        match value {
            Some(value) if !skipped => {
                self.in_range(eval, query, t, &value).map_err(|e| format!("as a range query: {e}"))
            }
            _ => Ok(()),
        }
    }

    /// Asks a query and compares; returns its value unless it fails as it should.
    fn check(&mut self, eval: &Eval, query: &str, when: When) -> Result<Option<Value>, String> {
        let result = match (self.query(query, when), &eval.fail) {
            (Err(e), Some(want)) if want.matches(&e) => return Ok(None),
            (Err(e), Some(want)) => return Err(format!("fails with {e:?}, not {want:?}")),
            (Err(e), None) => return Err(format!("fails: {e}")),
            (Ok(got), Some(_)) => return Err(format!("should fail, yields {:?}", got.value)),
            (Ok(result), None) => result,
        };
        annotations(eval, &result)?;
        values(eval, &result.value)?;
        Ok(Some(result.value))
    }

    fn query(&mut self, query: &str, when: When) -> Result<QueryResult, String> {
        self.asked += 1;
        let options = QueryOptions::default();
        let result = match when {
            When::At(t) => self.engine.instant_query(&self.store, query, t, &options),
            When::Range { start, end, step } => {
                self.engine.range_query(&self.store, query, start, end, step, &options)
            }
        };
        result.map_err(|e| e.to_string())
    }

    /// An instant query must yield the same in the middle of a range query.
    fn in_range(&mut self, eval: &Eval, query: &str, t: i64, instant: &Value) -> Result<(), String> {
        let range = When::Range { start: t - 60_000, end: t + 60_000, step: 60_000 };
        let value = self.query(query, range)?.value;
        let Value::Matrix(series) = &value else { return Err("no matrix".to_owned()) };
        if series.windows(2).any(|w| w[0].labels >= w[1].labels) {
            return Err(format!("not sorted by labels: {series:?}"));
        }
        let middle = compare::samples_at(series, t);
        match (instant, eval.scalar) {
            (Value::Scalar { .. }, Some(want)) => match middle.as_slice() {
                [(_, Found::Float(v))] if almost_equal(*v, want) => Ok(()),
                other => Err(format!("{other:?}, wanted {want}")),
            },
            _ => compare::vector(&middle, &eval.series, false),
        }
    }
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
    if let Some(want) = &eval.string {
        return match value {
            Value::String { value, .. } if value == want => Ok(()),
            other => Err(format!("{other:?}, wanted the string {want:?}")),
        };
    }
    let expected: &[(LabelSet, _)] = &eval.series;
    match (value, eval.when, eval.range_vector) {
        (Value::Scalar { value, .. }, _, _) => match eval.scalar {
            Some(want) if almost_equal(*value, want) => Ok(()),
            want => Err(format!("{value}, wanted {want:?}")),
        },
        (_, _, _) if eval.scalar.is_some() => Err(format!("{value:?}, wanted a scalar")),
        (Value::Vector(samples), When::At(_), None) => {
            compare::vector(&compare::samples(samples), expected, eval.ordered)
        }
        (Value::Matrix(series), When::Range { start, step, .. }, _)
        | (Value::Matrix(series), When::At(_), Some((start, step))) => {
            compare::matrix(series, expected, start, step)
        }
        (other, ..) => Err(format!("unexpected {}: {other:?}", other.type_name())),
    }
}
