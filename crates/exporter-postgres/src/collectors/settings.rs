//! The server's settings that are numbers or switches, in base units.

use exporters::Kind;

use crate::rows::{Cell, Rows};
use crate::scrape::{Fault, Scrape};

/// What this session set for itself is not the server's setting. Two that cloud services added are in no unit that can be read.
const QUERY: &str = "SELECT name, CASE source WHEN 'session' THEN reset_val ELSE setting END AS setting, unit, \
    short_desc, vartype FROM pg_settings \
    WHERE vartype IN ('bool', 'integer', 'real') \
    AND name NOT IN ('sync_commit_cancel_wait', 'google_dataplex.max_messages')";

pub(super) async fn update(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let rows = scrape.rows(QUERY).await?;
    let old = scrape.names().old();
    let labels = if old { &scrape.labels.mapped } else { &scrape.labels.plain };
    let mut out = crate::naming::Sink::new(scrape.page, labels);
    for row in &rows.rows {
        match Setting::read(&rows, row) {
            Ok(setting) => {
                let help = if old { setting.described() } else { setting.named() };
                out.sample(&setting.family, &help, Kind::Gauge, &[], setting.value);
            }
            Err(error) => tracing::warn!(err = error, "setting is not exposed"),
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Setting<'r> {
    name: &'r str,
    description: &'r str,
    family: String,
    /// The base unit, where it has one.
    unit: &'static str,
    value: f64,
}

impl<'r> Setting<'r> {
    fn read(rows: &Rows, row: &'r [Cell]) -> Result<Self, String> {
        let text = |column| rows.cell(row, column).as_text().unwrap_or_default();
        let (name, setting) = (text("name"), text("setting"));
        let mut family: String = "pg_settings_".to_owned();
        family.extend(name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
        let (value, unit) = match text("vartype") {
            "bool" => (f64::from(u8::from(setting == "on")), ""),
            _ => {
                // One service writes the unit behind the value.
                let digits = setting.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
                let value = model::float::parse_go_float(digits)
                    .ok_or_else(|| format!("setting {name:?}: expected a number, found {setting:?}"))?;
                in_base_unit(value, text("unit")).map_err(|e| format!("setting {name:?}: {e}"))?
            }
        };
        if !unit.is_empty() {
            family.push('_');
            family.push_str(unit);
        }
        Ok(Self { name, description: text("short_desc"), family, unit, value })
    }

    /// The help text of 0.11.
    fn described(&self) -> String {
        self.with_unit(self.description)
    }

    /// The help text of the current exporter.
    fn named(&self) -> String {
        self.with_unit(&format!("Server Parameter: {}", self.name))
    }

    fn with_unit(&self, text: &str) -> String {
        match self.unit {
            "" => text.to_owned(),
            unit => format!("{text} [Units converted to {unit}.]"),
        }
    }
}

/// A value in seconds or bytes, and which; units are such as `min` or `8kB`.
fn in_base_unit(value: f64, unit: &str) -> Result<(f64, &'static str), String> {
    let digits = unit.find(|c: char| !c.is_ascii_digit()).unwrap_or(unit.len());
    let (count, name) = unit.split_at(digits);
    let unknown = || format!("unknown unit {unit:?}");
    let count: f64 = if count.is_empty() { 1.0 } else { count.parse().map_err(|_| unknown())? };
    let (scaled, base) = match name {
        "" if unit.is_empty() => return Ok((value, "")),
        // Divided, since a thousandth has no exact form.
        "us" => (value * count / 1e6, "seconds"),
        "ms" => (value * count / 1000.0, "seconds"),
        "s" => (value * count, "seconds"),
        "min" => (value * count * 60.0, "seconds"),
        "h" => (value * count * 3600.0, "seconds"),
        "d" => (value * count * 86_400.0, "seconds"),
        "B" => (value * count, "bytes"),
        "kB" => (value * count * 1024.0, "bytes"),
        "MB" => (value * count * 1_048_576.0, "bytes"),
        "GB" => (value * count * 1_073_741_824.0, "bytes"),
        "TB" => (value * count * 1_099_511_627_776.0, "bytes"),
        _ => return Err(unknown()),
    };
    // It means "none" or "as another setting says".
    Ok((if value == -1.0 { value } else { scaled }, base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_folded_into_names_and_values() {
        let columns = ["name", "setting", "unit", "short_desc", "vartype"].map(str::to_owned).to_vec();
        let check =
            |name: &str, setting: &str, unit: &str, kind: &str, family: &str, value: f64, help: &str| {
                let cell =
                    |text: &str| if text.is_empty() { Cell::Null } else { Cell::Text(text.to_owned()) };
                let row = vec![cell(name), cell(setting), cell(unit), cell("It."), cell(kind)];
                let rows = Rows { columns: columns.clone(), rows: Vec::new() };
                let setting = Setting::read(&rows, &row).unwrap();
                assert_eq!((setting.family.as_str(), setting.value), (family, value));
                assert_eq!(setting.described(), help);
            };
        check(
            "shared_buffers",
            "16384",
            "8kB",
            "integer",
            "pg_settings_shared_buffers_bytes",
            134_217_728.0,
            "It. [Units converted to bytes.]",
        );
        check(
            "autovacuum_naptime",
            "60",
            "s",
            "integer",
            "pg_settings_autovacuum_naptime_seconds",
            60.0,
            "It. [Units converted to seconds.]",
        );
        check(
            "vacuum_cost_delay",
            "2",
            "ms",
            "real",
            "pg_settings_vacuum_cost_delay_seconds",
            0.002,
            "It. [Units converted to seconds.]",
        );
        check(
            "log_rotation_age",
            "1440",
            "min",
            "integer",
            "pg_settings_log_rotation_age_seconds",
            86_400.0,
            "It. [Units converted to seconds.]",
        );
        check(
            "temp_file_limit",
            "-1",
            "kB",
            "integer",
            "pg_settings_temp_file_limit_bytes",
            -1.0,
            "It. [Units converted to bytes.]",
        );
        check(
            "wal_segment_size",
            "16777216",
            "B",
            "integer",
            "pg_settings_wal_segment_size_bytes",
            16_777_216.0,
            "It. [Units converted to bytes.]",
        );
        check(
            "min_wal_size",
            "80",
            "MB",
            "integer",
            "pg_settings_min_wal_size_bytes",
            83_886_080.0,
            "It. [Units converted to bytes.]",
        );
        check("fsync", "on", "", "bool", "pg_settings_fsync", 1.0, "It.");
        check("my-ext.some.thing", "0.5", "", "real", "pg_settings_my_ext_some_thing", 0.5, "It.");
        check(
            "aurora",
            "7 kB",
            "kB",
            "integer",
            "pg_settings_aurora_bytes",
            7168.0,
            "It. [Units converted to bytes.]",
        );
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert_eq!(in_base_unit(1.0, "parsec"), Err("unknown unit \"parsec\"".to_owned()));
        assert_eq!(in_base_unit(1.0, "99"), Err("unknown unit \"99\"".to_owned()));
    }
}
