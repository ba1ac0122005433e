//! Parameters: the query string and, for POST and PUT, the form body; times and durations as upstream reads them.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, header};
use model::{Matcher, TimestampMs, duration};
use promql::Origin;

use super::envelope::{ApiError, ErrorType};
use crate::server::PeerAddr;

/// The largest form body read, as Go's `ParseForm` has it.
const MAX_FORM_BYTES: usize = 10 << 20;

/// Upstream's "minimum" and "maximum" times, which its own clients send for an open range.
const MIN_TIME: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME: &str = "292277025-08-18T07:12:54.999999999Z";

/// The bounds those stand for; half the range, so that adding a window cannot overflow.
pub(crate) const MIN_TIME_MS: TimestampMs = i64::MIN / 2;
pub(crate) const MAX_TIME_MS: TimestampMs = i64::MAX / 2;

/// All parameters in order; the body's before the query string's, as Go's `Form`.
#[derive(Debug, Clone)]
pub(crate) struct Params {
    all: Vec<(String, String)>,
    origin: Origin,
}

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Response;

    async fn from_request(req: Request, state: &S) -> Result<Self, Response> {
        let query = req.uri().query().unwrap_or("").to_owned();
        let peer = req.extensions().get::<PeerAddr>();
        let origin = Origin::Http {
            client_ip: peer.map_or_else(String::new, |peer| peer.0.ip().to_string()),
            method: req.method().to_string(),
            // The router has cut the prefix off.
            path: format!("/api/v1{}", req.uri().path()),
        };
        let mut all = Vec::new();
        let is_form = req
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.starts_with("application/x-www-form-urlencoded"));
        if matches!(*req.method(), Method::POST | Method::PUT) && is_form {
            let body = Bytes::from_request(req, state).await.map_err(IntoResponse::into_response)?;
            if body.len() > MAX_FORM_BYTES {
                let message = format!("the form is larger than {MAX_FORM_BYTES} bytes; send a shorter query");
                return Err((StatusCode::PAYLOAD_TOO_LARGE, message).into_response());
            }
            all.extend(url::form_urlencoded::parse(&body).into_owned());
        }
        all.extend(url::form_urlencoded::parse(query.as_bytes()).into_owned());
        Ok(Self { all, origin })
    }
}

impl Params {
    /// Where the request came from.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The first value of `name`, or the empty string.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.all.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// All values of `name`.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.all.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// A time, or `default` where the parameter is absent.
    pub(crate) fn time_or(&self, name: &str, default: TimestampMs) -> Result<TimestampMs, ApiError> {
        match self.get(name) {
            "" => Ok(default),
            text => parse_time(text)
                .map_err(|e| ApiError::parameter(name, format!("invalid time value for '{name}': {e}"))),
        }
    }

    /// A time that must be given.
    pub(crate) fn time(&self, name: &str) -> Result<TimestampMs, ApiError> {
        parse_time(self.get(name)).map_err(|e| ApiError::parameter(name, e))
    }

