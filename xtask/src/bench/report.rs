//! Results: tables for the terminal and for `docs/benchmarks.md`, lines of JSON for programs.
//!
//! The page is made of one section per measure and, before them, one table of figures. A run replaces the sections
//! and the figures that it measured, and leaves the others as they were.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::peers::Kind;

/// A column of a section's table. Values are in the base unit: bytes, seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// Its name in JSON.
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Two decimals.
    Number,
    /// No decimals.
    Count,
    Millions,
    Seconds,
    /// Of a value in seconds.
    Milliseconds,
    /// Of a value in seconds, in milliseconds with two decimals.
    Fraction,
    Mebibytes,
    Kibibytes,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Number => format!("{value:.2}"),
            Self::Count => format!("{value:.0}"),
            Self::Millions => format!("{:.1} M", value / 1e6),
            Self::Seconds if value < 10.0 => format!("{value:.2} s"),
            Self::Seconds => format!("{value:.0} s"),
            Self::Milliseconds if value < 0.01 => format!("{:.2} ms", value * 1e3),
            Self::Milliseconds => format!("{:.0} ms", value * 1e3),
            Self::Fraction => format!("{:.2} ms", value * 1e3),
            Self::Mebibytes => format!("{:.0} MiB", value / f64::from(1 << 20)),
            Self::Kibibytes => format!("{:.2} KiB", value / 1024.0),
        }
    }
}

/// What was measured of one server.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) label: String,
    /// By the keys of columns.
    pub(crate) values: Vec<(&'static str, f64)>,
    /// What there is to say beside numbers; may be empty.
    pub(crate) note: String,
}

impl Row {
    pub(crate) fn get(&self, key: &str) -> Option<f64> {
        self.values.iter().find(|(found, _)| *found == key).map(|(_, value)| *value)
    }
}

/// A line of the table of figures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) title: &'static str,
    /// Up to three columns; the others in brackets and after a semicolon.
    pub(crate) columns: &'static [&'static str],
    pub(crate) goal: &'static str,
}

/// One measure.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What was done, with its sizes.
    pub(crate) text: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    pub(crate) figures: Vec<Figure>,
    /// What a program printed, shown as it is.
    pub(crate) printed: Vec<String>,
    /// Load average before it began.
    pub(crate) load_average: f64,
}

impl Section {
    /// As Markdown, with its heading.
    pub(crate) fn page(&self, machine: &str) -> String {
        let mut page = format!("## {}\n\n{}\n", self.title, self.text.trim());
        writeln!(page, "Machine: {machine}; load average before: {:.1}.\n", self.load_average).expect(WRITE);
        if !self.rows.is_empty() {
            let titles: Vec<&str> = self.columns.iter().map(|column| column.title).collect();
            let notes = self.rows.iter().any(|row| !row.note.is_empty());
            let note = if notes { " |" } else { "" };
            writeln!(page, "| | {} |{note}", titles.join(" | ")).expect(WRITE);
            writeln!(page, "|---|{}{}", "---|".repeat(titles.len()), if notes { "---|" } else { "" })
                .expect(WRITE);
            for row in &self.rows {
                let cells = self.columns.iter().map(|column| {
                    row.get(column.key).map_or_else(|| "–".to_owned(), |value| column.unit.show(value))
                });
                let cells: Vec<String> = cells.collect();
                let note = if notes { format!(" {} |", row.note) } else { String::new() };
                writeln!(page, "| {} | {} |{note}", row.label, cells.join(" | ")).expect(WRITE);
            }
        }
        if !self.printed.is_empty() {
            writeln!(page, "```text\n{}\n```", self.printed.join("\n")).expect(WRITE);
        }
        page
    }

    fn figures(&self) -> Vec<(String, String)> {
        let line = |figure: &Figure| {
            let mut line = format!("| {} |", figure.title);
            for kind in [Kind::Prometheus, Kind::Victoria, Kind::Vigie] {
                let row = self.rows.iter().find(|row| row.kind == kind);
                let cell = row.and_then(|row| self.cell(figure, row)).unwrap_or_else(|| "–".to_owned());
                write!(line, " {cell} |").expect(WRITE);
            }
            write!(line, " {} |", figure.goal).expect(WRITE);
            (figure.title.to_owned(), line)
        };
        self.figures.iter().map(line).collect()
    }

    fn cell(&self, figure: &Figure, row: &Row) -> Option<String> {
        let shown = figure.columns.iter().filter_map(|key| {
            let column = self.columns.iter().find(|column| column.key == *key)?;
            Some(column.unit.show(row.get(key)?))
        });
        let shown: Vec<String> = shown.collect();
        (!shown.is_empty()).then(|| shown.join("; "))
    }

    /// One line of JSON per server.
    pub(crate) fn json(&self, machine: &str, at_ms: i64, sizes: &Value) -> String {
        let mut lines = String::new();
        for row in &self.rows {
            let values = row.values.iter().map(|(key, value)| ((*key).to_owned(), json!(value)));
            let line = json!({
                "measure": self.name,
                "server": row.kind.name(),
                "version": row.label,
                "at_ms": at_ms,
                "machine": machine,
                "load_average": self.load_average,
                "sizes": sizes,
                "values": values.collect::<Map<_, _>>(),
                "note": row.note,
            });
            writeln!(lines, "{line}").expect(WRITE);
        }
        for printed in &self.printed {
            writeln!(lines, "{}", json!({"measure": self.name, "at_ms": at_ms, "printed": printed}))
                .expect(WRITE);
        }
        lines
    }
}

