//! A page: families of samples, kept as the text they are sent in.

use std::collections::HashMap;
use std::fmt::Write as _;

use exposition::Family;
use exposition::content::Encoding;
use model::float::format_g;

/// A family's type in the text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `counter`; the name is written as given, with or without `_total`.
    Counter,
    /// `gauge`
    Gauge,
    /// `untyped`
    Untyped,
    /// `histogram`
    Histogram,
    /// `summary`
    Summary,
}

impl Kind {
    /// As a TYPE line has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Untyped => "untyped",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// Why samples from elsewhere (a text file, a user's query) cannot join a family of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// The family is there with this type.
    Kind(Kind),
    /// The family is there with this help text.
    Help(String),
}

#[derive(Debug)]
struct FamilyText {
    name: String,
    help: String,
    kind: Kind,
    /// The lines of its samples.
    lines: String,
}

/// The families of one gathering. Written in any order, rendered sorted by name as the originals do. The samples of a family stay in
/// the order they came in, which must be the same at each gathering: the scraper recognises lines by their place.
#[derive(Debug, Default)]
pub struct Page {
    families: Vec<FamilyText>,
    by_name: HashMap<String, usize, foldhash::fast::RandomState>,
    errors: usize,
}

impl Page {
    /// A page without families.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The family of this name, new or as it is: help and type of the first call count. A family without samples is not rendered.
    /// `name` must be a valid metric name; that is not checked.
    pub fn family(&mut self, name: &str, help: &str, kind: Kind) -> FamilyWriter<'_> {
        let place = match self.by_name.get(name) {
            Some(&place) => place,
            None => {
                let place = self.families.len();
                self.by_name.insert(name.to_owned(), place);
                let (name, help) = (name.to_owned(), help.to_owned());
                self.families.push(FamilyText { name, help, kind, lines: String::new() });
                place
            }
        };
        let FamilyText { name, lines, .. } = &mut self.families[place];
        FamilyWriter { name, lines }
    }

    /// The same for names, help texts and types that come from outside.
    ///
    /// # Errors
    /// When the family is there with another type or help text; the page is as it was.
    pub fn try_family(&mut self, name: &str, help: &str, kind: Kind) -> Result<FamilyWriter<'_>, Conflict> {
        if let Some(&place) = self.by_name.get(name) {
            let known = &self.families[place];
            if known.kind != kind {
                return Err(Conflict::Kind(known.kind));
            }
            if known.help != help {
                return Err(Conflict::Help(known.help.clone()));
            }
        }
        Ok(self.family(name, help, kind))
    }

    /// A family with one sample without labels.
    pub fn single(&mut self, name: &str, help: &str, kind: Kind, value: f64) {
        self.family(name, help, kind).sample(&[], value);
    }

    /// Whether a family of this name has samples.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|&place| !self.families[place].lines.is_empty())
    }

    /// Whether a family has a sample of its own name with these labels.
    #[must_use]
    pub fn has_series(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        let Some(family) = self.by_name.get(name).map(|&place| &self.families[place]) else { return false };
        let mut wanted = String::new();
        FamilyWriter { name, lines: &mut wanted }.sample(labels, 0.0);
        wanted.truncate(wanted.len() - "0\n".len());
        family.lines.lines().any(|line| line.starts_with(&wanted))
    }

    /// Counts something that could not join the page; it shows in `promhttp_metric_handler_errors_total{cause="gathering"}`.
    pub fn count_error(&mut self) {
        self.errors += 1;
    }

    /// How many there were.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Takes another page's families; where both have one, this page's help and type count.
    pub fn append(&mut self, other: Self) {
        self.errors += other.errors;
        for family in other.families {
            self.family(&family.name, &family.help, family.kind).lines.push_str(&family.lines);
        }
    }

    /// Takes another page's families in place of this one's of the same names.
    pub fn supersede(&mut self, other: Self) {
        for family in &other.families {
            if let (Some(&place), false) = (self.by_name.get(&family.name), family.lines.is_empty()) {
                let own = &mut self.families[place];
                own.kind = family.kind;
                own.help.clone_from(&family.help);
                own.lines.clear();
            }
        }
        self.append(other);
    }

    /// The page in text format 0.0.4, families by name.
    #[must_use]
    pub fn render(&self) -> String {
        self.render_with(&[])
    }

    /// The page with further families between its own. Of two of one name the further one counts.
    #[must_use]
    pub fn render_with(&self, others: &[Family]) -> String {
        let mut order: Vec<&FamilyText> = self.families.iter().filter(|f| !f.lines.is_empty()).collect();
        order.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let size = order.iter().map(|f| f.lines.len() + f.help.len() + 2 * f.name.len() + 32).sum::<usize>();
        let mut out = String::with_capacity(size + 256 * others.len());
        let mut others: Vec<&Family> = others.iter().collect();
        others.sort_by(|a, b| a.name.cmp(&b.name));
        let mut others = others.into_iter().peekable();
        for family in order {
            while let Some(other) = others.next_if(|o| o.name < family.name) {
                push_family(&mut out, other);
            }
            if others.peek().is_some_and(|other| other.name == family.name) {
                continue;
            }
            if !family.help.is_empty() {
                out.push_str("# HELP ");
                out.push_str(&family.name);
                out.push(' ');
                escape(&mut out, &family.help, false);
                out.push('\n');
            }
            let _ = writeln!(out, "# TYPE {} {}", family.name, family.kind.as_str());
            out.push_str(&family.lines);
        }
        others.for_each(|other| push_family(&mut out, other));
        out
    }
}

