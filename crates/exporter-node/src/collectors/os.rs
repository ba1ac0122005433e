//! The distribution, from `os-release`.

use exporters::{Kind, Page};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct Os;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(Os))
}

/// Where it may be; the first counts.
const FILES: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

impl Collector for Os {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let mut text = Err(Fault::NoData);
        for file in FILES {
            text = read::text(&paths.root(file));
            if text != Err(Fault::NoData) {
                break;
            }
        }
        let text = text?;
        let values: Vec<(&str, String)> = text.lines().filter_map(assignment).collect();
        let get = |name| values.iter().rev().find(|(n, _)| *n == name).map_or("", |(_, v)| v.as_str());
        let help = "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, name, \
                    pretty_name, variant, variant_id, version, version_codename, version_id.";
        page.family("node_os_info", help, Kind::Gauge).sample(
            &[
                ("build_id", get("BUILD_ID")),
                ("id", get("ID")),
                ("id_like", get("ID_LIKE")),
                ("image_id", get("IMAGE_ID")),
                ("image_version", get("IMAGE_VERSION")),
                ("name", get("NAME")),
                ("pretty_name", get("PRETTY_NAME")),
                ("variant", get("VARIANT")),
                ("variant_id", get("VARIANT_ID")),
                ("version", get("VERSION")),
                ("version_codename", get("VERSION_CODENAME")),
                ("version_id", get("VERSION_ID")),
            ],
            1.0,
        );
        let version = major_minor(get("VERSION_ID"));
        if version > 0.0 {
            let help = "Metric containing the major.minor part of the OS version.";
            page.family("node_os_version", help, Kind::Gauge)
                .sample(&[("id", get("ID")), ("id_like", get("ID_LIKE")), ("name", get("NAME"))], version);
        }
        let end = get("SUPPORT_END");
        if end.is_empty() {
            return Ok(());
        }
        let midnight = end.parse::<Date>().and_then(|date| date.to_zoned(TimeZone::UTC));
        let midnight = midnight.map_err(|e| Fault::Error(format!("os-release: SUPPORT_END={end:?}: {e}")))?;
        let help = "Metric containing the end-of-life date timestamp of the OS.";
        let seconds = midnight.timestamp().as_second() as f64;
        page.single("node_os_support_end_timestamp_seconds", help, Kind::Gauge, seconds);
        Ok(())
    }
}

/// A line as a shell would read it.
fn assignment(line: &str) -> Option<(&str, String)> {
    let (name, value) = line.trim().split_once('=')?;
    if name.starts_with('#') {
        return None;
    }
    let mut out = String::with_capacity(value.len());
    let mut quote = None;
    let mut letters = value.trim().chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => out.extend(letters.next()),
            (letter, Some(open)) if letter == open => quote = None,
            ('"' | '\'', None) => quote = Some(letter),
            (' ' | '\t' | '#', None) => break,
            _ => out.push(letter),
        }
    }
    Some((name, out))
}

/// `12.4.1` as 12.4; 0 where there is no number.
fn major_minor(version: &str) -> f64 {
    let mut dots = 0;
    let end = version.find(|c: char| {
        dots += u32::from(c == '.');
        !(c.is_ascii_digit() || (c == '.' && dots == 1))
    });
    version[..end.unwrap_or(version.len())].parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_a_shell_would() {
        for (line, expect) in [
            ("ID=debian", Some(("ID", "debian"))),
            ("NAME=\"Debian GNU/Linux\"", Some(("NAME", "Debian GNU/Linux"))),
            (r#"A="a \"b\" \$c""#, Some(("A", "a \"b\" $c"))),
            (r"A='a \b'", Some(("A", r"a \b"))),
            ("A=b # c", Some(("A", "b"))),
            ("#A=b", None),
            ("A", None),
        ] {
            let got = assignment(line);
            assert_eq!(got.as_ref().map(|(n, v)| (*n, v.as_str())), expect, "{line}");
        }
    }

    #[test]
    fn versions_are_cut_after_the_minor() {
        for (version, expect) in
            [("12", 12.0), ("20.04", 20.04), ("20.04.6", 20.04), ("3.", 3.0), ("", 0.0), ("rolling", 0.0)]
        {
            assert_eq!(major_minor(version), expect, "{version}");
        }
    }
}
