//! Two pages of one moment beside each other: an original exporter's and ours.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use regex::Regex;

/// A page in text format 0.0.4, by family and by series.
#[derive(Debug, Clone, Default)]
pub struct Exposition {
    /// Type and help text of each family.
    pub families: BTreeMap<String, (String, String)>,
    /// Value of each series, whose key is `name{a="b",c="d"}` with its labels sorted.
    pub series: BTreeMap<String, f64>,
}

impl Exposition {
    /// Reads a page.
    ///
    /// # Panics
    /// Where a line is no comment and no sample.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines().filter(|l| !l.is_empty()) {
            if let Some(comment) = line.strip_prefix("# ") {
                let mut words = comment.splitn(3, ' ');
                let (what, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let rest = words.next().unwrap_or_default().to_owned();
                let family = page.families.entry(name.to_owned()).or_default();
                match what {
                    "TYPE" => family.0 = rest,
                    "HELP" => family.1 = rest,
                    _ => {}
                }
                continue;
            }
            let (key, value) = series(line).unwrap_or_else(|| panic!("no sample: {line:?}"));
            assert!(page.series.insert(key, value).is_none(), "twice in one page: {line}");
        }
        page
    }

    /// The family that a series belongs to.
    #[must_use]
    pub fn family_of<'k>(&self, key: &'k str) -> &'k str {
        let name = key.split('{').next().unwrap_or(key);
        if self.families.contains_key(name) {
            return name;
        }
        ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix).filter(|n| self.families.contains_key(*n)))
            .unwrap_or(name)
    }
}

fn series(line: &str) -> Option<(String, f64)> {
    let number = |text: &str| match text.split(' ').next()? {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        value => value.parse().ok(),
    };
    let Some(open) = line.find('{').filter(|open| !line[..*open].contains(' ')) else {
        let (name, value) = line.split_once(' ')?;
        return Some((name.to_owned(), number(value)?));
    };
    let mut labels = Vec::new();
    let mut rest = &line[open + 1..];
    while !rest.starts_with('}') {
        let (name, quoted) = rest.split_once("=\"")?;
        let mut escaped = false;
        let end = quoted.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        labels.push(format!("{}=\"{}\"", name.trim(), &quoted[..end]));
        rest = quoted[end + 1..].trim_start_matches(',');
    }
    labels.sort();
    let value = number(rest.strip_prefix("} ")?)?;
    Some((format!("{}{{{}}}", &line[..open], labels.join(",")), value))
}

/// What may differ, and why.
#[derive(Debug, Clone, Copy)]
pub struct Exception {
    /// A regular expression for the whole key of a series, or the whole name of a family.
    pub pattern: &'static str,
    /// What of it may differ.
    pub what: Differs,
    /// Why.
    pub reason: &'static str,
}

/// A way to differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Differs {
    /// Theirs only.
    Missing,
    /// Ours only.
    Extra,
    /// In type.
    Kind,
    /// In its help text.
    Help,
    /// In value.
    Value,
}

/// Differences that no exception explains.
#[derive(Debug, Clone, Default)]
pub struct Differences {
    /// Way and key, with details.
    pub found: Vec<(Differs, String)>,
    /// How many each exception explained, in the order of the exceptions.
    pub explained: Vec<usize>,
    /// Series that both have.
    pub common: usize,
}

impl Differences {
    /// Those of one kind.
    pub fn of(&self, what: Differs) -> impl Iterator<Item = &str> {
        self.found.iter().filter(move |(w, _)| *w == what).map(|(_, text)| text.as_str())
    }

    /// All of it, for a person.
    #[must_use]
    pub fn report(&self, name: &str, exceptions: &[Exception]) -> String {
        let count = |what| self.of(what).count();
        let mut out = format!(
            "{name}: {} series common, {} missing, {} extra, {} types, {} helps and {} values differ\n",
            self.common,
            count(Differs::Missing),
            count(Differs::Extra),
            count(Differs::Kind),
            count(Differs::Help),
            count(Differs::Value),
        );
        for (what, text) in &self.found {
            let _ = writeln!(out, "  {what:?}: {text}");
        }
        for (exception, n) in exceptions.iter().zip(&self.explained).filter(|(_, n)| **n > 0) {
            let _ = writeln!(
                out,
                "  excepted {n} {:?}: {}: {}",
                exception.what, exception.pattern, exception.reason
            );
        }
        out
    }
}