fn push_family(out: &mut String, family: &Family) {
    let text = exposition::encode(std::slice::from_ref(family), Encoding::TEXT);
    out.push_str(&String::from_utf8_lossy(&text));
}

/// Writes the samples of a family.
#[derive(Debug)]
pub struct FamilyWriter<'p> {
    name: &'p str,
    lines: &'p mut String,
}

impl FamilyWriter<'_> {
    /// A sample. Label names must be valid and differ; a label with an empty value is written, as the originals do. Labels are to be
    /// given sorted by name, as the originals expose them.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.suffixed("", labels, value)
    }

    /// A sample whose name has a suffix: `_sum`, `_count`.
    pub fn suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.line(suffix, labels, None, value)
    }

    /// A histogram: cumulative counts by upper bound, without the one of `+Inf`, which is `count`.
    pub fn histogram(
        &mut self,
        labels: &[(&str, &str)],
        buckets: &[(f64, f64)],
        sum: f64,
        count: f64,
    ) -> &mut Self {
        for &(bound, cumulative) in buckets.iter().filter(|(b, _)| *b != f64::INFINITY) {
            self.line("_bucket", labels, Some(("le", bound)), cumulative);
        }
        self.line("_bucket", labels, Some(("le", f64::INFINITY)), count);
        self.suffixed("_sum", labels, sum).suffixed("_count", labels, count)
    }

    /// A summary: values by quantile.
    pub fn summary(
        &mut self,
        labels: &[(&str, &str)],
        quantiles: &[(f64, f64)],
        sum: f64,
        count: f64,
    ) -> &mut Self {
        for &(quantile, value) in quantiles {
            self.line("", labels, Some(("quantile", quantile)), value);
        }
        self.suffixed("_sum", labels, sum).suffixed("_count", labels, count)
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        bound: Option<(&str, f64)>,
        value: f64,
    ) -> &mut Self {
        let out = &mut *self.lines;
        let label_len: usize = labels.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        out.reserve(self.name.len() + suffix.len() + label_len + 32);
        out.push_str(self.name);
        out.push_str(suffix);
        let mut opening = '{';
        for (name, value) in labels {
            out.push(opening);
            opening = ',';
            out.push_str(name);
            out.push_str("=\"");
            escape(out, value, true);
            out.push('"');
        }
        if let Some((name, bound)) = bound {
            out.push(opening);
            opening = ',';
            out.push_str(name);
            out.push_str("=\"");
            push_value(out, bound);
            out.push('"');
        }
        out.push_str(if opening == ',' { "} " } else { " " });
        push_value(out, value);
        out.push('\n');
        self
    }
}

/// As Go's `strconv.FormatFloat(v, 'g', -1, 64)`, with the integers that most samples are by a shorter way.
fn push_value(out: &mut String, value: f64) {
    // From 1e21 on Go writes an exponent; past 2^53 digits are no longer those of the integer's shortest form.
    if value.trunc() == value && value.abs() < 999_999.5 && !(value == 0.0 && value.is_sign_negative()) {
        let _ = write!(out, "{}", value as i64);
    } else {
        out.push_str(&format_g(value));
    }
}

