//! Runs upstream's test scripts (`promqltest`), read in place. What needs native histograms is counted apart.

#![expect(clippy::unwrap_used, reason = "a script that cannot be read is a failed test")]

mod support;

use std::path::{Path, PathBuf};

use model::{LabelSet, duration};

use promql::parser::{Expr, ParserOptions, SequenceValue, ValueType, parse_metric, parse_series_desc};
use promql::{Engine, EngineOptions, QueryOptions, Value};
use support::Memory;

/// Scripts, and how many of their evaluations fail, for the reason given, with and without delayed name removal. The scripts
/// are written for the first.
const SCRIPTS: &[(&str, usize, usize)] = &[
    ("aggregators.test", 0, 0),
    ("at_modifier.test", 0, 0),
    ("collision.test", 0, 0),
    ("duration_expression.test", 0, 0),
    ("extended_vectors.test", 0, 0),
    ("fill-modifier.test", 0, 0),
    // A label name that is not UTF-8 cannot be told from one with U+FFFD once parsed.
    ("functions.test", 1, 1),
    // The scripts expect metric names in warnings, which only delayed removal knows.
    ("histograms.test", 0, 6),
    ("limit.test", 0, 0),
    ("literals.test", 0, 0),
    // About delayed removal.
    ("name_label_dropping.test", 0, 8),
    ("operators.test", 0, 0),
    ("range_queries.test", 0, 0),
    ("selectors.test", 0, 0),
    ("staleness.test", 0, 0),
    ("subquery.test", 0, 0),
    ("trig_functions.test", 0, 0),
];

fn scripts_dir() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().map(|a| a.join("shared/conformance/promqltest")).find(|d| d.is_dir())
}

#[test]
fn upstream_scripts() {
    let Some(dir) = scripts_dir() else {
        println!("SKIPPED: no shared/conformance/promqltest beside the repository");
        return;
    };
    let mut wrong = Vec::new();
    let runs = SCRIPTS.iter().flat_map(|&(name, lazy, eager)| [(name, lazy, true), (name, eager, false)]);
    for (name, allowed, delayed) in runs {
        let text = std::fs::read_to_string(dir.join(name)).unwrap();
        let mut script = Script { delayed, ..Script::default() };
        script.run(&text);
        println!(
            "{name} (delayed name removal: {delayed}): {} passed, {} failed, {} need histograms",
            script.passed,
            script.failures.len(),
            script.histograms
        );
        for failure in &script.failures {
            println!("  {name}:{failure}");
        }
        if script.failures.len() != allowed {
            wrong.push((name, delayed));
        }
    }
    assert!(wrong.is_empty(), "unexpected results in {wrong:?}");
}

#[derive(Default)]
struct Script {
    delayed: bool,
    store: Memory,
    /// Whether series had to be left out.
    incomplete: bool,
    passed: usize,
    histograms: usize,
    failures: Vec<String>,
}

#[derive(Debug)]
enum When {
    At(i64),
    Range(i64, i64, i64),
}

#[derive(Debug, Default)]
struct Expected {
    fail: bool,
    fail_text: Option<String>,
    /// `None`: not looked at.
    warn: Option<bool>,
    info: Option<bool>,
    texts: Vec<String>,
    ordered: bool,
    string: Option<String>,
    range: Option<(i64, i64, i64)>,
    scalar: Option<f64>,
    series: Vec<(LabelSet, Vec<Option<f64>>)>,
    histograms: bool,
}

fn ms(text: &str) -> i64 {
    if let Some(rest) = text.strip_prefix('-') {
        return -ms(rest);
    }
    match text.parse::<f64>() {
        Ok(seconds) => (seconds * 1000.0) as i64,
        Err(_) => duration::parse(text).unwrap().as_millis() as i64,
    }
}

impl Script {
    fn run(&mut self, text: &str) {
        let lines: Vec<&str> = text.lines().collect();
        let mut i = 0;
        while i < lines.len() {
            let (number, line) = (i + 1, lines[i].trim());
            i += 1;
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut block = Vec::new();
            let command = |l: &str| ["eval", "load", "clear"].iter().any(|c| l.starts_with(c));
            while i < lines.len() && !lines[i].trim().is_empty() && !command(lines[i]) {
                if !lines[i].trim().starts_with('#') {
                    block.push(lines[i].trim());
                }
                i += 1;
            }
            let word = line.split_whitespace().next().unwrap();
            match word {
                "clear" => {
                    self.store = Memory { batch: 3, ..Memory::default() };
                    self.incomplete = false;
                }
                _ if word.starts_with("load") => self.load(line, &block),
                _ if word.starts_with("eval") => self.eval(number, line, &block),
                _ => panic!("line {number}: {line}"),
            }
        }
    }

