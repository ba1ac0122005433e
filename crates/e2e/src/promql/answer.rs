//! What a server answers to a query, and how alike two answers are.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;

use super::query::{Times, seconds};
use crate::http;

/// An answer, without its words.
#[derive(Debug, Clone)]
pub enum Answer {
    /// HTTP status, `errorType`, and the text for people.
    Error(u16, String, String),
    /// A string.
    Text(String),
    /// Anything else: its type and its series.
    Points(String, Points),
    /// The series of an instant vector in the order in which they came, too.
    Ordered(Vec<f64>, Box<Answer>),
}

/// How alike two answers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sameness {
    /// To the last bit.
    Equal,
    /// To 1e-9 of the value.
    Near,
    /// Otherwise; in words.
    Different(String),
}

/// The part of a value by which two may differ.
pub const TOLERANCE: f64 = 1e-9;

impl Answer {
    /// Whether it has at least one sample.
    #[must_use]
    pub fn has_samples(&self) -> bool {
        match self {
            Self::Error(..) => false,
            Self::Text(_) => true,
            Self::Points(_, series) => !series.is_empty(),
            Self::Ordered(_, inner) => inner.has_samples(),
        }
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = f64> {
        let series = match self {
            Self::Points(_, series) => Some(series),
            Self::Ordered(_, inner) => match &**inner {
                Self::Points(_, series) => Some(series),
                _ => None,
            },
            _ => None,
        };
        series.into_iter().flat_map(|s| s.values().flatten().map(|(_, v)| *v))
    }
}

/// Asks a server. `ordered` is whether the order of an instant vector matters.
///
/// # Errors
/// Where the server gives no answer of the API's form.
pub fn ask(address: &str, query: &str, times: Times, ordered: bool) -> anyhow::Result<Answer> {
    let query = http::encode(query);
    let (start, end) = (seconds(times.start_ms), seconds(times.end_ms));
    let path = if times.step_ms == 0 {
        format!("/api/v1/query?query={query}&time={start}")
    } else {
        format!("/api/v1/query_range?query={query}&start={start}&end={end}&step={}", seconds(times.step_ms))
    };
    let answer = http::get(address, &path)?;
    let json = answer.json()?;
    if answer.status != 200 {
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        return Ok(Answer::Error(answer.status, text("errorType"), text("error")));
    }
    parse(&json["data"], ordered)
}

fn parse(data: &Value, ordered: bool) -> anyhow::Result<Answer> {
    let kind = data["resultType"].as_str().context("no resultType")?.to_owned();
    let point = |point: &Value| -> anyhow::Result<(String, f64)> {
        Ok((point[0].to_string(), point[1].as_str().context("a value is no string")?.parse()?))
    };
    if kind == "string" {
        return Ok(Answer::Text(data["result"].to_string()));
    }
    if kind == "scalar" {
        return Ok(Answer::Points(kind, BTreeMap::from([(String::new(), vec![point(&data["result"])?])])));
    }
    let mut all = BTreeMap::new();
    let mut order = Vec::new();
    for one in data["result"].as_array().context("no result")? {
        let points = match &one["values"] {
            Value::Array(values) => values.iter().map(point).collect::<Result<Vec<_>, _>>()?,
            _ => vec![point(&one["value"])?],
        };
        order.extend(points.first().map(|p| p.1));
        let labels = one["metric"].to_string();
        anyhow::ensure!(all.insert(labels.clone(), points).is_none(), "{labels} is there twice");
    }
    let points = Answer::Points(kind.clone(), all);
    Ok(if ordered && kind == "vector" { Answer::Ordered(order, Box::new(points)) } else { points })
}

/// How alike they are.
#[must_use]
pub fn compare(ours: &Answer, theirs: &Answer) -> Sameness {
    match (ours, theirs) {
        (Answer::Error(status, kind, text), Answer::Error(their_status, their_kind, their_text)) => {
            if (status, kind) == (their_status, their_kind) {
                Sameness::Equal
            } else {
                Sameness::Different(format!(
                    "{status} {kind} ({text:.200}), there {their_status} {their_kind} ({their_text:.200})"
                ))
            }
        }
        (Answer::Error(status, kind, text), _) => {
            Sameness::Different(format!("{status} {kind} ({text:.300}), there a result"))
        }
        (_, Answer::Error(status, kind, text)) => {
            Sameness::Different(format!("a result, there {status} {kind} ({text:.300})"))
        }
        (Answer::Ordered(order, ours), Answer::Ordered(their_order, theirs)) => {
            let sameness = compare(ours, theirs);
            let in_order = order.iter().zip(their_order).all(|(a, b)| value(*a, *b) != Closeness::Apart);
            if in_order || matches!(sameness, Sameness::Different(_)) {
                sameness
            } else {
                Sameness::Different("the order".to_owned())
            }
        }
        (Answer::Text(a), Answer::Text(b)) if a == b => Sameness::Equal,
        (Answer::Points(kind, series), Answer::Points(their_kind, their_series)) if kind == their_kind => {
            points(series, their_series)
        }
        _ => Sameness::Different("the type of the result".to_owned()),
    }
}

/// Per series, its labels as JSON, times and values as they were written.
pub type Points = BTreeMap<String, Vec<(String, f64)>>;

/// How alike two sets of series are.
#[must_use]
pub fn points(ours: &Points, theirs: &Points) -> Sameness {
    if let Some(labels) = ours.keys().find(|l| !theirs.contains_key(*l)) {
        return Sameness::Different(format!("{labels} is not there"));
    }
    if let Some(labels) = theirs.keys().find(|l| !ours.contains_key(*l)) {
        return Sameness::Different(format!("{labels} is only there"));
    }
    let mut sameness = Sameness::Equal;
    for ((labels, ours), theirs) in ours.iter().zip(theirs.values()) {
        if !ours.iter().map(|p| &p.0).eq(theirs.iter().map(|p| &p.0)) {
            let list = |points: &[(String, f64)]| {
                let times: Vec<&str> = points.iter().map(|p| p.0.as_str()).collect();
                format!("{:.200}", times.join(" "))
            };
            return Sameness::Different(format!("{labels} has times {}, there {}", list(ours), list(theirs)));
        }
        for ((ts, a), (_, b)) in ours.iter().zip(theirs) {
            match value(*a, *b) {
                Closeness::Equal => {}
                Closeness::Near => sameness = Sameness::Near,
                Closeness::Apart => {
                    return Sameness::Different(format!("{labels} at {ts} is {a}, there {b}"));
                }
            }
        }
    }
    sameness
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closeness {
    Equal,
    Near,
    Apart,
}

/// NaN is NaN; the sign of zero counts.
fn value(a: f64, b: f64) -> Closeness {
    if (a == b && a.is_sign_negative() == b.is_sign_negative()) || (a.is_nan() && b.is_nan()) {
        Closeness::Equal
    } else if a.is_finite() && b.is_finite() && a != b && (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()) {
        Closeness::Near
    } else {
        Closeness::Apart
    }
}

/// Whether two values count as the same.
pub(super) fn near(a: f64, b: f64) -> bool {
    value(a, b) != Closeness::Apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (a, b, expect) in [
            (1.0, 1.0, Closeness::Equal),
            (f64::NAN, -f64::NAN, Closeness::Equal),
            (0.0, -0.0, Closeness::Apart),
            (1.0, 1.0 + 1e-12, Closeness::Near),
            (1.0, 1.0 + 1e-8, Closeness::Apart),
            (f64::INFINITY, f64::MAX, Closeness::Apart),
            (f64::INFINITY, f64::NEG_INFINITY, Closeness::Apart),
        ] {
            assert_eq!(value(a, b), expect, "{a} {b}");
        }
    }
}
