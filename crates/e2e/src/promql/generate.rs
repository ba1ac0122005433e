//! Random queries over the families of [`crate::dataset`]: typed, as deep as asked, mostly with results.
//!
//! Each vector is made together with the labels that tell its series apart, so that matching and grouping have partners;
//! some are made without regard to that, for the errors. Left out, because releases since 2.42 differ on purpose:
//! `holt_winters` (renamed), what is experimental or came later, label names that are no identifiers, `.` in a pattern over
//! a value with a line break, numbers as durations. Left out for what 2.42 gets wrong: `@` in parameters of aggregations, and
//! `count_values by` of labels that sort after its own, which get lost. Ranges of nested subqueries are odd, since the start of a window is excluded by now.

use super::query::{At, Expr, Modifiers, Times};
use crate::dataset::{FAMILIES, Family, Kind, LENGTH_MS, START_MS};
use crate::random::Random;

/// Makes queries; the same for the same seed.
#[derive(Debug)]
pub struct Generator {
    pub(super) random: Random,
    depth: usize,
    /// Subqueries around what is being made.
    pub(super) nested: usize,
    /// In a parameter of an aggregation, where 2.42 gets `@` wrong.
    pub(super) without_at: bool,
}

/// An instant vector and the labels that tell its series apart.
pub(super) struct Vector {
    pub(super) expr: Expr,
    pub(super) labels: Vec<&'static str>,
}

const ELEMENTWISE: &[&str] = &[
    "abs",
    "ceil",
    "floor",
    "exp",
    "ln",
    "log2",
    "log10",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "deg",
    "rad",
    "sgn",
    "round",
    "timestamp",
    "sort",
    "sort_desc",
];
const OVER_TIME: &[&str] = &[
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "last_over_time",
    "present_over_time",
    "changes",
    "resets",
    "delta",
    "idelta",
    "deriv",
];
const OF_COUNTERS: &[&str] = &["rate", "increase", "irate", "resets"];
const DATES: &[&str] =
    &["year", "month", "day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute"];
const ARITHMETIC: &[&str] = &["+", "-", "*", "/", "%", "^", "+", "-", "*", "/", "atan2"];
const COMPARISON: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
const NUMBERS: &[&str] = &[
    "0", "1", "-1", "2", "0.5", "10", "100", "1000", "-3.25", "1e6", "NaN", "Inf", "-Inf", "0x1F", "1e-9",
    "3",
];
const QUANTILES: &[&str] = &["0", "0.1", "0.5", "0.75", "0.9", "0.99", "1", "-0.5", "1.5", "NaN"];
const RANGES_MS: &[i64] = &[45_000, 60_000, 90_000, 150_000, 300_000, 307_000, 600_000, 1_200_000, 3_600_000];
const WRONG: &[&str] = &[
    "sum(1)",
    "rate(cpus)",
    "abs()",
    "1 > 2",
    "cpus and 1",
    "no_such_function(cpus)",
    "cpus[5m]",
    "sum(cpus",
    "cpus{",
    "cpus + on (job) group_left group_right cpus",
    "{}",
    "{job=~\".*\"}",
    "topk(cpus, cpus)",
    "-\"text\"",
    "cpus offset 5m offset 5m",
    "cpus[5m][5m]",
    "label_replace(cpus, \"a\", \"$1\", \"job\", \"(\")",
    "topk(1e30, cpus)",
    "quantile(\"x\", cpus)",
    "1 + \"a\"",
    "cpus{job=~\"(\"}",
    "sum by (job) without (instance) (cpus)",
    "cpus and bool cpus",
    "cpus + bool cpus",
    "rate(cpus[0s])",
    "cpus @ \"x\"",
    "histogram_quantile(cpus, 0.5)",
    "clamp(cpus, 1)",
    "\"unclosed",
    "5 % % 2",
    "cpus and on (job) group_left () cpus",
    "vector(cpus)",
    "scalar(1)",
    "time(1)",
    "label_replace(cpus)",
    "requests_total + on (job) requests_total",
    "requests_total * on (instance) bytes_total",
    "rate(cpus[5m])[5m]",
    "cpus == on (job) cpus",
    "sum(cpus) by",
    "absent_over_time(cpus)",
    "((cpus)",
    "cpus)",
    "@",
    "cpus[5]x",
];