    /// A duration in milliseconds, `None` where the parameter is absent.
    pub(crate) fn duration_ms(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            "" => Ok(None),
            text => parse_duration_ms(text).map(Some).map_err(|e| ApiError::parameter(name, e)),
        }
    }

    /// `limit`: 0 where absent, which means no limit.
    pub(crate) fn limit(&self) -> Result<usize, ApiError> {
        match self.get("limit") {
            "" => Ok(0),
            text => match text.parse::<i64>() {
                Ok(n) => {
                    usize::try_from(n).map_err(|_| ApiError::parameter("limit", "limit must be non-negative"))
                }
                Err(_) => Err(ApiError::parameter(
                    "limit",
                    format!("strconv.Atoi: parsing {text:?}: invalid syntax"),
                )),
            },
        }
    }

    /// `match[]`, each parsed; every selector must have a matcher that does not match the empty string.
    pub(crate) fn matcher_sets(&self) -> Result<Vec<Vec<Matcher>>, String> {
        self.all("match[]")
            .map(|text| {
                let set = promql::parser::parse_metric_selector(text).map_err(|e| e.to_string())?;
                if set.iter().all(Matcher::matches_empty) {
                    return Err("match[] must contain at least one non-empty matcher".to_owned());
                }
                Ok(set)
            })
            .collect()
    }

    /// A boolean as Go's `strconv.ParseBool` reads it; false where the parameter is absent.
    pub(crate) fn is_set(&self, name: &str) -> Result<bool, ApiError> {
        match self.get(name) {
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            text => Err(ApiError::parameter(
                name,
                format!("unable to parse boolean: strconv.ParseBool: parsing {text:?}: invalid syntax"),
            )),
        }
    }

    /// `timeout`, at most `cap`.
    pub(crate) fn timeout(&self, cap: Duration) -> Result<Duration, ApiError> {
        Ok(match self.duration_ms("timeout")? {
            Some(ms) => cap.min(Duration::from_millis(u64::try_from(ms).unwrap_or(0))),
            None => cap,
        })
    }
}

/// Seconds since the epoch with a fraction, or RFC 3339.
pub(crate) fn parse_time(text: &str) -> Result<TimestampMs, String> {
    let invalid = || format!("cannot parse {text:?} to a valid timestamp");
    if let Some(seconds) = model::float::parse_go_float(text) {
        if !seconds.is_finite() {
            return Err(invalid());
        }
        // Upstream splits whole seconds from a fraction rounded to milliseconds.
        let ms = seconds.trunc() * 1000.0 + (seconds.fract() * 1000.0).round();
        return Ok((ms as TimestampMs).clamp(MIN_TIME_MS, MAX_TIME_MS));
    }
    match text {
        MIN_TIME => Ok(MIN_TIME_MS),
        MAX_TIME => Ok(MAX_TIME_MS),
        _ => text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond).map_err(|_| invalid()),
    }
}

/// Seconds with a fraction, or `1h30m`.
pub(crate) fn parse_duration_ms(text: &str) -> Result<i64, String> {
    if let Some(seconds) = model::float::parse_go_float(text) {
        let ns = seconds * 1e9;
        if ns.is_nan() || ns > i64::MAX as f64 || ns < i64::MIN as f64 {
            return Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"));
        }
        return Ok((ns / 1e6) as i64);
    }
    duration::parse(text)
        .ok()
        .and_then(|d| i64::try_from(d.as_millis()).ok())
        .ok_or_else(|| format!("cannot parse {text:?} to a valid duration"))
}

/// An error of the parser or engine as the API's.
pub(crate) fn bad_data(message: impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorType::BadData, message.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, ms) in [
            ("0", 0),
            ("123.123", 123_123),
            ("1435781451.781", 1_435_781_451_781),
            ("2015-06-03T13:21:58.555Z", 1_433_337_718_555),
            ("2015-06-03T14:21:58.555+01:00", 1_433_337_718_555),
            ("-292273086-05-16T16:47:06Z", MIN_TIME_MS),
            ("292277025-08-18T07:12:54.999999999Z", MAX_TIME_MS),
        ] {
            assert_eq!(parse_time(text), Ok(ms), "{text}");
        }
        for text in ["", "foo", "30s", "NaN", "+Inf"] {
            assert_eq!(parse_time(text), Err(format!("cannot parse {text:?} to a valid timestamp")));
        }
    }

    #[test]
    fn durations() {
        for (text, ms) in [("123", 123_000), ("0.5", 500), ("1h30m", 5_400_000), ("-1", -1000)] {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
        }
        assert!(parse_duration_ms("1e20").unwrap_err().ends_with("It overflows int64"));
        assert_eq!(parse_duration_ms("foo").unwrap_err(), "cannot parse \"foo\" to a valid duration");
    }
}
