//! Times and durations as Go prints and reads them, by layouts such as `2006-01-02 15:04:05`.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use crate::value::Value;

/// Go's `time.RFC3339Nano`.
pub(crate) const RFC3339_NANO: &str = "2006-01-02T15:04:05.999999999Z07:00";
/// The layout of `time.Time`'s own text.
pub(crate) const STRING: &str = "2006-01-02 15:04:05.999999999 -0700 MST";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Longest first among those with a common head, so that the first hit is Go's.
const ELEMENTS: [&str; 38] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "Z070000",
    "Z07:00:00",
    "Z0700",
    "Z07:00",
    "Z07",
    "-070000",
    "-07:00:00",
    "-0700",
    "-07:00",
    "-07",
    "002",
    "__2",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "_2",
    "15",
    "PM",
    "pm",
    ".0",
    ",0",
    ".9",
    ",9",
    "1",
    "2",
    "3",
    "4",
    "5",
    "",
];

/// The layout's next element: what is before it, the element with its whole length (fractions run on), the rest.
fn next_element(layout: &str) -> Option<(&str, &str, &str)> {
    for (at, _) in layout.char_indices() {
        let tail = &layout[at..];
        for element in ELEMENTS {
            if element.is_empty() || !tail.starts_with(element) {
                continue;
            }
            let after = &tail[element.len()..];
            let len = match element {
                // `Jan` must not be the head of a longer lower-case word, as in Go.
                "Jan" | "Mon" if after.starts_with(|c: char| c.is_ascii_lowercase()) => continue,
                "_2" if after.starts_with("006") => {
                    // An underscore before the year stands for itself.
                    return Some((&layout[..=at], &tail[1..5], &tail[5..]));
                }
                ".0" | ",0" | ".9" | ",9" => {
                    let digit = element.as_bytes()[1];
                    let digits = tail.bytes().skip(1).take_while(|&b| b == digit).count();
                    // A fraction ends where no digit follows.
                    if tail.as_bytes().get(1 + digits).is_some_and(u8::is_ascii_digit) {
                        continue;
                    }
                    1 + digits
                }
                _ => element.len(),
            };
            return Some((&layout[..at], &tail[..len], &tail[len..]));
        }
    }
    None
}

/// `time.Time.Format`.
pub(crate) fn format(t: &Zoned, layout: &str) -> String {
    let mut out = String::with_capacity(layout.len() + 8);
    let mut rest = layout;
    while let Some((before, element, after)) = next_element(rest) {
        out.push_str(before);
        write_element(t, element, &mut out);
        rest = after;
    }
    out.push_str(rest);
    out
}

fn write_element(t: &Zoned, element: &str, out: &mut String) {
    let month = usize::from(t.month().unsigned_abs().saturating_sub(1)) % 12;
    let day_name = DAYS[usize::from(t.weekday().to_sunday_zero_offset().unsigned_abs()) % 7];
    let hour12 = match t.hour() % 12 {
        0 => 12,
        h => h,
    };
    let text = match element {
        "January" => MONTHS[month].to_owned(),
        "Jan" => MONTHS[month][..3].to_owned(),
        "Monday" => day_name.to_owned(),
        "Mon" => day_name[..3].to_owned(),
        "MST" => zone_name(t),
        "2006" => format!("{:04}", t.year()),
        "06" => format!("{:02}", t.year().rem_euclid(100)),
        "01" => format!("{:02}", t.month()),
        "1" => t.month().to_string(),
        "02" => format!("{:02}", t.day()),
        "_2" => format!("{:>2}", t.day()),
        "2" => t.day().to_string(),
        "002" => format!("{:03}", t.day_of_year()),
        "__2" => format!("{:>3}", t.day_of_year()),
        "15" => format!("{:02}", t.hour()),
        "03" => format!("{hour12:02}"),
        "3" => hour12.to_string(),
        "04" => format!("{:02}", t.minute()),
        "4" => t.minute().to_string(),
        "05" => format!("{:02}", t.second()),
        "5" => t.second().to_string(),
        "PM" => if t.hour() >= 12 { "PM" } else { "AM" }.to_owned(),
        "pm" => if t.hour() >= 12 { "pm" } else { "am" }.to_owned(),
        fraction if fraction.starts_with(['.', ',']) => fraction_text(t, fraction),
        zone => offset_text(t.offset().seconds(), zone),
    };
    out.push_str(&text);
}

fn fraction_text(t: &Zoned, element: &str) -> String {
    let nanos = format!("{:09}", t.subsec_nanosecond());
    let digits = &nanos[..(element.len() - 1).min(9)];
    let mark = &element[..1];
    if element.as_bytes()[1] == b'0' {
        return format!("{mark}{digits}");
    }
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() { String::new() } else { format!("{mark}{digits}") }
}

