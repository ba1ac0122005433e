//! Families of samples to bytes.

use std::borrow::Cow;

use model::float::format_g;
use model::{Exemplar, LabelSet, MetricType, TimestampMs, is_valid_label_name, is_valid_metric_name};

use crate::Format;
use crate::content::Encoding;
use crate::value::format_openmetrics;

/// What becomes of names outside the legacy character set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Escaping {
    /// They stay, quoted inside the braces (`allow-utf-8`).
    None,
    /// Each character that is not allowed becomes `_` (`underscores`).
    Underscores,
}

/// A metric family to write.
#[derive(Debug, Clone, Default)]
pub struct Family {
    /// The name as OpenMetrics has it: without `_total` for counters.
    pub name: String,
    /// The help text; no HELP line when empty.
    pub help: String,
    /// The type.
    pub kind: MetricType,
    /// The unit; must be the name's last word. Only OpenMetrics shows it.
    pub unit: String,
    /// Its samples, in the order to write.
    pub samples: Vec<FamilySample>,
}

/// A sample of a family.
#[derive(Debug, Clone)]
pub struct FamilySample {
    /// What follows the family's name: `_total`, `_bucket`, `_sum`, `_count`, `_created`, `_info` or nothing.
    pub suffix: &'static str,
    /// The labels without the metric name.
    pub labels: LabelSet,
    /// A label that comes last, such as `le` with its value.
    pub bound: Option<(&'static str, f64)>,
    /// The value.
    pub value: f64,
    /// An explicit timestamp.
    pub ts: Option<TimestampMs>,
    /// An exemplar; only OpenMetrics shows it.
    pub exemplar: Option<Exemplar>,
}

impl FamilySample {
    /// A sample with labels and value only.
    #[must_use]
    pub fn new(suffix: &'static str, labels: LabelSet, value: f64) -> Self {
        Self { suffix, labels, bound: None, value, ts: None, exemplar: None }
    }
}

/// Writes families, one after the other. In the text format `_created` samples form gauge families of their own.
#[must_use]
pub fn encode(families: &[Family], encoding: Encoding) -> Vec<u8> {
    let mut w = Writer { out: String::new(), encoding };
    for family in families {
        match encoding.format {
            Format::Text => w.text_family(family),
            Format::OpenMetrics => w.openmetrics_family(family),
        }
    }
    if encoding.format == Format::OpenMetrics {
        w.out.push_str("# EOF\n");
    }
    w.out.into_bytes()
}

struct Writer {
    out: String,
    encoding: Encoding,
}

impl Writer {
    fn text_family(&mut self, family: &Family) {
        let kind = match family.kind {
            MetricType::Counter => "counter",
            MetricType::Gauge | MetricType::Info | MetricType::StateSet => "gauge",
            MetricType::Histogram => "histogram",
            MetricType::Summary => "summary",
            MetricType::GaugeHistogram | MetricType::Unknown => "untyped",
        };
        let suffix = match family.kind {
            MetricType::Counter => "_total",
            MetricType::Info => "_info",
            _ => "",
        };
        let (created, samples): (Vec<_>, Vec<_>) =
            family.samples.iter().partition(|s| s.suffix == "_created");
        for (suffix, kind, samples) in [(suffix, kind, samples), ("_created", "gauge", created)] {
            if samples.is_empty() && suffix == "_created" {
                continue;
            }
            let name = format!("{}{suffix}", family.name);
            if !family.help.is_empty() {
                self.meta("HELP", &name);
                escape_into(&mut self.out, &family.help, &['\\', '\n']);
                self.out.push('\n');
            }
            self.meta("TYPE", &name);
            self.out.push_str(kind);
            self.out.push('\n');
            for sample in samples {
                self.sample(family, sample);
                self.out.push_str(&format_g(sample.value));
                if let Some(ts) = sample.ts {
                    self.out.push_str(&format!(" {ts}"));
                }
                self.out.push('\n');
            }
        }
    }

