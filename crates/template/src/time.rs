//! Times and durations for the functions callers define: made from milliseconds, printed and parsed as Go does.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::gotime;
use crate::value::Value;

pub use crate::gotime::{duration_text, from_ms};

/// `time.Time.Format`.
#[must_use]
pub fn format(t: &jiff::Zoned, layout: &str) -> String {
    gotime::format(t, layout)
}

/// `time.ParseInLocation(layout, text, time.UTC)`, or `None` where the text does not follow the layout.
#[must_use]
pub fn parse(layout: &str, text: &str) -> Option<Value> {
    gotime::parse(layout, text).map(|t| Value::Time(Arc::new(t)))
}

/// Go's zero time.
#[must_use]
pub fn zero() -> Value {
    Value::Time(Arc::new(gotime::zero()))
}

/// The same instant in the zone of that IANA name (`UTC`, `Local` and the empty name as in Go).
///
/// # Errors
/// When there is no such zone.
pub fn in_zone(t: &jiff::Zoned, name: &str) -> Result<Value, String> {
    let zone = match name {
        "" | "UTC" => TimeZone::UTC,
        "Local" => TimeZone::system(),
        name => TimeZone::get(name).map_err(|_| format!("unknown time zone {name}"))?,
    };
    Ok(gotime::in_zone(t, zone))
}