fn offset_text(seconds: i32, element: &str) -> String {
    if element.starts_with('Z') && seconds == 0 {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let s = seconds.abs();
    let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
    match &element[1..] {
        "07" => format!("{sign}{h:02}"),
        "0700" => format!("{sign}{h:02}{m:02}"),
        "070000" => format!("{sign}{h:02}{m:02}{s:02}"),
        "07:00:00" => format!("{sign}{h:02}:{m:02}:{s:02}"),
        _ => format!("{sign}{h:02}:{m:02}"),
    }
}

fn zone_name(t: &Zoned) -> String {
    let info = t.time_zone().to_offset_info(t.timestamp());
    let name = info.abbreviation();
    if name.starts_with(['+', '-']) && t.time_zone().iana_name().is_none() {
        return offset_text(t.offset().seconds(), "-0700");
    }
    name.to_owned()
}

/// `time.ParseInLocation(layout, text, UTC)`; `None` where the text does not follow the layout.
pub(crate) fn parse(layout: &str, text: &str) -> Option<Zoned> {
    let (mut rest, mut input) = (layout, text);
    let mut parsed = Parsed { year: 0, month: 1, day: 1, ..Parsed::default() };
    while let Some((before, element, after)) = next_element(rest) {
        input = input.strip_prefix(before)?;
        input = parsed.read(element, input)?;
        // Go reads a fraction after the seconds even where the layout has none.
        if matches!(element, "05" | "5") && !after.starts_with(['.', ',']) && input.starts_with(['.', ',']) {
            let digits = digits_len(&input[1..]);
            if digits > 0 {
                input = parsed.fraction(input, digits)?;
            }
        }
        rest = after;
    }
    if input != rest {
        return None;
    }
    parsed.build()
}

fn digits_len(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[derive(Default)]
struct Parsed {
    year: i16,
    month: i8,
    day: i8,
    day_of_year: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    afternoon: Option<bool>,
    offset: Option<i32>,
}

impl Parsed {
    fn read<'t>(&mut self, element: &str, input: &'t str) -> Option<&'t str> {
        let name = |names: &[&str], len: Option<usize>| {
            names.iter().enumerate().find_map(|(i, n)| {
                let n = &n[..len.unwrap_or(n.len())];
                let head = input.get(..n.len())?;
                head.eq_ignore_ascii_case(n).then(|| (i, &input[n.len()..]))
            })
        };
        let number = |min: usize, max: usize| {
            let len = digits_len(input).min(max);
            (len >= min).then(|| Some((input[..len].parse::<i16>().ok()?, &input[len..])))?
        };
        let small = |min: usize, max: usize| {
            let (n, rest) = number(min, max)?;
            Some((i8::try_from(n).ok()?, rest))
        };
        Some(match element {
            "January" | "Jan" => {
                let (i, rest) = name(&MONTHS, (element == "Jan").then_some(3))?;
                self.month = i8::try_from(i + 1).ok()?;
                rest
            }
            "Monday" | "Mon" => name(&DAYS, (element == "Mon").then_some(3))?.1,
            "MST" => {
                let len = input.bytes().take_while(u8::is_ascii_uppercase).count();
                if !(3..=5).contains(&len) {
                    return None;
                }
                &input[len..]
            }
            "2006" => {
                let (n, rest) = number(4, 4)?;
                self.year = n;
                rest
            }
            "06" => {
                let (n, rest) = number(2, 2)?;
                self.year = if n >= 69 { 1900 + n } else { 2000 + n };
                rest
            }
            "01" | "1" => {
                let (n, rest) = small(element.len(), 2)?;
                self.month = n;
                rest
            }
            "02" | "_2" | "2" => {
                let min = if element == "02" { 2 } else { 1 };
                let input = if element == "_2" { input.strip_prefix(' ').unwrap_or(input) } else { input };
                let len = digits_len(input).min(2);
                if len < min {
                    return None;
                }
                self.day = input[..len].parse().ok()?;
                &input[len..]
            }
            "002" | "__2" => {
                let input = input.trim_start_matches(' ');
                let len = digits_len(input).min(3);
                self.day_of_year = Some(input[..len].parse().ok()?);
                &input[len..]
            }
            "15" => {
                let (n, rest) = small(2, 2)?;
                self.hour = n;
                rest
            }
            "03" | "3" => {
                let (n, rest) = small(element.len(), 2)?;
                self.hour = n;
                self.afternoon = self.afternoon.or(Some(false)).filter(|_| n <= 12);
                rest
            }
            "04" | "4" => {
                let (n, rest) = small(element.len(), 2)?;
                self.minute = n;
                rest
            }
            "05" | "5" => {
                let (n, rest) = small(element.len(), 2)?;
                self.second = n;
                rest
            }
            "PM" | "pm" => {
                let head = input.get(..2)?;
                self.afternoon = Some(match head {
                    "PM" | "pm" => true,
                    "AM" | "am" => false,
                    _ => return None,
                });
                &input[2..]
            }
            fraction if fraction.starts_with(['.', ',']) => {
                let optional = fraction.as_bytes()[1] == b'9';
                if !input.starts_with(['.', ',']) {
                    return optional.then_some(input);
                }
                let digits = digits_len(&input[1..]);
                if !optional && digits != fraction.len() - 1 {
                    return None;
                }
                self.fraction(input, digits)?
            }
            zone => self.zone(zone, input)?,
        })
    }

    fn fraction<'t>(&mut self, input: &'t str, digits: usize) -> Option<&'t str> {
        let text = &input[1..=digits];
        self.nanos = format!("{text:0<9}").get(..9)?.parse().ok()?;
        Some(&input[1 + digits..])
    }

    fn zone<'t>(&mut self, element: &str, input: &'t str) -> Option<&'t str> {
        if element.starts_with('Z') && input.starts_with('Z') {
            self.offset = Some(0);
            return Some(&input[1..]);
        }
        let sign = match input.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let mut rest = &input[1..];
        let mut seconds = 0;
        let parts = element[1..].replace(':', "").len() / 2;
        for (i, unit) in [3600, 60, 1].into_iter().take(parts).enumerate() {
            if i > 0 && element.contains(':') {
                rest = rest.strip_prefix(':')?;
            }
            let head = rest.get(..2)?;
            seconds += head.parse::<u8>().ok().map(i32::from)? * unit;
            rest = &rest[2..];
        }
        self.offset = Some(sign * seconds);
        Some(rest)
    }

    fn build(&self) -> Option<Zoned> {
        let mut hour = self.hour;
        match self.afternoon {
            Some(true) if hour < 12 => hour += 12,
            Some(false) if hour == 12 => hour = 0,
            _ => {}
        }
        let time = Time::new(hour, self.minute, self.second, self.nanos).ok()?;
        let date = match self.day_of_year {
            Some(n) => Date::new(self.year, 1, 1).ok()?.with().day_of_year(n).build().ok()?,
            None => Date::new(self.year, self.month, self.day).ok()?,
        };
        let zone = match self.offset {
            None | Some(0) => TimeZone::UTC,
            Some(s) => TimeZone::fixed(Offset::from_seconds(s).ok()?),
        };
        DateTime::from_parts(date, time).to_zoned(zone).ok()
    }
}

