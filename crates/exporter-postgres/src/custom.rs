//! Users' queries: from rows to families.

use std::borrow::Cow;
use std::collections::HashSet;

use exporters::{Conflict, Kind, Page};

use crate::naming::joined;
use crate::queries_file::{Column, Usage, UserQuery};
use crate::rows::{Cell, Rows};
use crate::version::Version;

/// Series that are on the page already, so that none is there twice.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashSet<String>);

/// Writes the families of one query's rows and tells what could not be written.
pub(crate) fn write(
    query: &UserQuery,
    rows: &Rows,
    version: Version,
    extra: &[(String, String)],
    prefix: &str,
    page: &mut Page,
    seen: &mut Seen,
) -> Vec<String> {
    // As the original: the first `pg` of the name, wherever it is.
    let namespace =
        if prefix == "pg" { query.namespace.clone() } else { query.namespace.replacen("pg", prefix, 1) };
    let mut writer = Writer { query, rows, extra, namespace, page, seen, problems: Vec::new() };
    let labels: Vec<&str> =
        query.columns.iter().filter(|c| c.usage == Usage::Label).map(|c| c.name.as_str()).collect();
    for label in labels.iter().filter(|label| !rows.rows.is_empty() && rows.column(label).is_none()) {
        writer.problem(format!("the answer has no column {label}, which is a label"));
    }
    // Families in the order of the answer's columns, rows as they come.
    for (at, name) in rows.columns.iter().enumerate() {
        let column = query.columns.iter().find(|column| column.name == *name);
        match column {
            Some(column) if column.versions.as_ref().is_some_and(|range| !range.contains(version)) => {}
            Some(column) => writer.column(at, column, &labels),
            None if writer.is_part_of_histogram(name) => {}
            None => writer.unknown(at, name, &labels),
        }
    }
    writer.problems
}

struct Writer<'w> {
    query: &'w UserQuery,
    rows: &'w Rows,
    extra: &'w [(String, String)],
    namespace: String,
    page: &'w mut Page,
    seen: &'w mut Seen,
    problems: Vec<String>,
}

impl<'w> Writer<'w> {
    /// Each is told once per scrape, however many rows have it.
    fn problem(&mut self, text: impl std::fmt::Display) {
        let text = format!("query {}: {text}", self.query.namespace);
        if !self.problems.contains(&text) {
            self.problems.push(text);
        }
    }

