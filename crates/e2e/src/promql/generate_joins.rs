//! Random queries, second part: what groups, matches and changes labels.

use super::generate::{Generator, Vector};
use super::query::Expr;
use crate::dataset::{FAMILIES, Family, Kind};

const AGGREGATES: &[&str] = &["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
const ANY_LABELS: &[&str] =
    &["job", "instance", "method", "code", "room", "x", "y", "z", "le", "path", "zone", "none", "__name__"];

impl Generator {
    pub(super) fn aggregate(&mut self, depth: usize) -> Vector {
        let Vector { expr: inner, labels } = self.vector(depth - 1);
        let (clause, left) = self.clause(&labels);
        let inner = Box::new(inner);
        let (op, param, left) = match self.random.weighted(&[70, 12, 8, 10]) {
            0 => (self.random.pick(AGGREGATES), None, left),
            1 => {
                let k = if self.random.percent(90) {
                    Expr::Number(self.random.pick(&["1", "2", "3", "5", "0", "-1", "2.7", "100"]).to_owned())
                } else {
                    self.parameter()
                };
                (self.random.pick(&["topk", "bottomk"]), Some(k), labels)
            }
            2 => {
                let q = if self.random.percent(90) { self.quantile() } else { self.parameter() };
                ("quantile", Some(q), left)
            }
            _ => {
                let label = if clause.starts_with("by") {
                    "zz_value"
                } else {
                    self.random.pick(&["value", "value", "job", "x"])
                };
                let mut left = left;
                left.push(label);
                left.sort_unstable();
                left.dedup();
                ("count_values", Some(Expr::Text(label.to_owned())), left)
            }
        };
        let param = param.map(Box::new);
        Vector { expr: Expr::Aggregate { op, clause, param, inner }, labels: left }
    }

    /// A grouping of these labels and what is left of them.
    fn clause(&mut self, labels: &[&'static str]) -> (String, Vec<&'static str>) {
        match self.random.below(10) {
            0..2 => (String::new(), Vec::new()),
            2..6 => {
                let kept = self.random.subset(labels, 50);
                let mut named = kept.clone();
                if self.random.percent(10) {
                    named.push(self.random.pick(ANY_LABELS));
                }
                (format!("by ({}) ", named.join(", ")), kept)
            }
            _ => {
                let dropped = self.random.subset(labels, 40);
                let kept = labels.iter().copied().filter(|l| !dropped.contains(l)).collect();
                (format!("without ({}) ", dropped.join(", ")), kept)
            }
        }
    }

    /// An operator, and whether it computes.
    fn operator(&mut self) -> String {
        match self.random.below(10) {
            0..6 => self.random.pick(&["+", "-", "*", "/", "%", "^", "+", "-", "*", "/", "atan2"]).to_owned(),
            6..8 => self.random.pick(&["==", "!=", "<", "<=", ">", ">="]).to_owned(),
            _ => format!("{} bool", self.random.pick(&["==", "!=", "<", "<=", ">", ">="])),
        }
    }

    pub(super) fn with_scalar(&mut self, depth: usize) -> Vector {
        let Vector { expr, labels } = self.vector(depth - 1);
        let scalar = self.scalar(depth - 1);
        let sides = Box::new(if self.random.percent(70) { (expr, scalar) } else { (scalar, expr) });
        Vector { expr: Expr::Binary { op: self.operator(), matching: String::new(), sides }, labels }
    }

    /// An operation between two vectors.
    pub(super) fn matched(&mut self, depth: usize) -> Vector {
        let op = self.operator();
        match self.random.weighted(&[45, 35, 12, 8]) {
            0 => self.one_to_one(op, depth),
            1 => self.many_to_one(op, depth),
            2 => {
                let kept: Vec<&'static str> = self.random.subset(&["instance", "job", "method"], 50);
                let sides = Box::new((self.keyed(&kept, depth - 1).expr, self.keyed(&kept, depth - 1).expr));
                let matching = if self.random.percent(50) {
                    format!("on ({}) ", kept.join(", "))
                } else {
                    String::new()
                };
                Vector { expr: Expr::Binary { op, matching, sides }, labels: kept }
            }
            // Whatever comes of it.
            _ => {
                let (a, b) = (self.vector(depth - 1), self.vector(depth - 1));
                let word = self.random.pick(&["on", "ignoring"]);
                let labels = self.random.subset(ANY_LABELS, 25);
                let group = self.random.pick(&[
                    "",
                    "",
                    "group_left ",
                    "group_right (zone) ",
                    "group_left (x, code) ",
                ]);
                // A label both matched on and copied is no query.
                let matching = format!("{word} ({}) {group}", labels.join(", "));
                Vector {
                    expr: Expr::Binary { op, matching, sides: Box::new((a.expr, b.expr)) },
                    labels: a.labels,
                }
            }
        }
    }

    fn one_to_one(&mut self, op: String, depth: usize) -> Vector {
        let left = self.vector(depth - 1);
        let right = self.keyed(&left.labels, depth - 1);
        let matching = match self.random.below(4) {
            0 => format!("on ({}) ", left.labels.join(", ")),
            1 => "ignoring (none) ".to_owned(),
            _ => String::new(),
        };
        let mut sides = (left.expr, right.expr);
        if self.random.percent(40) {
            sides = (sides.1, sides.0);
        }
        Vector { expr: Expr::Binary { op, matching, sides: Box::new(sides) }, labels: left.labels }
    }

    fn many_to_one(&mut self, op: String, depth: usize) -> Vector {
        let many = self.vector(depth - 1);
        let key = self.random.subset(&many.labels, 50);
        let info: Option<&Family> = FAMILIES.iter().find(|f| f.name == "build_info");
        let (key, one, extra) = match info {
            Some(info) if many.labels.contains(&"instance") && self.random.percent(30) => {
                (vec!["instance"], self.selector(info).expr, "version, zone")
            }
            _ => (key.clone(), self.keyed(&key, depth - 1).expr, self.random.pick(&["", "", "none"])),
        };
        let (right, sides) =
            if self.random.percent(60) { (false, (many.expr, one)) } else { (true, (one, many.expr)) };
        let group = format!("group_{} ({extra})", if right { "right" } else { "left" });
        let matching = if self.random.percent(75) {
            format!("on ({}) {group} ", key.join(", "))
        } else {
            let others: Vec<&str> = many.labels.iter().copied().filter(|l| !key.contains(l)).collect();
            format!("ignoring ({}) {group} ", others.join(", "))
        };
        Vector { expr: Expr::Binary { op, matching, sides: Box::new(sides) }, labels: many.labels }
    }

    pub(super) fn set_operation(&mut self, depth: usize) -> Vector {
        let left = self.vector(depth - 1);
        let op = self.random.pick(&["and", "or", "or", "unless"]).to_owned();
        let right = if self.random.percent(70) {
            self.keyed(&left.labels, depth - 1)
        } else {
            self.vector(depth - 1)
        };
        let matching = match self.random.below(4) {
            0 => {
                let labels = self.random.subset(&left.labels, 50);
                format!("on ({}) ", labels.join(", "))
            }
            1 => {
                let labels = self.random.subset(ANY_LABELS, 20);
                format!("ignoring ({}) ", labels.join(", "))
            }
            _ => String::new(),
        };
        Vector {
            expr: Expr::Binary { op, matching, sides: Box::new((left.expr, right.expr)) },
            labels: left.labels,
        }
    }

    /// `label_replace` and `label_join`.
    pub(super) fn labelled(&mut self, depth: usize) -> Vector {
        let Vector { expr, labels } = self.vector(depth - 1);
        let text = |text: &str| Expr::Text(text.to_owned());
        let src =
            if labels.is_empty() || self.random.percent(15) { "none" } else { self.random.pick(&labels) };
        let dst = self.random.pick(&["new", "new", "zone", "job", "__name__", "x"]);
        let expr = if self.random.percent(60) {
            let replacement =
                self.random.pick(&["$1", "$2-$1", "${1}x", "$1x", "", "fixed", "$$", "$name", "$0"]);
            let pattern = self.random.pick(&[
                "(.*)",
                "(.)(.*)",
                "(?P<name>[a-z]).*",
                "a.*",
                "",
                ".+:(\\d+)",
                "(x)|(.*)",
            ]);
            Expr::Call("label_replace", vec![expr, text(dst), text(replacement), text(src), text(pattern)])
        } else {
            let separator = self.random.pick(&["-", "", ", "]);
            let mut args = vec![expr, text(dst), text(separator), text(src)];
            args.extend(self.random.subset(&labels, 40).into_iter().map(text));
            Expr::Call("label_join", args)
        };
        Vector { expr, labels }
    }

    pub(super) fn quantile_of_histogram(&mut self, depth: usize) -> Vector {
        let of_buckets: Vec<&Family> =
            FAMILIES.iter().filter(|f| matches!(f.kind, Kind::Bucket | Kind::BrokenBucket)).collect();
        let family = self.random.pick(&of_buckets);
        let mut labels = family.label_names();
        labels.retain(|l| *l != "le");
        let buckets = match self.random.below(10) {
            0 => self.vector(depth - 1).expr,
            1..4 => self.selector(family).expr,
            _ => {
                let range = self.range_selector(family);
                Expr::Call(self.random.pick(&["rate", "increase", "delta", "irate"]), vec![range])
            }
        };
        let buckets = if self.random.percent(40) {
            let kept = self.random.subset(&labels, 50);
            let by: Vec<&str> = kept.iter().copied().chain(["le"]).collect();
            labels = kept;
            Expr::Aggregate {
                op: "sum",
                clause: format!("by ({}) ", by.join(", ")),
                param: None,
                inner: Box::new(buckets),
            }
        } else {
            buckets
        };
        let q = if self.random.percent(90) { self.quantile() } else { self.parameter() };
        Vector { expr: Expr::Call("histogram_quantile", vec![q, buckets]), labels }
    }
}
