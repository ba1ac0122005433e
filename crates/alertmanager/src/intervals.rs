//! Time intervals in which routes are muted or active.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::TimestampMs;

/// A named interval's condition: each field that is not empty must hold, any entry of it suffices.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TimeInterval {
    /// Minutes since midnight, start inclusive, end exclusive.
    pub times: Vec<(u16, u16)>,
    /// 0 is Sunday; both ends inclusive.
    pub weekdays: Vec<(i32, i32)>,
    /// 1 to 31, or negative from the month's end; both ends inclusive.
    pub days_of_month: Vec<(i32, i32)>,
    /// 1 to 12; both ends inclusive.
    pub months: Vec<(i32, i32)>,
    /// Both ends inclusive.
    pub years: Vec<(i32, i32)>,
    /// Where the clock is read; UTC if `None`.
    pub location: Option<TimeZone>,
    /// The location's name as written.
    pub location_name: String,
}

impl TimeInterval {
    /// Whether the instant lies in the interval.
    #[must_use]
    pub fn contains(&self, now_ms: TimestampMs) -> bool {
        let Ok(at) = Timestamp::from_millisecond(now_ms) else { return false };
        let t = at.to_zoned(self.location.clone().unwrap_or(TimeZone::UTC));
        let within = |ranges: &[(i32, i32)], n: i32| {
            ranges.is_empty() || ranges.iter().any(|(a, b)| (*a..=*b).contains(&n))
        };
        let minute = u16::from(t.hour().unsigned_abs()) * 60 + u16::from(t.minute().unsigned_abs());
        if !self.times.is_empty() && !self.times.iter().any(|(a, b)| (*a..*b).contains(&minute)) {
            return false;
        }
        let last = i32::from(t.days_in_month());
        let day = i32::from(t.day());
        let days = self.days_of_month.is_empty()
            || self.days_of_month.iter().any(|&(a, b)| {
                let from_end = |d: i32| if d < 0 { last + d + 1 } else { d };
                let (a, b) = (from_end(a), from_end(b));
                // A range wholly beyond this month's end does not match; else its ends are cut to the month.
                a <= last && b >= 1 && (a.max(1)..=b.min(last)).contains(&day)
            });
        days && within(&self.weekdays, i32::from(t.weekday().to_sunday_zero_offset()))
            && within(&self.months, i32::from(t.month()))
            && within(&self.years, i32::from(t.year()))
    }
}

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// `HH:MM`, up to `24:00`, as minutes.
///
/// # Errors
/// With upstream's text.
pub(crate) fn parse_clock(text: &str) -> Result<u16, String> {
    let bad = || format!("couldn't parse timestamp {text}, invalid format");
    let (h, m) = text.split_once(':').ok_or_else(bad)?;
    if h.len() != 2 || m.len() != 2 || !text.bytes().all(|b| b.is_ascii_digit() || b == b':') {
        return Err(bad());
    }
    let (h, m): (u16, u16) = (h.parse().map_err(|_| bad())?, m.parse().map_err(|_| bad())?);
    let minutes = h * 60 + m;
    if m > 59 || minutes > 24 * 60 { Err(bad()) } else { Ok(minutes) }
}

/// What a range's ends are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RangeKind {
    /// Names of days.
    Weekday,
    /// Days of the month, negative from its end.
    DayOfMonth,
    /// Names or numbers of months.
    Month,
    /// Numbers.
    Year,
}

/// `a` or `a:b`.
///
/// # Errors
/// With upstream's text.
pub(crate) fn parse_range(text: &str, kind: RangeKind) -> Result<(i32, i32), String> {
    let lower = text.to_lowercase();
    let name = |names: &[&str], what: &str, offset: usize, word: &str| {
        names
            .iter()
            .position(|n| *n == word)
            .and_then(|i| i32::try_from(i + offset).ok())
            .ok_or_else(|| format!("{word} is not a valid {what}"))
    };
    let one = |word: &str| match kind {
        RangeKind::Weekday => name(&WEEKDAYS, "weekday", 0, word),
        RangeKind::Month => match word.parse::<i32>() {
            Ok(n) if (1..=12).contains(&n) => Ok(n),
            _ => name(&MONTHS, "month", 1, word),
        },
        RangeKind::DayOfMonth => match word.parse::<i32>() {
            Ok(n) if n != 0 && (-31..=31).contains(&n) => Ok(n),
            Ok(n) => Err(format!("{n} is not a valid day of the month: out of range")),
            Err(_) => Err(format!("{word} is not a valid day of the month")),
        },
        RangeKind::Year => word.parse::<i32>().map_err(|_| format!("{word} is not a valid year")),
    };
    let (a, b) = match lower.split_once(':') {
        Some((a, b)) => (one(a)?, one(b)?),
        None => {
            let n = one(&lower)?;
            (n, n)
        }
    };
    if kind == RangeKind::DayOfMonth {
        // Ends counted from different sides are compared in the longest and must not surely be the wrong way round.
        if a < 0 && b > 0 {
            return Err("end day must be negative if start day is negative".to_owned());
        }
        let from_end = |d: i32| if d < 0 { 31 + d + 1 } else { d };
        if from_end(a) > from_end(b) {
            return Err(format!("end day {b} is always before start day {a}"));
        }
    } else if a > b {
        return Err("start day cannot be before end day".to_owned().replace(
            "day",
            match kind {
                RangeKind::Month => "month",
                RangeKind::Year => "year",
                _ => "day",
            },
        ));
    }
    Ok((a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn holds_when_all_fields_hold() {
        let office = TimeInterval {
            times: vec![(parse_clock("09:00").unwrap(), parse_clock("17:00").unwrap())],
            weekdays: vec![parse_range("monday:friday", RangeKind::Weekday).unwrap()],
            ..TimeInterval::default()
        };
        assert!(office.contains(at("2024-05-06T09:00:00Z")));
        assert!(!office.contains(at("2024-05-06T17:00:00Z")));
        assert!(!office.contains(at("2024-05-05T10:00:00Z")));
        let month_end = TimeInterval {
            days_of_month: vec![parse_range("-2:-1", RangeKind::DayOfMonth).unwrap()],
            months: vec![parse_range("February", RangeKind::Month).unwrap()],
            years: vec![parse_range("2024:2025", RangeKind::Year).unwrap()],
            ..TimeInterval::default()
        };
        assert!(month_end.contains(at("2024-02-28T12:00:00Z")));
        assert!(!month_end.contains(at("2024-02-27T12:00:00Z")));
        assert!(!month_end.contains(at("2023-02-28T12:00:00Z")));
        let paris = TimeInterval {
            times: vec![(0, 60)],
            location: Some(TimeZone::get("Europe/Paris").unwrap()),
            ..TimeInterval::default()
        };
        assert!(paris.contains(at("2024-07-01T22:30:00Z")));
        assert!(parse_range("funday", RangeKind::Weekday).is_err() && parse_clock("24:01").is_err());
        assert_eq!(parse_clock("24:00"), Ok(1440));
    }
}