    fn is_part_of_histogram(&self, name: &str) -> bool {
        let is_histogram =
            |of: &str| self.query.columns.iter().any(|c| c.name == of && c.usage == Usage::Histogram);
        ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(end).is_some_and(is_histogram))
    }

    fn column(&mut self, at: usize, column: &Column, labels: &[&str]) {
        let name = format!("{}_{}", self.namespace, column.name);
        let help = column.description.as_str();
        match &column.usage {
            Usage::Discard | Usage::Label => {}
            Usage::Counter => self.samples(at, &name, help, Kind::Counter, labels, number),
            Usage::Gauge => self.samples(at, &name, help, Kind::Gauge, labels, number),
            Usage::Duration => {
                self.samples(at, &format!("{name}_milliseconds"), help, Kind::Gauge, labels, milliseconds);
            }
            Usage::Mapped(mapping) => {
                self.samples(at, &name, help, Kind::Gauge, labels, |cell| {
                    cell.label().and_then(|text| mapping.get(text.as_ref()).copied())
                });
            }
            Usage::Histogram => self.histograms(at, &name, help, labels),
        }
    }

    fn unknown(&mut self, at: usize, column: &str, labels: &[&str]) {
        let name = format!("{}_{column}", self.namespace);
        // That some cannot be read is to be expected of columns nobody described.
        if crate::options::is_name(&name) && self.rows.rows.iter().any(|row| number(&row[at]).is_some()) {
            let help = format!("Unknown metric from {}", self.namespace);
            self.samples(at, &name, &help, Kind::Untyped, labels, number);
        }
    }

    fn labels<'r>(&self, row: &'r [Cell], labels: &[&str]) -> Vec<Cow<'r, str>> {
        labels.iter().map(|label| self.rows.cell(row, label).label().unwrap_or_default()).collect()
    }

    /// A series that is there already is left out: it would make the page invalid.
    fn is_new(&mut self, name: &str, labels: &[(&str, &str)]) -> bool {
        let mut key = name.to_owned();
        for (name, value) in labels {
            key.extend(["\u{ff}", name, "\u{fe}", value]);
        }
        let is_new = self.seen.0.insert(key);
        if !is_new {
            self.problem(format!("several rows make the same series of {name}; a label is missing"));
        }
        is_new
    }

    fn samples(
        &mut self,
        at: usize,
        name: &str,
        help: &str,
        kind: Kind,
        labels: &[&str],
        value: impl Fn(&Cell) -> Option<f64>,
    ) {
        let (rows, extra) = (self.rows, self.extra);
        for row in &rows.rows {
            let Some(value) = row.get(at).and_then(&value) else {
                self.problem(format!("column {} is no number", rows.columns[at]));
                continue;
            };
            let texts = self.labels(row, labels);
            let own: Vec<(&str, &str)> =
                labels.iter().copied().zip(texts.iter().map(AsRef::as_ref)).collect();
            let all = joined(extra, &own);
            if !self.is_new(name, &all) {
                continue;
            }
            match self.page.try_family(name, help, kind) {
                Ok(mut family) => drop(family.sample(&all, value)),
                Err(conflict) => return self.conflict(name, &conflict),
            }
        }
    }

    fn histograms(&mut self, at: usize, name: &str, help: &str, labels: &[&str]) {
        let (rows, extra) = (self.rows, self.extra);
        let column = rows.columns[at].as_str();
        let parts = ["_bucket", "_sum", "_count"].map(|end| rows.column(&format!("{column}{end}")));
        let [Some(bucket_at), Some(sum_at), Some(count_at)] = parts else {
            return self.problem(format!(
                "the histogram {column} needs columns {column}_bucket, {column}_sum and {column}_count"
            ));
        };
        for row in &rows.rows {
            let (Some(bounds), Some(counts)) = (array(&row[at]), array(&row[bucket_at])) else {
                self.problem(format!("columns {column} and {column}_bucket are not both arrays of numbers"));
                continue;
            };
            let (Some(sum), Some(count)) = (number(&row[sum_at]), number(&row[count_at])) else {
                self.problem(format!("columns {column}_sum and {column}_count are not both numbers"));
                continue;
            };
            let mut buckets: Vec<(f64, f64)> = bounds.into_iter().zip(counts).collect();
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            buckets.dedup_by(|a, b| a.0 == b.0);
            let texts = self.labels(row, labels);
            let own: Vec<(&str, &str)> =
                labels.iter().copied().zip(texts.iter().map(AsRef::as_ref)).collect();
            let all = joined(extra, &own);
            if !self.is_new(name, &all) {
                continue;
            }
            let count = if count.is_nan() { 0.0 } else { count.trunc() };
            match self.page.try_family(name, help, Kind::Histogram) {
                Ok(mut family) => drop(family.histogram(&all, &buckets, sum, count)),
                Err(conflict) => return self.conflict(name, &conflict),
            }
        }
    }

    fn conflict(&mut self, name: &str, conflict: &Conflict) {
        self.problem(match conflict {
            Conflict::Kind(kind) => format!("{name} is there as {}", kind.as_str()),
            Conflict::Help(help) => format!("{name} is there with the description {help:?}"),
        });
    }
}

/// NULL is not a number, in the sense of the samples.
fn number(cell: &Cell) -> Option<f64> {
    cell.number().ok().map(|value| value.unwrap_or(f64::NAN))
}

/// An array as PostgreSQL writes it: `{1,2,5}`.
fn array(cell: &Cell) -> Option<Vec<f64>> {
    let inner = cell.as_text()?.strip_prefix('{')?.strip_suffix('}')?;
    if inner.is_empty() {
        return Some(Vec::new());
    }
    inner.split(',').map(|item| model::float::parse_go_float(item.trim().trim_matches('"'))).collect()
}

