//! Writing families under the namespace, with the instance's role where that is asked for.

use exporters::{FamilyWriter, Kind, Page};

/// Most labels that a sample of ours has.
const MAX_LABELS: usize = 16;

/// A page being written.
pub(crate) struct Sheet {
    page: Page,
    /// The namespace with its underscore, and a family's name after it for a moment.
    name: String,
    prefix_len: usize,
    role: Option<String>,
}

impl Sheet {
    /// An empty page.
    pub(crate) fn new(namespace: &str) -> Self {
        let name = if namespace.is_empty() { String::new() } else { format!("{namespace}_") };
        Self { page: Page::new(), prefix_len: name.len(), name, role: None }
    }

    /// From now on, samples have this role as label `instance_role`.
    pub(crate) fn set_role(&mut self, role: &str) {
        self.role = Some(role.to_owned());
    }

    /// Whether samples have a role.
    pub(crate) fn has_role(&self) -> bool {
        self.role.is_some()
    }

    /// The page.
    pub(crate) fn into_page(self) -> Page {
        self.page
    }

    /// A sample of a gauge.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.sample(name, help, Kind::Gauge, labels, value);
    }

    /// A sample of a counter.
    pub(crate) fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.sample(name, help, Kind::Counter, labels, value);
    }

    /// A family of one sample without labels and with the usual help text. One that is there already stays: a server may give a field
    /// in two sections.
    pub(crate) fn plain(&mut self, name: &str, kind: Kind, value: f64) {
        self.set_name(name);
        if !self.page.has(&self.name) {
            self.sample(name, &format!("{name} metric"), kind, &[], value);
        }
    }

    /// A sample; its labels in any order.
    pub(crate) fn sample(&mut self, name: &str, help: &str, kind: Kind, labels: &[(&str, &str)], value: f64) {
        self.with(name, help, kind, labels, |family, labels| {
            family.sample(labels, value);
        });
    }

    /// Samples of a histogram or summary, which `write` writes with the labels it is given.
    pub(crate) fn with(
        &mut self,
        name: &str,
        help: &str,
        kind: Kind,
        labels: &[(&str, &str)],
        write: impl FnOnce(&mut FamilyWriter<'_>, &[(&str, &str)]),
    ) {
        self.set_name(name);
        let mut all = [("", ""); MAX_LABELS];
        let mut len = 0;
        let role = self.role.as_deref().map(|role| ("instance_role", role));
        for label in labels.iter().copied().chain(role).take(MAX_LABELS) {
            all[len] = label;
            len += 1;
        }
        let all = &mut all[..len];
        all.sort_unstable();
        write(&mut self.page.family(&self.name, help, kind), all);
    }

    /// A family of ours, which no namespace is put before.
    pub(crate) fn own(&mut self, name: &str, help: &str, kind: Kind, value: f64) {
        self.page.family(name, help, kind).sample(&[], value);
    }

    fn set_name(&mut self, name: &str) {
        self.name.truncate(self.prefix_len);
        // What a server names may have any character.
        let valid = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
        self.name.extend(name.chars().map(valid));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The samples of a sheet.
    pub(crate) fn lines(sheet: Sheet) -> Vec<String> {
        let text = sheet.into_page().render();
        text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn sorts_labels_and_adds_the_role() {
        let mut sheet = Sheet::new("redis");
        sheet.gauge("a", "A.", &[("z", "1"), ("b", "2")], 1.0);
        sheet.set_role("slave");
        sheet.gauge("a", "A.", &[("z", "1"), ("b", "2")], 1.0);
        sheet.plain("cluster-x", Kind::Gauge, 2.0);
        sheet.plain("cluster-x", Kind::Gauge, 3.0);
        sheet.own("vigie_a", "Own.", Kind::Gauge, 4.0);
        assert_eq!(
            lines(sheet),
            [
                "redis_a{b=\"2\",z=\"1\"} 1",
                "redis_a{b=\"2\",instance_role=\"slave\",z=\"1\"} 1",
                "redis_cluster_x{instance_role=\"slave\"} 2",
                "vigie_a 4"
            ]
        );
    }
}
