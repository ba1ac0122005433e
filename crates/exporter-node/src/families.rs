//! Families as table rows, and what a collector needs to write them.

use std::sync::LazyLock;

use exporters::{Kind, Page};
use regex::Regex;

use crate::fault::Fault;

/// A family that is known beforehand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
}

/// A counter.
pub(crate) const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, help }
}

/// A gauge.
pub(crate) const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, help }
}

impl Family {
    /// Adds a sample; labels sorted by name.
    pub(crate) fn sample(&self, page: &mut Page, labels: &[(&str, &str)], value: f64) {
        page.family(self.name, self.help, self.kind).sample(labels, value);
    }
}

/// Writes all of what `fill` writes, or nothing where it fails: for collectors whose original reads everything before it tells anything.
pub(crate) fn all_or_nothing(
    page: &mut Page,
    fill: impl FnOnce(&mut Page) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut part = Page::new();
    fill(&mut part)?;
    page.append(part);
    Ok(())
}

/// A name from elsewhere as a part of a metric's name: each run of other characters, with the underscores around it, becomes one.
pub(crate) fn sanitize(name: &str) -> String {
    static OTHERS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("_*[^0-9A-Za-z_]+_*").expect("a valid expression"));
    OTHERS.replace_all(name, "_").into_owned()
}

/// Whether a name can end a metric's name as it is.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sanitized_as_the_original_does() {
        for (name, expect) in [
            ("package", "package"),
            ("psys-io", "psys_io"),
            ("a__-_b", "a_b"),
            ("a-_-b", "a__b"),
            ("kernel.seccomp.x", "kernel_seccomp_x"),
            ("é", "_"),
        ] {
            assert_eq!(sanitize(name), expect, "{name}");
        }
    }

    #[test]
    fn a_failure_leaves_the_page_alone() {
        let mut page = Page::new();
        let outcome = all_or_nothing(&mut page, |page| {
            page.single("a", "", Kind::Gauge, 1.0);
            Err(Fault::NoData)
        });
        assert_eq!(outcome, Err(Fault::NoData));
        assert_eq!(page.render(), "");
    }
}