/// A duration as Go writes it, `1h2m3.5s` or `250ms`, to whole milliseconds.
fn milliseconds(cell: &Cell) -> Option<f64> {
    let text = cell.as_text()?;
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0.0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (count, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        nanos += count.parse::<f64>().ok()?
            * match unit {
                "ns" => 1.0,
                "us" | "µs" | "μs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 6e10,
                "h" => 3.6e12,
                _ => return None,
            };
        rest = next;
    }
    let millis = (nanos / 1e6).trunc();
    Some(if negative { -millis } else { millis })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn text(t: &str) -> Cell {
        Cell::Text(t.to_owned())
    }

    fn query(columns: &[(&str, Usage)]) -> UserQuery {
        UserQuery {
            namespace: "app".to_owned(),
            sql: String::new(),
            master: false,
            cache: Duration::ZERO,
            versions: None,
            columns: columns
                .iter()
                .map(|(name, usage)| Column {
                    name: (*name).to_owned(),
                    usage: usage.clone(),
                    description: format!("About {name}."),
                    versions: None,
                })
                .collect(),
        }
    }

    fn run(query: &UserQuery, columns: &[&str], rows: Vec<Vec<Cell>>) -> (Vec<String>, Vec<String>) {
        let rows = Rows { columns: columns.iter().map(|c| (*c).to_owned()).collect(), rows };
        let extra = [("server".to_owned(), "h:1".to_owned())];
        let mut page = Page::new();
        let problems = write(query, &rows, Version::major(15), &extra, "pg", &mut page, &mut Seen::default());
        (page.render().lines().filter(|l| !l.starts_with("# H")).map(str::to_owned).collect(), problems)
    }

    #[test]
    fn every_usage_is_written() {
        let mapping = Usage::Mapped([("up".to_owned(), 1.0)].into());
        let query = query(&[
            ("l", Usage::Label),
            ("c", Usage::Counter),
            ("g", Usage::Gauge),
            ("d", Usage::Duration),
            ("m", mapping),
            ("x", Usage::Discard),
            ("h", Usage::Histogram),
        ]);
        let columns = ["l", "c", "g", "d", "m", "x", "h", "h_bucket", "h_sum", "h_count", "new", "note"];
        let row = vec![
            Cell::Int(7),
            Cell::Int(1),
            Cell::Null,
            text("1m0.5s"),
            text("up"),
            text("?"),
            text("{1,2.5}"),
            text("{3,4}"),
            text("9.5"),
            Cell::Int(5),
            Cell::Bool(true),
            text("words"),
        ];
        let (lines, problems) = run(&query, &columns, vec![row]);
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            lines,
            [
                "# TYPE app_c counter",
                "app_c{l=\"7\",server=\"h:1\"} 1",
                "# TYPE app_d_milliseconds gauge",
                "app_d_milliseconds{l=\"7\",server=\"h:1\"} 60500",
                "# TYPE app_g gauge",
                "app_g{l=\"7\",server=\"h:1\"} NaN",
                "# TYPE app_h histogram",
                "app_h_bucket{l=\"7\",server=\"h:1\",le=\"1\"} 3",
                "app_h_bucket{l=\"7\",server=\"h:1\",le=\"2.5\"} 4",
                "app_h_bucket{l=\"7\",server=\"h:1\",le=\"+Inf\"} 5",
                "app_h_sum{l=\"7\",server=\"h:1\"} 9.5",
                "app_h_count{l=\"7\",server=\"h:1\"} 5",
                "# TYPE app_m gauge",
                "app_m{l=\"7\",server=\"h:1\"} 1",
                "# TYPE app_new untyped",
                "app_new{l=\"7\",server=\"h:1\"} 1",
            ]
        );
    }

    #[test]
    fn what_cannot_be_written_is_told_once() {
        let check =
            |query: &UserQuery, columns: &[&str], rows: Vec<Vec<Cell>>, samples: usize, problem: &str| {
                let (lines, problems) = run(query, columns, rows);
                assert_eq!(lines.iter().filter(|l| !l.starts_with('#')).count(), samples, "{lines:?}");
                assert_eq!(problems, [format!("query app: {problem}")]);
            };
        let gauge = query(&[("g", Usage::Gauge)]);
        check(
            &gauge,
            &["g"],
            vec![vec![Cell::Int(1)], vec![Cell::Int(2)]],
            1,
            "several rows make the same series of app_g; a label is missing",
        );
        check(&gauge, &["g"], vec![vec![text("a")], vec![text("b")]], 0, "column g is no number");
        let labelled = query(&[("g", Usage::Gauge), ("l", Usage::Label)]);
        check(&labelled, &["g"], vec![vec![Cell::Int(1)]], 1, "the answer has no column l, which is a label");
        let histogram = query(&[("h", Usage::Histogram)]);
        check(
            &histogram,
            &["h", "h_sum"],
            vec![vec![text("{1}"), Cell::Int(1)]],
            0,
            "the histogram h needs columns h_bucket, h_sum and h_count",
        );
        check(
            &histogram,
            &["h", "h_bucket", "h_sum", "h_count"],
            vec![vec![text("1"), text("{1}"), Cell::Int(1), Cell::Int(1)]],
            0,
            "columns h and h_bucket are not both arrays of numbers",
        );
        let mut page = Page::new();
        page.single("app_g", "Other.", Kind::Gauge, 1.0);
        let rows = Rows { columns: vec!["g".to_owned()], rows: vec![vec![Cell::Int(1)]] };
        let problems = write(&gauge, &rows, Version::default(), &[], "pg", &mut page, &mut Seen::default());
        assert_eq!(problems, ["query app: app_g is there with the description \"Other.\""]);
    }

    #[test]
    fn durations_are_go_s() {
        for (duration, expect) in [
            ("1h2m3.5s", Some(3_723_500.0)),
            ("250ms", Some(250.0)),
            ("1.5us", Some(0.0)),
            ("-2s", Some(-2000.0)),
            ("0", Some(0.0)),
            ("-1", None),
            ("5", None),
            ("", None),
            ("s", None),
            ("1 day", None),
        ] {
            assert_eq!(milliseconds(&text(duration)), expect, "{duration}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(cell in "\\PC{0,12}", units in "[0-9.a-zµ+-]{0,12}", list in "[{},0-9.\"N]{0,12}") {
            for t in [cell, units, list] {
                let _ = (milliseconds(&text(&t)), array(&text(&t)));
            }
        }
    }
}