/// Go's zero time.
#[must_use]
pub(crate) fn zero() -> Zoned {
    DateTime::constant(1, 1, 1, 0, 0, 0, 0).to_zoned(TimeZone::UTC).expect("within jiff's range of years")
}

/// A time in UTC from milliseconds since the Unix epoch; years beyond ±9999 give Go's zero time.
#[must_use]
pub fn from_ms(ms: i64) -> Value {
    let t = Timestamp::from_millisecond(ms).map_or_else(|_| zero(), |t| t.to_zoned(TimeZone::UTC));
    Value::Time(std::sync::Arc::new(t))
}

/// `time.Duration.String`: `1h0m0s`, `1.5s`, `2µs`.
#[must_use]
pub fn duration_text(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let n = ns.unsigned_abs();
    let with_fraction = |unit: u64, width: usize| {
        let fraction = format!("{:0width$}", n % unit);
        let fraction = fraction.trim_end_matches('0');
        let whole = n / unit;
        if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") }
    };
    match n {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{n}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", with_fraction(1_000, 3)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", with_fraction(1_000_000, 6)),
        _ => {
            let total = n / 1_000_000_000;
            let (h, m, s) = (total / 3600, total / 60 % 60, total % 60);
            let fraction = format!("{:09}", n % 1_000_000_000);
            let fraction = fraction.trim_end_matches('0');
            let seconds = if fraction.is_empty() { s.to_string() } else { format!("{s}.{fraction}") };
            match (h, m) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, m) => format!("{sign}{m}m{seconds}s"),
                (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
            }
        }
    }
}

