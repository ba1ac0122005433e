//! Rows of an answer, read as the server sends them.

use tokio_postgres::types::{FromSql, Type};

/// What stands in one column of one row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Float(f64),
    Bool(bool),
    /// Seconds since the Unix epoch.
    Time(f64),
    Text(String),
    /// Of a type whose binary form is not read.
    Other,
}

/// A value that is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoNumber;

impl Cell {
    /// As a sample's value; `None` is SQL's NULL. Times are whole seconds, as the original has them.
    pub(crate) fn number(&self) -> Result<Option<f64>, NoNumber> {
        match self {
            Self::Null => Ok(None),
            Self::Int(n) => Ok(Some(*n as f64)),
            Self::Float(n) => Ok(Some(*n)),
            Self::Bool(b) => Ok(Some(f64::from(u8::from(*b)))),
            Self::Time(seconds) => Ok(Some(seconds.floor())),
            Self::Text(text) => model::float::parse_go_float(text).map(Some).ok_or(NoNumber),
            Self::Other => Err(NoNumber),
        }
    }

    /// As a label's value; `None` is SQL's NULL.
    pub(crate) fn label(&self) -> Option<std::borrow::Cow<'_, str>> {
        Some(match self {
            Self::Null => return None,
            Self::Int(n) => n.to_string().into(),
            Self::Float(n) => model::float::format_g(*n).into(),
            Self::Bool(b) => if *b { "true" } else { "false" }.into(),
            Self::Time(seconds) => format!("{}", seconds.floor() as i64).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Other => "".into(),
        })
    }

    /// The text, where it is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Reads a column of the text protocol.
    pub(crate) fn from_text(text: Option<&str>, kind: &Type) -> Self {
        let Some(text) = text else { return Self::Null };
        let whole = || Self::Text(text.to_owned());
        match *kind {
            Type::BOOL => Self::Bool(text == "t"),
            Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => {
                text.parse().map_or_else(|_| whole(), Self::Int)
            }
            Type::FLOAT4 | Type::FLOAT8 => model::float::parse_go_float(text).map_or_else(whole, Self::Float),
            Type::DATE | Type::TIMESTAMP | Type::TIMESTAMPTZ => time(text).map_or_else(whole, Self::Time),
            _ => whole(),
        }
    }
}

/// Seconds between 1970 and 2000, where PostgreSQL counts from.
const POSTGRES_EPOCH: f64 = 946_684_800.0;

