//! Go's texts of durations, times, sizes and tables.

use std::io::{self, Write};

/// `time.Duration.String` of whole milliseconds: `2h0m0s`, `1.5s`, `20ms`, `0s`.
pub(crate) fn duration(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    if ms == 0 {
        return "0s".to_owned();
    }
    if ms < 1000 {
        return format!("{sign}{ms}ms");
    }
    let (s, fraction) = (ms / 1000, ms % 1000);
    let seconds = if fraction == 0 {
        (s % 60).to_string()
    } else {
        format!("{}.{fraction:03}", s % 60).trim_end_matches('0').to_owned()
    };
    match (s / 3600, s / 60 % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, m) => format!("{sign}{m}m{seconds}s"),
        (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
    }
}

/// `time.Time.String` of a time in UTC, cut to seconds.
pub(crate) fn time(ms: i64) -> String {
    match jiff::Timestamp::from_second(ms / 1000) {
        Ok(t) => t.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
        Err(_) => ms.to_string(),
    }
}

/// `units.Base2Bytes.String`: `1MiB512KiB3B`.
pub(crate) fn base2_bytes(bytes: u64) -> String {
    if bytes == 0 {
        return "0B".to_owned();
    }
    let mut parts = Vec::new();
    let mut rest = bytes;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if !rest.is_multiple_of(1024) {
            parts.push(format!("{}{unit}", rest % 1024));
        }
        rest /= 1024;
    }
    parts.reverse();
    parts.concat()
}

/// `tabwriter.NewWriter(out, 13, 0, 2, ' ', 0)`: columns at least 13 wide with two blanks between, the last one as it is.
pub(crate) fn table(rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| {
        rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count() + 2).max().unwrap_or(0).max(13)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if i + 1 == row.len() {
                writeln!(out, "{cell}")?;
            } else {
                write!(out, "{cell:<width$}")?;
            }
        }
    }
    Ok(())
}

/// `encoding/json` of a text.
pub(crate) fn json_string(s: &str) -> String {
    let quoted = serde_json::to_string(s).expect("text can always be written");
    let mut out = String::with_capacity(quoted.len());
    for c in quoted.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_gos() {
        for (ms, text) in [
            (7_200_000, "2h0m0s"),
            (799_001, "13m19.001s"),
            (1500, "1.5s"),
            (0, "0s"),
            (20, "20ms"),
            (-61_000, "-1m1s"),
        ] {
            assert_eq!(duration(ms), text);
        }
        assert_eq!(time(1_590_069_600_000), "2020-05-21 14:00:00 +0000 UTC");
        for (n, text) in [(0, "0B"), (1023, "1023B"), (1024, "1KiB"), (1_572_867, "1MiB512KiB3B")] {
            assert_eq!(base2_bytes(n), text);
        }
        assert_eq!(json_string("a<b\"\u{e9}"), "\"a\\u003cb\\\"\u{e9}\"");
    }
}