/// A method of `time.Time`.
pub(crate) fn time_method(t: &Zoned, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let other = |i: usize| match args.get(i) {
        Some(Value::Time(t)) => Ok(t),
        Some(v) => Err(format!("wrong type for value; expected time.Time; got {}", v.type_name())),
        None => Err(format!("wrong number of args for {name}: want 1 got 0")),
    };
    let result = match name {
        "Format" => match args.first() {
            Some(Value::Str(layout)) => Ok(Value::str(format(t, layout))),
            Some(v) => Err(format!("wrong type for value; expected string; got {}", v.type_name())),
            None => Err("wrong number of args for Format: want 1 got 0".to_owned()),
        },
        "String" => Ok(Value::str(format(t, STRING))),
        "Unix" => Ok(Value::Int(t.timestamp().as_second())),
        "UnixMilli" => Ok(Value::Int(t.timestamp().as_millisecond())),
        "UnixMicro" => Ok(Value::Int(t.timestamp().as_microsecond())),
        "UnixNano" => Ok(Value::Int(saturate(t.timestamp().as_nanosecond()))),
        "UTC" => Ok(in_zone(t, TimeZone::UTC)),
        "Local" => Ok(in_zone(t, TimeZone::system())),
        "Year" => Ok(Value::Int(t.year().into())),
        "Month" => Ok(Value::str(MONTHS[usize::from(t.month().unsigned_abs().saturating_sub(1)) % 12])),
        "Day" => Ok(Value::Int(t.day().into())),
        "Hour" => Ok(Value::Int(t.hour().into())),
        "Minute" => Ok(Value::Int(t.minute().into())),
        "Second" => Ok(Value::Int(t.second().into())),
        "Nanosecond" => Ok(Value::Int(t.subsec_nanosecond().into())),
        "YearDay" => Ok(Value::Int(t.day_of_year().into())),
        "Weekday" => Ok(Value::str(weekday_name(t.weekday()))),
        "IsZero" => Ok(Value::Bool(t.timestamp() == zero().timestamp())),
        "Before" => other(0).map(|o| Value::Bool(t.timestamp() < o.timestamp())),
        "After" => other(0).map(|o| Value::Bool(t.timestamp() > o.timestamp())),
        "Equal" => other(0).map(|o| Value::Bool(t.timestamp() == o.timestamp())),
        "Sub" => other(0).map(|o| {
            Value::Duration(saturate(t.timestamp().as_nanosecond() - o.timestamp().as_nanosecond()))
        }),
        "Add" => match duration_arg(args) {
            Ok(ns) => Ok(t
                .checked_add(jiff::SignedDuration::from_nanos(ns))
                .map_or_else(|_| Value::Time(std::sync::Arc::new(zero())), |t| Value::Time(t.into()))),
            Err(e) => Err(e),
        },
        _ => return None,
    };
    Some(result)
}

/// A method of `time.Duration`.
pub(crate) fn duration_method(ns: i64, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let result = match name {
        "Seconds" => Ok(Value::Float(ns as f64 / 1e9)),
        "Minutes" => Ok(Value::Float(ns as f64 / 6e10)),
        "Hours" => Ok(Value::Float(ns as f64 / 3.6e12)),
        "Milliseconds" => Ok(Value::Int(ns / 1_000_000)),
        "Microseconds" => Ok(Value::Int(ns / 1_000)),
        "Nanoseconds" => Ok(Value::Int(ns)),
        "String" => Ok(Value::str(duration_text(ns))),
        "Abs" => Ok(Value::Duration(ns.saturating_abs())),
        "Truncate" => {
            duration_arg(args).map(|unit| Value::Duration(if unit > 0 { ns - ns % unit } else { ns }))
        }
        "Round" => duration_arg(args).map(|unit| {
            if unit <= 0 {
                return Value::Duration(ns);
            }
            let rest = ns % unit;
            let away = rest.unsigned_abs() >= unit.unsigned_abs().div_ceil(2);
            let down = ns - rest;
            Value::Duration(if away { down.saturating_add(unit * ns.signum()) } else { down })
        }),
        _ => return None,
    };
    Some(result)
}

fn duration_arg(args: &[Value]) -> Result<i64, String> {
    match args.first() {
        Some(Value::Duration(ns) | Value::Int(ns)) => Ok(*ns),
        // `8h` is written 28800e9, a constant that Go turns into an integer.
        Some(Value::Float(f)) if f.fract() == 0.0 && f.abs() < 9e18 => Ok(*f as i64),
        Some(v) => Err(format!("wrong type for value; expected time.Duration; got {}", v.type_name())),
        None => Err("wrong number of args: want 1 got 0".to_owned()),
    }
}

fn saturate(n: i128) -> i64 {
    i64::try_from(n).unwrap_or(if n < 0 { i64::MIN } else { i64::MAX })
}

fn weekday_name(day: Weekday) -> &'static str {
    DAYS[usize::from(day.to_sunday_zero_offset().unsigned_abs()) % 7]
}

/// The same instant in another zone.
pub(crate) fn in_zone(t: &Zoned, zone: TimeZone) -> Value {
    Value::Time(std::sync::Arc::new(t.with_time_zone(zone)))
}