const WRITE: &str = "a String takes all that is written to it";
const FIGURES: &str = "Figures";
const INTRODUCTION: &str = "# Benchmarks

Written by `cargo xtask bench`; a run of some measures replaces their sections and figures only. Servers run one after the other,
never at the same time, each with the same load from the same generator over loopback: on a machine of few cores they would
otherwise measure each other. Only exporters, which must see the same host, run beside their originals and are scraped in turn. CPU time is user and system time of the server's process, memory is `VmRSS`, `RssAnon` and
`VmHWM`, all from `/proc`; bytes on disk are blocks allocated. The generator's work is laid out before the clock starts.
";

/// Puts new sections and figures in their places in the page at `path`.
pub(crate) fn write(path: &Path, sections: &[Section], machine: &str) -> anyhow::Result<()> {
    let old = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let page = merge(&old, sections, machine);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, page).with_context(|| path.display().to_string())
}

/// All measures, in the page's order.
const ORDER: [&str; 12] = [
    "Scraping",
    "Start after kill -9",
    "Remote write, 20 samples per series and request",
    "Remote write, 1 sample per series and request",
    "Bytes on disk",
    "Queries",
    "Queries and the number of series",
    "Label churn",
    "Real scrapes of node_exporter",
    "Decoding",
    "Scale",
    "Exporters",
];

fn merge(old: &str, sections: &[Section], machine: &str) -> String {
    let mut parts: Vec<(String, String)> = vec![];
    for part in format!("\n{old}").split("\n## ").skip(1) {
        let title = part.lines().next().unwrap_or_default().to_owned();
        if title != FIGURES {
            parts.push((title, format!("## {}\n", part.trim_end())));
        }
    }
    for section in sections {
        let new = section.page(machine);
        match parts.iter_mut().find(|(title, _)| title == section.title) {
            Some((_, text)) => *text = new,
            None => parts.push((section.title.to_owned(), new)),
        }
    }
    // Unknown titles, written by hand, come last, in their order.
    parts.sort_by_key(|(title, _)| ORDER.iter().position(|known| known == title).unwrap_or(ORDER.len()));
    let mut page = format!("{INTRODUCTION}\n{}", figures(old, sections));
    for (_, text) in parts {
        page.push('\n');
        page.push_str(&text);
    }
    page
}

/// The lines of the table of figures: the old ones, replaced or followed by new ones.
fn figures(old: &str, sections: &[Section]) -> String {
    let table = format!("\n{old}");
    let table = table.split("\n## ").find(|part| part.starts_with(FIGURES)).unwrap_or_default();
    let lines = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| measure |"));
    let mut lines: Vec<(String, String)> =
        lines.filter_map(|line| Some((line.split('|').nth(1)?.trim().to_owned(), line.to_owned()))).collect();
    for (title, line) in sections.iter().flat_map(Section::figures) {
        match lines.iter_mut().find(|(found, _)| *found == title) {
            Some((_, old)) => *old = line,
            None => lines.push((title, line)),
        }
    }
    let mut text = format!(
        "## {FIGURES}\n\n| measure | Prometheus | VictoriaMetrics | Vigie | goal |\n|---|---|---|---|---|\n"
    );
    for (_, line) in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(title: &'static str, value: f64) -> Section {
        let figure = Figure { title, columns: &["value", "size"], goal: "≤ 1" };
        Section {
            name: "test",
            title,
            text: "What was done.".to_owned(),
            columns: vec![
                Column { key: "value", title: "a value", unit: Unit::Number },
                Column { key: "size", title: "a size", unit: Unit::Mebibytes },
            ],
            rows: vec![Row {
                kind: Kind::Vigie,
                label: "Vigie 1".to_owned(),
                values: vec![("value", value), ("size", 2_097_152.0)],
                note: String::new(),
            }],
            figures: vec![figure],
            printed: vec![],
            load_average: 0.5,
        }
    }

    #[test]
    fn a_run_replaces_its_sections_only() {
        let by_hand = "# Benchmarks\n\nold words\n\n## By hand\n\nkept\n\n## Scraping\n\ngone\n";
        let first = merge(by_hand, &[section("Scraping", 1.0), section("Scale", 7.0)], "a machine");
        assert!(!first.contains("gone") && first.contains("kept") && !first.contains("old words"));
        let second = merge(&first, &[section("Scraping", 2.0)], "another machine");
        assert!(second.contains("| Scraping | – | – | 2.00; 2 MiB | ≤ 1 |"), "{second}");
        assert!(second.contains("| Scale | – | – | 7.00; 2 MiB | ≤ 1 |"), "{second}");
        assert!(!second.contains("1.00"), "{second}");
        let headings: Vec<&str> = second.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(headings, ["## Figures", "## Scraping", "## Scale", "## By hand"]);
        assert_eq!(merge(&second, &[section("Scraping", 2.0)], "another machine"), second);
    }

    #[test]
    fn json_has_one_line_a_server() {
        let line = section("Scale", 7.0).json("m", 5, &json!({"series": 3}));
        let value: Value = serde_json::from_str(line.trim()).unwrap();
        assert_eq!(value["values"]["value"], json!(7.0));
        assert_eq!(value["sizes"]["series"], json!(3));
    }
}