    fn load(&mut self, line: &str, block: &[&str]) {
        let gap = ms(line.split_whitespace().nth(1).unwrap());
        self.incomplete |= line.starts_with("load_with_nhcb");
        for series in block {
            // Start timestamps are a line of their own and change nothing for floats.
            if series.contains("@st") {
                continue;
            }
            match parse_series_desc(series) {
                Ok(desc) => {
                    let samples = desc.values.iter().enumerate().filter_map(|(i, v)| match v {
                        SequenceValue::Float(v) => Some((i as i64 * gap, *v)),
                        SequenceValue::Omitted => None,
                    });
                    self.store.add(&desc.labels, samples);
                }
                Err(e) => {
                    assert!(series.contains("{{"), "{series}: {e}");
                    self.incomplete = true;
                }
            }
        }
    }

    fn eval(&mut self, number: usize, line: &str, block: &[&str]) {
        let mut words = line.split_whitespace();
        let command = words.next().unwrap();
        let mut expected = Expected { fail: command.contains("_fail"), ..Expected::default() };
        expected.ordered = command.contains("_ordered");
        if command.contains("_warn") {
            expected.warn = Some(true);
        }
        if command.contains("_info") {
            expected.info = Some(true);
        }
        let (when, query) = if words.next() == Some("instant") {
            let rest = line.split_once(" at ").unwrap().1.trim_start();
            let (at, query) = rest.split_once(char::is_whitespace).unwrap();
            (When::At(ms(at)), query)
        } else {
            let rest = line.split_once(" from ").unwrap().1;
            let mut parts = rest.splitn(6, char::is_whitespace);
            let mut next = || parts.next().unwrap();
            let (from, _, to, _, step) = (next(), next(), next(), next(), next());
            (When::Range(ms(from), ms(to), ms(step)), parts.next().unwrap())
        };
        for line in block {
            expected.line(line);
        }
        let outcome = self.check(&when, query.trim(), &expected);
        match outcome {
            Ok(()) => self.passed += 1,
            Err(_) if expected.histograms || self.incomplete => self.histograms += 1,
            Err(why) => self.failures.push(format!("{number}: {}: {why}", query.trim())),
        }
    }

    fn check(&self, when: &When, query: &str, expected: &Expected) -> Result<(), String> {
        let engine = Engine::new(EngineOptions {
            parser: ParserOptions::all(),
            delayed_name_removal: self.delayed,
            ..EngineOptions::default()
        });
        let opts = QueryOptions::default();
        let result = match *when {
            When::At(t) => engine.instant_query(&self.store, query, t, &opts),
            When::Range(from, to, step) => engine.range_query(&self.store, query, from, to, step, &opts),
        };
        let result = match (result, expected.fail) {
            (Ok(_), true) => return Err("should fail".to_owned()),
            (Err(e), true) => {
                return match &expected.fail_text {
                    Some(text) if !e.message.contains(text.as_str()) => {
                        Err(format!("fails with {:?}, not {text:?}", e.message))
                    }
                    _ => Ok(()),
                };
            }
            (Err(e), false) => return Err(format!("fails: {e}")),
            (Ok(result), false) => result,
        };
        let notes = &result.annotations;
        for (want, got, kind) in
            [(expected.warn, &notes.warnings, "warnings"), (expected.info, &notes.infos, "infos")]
        {
            if want.is_some_and(|w| w == got.is_empty()) {
                return Err(format!("{kind}: {got:?}"));
            }
        }
        for text in &expected.texts {
            if !notes.warnings.iter().chain(&notes.infos).any(|n| n == text) {
                return Err(format!("no {text:?} in {notes:?}"));
            }
        }
        expected.value(when, &result.value)?;
        if let (When::At(t), false) = (when, expected.ordered) {
            self.check_as_range(&engine, query, *t, &result.value)?;
        }
        Ok(())
    }

    /// An instant query must have the same result in the middle of a range.
    fn check_as_range(&self, engine: &Engine, query: &str, t: i64, value: &Value) -> Result<(), String> {
        let expr: Expr = engine.parse(query).unwrap();
        if !matches!(expr.value_type(), ValueType::Vector | ValueType::Scalar) {
            return Ok(());
        }
        if ["start()", "end()", "range()", "step()"].iter().any(|f| query.contains(f)) {
            return Ok(());
        }
        let range = engine
            .range_query(&self.store, query, t - 60_000, t + 60_000, 60_000, &QueryOptions::default())
            .map_err(|e| format!("as range: {e}"))?;
        let Value::Matrix(series) = range.value else { return Err("no matrix".to_owned()) };
        let middle: Vec<(LabelSet, f64)> = series
            .iter()
            .filter_map(|s| {
                let (_, v) = s.samples.iter().find(|(at, _)| *at == t)?;
                Some((s.labels.clone(), *v))
            })
            .collect();
        let want: Vec<(LabelSet, f64)> = match value {
            Value::Scalar { value, .. } => vec![(LabelSet::empty(), *value)],
            Value::Vector(samples) => samples.iter().map(|s| (s.labels.clone(), s.value)).collect(),
            _ => return Ok(()),
        };
        let agrees = want.len() == middle.len()
            && want.iter().all(|(l, v)| middle.iter().any(|(m, w)| m == l && close(*v, *w)));
        if agrees { Ok(()) } else { Err(format!("as range: {middle:?}, not {want:?}")) }
    }
}

