//! Views whose columns are metrics, as data: which columns label a row, and what each other one is called.

use std::borrow::Cow;

use exporters::Kind;

use crate::naming::Sink;
use crate::rows::{Cell, Rows};

/// What NULL becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Null {
    /// No sample.
    Skip,
    /// 0.
    Zero,
    /// Not a number.
    NaN,
}

/// A column that is a metric.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Metric {
    /// The column's name in the answer.
    pub(crate) column: &'static str,
    /// The family's name; empty for namespace and column joined.
    name: &'static str,
    kind: Kind,
    help: &'static str,
    /// What the value is divided by.
    per: f64,
}

/// A counter called as its column.
pub(crate) const fn counter(column: &'static str, help: &'static str) -> Metric {
    Metric { column, name: "", kind: Kind::Counter, help, per: 1.0 }
}

/// A gauge called as its column.
pub(crate) const fn gauge(column: &'static str, help: &'static str) -> Metric {
    Metric { column, name: "", kind: Kind::Gauge, help, per: 1.0 }
}

impl Metric {
    /// The same under another name, in full.
    pub(crate) const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// The same in a unit that is this many of the column's.
    pub(crate) const fn per(self, per: f64) -> Self {
        Self { per, ..self }
    }
}

/// A view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    /// What its families' names begin with.
    pub(crate) namespace: &'static str,
    /// The columns that label a row.
    pub(crate) labels: &'static [&'static str],
    /// What a label that is NULL becomes.
    pub(crate) no_label: &'static str,
    /// The others.
    pub(crate) metrics: &'static [Metric],
    /// What NULL becomes.
    pub(crate) null: Null,
}

impl Table {
    /// Writes the families of all rows, in the order of their labels: which the same rows of the next scrape have as well.
    pub(crate) fn write(&self, out: &mut Sink<'_>, rows: &Rows) {
        self.write_as(self.metrics, out, rows);
    }

    /// The same with other metrics.
    pub(crate) fn write_as(&self, metrics: &[Metric], out: &mut Sink<'_>, rows: &Rows) {
        let sorted = Labelled::new(rows, self.labels, self.no_label);
        for metric in metrics {
            let Some(at) = rows.column(metric.column) else { continue };
            let joined;
            let name = if metric.name.is_empty() {
                joined = format!("{}_{}", self.namespace, metric.column);
                &joined
            } else {
                metric.name
            };
            let mut family = out.family(name, metric.help, metric.kind);
            for (labels, row) in sorted.iter() {
                let value = match (row.get(at).map(Cell::number), self.null) {
                    (Some(Ok(Some(value))), _) => value / metric.per,
                    (_, Null::Skip) => continue,
                    (_, Null::Zero) => 0.0,
                    (_, Null::NaN) => f64::NAN,
                };
                family.sample(&labels, value);
            }
        }
    }

    /// Writes columns that neither label a row nor are metrics of this table, as 0.11 does with those it does not know.
    pub(crate) fn write_unknown(&self, out: &mut Sink<'_>, rows: &Rows, discarded: &[&str]) {
        let sorted = Labelled::new(rows, self.labels, self.no_label);
        let known = |column: &str| {
            self.labels.contains(&column)
                || discarded.contains(&column)
                || self.metrics.iter().any(|m| m.column == column)
        };
        for (at, column) in rows.columns.iter().enumerate().filter(|(_, column)| !known(column)) {
            let help = format!("Unknown metric from {}", self.namespace);
            let mut family = out.family(&format!("{}_{column}", self.namespace), &help, Kind::Untyped);
            for (labels, row) in sorted.iter() {
                if let Some(Ok(value)) = row.get(at).map(Cell::number) {
                    family.sample(&labels, value.unwrap_or(f64::NAN));
                }
            }
        }
    }
}

/// Rows with their labels as texts, sorted by them.
struct Labelled<'r> {
    names: &'static [&'static str],
    rows: Vec<(Vec<Cow<'r, str>>, &'r [Cell])>,
}

impl<'r> Labelled<'r> {
    fn new(rows: &'r Rows, names: &'static [&'static str], no_label: &'static str) -> Self {
        let places: Vec<Option<usize>> = names.iter().map(|name| rows.column(name)).collect();
        let label = |row: &'r [Cell], at: Option<usize>| {
            at.and_then(|at| row.get(at)).and_then(Cell::label).unwrap_or(Cow::Borrowed(no_label))
        };
        let mut rows: Vec<_> = rows
            .rows
            .iter()
            .map(|row| (places.iter().map(|&at| label(row, at)).collect::<Vec<_>>(), row.as_slice()))
            .collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        Self { names, rows }
    }

    fn iter(&self) -> impl Iterator<Item = (Vec<(&str, &str)>, &'r [Cell])> {
        self.rows.iter().map(|(labels, row)| {
            (self.names.iter().copied().zip(labels.iter().map(AsRef::as_ref)).collect(), *row)
        })
    }
}

#[cfg(test)]
mod tests {
    use exporters::Page;

    use super::*;

    const TABLE: Table = Table {
        namespace: "pg_t",
        labels: &["datname"],
        no_label: "unknown",
        metrics: &[counter("n", "N."), gauge("ms", "Seconds.").named("pg_t_seconds").per(1000.0)],
        null: Null::Skip,
    };

    fn rows() -> Rows {
        let text = |t: &str| Cell::Text(t.to_owned());
        Rows {
            columns: ["datname", "n", "ms", "more", "skipped"].map(str::to_owned).to_vec(),
            rows: vec![
                vec![text("b"), Cell::Int(2), Cell::Null, Cell::Float(7.0), Cell::Int(1)],
                vec![Cell::Null, Cell::Int(3), Cell::Float(500.0), Cell::Null, Cell::Int(1)],
                vec![text("a"), Cell::Int(1), Cell::Other, text("0/1"), Cell::Int(1)],
            ],
        }
    }

    fn text(table: Table) -> String {
        let mut page = Page::new();
        table.write(&mut Sink::new(&mut page, &[]), &rows());
        table.write_unknown(&mut Sink::new(&mut page, &[]), &rows(), &["skipped"]);
        page.render()
    }

    #[test]
    fn columns_become_families_in_the_order_of_labels() {
        let expect = "# HELP pg_t_more Unknown metric from pg_t\n# TYPE pg_t_more untyped\n\
            pg_t_more{datname=\"b\"} 7\npg_t_more{datname=\"unknown\"} NaN\n\
            # HELP pg_t_n N.\n# TYPE pg_t_n counter\n\
            pg_t_n{datname=\"a\"} 1\npg_t_n{datname=\"b\"} 2\npg_t_n{datname=\"unknown\"} 3\n\
            # HELP pg_t_seconds Seconds.\n# TYPE pg_t_seconds gauge\npg_t_seconds{datname=\"unknown\"} 0.5\n";
        assert_eq!(text(TABLE), expect);
    }

    #[test]
    fn null_is_what_the_table_says() {
        assert!(text(Table { null: Null::Zero, ..TABLE }).contains("pg_t_seconds{datname=\"b\"} 0\n"));
        assert!(text(Table { null: Null::NaN, ..TABLE }).contains("pg_t_seconds{datname=\"b\"} NaN\n"));
    }
}