impl Generator {
    /// Queries of at most `depth` levels.
    #[must_use]
    pub fn new(seed: u64, depth: usize) -> Self {
        Self { random: Random::new(seed), depth, nested: 0, without_at: false }
    }

    /// A query, and when to evaluate it: instant or over up to 40 steps.
    pub fn query(&mut self) -> (Expr, Times) {
        let expr = self.root();
        let at = START_MS
            + 137
            + 60_000 * (8 + self.random.below(114) as i64)
            + 1000 * self.random.below(60) as i64;
        let range =
            expr.has_steps() && self.random.percent(50) || matches!(expr, Expr::Wrong(_)) && at % 3 == 0;
        if !range {
            return (expr, Times::instant(at));
        }
        let step_ms = self.random.pick(&[1000, 5500, 7000, 13_000, 15_000, 30_000, 37_500, 60_000, 311_000]);
        let steps = 1 + self.random.below(40) as i64;
        let end_ms = at + (steps * step_ms) + self.random.pick(&[0, 0, 500]);
        (expr, Times { start_ms: at, end_ms, step_ms })
    }

    fn root(&mut self) -> Expr {
        let depth = 1 + self.random.below(self.depth);
        match self.random.weighted(&[82, 8, 4, 1, 4, 1]) {
            0 => self.vector(depth).expr,
            1 => self.scalar(depth),
            2 => self.range_vector(depth).expr,
            3 => Expr::Text("a \"string\" \\ é".to_owned()),
            4 => Expr::Wrong(self.random.pick(WRONG).to_owned()),
            _ => Expr::Number("1 + 2 * 3 ^ -2 ^ 0.5 % 7 - -4 / 0 > bool 1 atan2 2".to_owned()),
        }
    }

    /// A scalar.
    pub(super) fn scalar(&mut self, depth: usize) -> Expr {
        let choice = if depth == 0 {
            self.random.weighted(&[8, 1, 1])
        } else {
            self.random.weighted(&[6, 1, 1, 4, 3, 1])
        };
        match choice {
            0 => Expr::Number(self.random.pick(NUMBERS).to_owned()),
            1 => Expr::Call("time", Vec::new()),
            2 => Expr::Call("pi", Vec::new()),
            3 => {
                let op = self.random.pick(&["sum", "max", "min", "count", "avg"]);
                let inner = Box::new(self.vector(depth - 1).expr);
                let one = Expr::Aggregate { op, clause: String::new(), param: None, inner };
                Expr::Call("scalar", vec![one])
            }
            4 => {
                let op = if self.random.percent(70) {
                    self.random.pick(ARITHMETIC).to_owned()
                } else {
                    format!("{} bool", self.random.pick(COMPARISON))
                };
                let sides = Box::new((self.scalar(depth - 1), self.scalar(depth - 1)));
                Expr::Binary { op, matching: String::new(), sides }
            }
            _ => Expr::Negate(Box::new(self.scalar(depth - 1))),
        }
    }

    /// An instant vector.
    pub(super) fn vector(&mut self, depth: usize) -> Vector {
        if depth == 0 {
            let family = &FAMILIES[self.random.below(FAMILIES.len())];
            return self.selector(family);
        }
        match self.random.weighted(&[8, 20, 22, 12, 10, 20, 6, 4, 4, 3, 2]) {
            0 => self.vector(0),
            1 => self.aggregate(depth),
            2 => self.over_range(depth),
            3 => self.elementwise(depth),
            4 => self.with_scalar(depth),
            5 => self.matched(depth),
            6 => self.set_operation(depth),
            7 => self.labelled(depth),
            8 => self.quantile_of_histogram(depth),
            9 => self.absent(depth),
            _ => Vector { expr: Expr::Call("vector", vec![self.scalar(depth - 1)]), labels: Vec::new() },
        }
    }

