//! Names and labels of two ages.
//!
//! The exporter's 0.11 (Debian's, and the one most dashboards were written for) and the current one differ in names and label sets.
//! Exposing one name with both label sets would double every `sum()`, so no series is ever there twice: where a family is in both,
//! [`Names::Both`] gives it once, under 0.11's labels; where it was renamed, under both names.

use exporters::{FamilyWriter, Kind, Page};

/// Whose names are exposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names {
    /// What 0.11 exposes, and nothing else by default.
    Old,
    /// What the current exporter exposes.
    Current,
    /// Every family of either.
    #[default]
    Both,
}

impl Names {
    /// Reads `0.11`, `current` or `both`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "0.11" => Ok(Self::Old),
            "current" => Ok(Self::Current),
            "both" => Ok(Self::Both),
            other => Err(format!("expected 0.11, current or both, found {other:?}")),
        }
    }

    /// Whether families of 0.11 are exposed.
    pub(crate) fn old(self) -> bool {
        self != Self::Current
    }

    /// Whether families that only the current exporter has are exposed.
    pub(crate) fn current(self) -> bool {
        self != Self::Old
    }
}

/// Labels that a server's samples carry besides their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    /// On families of 0.11's query maps and on users' queries: `server` and the constant labels.
    pub(crate) mapped: Vec<(String, String)>,
    /// On all others: `server`, unless a single server goes without, as with the current exporter.
    pub(crate) plain: Vec<(String, String)>,
}

impl Labels {
    /// Of the server `fingerprint`, one of `servers`.
    pub(crate) fn new(
        names: Names,
        fingerprint: &str,
        servers: usize,
        constant: &[(String, String)],
    ) -> Self {
        let server = ("server".to_owned(), fingerprint.to_owned());
        let shown = names.old() || servers > 1;
        let mut mapped = constant.to_vec();
        if !constant.iter().any(|(name, _)| name == "server") {
            mapped.push(server.clone());
        }
        Self { mapped, plain: if shown { vec![server] } else { Vec::new() } }
    }
}

/// Where samples go, with what is added to their names and labels.
pub(crate) struct Sink<'a> {
    page: &'a mut Page,
    extra: &'a [(String, String)],
    /// What stands for `pg` at the beginning of a name.
    prefix: &'a str,
}

impl<'a> Sink<'a> {
    /// Names as they are.
    pub(crate) fn new(page: &'a mut Page, extra: &'a [(String, String)]) -> Self {
        Self { page, extra, prefix: "pg" }
    }

    /// Names with another prefix than `pg`.
    pub(crate) fn prefixed(self, prefix: &'a str) -> Self {
        Self { prefix, ..self }
    }

    /// The family of this name.
    pub(crate) fn family(&mut self, name: &str, help: &str, kind: Kind) -> LabelledFamily<'_> {
        let writer = match name.strip_prefix("pg") {
            Some(rest) if self.prefix != "pg" => {
                self.page.family(&format!("{}{rest}", self.prefix), help, kind)
            }
            _ => self.page.family(name, help, kind),
        };
        LabelledFamily { writer, extra: self.extra }
    }

    /// One sample of a family.
    pub(crate) fn sample(&mut self, name: &str, help: &str, kind: Kind, labels: &[(&str, &str)], value: f64) {
        self.family(name, help, kind).sample(labels, value);
    }
}

/// Writes samples with the labels of their server.
pub(crate) struct LabelledFamily<'a> {
    writer: FamilyWriter<'a>,
    extra: &'a [(String, String)],
}

impl LabelledFamily<'_> {
    /// A sample with labels of its own, which count where both have one.
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.writer.sample(&joined(self.extra, labels), value);
    }

    /// A histogram, as [`FamilyWriter::histogram`] takes it.
    pub(crate) fn histogram(
        &mut self,
        labels: &[(&str, &str)],
        buckets: &[(f64, f64)],
        sum: f64,
        count: f64,
    ) {
        self.writer.histogram(&joined(self.extra, labels), buckets, sum, count);
    }
}

/// Labels sorted by name; of a name that both have, the sample's own.
pub(crate) fn joined<'l>(
    extra: &'l [(String, String)],
    own: &[(&'l str, &'l str)],
) -> Vec<(&'l str, &'l str)> {
    let mut labels: Vec<(&str, &str)> = own.to_vec();
    for (name, value) in extra {
        if !own.iter().any(|(n, _)| n == name) {
            labels.push((name, value));
        }
    }
    labels.sort_unstable_by_key(|(name, _)| *name);
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_names_and_the_number_of_servers() {
        let constant = [("env".to_owned(), "test".to_owned())];
        let shown = |labels: &[(String, String)]| {
            labels.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(",")
        };
        let check = |names: Names, servers: usize, mapped: &str, plain: &str| {
            let labels = Labels::new(names, "h:1", servers, &constant);
            assert_eq!((shown(&labels.mapped).as_str(), shown(&labels.plain).as_str()), (mapped, plain));
        };
        check(Names::Old, 1, "env=test,server=h:1", "server=h:1");
        check(Names::Both, 1, "env=test,server=h:1", "server=h:1");
        check(Names::Current, 1, "env=test,server=h:1", "");
        check(Names::Current, 2, "env=test,server=h:1", "server=h:1");
    }

    #[test]
    fn samples_take_prefix_and_labels() {
        let extra = [("server".to_owned(), "h".to_owned()), ("datname".to_owned(), "hidden".to_owned())];
        let mut page = Page::new();
        let mut sink = Sink::new(&mut page, &extra).prefixed("mine");
        sink.sample("pg_up", "U.", Kind::Gauge, &[("datname", "d"), ("zone", "z")], 1.0);
        sink.sample("other_pg", "O.", Kind::Gauge, &[], 2.0);
        let text = page.render();
        assert!(text.contains("mine_up{datname=\"d\",server=\"h\",zone=\"z\"} 1\n"), "{text}");
        assert!(text.contains("other_pg{datname=\"hidden\",server=\"h\"} 2\n"), "{text}");
    }
}