    fn openmetrics_family(&mut self, family: &Family) {
        if !family.help.is_empty() {
            self.meta("HELP", &family.name);
            escape_into(&mut self.out, &family.help, &['\\', '\n', '"']);
            self.out.push('\n');
        }
        self.meta("TYPE", &family.name);
        self.out.push_str(family.kind.as_str());
        self.out.push('\n');
        if !family.unit.is_empty() && family.name.ends_with(&format!("_{}", family.unit)) {
            self.meta("UNIT", &family.name);
            self.out.push_str(&family.unit);
            self.out.push('\n');
        }
        for sample in &family.samples {
            self.sample(family, sample);
            self.out.push_str(&format_openmetrics(sample.value));
            if let Some(ts) = sample.ts {
                self.seconds(ts);
            }
            if let Some(exemplar) = &sample.exemplar {
                self.out.push_str(" # {");
                for (i, (name, value)) in exemplar.labels.iter().enumerate() {
                    self.label(i == 0, name, value);
                }
                self.out.push_str("} ");
                self.out.push_str(&format_openmetrics(exemplar.value));
                if let Some(ts) = exemplar.ts {
                    self.seconds(ts);
                }
            }
            self.out.push('\n');
        }
    }

    fn seconds(&mut self, ts: TimestampMs) {
        let sign = if ts < 0 { "-" } else { "" };
        let ts = ts.unsigned_abs();
        self.out.push_str(&format!(" {sign}{}.{:03}", ts / 1000, ts % 1000));
    }

    fn meta(&mut self, what: &str, name: &str) {
        self.out.push_str("# ");
        self.out.push_str(what);
        self.out.push(' ');
        let name = self.name(name, is_valid_metric_name);
        self.quoted_unless_valid(&name, is_valid_metric_name);
        self.out.push(' ');
    }

    /// Writes a series and the blank after it.
    fn sample(&mut self, family: &Family, sample: &FamilySample) {
        let full = format!("{}{}", family.name, sample.suffix);
        let full = self.name(&full, is_valid_metric_name);
        let quoted = !is_valid_metric_name(&full);
        if !quoted {
            self.out.push_str(&full);
        }
        let mut first = true;
        if quoted {
            self.out.push('{');
            self.quoted_unless_valid(&full, is_valid_metric_name);
            first = false;
        }
        let bound = sample.bound.map(|(name, v)| {
            let text = if self.encoding.format == Format::Text { format_g(v) } else { format_openmetrics(v) };
            (name, text)
        });
        let labels = sample.labels.iter().chain(bound.as_ref().map(|(n, v)| (*n, v.as_str())));
        for (name, value) in labels {
            if first {
                self.out.push('{');
            }
            self.label(first, name, value);
            first = false;
        }
        self.out.push_str(if first { " " } else { "} " });
    }

    fn label(&mut self, first: bool, name: &str, value: &str) {
        if !first {
            self.out.push(',');
        }
        let name = self.name(name, is_valid_label_name);
        self.quoted_unless_valid(&name, is_valid_label_name);
        self.out.push_str("=\"");
        escape_into(&mut self.out, value, &['\\', '\n', '"']);
        self.out.push('"');
    }

    fn quoted_unless_valid(&mut self, name: &str, valid: fn(&str) -> bool) {
        if valid(name) {
            self.out.push_str(name);
        } else {
            self.out.push('"');
            escape_into(&mut self.out, name, &['\\', '\n', '"']);
            self.out.push('"');
        }
    }

    /// The name as the escaping scheme wants it.
    fn name<'n>(&self, name: &'n str, valid: fn(&str) -> bool) -> Cow<'n, str> {
        if self.encoding.escaping == Escaping::None || valid(name) || name.is_empty() {
            return Cow::Borrowed(name);
        }
        let fixed = name.char_indices().map(|(i, c)| {
            let mut buffer = [0; 4];
            let c_valid = if i > 0 && c.is_ascii_digit() { true } else { valid(c.encode_utf8(&mut buffer)) };
            if c_valid { c } else { '_' }
        });
        Cow::Owned(fixed.collect())
    }
}

fn escape_into(out: &mut String, text: &str, escaped: &[char]) {
    for c in text.chars() {
        if escaped.contains(&c) {
            out.push('\\');
            out.push(if c == '\n' { 'n' } else { c });
        } else {
            out.push(c);
        }
    }
}