    /// An instant vector with at least these labels, on top of something that is there.
    pub(super) fn with_labels(&mut self, labels: &[&'static str], depth: usize) -> Vector {
        let fitting: Vec<&Family> = FAMILIES
            .iter()
            .filter(|f| labels.iter().all(|l| f.labels.iter().any(|(name, _)| name == l)))
            .collect();
        if fitting.is_empty() {
            return self.vector(depth);
        }
        let family = self.random.pick(&fitting);
        if depth == 0 || self.random.percent(40) {
            return self.selector(family);
        }
        match self.random.below(3) {
            0 => {
                let labels = family.label_names();
                let range = self.range_selector(family);
                let f = self.function_of(family);
                Vector { expr: Expr::Call(f, vec![range]), labels }
            }
            1 => {
                let Vector { expr, labels } = self.selector(family);
                let f = self.random.pick(&["abs", "ceil", "sgn", "sort"]);
                Vector { expr: Expr::Call(f, vec![expr]), labels }
            }
            _ => {
                let Vector { expr, labels } = self.selector(family);
                let op = self.random.pick(&["+", "*", "-", "/"]).to_owned();
                let sides = Box::new((expr, self.scalar(depth - 1)));
                Vector { expr: Expr::Binary { op, matching: String::new(), sides }, labels }
            }
        }
    }

    /// An instant vector that has exactly these labels.
    pub(super) fn keyed(&mut self, labels: &[&'static str], depth: usize) -> Vector {
        let exact: Vec<&Family> = FAMILIES.iter().filter(|f| f.label_names() == labels).collect();
        if !exact.is_empty() && self.random.percent(60) {
            let family = self.random.pick(&exact);
            if depth > 0 && self.random.percent(40) {
                let range = self.range_selector(family);
                let f = self.function_of(family);
                return Vector { expr: Expr::Call(f, vec![range]), labels: labels.to_vec() };
            }
            return self.selector(family);
        }
        let inner = Box::new(self.with_labels(labels, depth.saturating_sub(1)).expr);
        let op = self.random.pick(&["sum", "avg", "max", "min", "count", "group", "stddev", "stdvar"]);
        let clause = format!("by ({}) ", labels.join(", "));
        Vector { expr: Expr::Aggregate { op, clause, param: None, inner }, labels: labels.to_vec() }
    }

    fn function_of(&mut self, family: &Family) -> &'static str {
        let counter = matches!(family.kind, Kind::Counter(_) | Kind::Bucket | Kind::BrokenBucket);
        if counter && self.random.percent(70) {
            self.random.pick(OF_COUNTERS)
        } else {
            self.random.pick(OVER_TIME)
        }
    }

    /// A name with matchers.
    fn text_of(&mut self, family: &Family) -> String {
        let mut matchers = Vec::new();
        for (name, values) in self.random.subset(family.labels, 15) {
            let value = self.random.pick(values);
            let quoted =
                format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t"));
            let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
            matchers.push(match self.random.below(6) {
                0 if plain => format!("{name}=~\"{value}|zzz\""),
                1 if plain => format!("{name}!~\"{value}\""),
                2 => format!("{name}=~\".+\""),
                3 => format!("{name}!={quoted}"),
                4 => format!("{name}=~\"{}.*\"", if plain { &value[..1] } else { "" }),
                _ => format!("{name}={quoted}"),
            });
        }
        match self.random.below(20) {
            0 => {
                matchers.insert(0, format!("__name__=\"{}\"", family.name));
                format!("{{{}}}", matchers.join(", "))
            }
            1 => {
                matchers.push("no_such_label=\"\"".to_owned());
                format!("{}{{{}}}", family.name, matchers.join(","))
            }
            _ if matchers.is_empty() => family.name.to_owned(),
            _ => format!("{}{{{}}}", family.name, matchers.join(", ")),
        }
    }

    pub(super) fn selector(&mut self, family: &Family) -> Vector {
        let modifiers = self.modifiers();
        Vector { expr: Expr::Select(self.text_of(family), modifiers), labels: family.label_names() }
    }

    pub(super) fn range_selector(&mut self, family: &Family) -> Expr {
        let modifiers = self.modifiers();
        // Short windows over sparse samples are mostly empty.
        let fitting: Vec<i64> = RANGES_MS.iter().copied().filter(|r| *r >= 2 * family.interval_ms).collect();
        let range_ms =
            if self.random.percent(95) { self.random.pick(&fitting) } else { self.random.pick(RANGES_MS) };
        Expr::Range(self.text_of(family), range_ms, modifiers)
    }

    fn modifiers(&mut self) -> Modifiers {
        let offset_ms = if self.random.percent(12) {
            self.random.pick(&[30_000, 90_000, 600_000, -60_000, 37_000, -7000])
        } else {
            0
        };
        let at = (self.random.percent(7) && !self.without_at).then(|| match self.random.below(4) {
            0 => At::Start,
            1 => At::End,
            _ => At::Time(START_MS + 137 + 1000 * self.random.below((LENGTH_MS / 1000) as usize) as i64),
        });
        Modifiers { offset_ms, at }
    }

    /// A range vector; mostly a selector.
    pub(super) fn range_vector(&mut self, depth: usize) -> Vector {
        if depth == 0 || self.nested >= 2 || self.random.percent(70) {
            let family = &FAMILIES[self.random.below(FAMILIES.len())];
            let expr = self.range_selector(family);
            return Vector { expr, labels: family.label_names() };
        }
        self.nested += 1;
        let Vector { expr, labels } = self.vector(depth - 1);
        self.nested -= 1;
        let step_ms = match self.random.below(6) {
            0 => None,
            _ => Some(self.random.pick(&[5000, 15_000, 30_000, 7000, 60_000, 2500])),
        };
        let steps = 2 + self.random.below(25) as i64;
        // 313 ms: no step falls on the start of a window, whatever the windows around.
        let range_ms = step_ms.unwrap_or(super::query::DEFAULT_STEP_MS) * steps + 313;
        let modifiers = self.modifiers();
        Vector { expr: Expr::Subquery { inner: Box::new(expr), range_ms, step_ms, modifiers }, labels }
    }

    fn over_range(&mut self, depth: usize) -> Vector {
        if self.random.percent(40) {
            let family = &FAMILIES[self.random.below(FAMILIES.len())];
            let labels = family.label_names();
            let range = self.range_selector(family);
            let f = self.function_of(family);
            return Vector { expr: Expr::Call(f, vec![range]), labels };
        }
        let Vector { expr, labels } = self.range_vector(depth);
        let expr = match self.random.weighted(&[70, 15, 8, 4]) {
            0 => Expr::Call(self.random.pick(OVER_TIME), vec![expr]),
            1 => {
                let q = if self.random.percent(85) { self.quantile() } else { self.scalar(depth - 1) };
                Expr::Call("quantile_over_time", vec![q, expr])
            }
            2 => {
                let ahead = self.random.pick(&["60", "-60", "3600", "0"]);
                Expr::Call("predict_linear", vec![expr, Expr::Number((*ahead).to_owned())])
            }
            _ => Expr::Call(self.random.pick(OF_COUNTERS), vec![expr]),
        };
        Vector { expr, labels }
    }

    /// A scalar for an aggregation's parameter.
    pub(super) fn parameter(&mut self) -> Expr {
        self.without_at = true;
        let scalar = self.scalar(1);
        self.without_at = false;
        scalar
    }

    pub(super) fn quantile(&mut self) -> Expr {
        Expr::Number(self.random.pick(QUANTILES).to_owned())
    }

    fn elementwise(&mut self, depth: usize) -> Vector {
        let Vector { expr, labels } = self.vector(depth - 1);
        let expr = match self.random.weighted(&[60, 12, 12, 10, 8]) {
            0 => Expr::Call(self.random.pick(ELEMENTWISE), vec![expr]),
            1 => Expr::Call("clamp", vec![expr, self.scalar(0), self.scalar(0)]),
            2 => {
                let f = self.random.pick(&["clamp_min", "clamp_max", "round"]);
                Expr::Call(f, vec![expr, self.scalar(0)])
            }
            3 => Expr::Negate(Box::new(expr)),
            // Of seconds that a calendar has.
            _ => {
                let clock = FAMILIES.iter().find(|f| f.kind == Kind::Clock).unwrap_or(&FAMILIES[0]);
                let Vector { expr, labels } = self.selector(clock);
                let args = if self.random.percent(20) { Vec::new() } else { vec![expr] };
                return Vector { expr: Expr::Call(self.random.pick(DATES), args), labels };
            }
        };
        Vector { expr, labels }
    }

    fn absent(&mut self, depth: usize) -> Vector {
        let expr = match self.random.below(4) {
            0 => Expr::Call("absent", vec![self.vector(depth - 1).expr]),
            1 => Expr::Call("absent_over_time", vec![self.range_vector(depth - 1).expr]),
            2 => {
                let text = "nothing{job=\"a\", x=\"1\", x=~\".*\", y!=\"2\", job2=\"\", z=\"3\"}".to_owned();
                Expr::Call("absent", vec![Expr::Select(text, self.modifiers())])
            }
            _ => {
                let text = "nothing{job=\"a\", instance=\"b:1\"}".to_owned();
                Expr::Call("absent_over_time", vec![Expr::Range(text, 300_000, self.modifiers())])
            }
        };
        Vector { expr, labels: Vec::new() }
    }
}