fn close(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < 1e-6 * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < 1e-6
}

impl Expected {
    fn line(&mut self, line: &str) {
        if line.contains("{{") {
            self.histograms = true;
            return;
        }
        if let Some(rest) = line.strip_prefix("expect ") {
            let (what, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let rest = rest.trim();
            let text = rest.strip_prefix("msg:").map(|t| t.trim().to_owned());
            match what {
                "fail" => {
                    self.fail = true;
                    self.fail_text = text;
                }
                "warn" => {
                    self.warn = Some(true);
                    self.texts.extend(text);
                }
                "no_warn" => self.warn = Some(false),
                "info" => {
                    self.info = Some(true);
                    self.texts.extend(text);
                }
                "no_info" => self.info = Some(false),
                "ordered" => self.ordered = true,
                "string" => {
                    let quoted = rest.trim_matches(['"', '\'', '`']);
                    self.string = Some(quoted.to_owned());
                }
                "range" => {
                    let number = |w: &&str| w.starts_with(|c: char| c.is_ascii_digit() || c == '-');
                    let mut words = rest.split_whitespace().filter(number).map(ms);
                    let mut next = || words.next().unwrap();
                    self.range = Some((next(), next(), next()));
                }
                other => panic!("expect {other}"),
            }
            return;
        }
        if let Some(text) = line.strip_prefix("expected_fail_message ") {
            self.fail_text = Some(text.trim().to_owned());
            return;
        }
        if let Some(v) = model::float::parse_go_float(line) {
            self.scalar = Some(v);
            return;
        }
        match parse_series_desc(line) {
            Ok(desc) => {
                let values = desc.values.iter().map(|v| match v {
                    SequenceValue::Float(v) => Some(*v),
                    SequenceValue::Omitted => None,
                });
                self.series.push((desc.labels, values.collect()));
            }
            Err(_) => match parse_metric(line) {
                Ok(labels) => self.series.push((labels, Vec::new())),
                Err(e) => panic!("{line}: {e}"),
            },
        }
    }

    fn value(&self, when: &When, value: &Value) -> Result<(), String> {
        match value {
            Value::String { value, .. } => {
                let want = self.string.as_deref().unwrap_or_default();
                if value == want { Ok(()) } else { Err(format!("{value:?}, not {want:?}")) }
            }
            Value::Scalar { value, .. } => match self.scalar {
                Some(want) if close(*value, want) => Ok(()),
                want => Err(format!("{value}, not {want:?}")),
            },
            Value::Vector(samples) => {
                if samples.len() != self.series.len() {
                    return Err(format!("{samples:?}, not {:?}", self.series));
                }
                for (i, (labels, values)) in self.series.iter().enumerate() {
                    let Some(Some(want)) = values.first() else {
                        return Err(format!("no value for {labels}"));
                    };
                    let found = if self.ordered {
                        Some(&samples[i]).filter(|s| s.labels == *labels)
                    } else {
                        samples.iter().find(|s| s.labels == *labels)
                    };
                    match found {
                        Some(s) if close(s.value, *want) => {}
                        other => return Err(format!("{other:?}, not {labels} {want}")),
                    }
                }
                Ok(())
            }
            Value::Matrix(series) => {
                let (from, step) = match (when, self.range) {
                    (When::Range(from, _, step), _) => (*from, *step),
                    (When::At(_), Some((from, _, step))) => (from, step),
                    (When::At(_), None) => return Err("a matrix was not expected".to_owned()),
                };
                if series.len() != self.series.len() {
                    return Err(format!("{series:?}, not {:?}", self.series));
                }
                for (labels, values) in &self.series {
                    let Some(found) = series.iter().find(|s| s.labels == *labels) else {
                        return Err(format!("no {labels} in {series:?}"));
                    };
                    let want: Vec<(i64, f64)> = values
                        .iter()
                        .enumerate()
                        .filter_map(|(i, v)| Some((from + i as i64 * step, (*v)?)))
                        .collect();
                    let same = found.samples.len() == want.len()
                        && found.samples.iter().zip(&want).all(|(a, b)| a.0 == b.0 && close(a.1, b.1));
                    if !same {
                        return Err(format!("{:?}, not {want:?}", found.samples));
                    }
                }
                Ok(())
            }
        }
    }
}