/// Compares ours with theirs, taken right before and right after it. A value agrees where it lies between theirs, or is equal to one
/// of them but for rounding.
///
/// # Panics
/// Where a pattern is no regular expression.
#[must_use]
pub fn compare(
    before: &Exposition,
    ours: &Exposition,
    after: &Exposition,
    exceptions: &[Exception],
) -> Differences {
    let patterns: Vec<Regex> = exceptions
        .iter()
        .map(|e| Regex::new(&format!("^(?:{})$", e.pattern)).expect("a regular expression"))
        .collect();
    let mut differences = Differences { explained: vec![0; exceptions.len()], ..Differences::default() };
    let mut found = |what: Differs, names: [&str; 2], detail: String| {
        let excuse = exceptions
            .iter()
            .zip(&patterns)
            .position(|(e, p)| e.what == what && names.iter().any(|name| p.is_match(name)));
        match excuse {
            Some(place) => differences.explained[place] += 1,
            None => differences.found.push((what, detail)),
        }
    };
    // What came or went while three pages were fetched is no difference.
    for key in before.series.keys().filter(|k| after.series.contains_key(*k)) {
        if !ours.series.contains_key(key) {
            found(Differs::Missing, [key, before.family_of(key)], key.clone());
        }
    }
    for (key, value) in &ours.series {
        let names = [key.as_str(), ours.family_of(key)];
        let (first, second) = match (before.series.get(key), after.series.get(key)) {
            (None, None) => {
                found(Differs::Extra, names, key.clone());
                continue;
            }
            (Some(a), Some(b)) => (*a, *b),
            (Some(a), None) | (None, Some(a)) => (*a, *a),
        };
        let slack = 1e-9 * first.abs().max(second.abs());
        let between = *value >= first.min(second) - slack && *value <= first.max(second) + slack;
        let both_nan = value.is_nan() && first.is_nan();
        if !between && !both_nan {
            found(Differs::Value, names, format!("{key}: {first} .. {second}, ours {value}"));
        }
    }
    for (name, (kind, help)) in &ours.families {
        if let Some((their_kind, their_help)) = before.families.get(name) {
            if kind != their_kind {
                found(Differs::Kind, [name, name], format!("{name}: {their_kind}, ours {kind}"));
            }
            if help != their_help {
                found(Differs::Help, [name, name], format!("{name}: {their_help:?}, ours {help:?}"));
            }
        }
    }
    differences.common = ours
        .series
        .keys()
        .filter(|k| before.series.contains_key(*k) || after.series.contains_key(*k))
        .count();
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_kind_of_difference() {
        let theirs = Exposition::parse(
            "# HELP a A.\n# TYPE a gauge\na{y=\"2\",x=\"1 } \\\" \"} 5\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\ngone 1\nv 1\n",
        );
        let later = Exposition { series: theirs.series.clone(), ..theirs.clone() };
        let ours = Exposition::parse(
            "# HELP a B.\n# TYPE a counter\na{x=\"1 } \\\" \",y=\"2\"} 5\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\nnew 1\nv 3\n",
        );
        let exceptions = [Exception { pattern: "new", what: Differs::Extra, reason: "it is new" }];
        let differences = compare(&theirs, &ours, &later, &exceptions);
        let ways: Vec<Differs> = differences.found.iter().map(|(w, _)| *w).collect();
        assert_eq!(ways, [Differs::Missing, Differs::Value, Differs::Kind, Differs::Help]);
        assert_eq!((differences.common, differences.explained.as_slice()), (5, &[1][..]));
        assert!(differences.report("test", &exceptions).contains("excepted 1 Extra: new: it is new"));
    }
}
