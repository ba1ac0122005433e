//! What a body consists of, as views into it.

use std::borrow::Cow;
use std::ops::Range;

use model::{Exemplar, LabelSet, METRIC_NAME, MetricType, TimestampMs};

use crate::parser::State;
use crate::quote::{Quotes, unescape};
use crate::value::format_openmetrics;

/// One entry of a body.
#[derive(Debug)]
pub enum Entry<'p> {
    /// `# HELP`: the family and its text, escapes resolved.
    Help {
        /// The family's name.
        family: Cow<'p, str>,
        /// The text.
        text: Cow<'p, str>,
    },
    /// `# TYPE`.
    Type {
        /// The family's name.
        family: Cow<'p, str>,
        /// Its type.
        kind: MetricType,
    },
    /// `# UNIT`, in OpenMetrics only.
    Unit {
        /// The family's name.
        family: Cow<'p, str>,
        /// Its unit.
        unit: Cow<'p, str>,
    },
    /// Any other comment, with its `#`.
    Comment(&'p [u8]),
    /// One sample.
    Series(Series<'p>),
}

/// One sample line.
#[derive(Debug, Clone, Copy)]
pub struct Series<'p> {
    pub(crate) state: &'p State<'p>,
    /// The value.
    pub value: f64,
    /// The timestamp, if the line has one.
    pub ts: Option<TimestampMs>,
}

impl<'p> Series<'p> {
    /// Where in the body the series' text (name and braces) lies. Equal bytes there are the same series, as long as the family's
    /// type is the same.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.state.series.range()
    }

    /// The series' text.
    #[must_use]
    pub fn text(&self) -> &'p [u8] {
        &self.state.body[self.range()]
    }

    /// The metric name, escapes resolved.
    #[must_use]
    pub fn name(&self) -> Cow<'p, str> {
        unescape(self.state.str(self.state.name), Quotes::Escaped)
    }

    /// The labels without the name, in the body's order, escapes resolved, `le` and `quantile` in canonical spelling. Names may
    /// repeat.
    #[must_use]
    pub fn labels(&self) -> Labels<'p> {
        Labels { state: self.state, spans: self.state.labels.iter(), kind: self.state.kind }
    }

    /// The label set with the metric name; of labels that repeat the last counts.
    #[must_use]
    pub fn label_set(&self) -> LabelSet {
        let name = std::iter::once((Cow::Borrowed(METRIC_NAME), self.name()));
        LabelSet::from_pairs(name.chain(self.labels()))
    }

    /// A label name that occurs twice, if any; Prometheus refuses such a series when it is stored.
    #[must_use]
    pub fn repeated_label(&self) -> Option<String> {
        let mut names: Vec<_> = self.labels().map(|(n, _)| n).collect();
        names.push(Cow::Borrowed(METRIC_NAME));
        names.sort_unstable();
        names.windows(2).find(|w| w[0] == w[1]).map(|w| w[0].clone().into_owned())
    }

    /// The exemplar, if the line has one.
    #[must_use]
    pub fn exemplar(&self) -> Option<ExemplarEntry<'p>> {
        let (value, ts) = self.state.exemplar?;
        Some(ExemplarEntry { state: self.state, value, ts })
    }
}

/// The exemplar of a sample line.
#[derive(Debug, Clone, Copy)]
pub struct ExemplarEntry<'p> {
    state: &'p State<'p>,
    /// The observed value.
    pub value: f64,
    /// When it was observed.
    pub ts: Option<TimestampMs>,
}

impl ExemplarEntry<'_> {
    /// A copy that outlives the parser.
    #[must_use]
    pub fn to_exemplar(&self) -> Exemplar {
        let labels =
            Labels { state: self.state, spans: self.state.exemplar_labels.iter(), kind: MetricType::Unknown };
        Exemplar { labels: LabelSet::from_pairs(labels), value: self.value, ts: self.ts }
    }
}

/// Labels of a line.
#[derive(Debug, Clone)]
pub struct Labels<'p> {
    state: &'p State<'p>,
    spans: std::slice::Iter<'p, [Span; 2]>,
    kind: MetricType,
}

impl<'p> Iterator for Labels<'p> {
    type Item = (Cow<'p, str>, Cow<'p, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let [name, value] = *self.spans.next()?;
        let name = unescape(self.state.str(name), Quotes::Escaped);
        let value = unescape(self.state.str(value), Quotes::Escaped);
        let is_bound =
            matches!((self.kind, &*name), (MetricType::Histogram, "le") | (MetricType::Summary, "quantile"));
        let value = match is_bound.then(|| model::float::parse_go_float(&value)).flatten() {
            Some(bound) => {
                let canonical = format_openmetrics(bound);
                if canonical == value { value } else { Cow::Owned(canonical) }
            }
            None => value,
        };
        Some((name, value))
    }
}

/// A piece of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// Bodies above 4 GiB are refused by the parser, so offsets fit.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let narrow = |n| u32::try_from(n).expect("bodies are below 4 GiB");
        Self { start: narrow(start), end: narrow(end) }
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}
