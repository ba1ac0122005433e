//! How the API reads alerts and silences; what it refuses, it refuses with the codes of upstream's validator.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use model::{LabelSet, Matcher, TimestampMs};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::alert::PostAlert;
use crate::error::Error;
use crate::silence::{Silence, op_from_flags};

/// A body that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) status: StatusCode,
    /// The validator's code, or the status where it cannot be read at all.
    pub(super) code: u16,
    pub(super) message: String,
}

impl Malformed {
    fn unreadable(what: &str, why: impl std::fmt::Display) -> Self {
        let message = format!("parsing {what} body from \"\" failed, because {why}");
        Self { status: StatusCode::BAD_REQUEST, code: 400, message }
    }

    fn invalid(code: u16, message: String) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, code, message }
    }
}

fn body<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Malformed> {
    serde_json::from_slice(bytes).map_err(|e| Malformed::unreadable(what, e))
}

fn required<T>(field: Option<T>, name: impl std::fmt::Display) -> Result<T, Malformed> {
    field.ok_or_else(|| Malformed::invalid(602, format!("{name} in body is required")))
}

#[derive(Deserialize)]
struct AlertBody {
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    #[serde(rename = "startsAt")]
    starts_at: Option<String>,
    #[serde(rename = "endsAt")]
    ends_at: Option<String>,
    #[serde(rename = "generatorURL")]
    generator_url: Option<String>,
}

/// Milliseconds from RFC 3339; the zero time and the empty text are absent.
fn time(what: &str, text: Option<&str>) -> Result<Option<TimestampMs>, Malformed> {
    match text {
        None | Some("") => Ok(None),
        Some(t) if t.starts_with("0001-01-01T00:00:00") => Ok(None),
        Some(t) => t
            .parse::<jiff::Timestamp>()
            .map(|t| Some(t.as_millisecond()))
            .map_err(|_| Malformed::unreadable(what, format!("parsing time {t:?}: not an RFC 3339 time"))),
    }
}

/// Reads an array of alerts.
pub(super) fn read_alerts(bytes: &[u8]) -> Result<Vec<PostAlert>, Malformed> {
    let what = "alerts";
    let list: Vec<AlertBody> = body(what, bytes)?;
    list.into_iter()
        .enumerate()
        .map(|(i, a)| {
            Ok(PostAlert {
                labels: LabelSet::from_pairs(required(a.labels, format!("{i}.labels"))?),
                annotations: LabelSet::from_pairs(a.annotations.unwrap_or_default()),
                starts_at_ms: time(what, a.starts_at.as_deref())?,
                ends_at_ms: time(what, a.ends_at.as_deref())?,
                generator_url: a.generator_url.unwrap_or_default(),
            })
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MatcherBody {
    name: Option<String>,
    value: Option<String>,
    is_regex: Option<bool>,
    is_equal: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SilenceBody {
    id: Option<String>,
    matchers: Option<Vec<MatcherBody>>,
    starts_at: Option<String>,
    ends_at: Option<String>,
    created_by: Option<String>,
    comment: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

/// Reads a silence. The outer error is for a body that is no silence at all, the inner one for a silence that is wrong.
pub(super) fn read_silence(bytes: &[u8], now_ms: TimestampMs) -> Result<Result<Silence, Error>, Malformed> {
    let what = "silence";
    let body: SilenceBody = body(what, bytes)?;
    // In the validator's order, as only the first fault is told.
    let comment = required(body.comment, "comment")?;
    let created_by = required(body.created_by, "createdBy")?;
    let ends = time(what, Some(&required(body.ends_at, "endsAt")?))?;
    let matchers = required(body.matchers, "matchers")?;
    if matchers.is_empty() {
        return Err(Malformed::invalid(612, "matchers in body should have at least 1 items".to_owned()));
    }
    let mut parts = Vec::with_capacity(matchers.len());
    for (i, m) in matchers.into_iter().enumerate() {
        let is_regex = required(m.is_regex, format!("matchers.{i}.isRegex"))?;
        let name = required(m.name, format!("matchers.{i}.name"))?;
        let value = required(m.value, format!("matchers.{i}.value"))?;
        parts.push((name, op_from_flags(is_regex, m.is_equal.unwrap_or(true)), value));
    }
    let starts = time(what, Some(&required(body.starts_at, "startsAt")?))?;
    let convert = || {
        let mut list = Vec::with_capacity(parts.len());
        for (i, (name, op, value)) in parts.into_iter().enumerate() {
            let matcher = Matcher::new(name, op, value)
                .map_err(|e| Error::invalid(format!("invalid silence: invalid label matcher {i}: {e}")))?;
            list.push(matcher);
        }
        let (Some(starts), Some(ends)) = (starts, ends) else {
            return Err(Error::invalid("invalid silence: invalid zero start or end timestamp"));
        };
        if starts >= ends {
            return Err(Error::invalid("Failed to create silence: start time must be before end time"));
        }
        if ends < now_ms {
            return Err(Error::invalid("Failed to create silence: end time can't be in the past"));
        }
        Ok(Silence {
            id: body.id.unwrap_or_default(),
            matchers: list,
            starts_at_ms: starts,
            ends_at_ms: ends,
            updated_at_ms: now_ms,
            created_by,
            comment,
            annotations: body.annotations.unwrap_or_default(),
        })
    };
    Ok(convert())
}
