//! One file: the text format, as strictly as upstream reads it.

use std::collections::{BTreeMap, BTreeSet};

use exporters::Kind;
use exposition::{Entry, Format, Parser, Series};
use model::MetricType;

/// A family of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Family {
    pub(super) name: String,
    /// Empty where there is none.
    pub(super) help: String,
    pub(super) kind: Kind,
    pub(super) samples: Vec<Sample>,
    has_type: bool,
    has_help: bool,
}

type Labels = BTreeMap<String, String>;

/// A series of a family, all its lines together.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sample {
    Value { labels: Labels, value: f64 },
    Histogram { labels: Labels, buckets: Vec<(f64, f64)>, sum: f64, count: f64 },
    Summary { labels: Labels, quantiles: Vec<(f64, f64)>, sum: f64, count: f64 },
}

impl Sample {
    fn labels(&self) -> &Labels {
        let (Self::Value { labels, .. } | Self::Histogram { labels, .. } | Self::Summary { labels, .. }) =
            self;
        labels
    }

    /// A label's value; empty where the series does not have it.
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels().get(name).map_or("", String::as_str)
    }
}

impl Family {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            help: String::new(),
            kind: Kind::Untyped,
            samples: Vec::new(),
            has_type: false,
            has_help: false,
        }
    }

    /// The labels of all its series, sorted: upstream gives each series all of them.
    pub(super) fn label_names(&self) -> BTreeSet<&str> {
        self.samples.iter().flat_map(|s| s.labels().keys().map(String::as_str)).collect()
    }
}

/// Labels of a series at most, which is what a page can hold of use; more is an error.
const MAX_LABELS: usize = 128;

/// All families of a file that have samples, in the order they came in. One fault refuses the whole file.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Family>, String> {
    std::str::from_utf8(body).map_err(|e| format!("invalid UTF-8 at byte {}", e.valid_up_to()))?;
    if body.last().is_some_and(|byte| *byte != b'\n') {
        return Err(
            "text format parsing error: unexpected end of input stream: no newline at the end".to_owned()
        );
    }
    let mut parser = Parser::new(Format::Text, body);
    let mut families: Vec<Family> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let place = |families: &mut Vec<Family>, places: &mut BTreeMap<String, usize>, name: &str| {
        *places.entry(name.to_owned()).or_insert_with(|| {
            families.push(Family::new(name));
            families.len() - 1
        })
    };
    loop {
        match parser.next().map_err(|e| format!("text format parsing error: {e}"))? {
            None => break,
            Some(Entry::Help { family, text }) => {
                let at = place(&mut families, &mut places, valid(&family)?);
                if std::mem::replace(&mut families[at].has_help, true) {
                    return Err(format!("second HELP line for metric name {family:?}"));
                }
                families[at].help = text.into_owned();
            }
            Some(Entry::Type { family, kind }) => {
                let at = place(&mut families, &mut places, valid(&family)?);
                if std::mem::replace(&mut families[at].has_type, true) || !families[at].samples.is_empty() {
                    return Err(format!(
                        "second TYPE line for metric name {family:?}, or TYPE reported after samples"
                    ));
                }
                families[at].kind = match kind {
                    MetricType::Counter => Kind::Counter,
                    MetricType::Gauge => Kind::Gauge,
                    MetricType::Histogram => Kind::Histogram,
                    MetricType::Summary => Kind::Summary,
                    MetricType::Unknown => Kind::Untyped,
                    other => return Err(format!("unknown metric type {other:?} of {family:?}")),
                };
            }
            Some(Entry::Series(series)) => {
                let name = series.name();
                let (base, part) = split(valid(&name)?, |base| places.get(base).map(|&at| families[at].kind));
                let at = place(&mut families, &mut places, base);
                add(&mut families[at], part, &series)?;
            }
            Some(Entry::Unit { .. } | Entry::Comment(_)) => {}
        }
    }
    families.retain(|family| !family.samples.is_empty());
    Ok(families)
}

/// Which line of a histogram or summary it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    Bucket,
    Sum,
    Count,
}

/// A sample's family and part: `x_sum` belongs to `x` only where that was declared to have one.
fn split(name: &str, kind: impl Fn(&str) -> Option<Kind>) -> (&str, Part) {
    for (suffix, part) in [("_bucket", Part::Bucket), ("_sum", Part::Sum), ("_count", Part::Count)] {
        let Some(base) = name.strip_suffix(suffix) else { continue };
        match kind(base) {
            Some(Kind::Histogram) => return (base, part),
            Some(Kind::Summary) if part != Part::Bucket => return (base, part),
            _ => {}
        }
    }
    (name, Part::Whole)
}