impl<'a> FromSql<'a> for Cell {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *kind {
            Type::BOOL => Self::Bool(bool::from_sql(kind, raw)?),
            Type::INT2 => Self::Int(i16::from_sql(kind, raw)?.into()),
            Type::INT4 => Self::Int(i32::from_sql(kind, raw)?.into()),
            Type::INT8 => Self::Int(i64::from_sql(kind, raw)?),
            Type::OID | Type::XID => Self::Int(u32::from_be_bytes(raw.try_into()?).into()),
            Type::FLOAT4 => Self::Float(f32::from_sql(kind, raw)?.into()),
            Type::FLOAT8 => Self::Float(f64::from_sql(kind, raw)?),
            Type::TIMESTAMP | Type::TIMESTAMPTZ => Self::Time(match i64::from_be_bytes(raw.try_into()?) {
                i64::MAX => f64::INFINITY,
                i64::MIN => f64::NEG_INFINITY,
                micros => POSTGRES_EPOCH + micros as f64 / 1e6,
            }),
            Type::TEXT | Type::VARCHAR | Type::NAME | Type::BPCHAR | Type::UNKNOWN => {
                // A database in SQL_ASCII sends whatever bytes it was given.
                Self::Text(String::from_utf8_lossy(raw).into_owned())
            }
            _ => Self::Other,
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Reads a date or time in ISO format, `2026-11-30 20:03:12.5+05:30`, to seconds since the Unix epoch.
fn time(text: &str) -> Option<f64> {
    match text {
        "infinity" => return Some(f64::INFINITY),
        "-infinity" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let (text, before_christ) = text.strip_suffix(" BC").map_or((text, false), |t| (t, true));
    let (date, clock) = text.split_once(' ').unwrap_or((text, "00:00:00"));
    let mut parts = date.split('-').map(|p| p.parse::<i64>().ok());
    let (mut year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) || year > 300_000 {
        return None;
    }
    if before_christ {
        year = 1 - year;
    }
    let zone_at = clock.find(['+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(zone_at);
    let in_seconds = |text: &str| -> Option<f64> {
        let mut unit = 3600.0;
        let mut sum = 0.0;
        for part in text.split(':') {
            sum += part.parse::<f64>().ok()? * unit;
            unit /= 60.0;
        }
        Some(sum)
    };
    let offset = match zone.chars().next() {
        None => 0.0,
        Some('-') => -in_seconds(&zone[1..])?,
        Some(_) => in_seconds(&zone[1..])?,
    };
    Some(days_since_epoch(year, month, day) as f64 * 86_400.0 + in_seconds(clock)? - offset)
}

/// Days between 1970-01-01 and a date of the Gregorian calendar.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    // Years are counted from March, so that the leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rows {
    /// The columns' names, in order.
    pub(crate) columns: Vec<String>,
    /// Each with one cell per column.
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Rows {
    /// The place of a column.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c == name)
    }

    /// A cell by its row and its column's name; NULL where there is no such column.
    pub(crate) fn cell<'r>(&self, row: &'r [Cell], name: &str) -> &'r Cell {
        self.column(name).and_then(|at| row.get(at)).unwrap_or(&Cell::Null)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_text_by_type() {
        let check =
            |text: Option<&str>, kind: Type, cell: Cell| assert_eq!(Cell::from_text(text, &kind), cell);
        check(None, Type::INT4, Cell::Null);
        check(Some("t"), Type::BOOL, Cell::Bool(true));
        check(Some("-7"), Type::INT8, Cell::Int(-7));
        check(Some("Infinity"), Type::FLOAT8, Cell::Float(f64::INFINITY));
        check(Some("12.50"), Type::NUMERIC, Cell::Text("12.50".to_owned()));
        check(Some("1970-01-02"), Type::DATE, Cell::Time(86_400.0));
        check(Some("2026-11-30 20:03:12.5+00"), Type::TIMESTAMPTZ, Cell::Time(1_796_068_992.5));
        check(Some("2026-11-30 20:03:12.5+05:30"), Type::TIMESTAMPTZ, Cell::Time(1_796_049_192.5));
        check(Some("2024-02-29 00:00:00"), Type::TIMESTAMP, Cell::Time(1_709_164_800.0));
        check(Some("1969-12-31 23:59:59.5"), Type::TIMESTAMP, Cell::Time(-0.5));
        check(Some("infinity"), Type::TIMESTAMPTZ, Cell::Time(f64::INFINITY));
        check(Some("soon"), Type::TIMESTAMPTZ, Cell::Text("soon".to_owned()));
    }

    #[test]
    fn cells_are_numbers_and_labels_as_in_the_original() {
        let check = |cell: Cell, number: Result<Option<f64>, NoNumber>, label: Option<&str>| {
            assert_eq!(cell.number(), number);
            assert_eq!(cell.label().as_deref(), label);
        };
        check(Cell::Null, Ok(None), None);
        check(Cell::Int(5), Ok(Some(5.0)), Some("5"));
        check(Cell::Float(2.5e9), Ok(Some(2.5e9)), Some("2.5e+09"));
        check(Cell::Bool(true), Ok(Some(1.0)), Some("true"));
        check(Cell::Time(-0.5), Ok(Some(-1.0)), Some("-1"));
        check(Cell::Text("1.5".to_owned()), Ok(Some(1.5)), Some("1.5"));
        check(Cell::Text("0/16B3748".to_owned()), Err(NoNumber), Some("0/16B3748"));
    }

    #[test]
    fn reads_the_binary_protocol() {
        let read = |kind: Type, raw: &[u8]| Cell::from_sql(&kind, raw).unwrap();
        assert_eq!(read(Type::INT8, &5i64.to_be_bytes()), Cell::Int(5));
        assert_eq!(read(Type::OID, &u32::MAX.to_be_bytes()), Cell::Int(4_294_967_295));
        assert_eq!(read(Type::TIMESTAMPTZ, &1_500_000i64.to_be_bytes()), Cell::Time(POSTGRES_EPOCH + 1.5));
        assert_eq!(read(Type::NAME, b"caf\xe9"), Cell::Text("caf\u{fffd}".to_owned()));
        assert_eq!(read(Type::INTERVAL, &[0; 16]), Cell::Other);
        assert!(Cell::from_sql(&Type::INT8, b"short").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,30}", digits in "[0-9: .+-]{0,40}", raw in prop::collection::vec(any::<u8>(), 0..20)) {
            for kind in [Type::BOOL, Type::INT8, Type::FLOAT8, Type::DATE, Type::TIMESTAMPTZ, Type::NAME, Type::XID] {
                let cell = Cell::from_text(Some(&text), &kind);
                let _ = (cell.number(), cell.label());
                let cell = Cell::from_text(Some(&digits), &kind);
                let _ = (cell.number(), cell.label());
                let _ = Cell::from_sql(&kind, &raw);
            }
        }
    }
}