fn escape(out: &mut String, text: &str, quotes: bool) {
    let special = |b: u8| b == b'\\' || b == b'\n' || (quotes && b == b'"');
    if !text.bytes().any(special) {
        out.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::MetricType;
    use telemetry::single;

    use super::*;

    #[test]
    fn renders_sorted_with_everything_escaped() {
        let mut page = Page::new();
        page.single("b", "Two\nlines of \"help\" \\.", Kind::Gauge, 1e6);
        page.family("a_total", "A.", Kind::Counter).sample(&[("x", "1\n\"\\")], 3.0).sample(&[], f64::NAN);
        page.family("empty", "Nothing.", Kind::Gauge);
        page.family("h", "", Kind::Histogram).histogram(&[("l", "v")], &[(0.5, 1.0)], 2.5, 3.0);
        page.family("s", "", Kind::Summary).summary(&[], &[(0.99, 7.0)], 8.0, 9.0);
        let expect = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\\n\\\"\\\\\"} 3\na_total NaN\n\
            # HELP b Two\\nlines of \"help\" \\\\.\n# TYPE b gauge\nb 1e+06\n\
            # TYPE h histogram\nh_bucket{l=\"v\",le=\"0.5\"} 1\nh_bucket{l=\"v\",le=\"+Inf\"} 3\nh_sum{l=\"v\"} 2.5\nh_count{l=\"v\"} 3\n\
            # TYPE s summary\ns{quantile=\"0.99\"} 7\ns_sum 8\ns_count 9\n";
        assert_eq!(page.render(), expect);
    }

    #[test]
    fn other_families_find_their_place() {
        let mut page = Page::new();
        page.single("b", "", Kind::Gauge, 1.0);
        let others =
            [single("c", "", MetricType::Gauge, 2.0), single("a_total", "", MetricType::Counter, 3.0)];
        let text = page.render_with(&others);
        let names: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(names, ["a_total 3", "b 1", "c 2"]);
    }

    #[test]
    fn of_two_families_of_one_name_the_further_one_counts() {
        let mut page = Page::new();
        page.single("a", "", Kind::Gauge, 1.0);
        assert_eq!(page.render_with(&[single("a", "", MetricType::Gauge, 2.0)]), "# TYPE a gauge\na 2\n");
    }

    #[test]
    fn knows_its_series() {
        let mut page = Page::new();
        page.single("a", "", Kind::Gauge, 1.0);
        page.family("b", "", Kind::Gauge).sample(&[("x", "1 \"")], 1.0);
        assert!(page.has_series("a", &[]) && page.has_series("b", &[("x", "1 \"")]));
        assert!(
            !page.has_series("b", &[]) && !page.has_series("b", &[("x", "1")]) && !page.has_series("c", &[])
        );
    }

    #[test]
    fn families_from_outside_must_agree() {
        let mut page = Page::new();
        page.single("a", "A.", Kind::Gauge, 1.0);
        assert_eq!(page.try_family("a", "A.", Kind::Counter).err(), Some(Conflict::Kind(Kind::Gauge)));
        assert_eq!(page.try_family("a", "B.", Kind::Gauge).err(), Some(Conflict::Help("A.".to_owned())));
        assert!(page.try_family("a", "A.", Kind::Gauge).is_ok());
        let mut more = Page::new();
        more.family("a", "other", Kind::Gauge).sample(&[("n", "2")], 2.0);
        page.append(more);
        assert_eq!(page.render(), "# HELP a A.\n# TYPE a gauge\na 1\na{n=\"2\"} 2\n");
        let mut instead = Page::new();
        instead.single("a", "C.", Kind::Counter, 3.0);
        instead.single("b", "B.", Kind::Gauge, 4.0);
        page.supersede(instead);
        assert_eq!(page.render(), "# HELP a C.\n# TYPE a counter\na 3\n# HELP b B.\n# TYPE b gauge\nb 4\n");
    }

    #[test]
    fn values_are_as_go_writes_them() {
        let mut out = String::new();
        for v in [0.0, -0.0, 1.0, -5.0, 999_999.0, 1e6, 123_456_789.0, 0.1, 1e21, 1e-7, f64::INFINITY] {
            push_value(&mut out, v);
            out.push(' ');
        }
        assert_eq!(out, "0 -0 1 -5 999999 1e+06 1.23456789e+08 0.1 1e+21 1e-07 +Inf ");
    }
}