fn add(family: &mut Family, part: Part, series: &Series<'_>) -> Result<(), String> {
    let name = &family.name;
    if series.ts.is_some() {
        return Err(format!("{name}: contains unsupported client-side timestamps, skipping entire file"));
    }
    if let Some(label) = series.repeated_label() {
        return Err(format!("{name}: duplicate label name {label:?}"));
    }
    let mut labels: Labels = BTreeMap::new();
    for (label, value) in series.labels() {
        let first = label.bytes().next().unwrap_or(b'0');
        let legal = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !first.is_ascii_digit();
        if !legal || labels.len() == MAX_LABELS {
            return Err(format!("{name}: invalid label name {label:?}, or more than {MAX_LABELS} labels"));
        }
        labels.insert(label.into_owned(), value.into_owned());
    }
    let bound = match (family.kind, part) {
        (Kind::Histogram, Part::Bucket) => Some("le"),
        (Kind::Summary, Part::Whole) => Some("quantile"),
        (Kind::Histogram, Part::Whole) => {
            return Err(format!("{name}: a histogram has no sample of its name"));
        }
        _ => None,
    };
    let bound = match bound {
        None => 0.0,
        Some(label) => {
            let text = labels.remove(label).ok_or_else(|| format!("{name}: no label {label}"))?;
            exposition_float(&text)
                .ok_or_else(|| format!("{name}: expected float as value for '{label}' label"))?
        }
    };
    let known = match family.kind {
        Kind::Histogram | Kind::Summary => family.samples.iter().position(|s| *s.labels() == labels),
        _ => None,
    };
    let at = known.unwrap_or_else(|| {
        let empty = (Vec::new(), 0.0, 0.0);
        family.samples.push(match family.kind {
            Kind::Histogram => Sample::Histogram { labels, buckets: empty.0, sum: empty.1, count: empty.2 },
            Kind::Summary => Sample::Summary { labels, quantiles: empty.0, sum: empty.1, count: empty.2 },
            _ => Sample::Value { labels, value: series.value },
        });
        family.samples.len() - 1
    });
    match &mut family.samples[at] {
        Sample::Value { .. } => {}
        Sample::Histogram { buckets: points, sum, count, .. }
        | Sample::Summary { quantiles: points, sum, count, .. } => match part {
            Part::Sum => *sum = series.value,
            Part::Count => *count = series.value,
            Part::Bucket | Part::Whole => points.push((bound, series.value)),
        },
    }
    Ok(())
}

fn exposition_float(text: &str) -> Option<f64> {
    exposition::parse_float(text.as_bytes()).ok()
}

/// Names with other letters are for OpenMetrics and for Prometheus 3; a text file has the old ones.
fn valid(name: &str) -> Result<&str, String> {
    let first = name.bytes().next().unwrap_or(b'0');
    let legal = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':');
    if legal && !first.is_ascii_digit() { Ok(name) } else { Err(format!("invalid metric name {name:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_files_are_refused() {
        for (text, why) in [
            ("a 1", "no newline at the end"),
            ("a 1 1500000000000\n", "client-side timestamps"),
            ("a{b=\"1\",b=\"2\"} 1\n", "duplicate label name"),
            ("a{\n", "parsing error"),
            ("a one\n", "parsing error"),
            ("# TYPE a gauge\n# TYPE a gauge\na 1\n", "second TYPE line"),
            ("a 1\n# TYPE a gauge\n", "TYPE reported after samples"),
            ("# HELP a x\n# HELP a x\na 1\n", "second HELP line"),
            ("# TYPE a histogram\na_bucket 1\n", "no label le"),
            ("# TYPE a histogram\na_bucket{le=\"x\"} 1\n", "expected float as value for 'le' label"),
            ("# TYPE a histogram\na 1\n", "a histogram has no sample of its name"),
            ("{\"a.b\"} 1\n", "invalid metric name"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{text:?}: {error}");
        }
        assert!(parse(b"a{b=\"\xff\"} 1\n").unwrap_err().contains("invalid UTF-8 at byte 5"));
    }

    #[test]
    fn series_of_many_lines_come_together() {
        let text = "# TYPE h histogram\nh_bucket{x=\"1\",le=\"1\"} 1\nh_bucket{x=\"2\",le=\"1e1\"} 2\nh_sum{x=\"1\"} 3\n\
                    h_count{x=\"1\"} 4\n# TYPE s summary\ns{quantile=\"0.5\"} 5\ns_sum 6\ns_count 7\nh_other 8\nu_sum 9\n";
        let families = parse(text.as_bytes()).unwrap();
        let names: Vec<&str> = families.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["h", "s", "h_other", "u_sum"]);
        let labels = |x: &str| Labels::from([("x".to_owned(), x.to_owned())]);
        assert_eq!(
            families[0].samples,
            [
                Sample::Histogram { labels: labels("1"), buckets: vec![(1.0, 1.0)], sum: 3.0, count: 4.0 },
                Sample::Histogram { labels: labels("2"), buckets: vec![(10.0, 2.0)], sum: 0.0, count: 0.0 },
            ]
        );
        let quantiles = vec![(0.5, 5.0)];
        assert_eq!(
            families[1].samples,
            [Sample::Summary { labels: Labels::new(), quantiles, sum: 6.0, count: 7.0 }]
        );
        assert_eq!(families[3].kind, Kind::Untyped);
    }

    #[test]
    fn garbage_never_panics() {
        let seeds: [&[u8]; 2] = [
            b"# HELP a b\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
            b"# TYPE s summary\ns{quantile=\"0.5\",x=\"\\\"\"} 1 2\n",
        ];
        let mut state = 7_u64;
        for round in 0..20_000 {
            let mut body = seeds[round % 2].to_vec();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let place = (state >> 33) as usize % body.len();
                body[place] = (state >> 20) as u8;
            }
            drop(parse(&body));
        }
    }
}
