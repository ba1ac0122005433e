//! Durations as Prometheus' configuration files and API write them: `1h30m`, units `y w d h m s ms`.

use std::time::Duration;

/// A text that is no Prometheus duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The empty string.
    #[error("empty duration string")]
    Empty,
    /// Not units in descending order, each at most once.
    #[error("not a valid duration string: {0:?}")]
    Invalid(String),
    /// More milliseconds than 63 bits hold as nanoseconds.
    #[error("duration out of range")]
    OutOfRange,
}

/// Units from large to small with their length in milliseconds (a year has 365 days).
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Parses a duration. `0` needs no unit.
///
/// # Errors
/// When the text is empty, has a wrong or repeated unit, or a length beyond what upstream's nanoseconds hold
/// (about 292 years).
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    match text {
        "" => return Err(DurationError::Empty),
        "0" => return Ok(Duration::ZERO),
        _ => {}
    }
    let invalid = || DurationError::Invalid(text.to_owned());
    let (mut rest, mut unit_index, mut total_ms) = (text, 0, 0_u64);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let found =
            UNITS[unit_index..].iter().position(|(u, _)| *u == unit).ok_or_else(invalid)? + unit_index;
        if number.is_empty() {
            return Err(invalid());
        }
        let n: u64 = number.parse().map_err(|_| DurationError::OutOfRange)?;
        let ms = n.checked_mul(UNITS[found].1).ok_or(DurationError::OutOfRange)?;
        total_ms = total_ms.checked_add(ms).ok_or(DurationError::OutOfRange)?;
        unit_index = found + 1;
        rest = tail;
    }
    if total_ms > u64::try_from(i64::MAX / 1_000_000).expect("positive") {
        return Err(DurationError::OutOfRange);
    }
    Ok(Duration::from_millis(total_ms))
}

/// Formats a duration as upstream prints it: `1h30m`, `15s`, `0s`; years and weeks only when they divide it.
///
/// Anything below a millisecond is left out.
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (unit, len) in UNITS {
        let exact_only = matches!(unit, "y" | "w");
        if exact_only && ms % len != 0 {
            continue;
        }
        let n = ms / len;
        if n > 0 {
            out.push_str(&format!("{n}{unit}"));
            ms -= n * len;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints_as_upstream() {
        for (text, ms, printed) in [
            ("0", 0, "0s"),
            ("0w", 0, "0s"),
            ("0s", 0, "0s"),
            ("324ms", 324, "324ms"),
            ("3s", 3000, "3s"),
            ("5m", 300_000, "5m"),
            ("1h", 3_600_000, "1h"),
            ("4d", 4 * 86_400_000, "4d"),
            ("4d1h", 4 * 86_400_000 + 3_600_000, "4d1h"),
            ("14d", 14 * 86_400_000, "2w"),
            ("3w", 21 * 86_400_000, "3w"),
            ("10y", 3650 * 86_400_000, "10y"),
            ("1m30s", 90_000, "1m30s"),
        ] {
            let d = parse(text).unwrap();
            assert_eq!(d.as_millis(), ms, "{text}");
            assert_eq!(format(d), printed, "{text}");
        }
        for text in [
            "",
            "1",
            "1y1m1d",
            "-1w",
            "1.5d",
            "d",
            "294y",
            "200y10400w",
            "99999999999999999999s",
            "1s1s",
            "1é",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
