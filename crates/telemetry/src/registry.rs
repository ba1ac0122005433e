//! The registry: where instruments live and how they are gathered.

use std::sync::Arc;

use exposition::{Family, FamilySample};
use model::{LabelSet, MetricType};
use parking_lot::Mutex;

use crate::instruments::{CounterVec, GaugeVec, HistogramVec};

/// A family with one unlabelled value, for collectors. A counter's name ends in `_total`.
#[must_use]
pub fn single(name: &str, help: &str, kind: MetricType, value: f64) -> Family {
    labelled(name, help, kind, [(LabelSet::empty(), value)])
}

/// A family with one value per label set, for collectors. A counter's name ends in `_total`.
#[must_use]
pub fn labelled(
    name: &str,
    help: &str,
    kind: MetricType,
    values: impl IntoIterator<Item = (LabelSet, f64)>,
) -> Family {
    let mut family = empty(name, help, kind);
    let suffix = suffix(kind);
    family.samples.extend(values.into_iter().map(|(labels, value)| FamilySample::new(suffix, labels, value)));
    family
}

/// A family without samples. OpenMetrics' family name of a counter is without `_total`.
pub(crate) fn empty(name: &str, help: &str, kind: MetricType) -> Family {
    let name = name.strip_suffix(suffix(kind)).unwrap_or(name).to_owned();
    Family { name, help: help.to_owned(), kind, ..Family::default() }
}

/// What a simple sample's name has beyond the family's.
pub(crate) fn suffix(kind: MetricType) -> &'static str {
    if kind == MetricType::Counter { "_total" } else { "" }
}

/// Anything that can be asked for families.
pub trait Collector: Send + Sync {
    /// The families now. Called at each gathering; must not block for long.
    fn collect(&self) -> Vec<Family>;
}

impl<F: Fn() -> Vec<Family> + Send + Sync> Collector for F {
    fn collect(&self) -> Vec<Family> {
        self()
    }
}

/// A set of collectors. Cloning shares it.
#[derive(Clone, Default)]
pub struct Registry {
    collectors: Arc<Mutex<Vec<Arc<dyn Collector>>>>,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a collector.
    pub fn register(&self, collector: impl Collector + 'static) {
        self.collectors.lock().push(Arc::new(collector));
    }

    /// A family of counters. Without label names its one counter exists from the start.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str, labels: &[&str]) -> CounterVec {
        let vec = CounterVec::new(name, help, labels);
        self.register(vec.clone());
        vec
    }

    /// A family of gauges.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        let vec = GaugeVec::new(name, help, labels);
        self.register(vec.clone());
        vec
    }

    /// A family of histograms with these upper bounds (`+Inf` is added).
    #[must_use]
    pub fn histogram(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        let vec = HistogramVec::new(name, help, labels, buckets);
        self.register(vec.clone());
        vec
    }

    /// All families, sorted by name. Families of one name from several collectors are joined.
    #[must_use]
    pub fn gather(&self) -> Vec<Family> {
        let collectors = self.collectors.lock().clone();
        let mut families: Vec<Family> = collectors.iter().flat_map(|c| c.collect()).collect();
        families.sort_by(|a, b| a.name.cmp(&b.name));
        families.dedup_by(|next, kept| {
            let same = next.name == kept.name;
            if same {
                kept.samples.append(&mut next.samples);
            }
            same
        });
        families
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_sorted_and_joined() {
        let registry = Registry::new();
        let requests = registry.counter("b_total", "B.", &["code"]);
        requests.with(&["200"]).add(2.0);
        registry.gauge("a", "A.", &[]).with(&[]).set(-1.5);
        registry.histogram("c_seconds", "C.", &[], &[1.0, 2.0]).with(&[]).observe(1.5);
        registry.register(|| {
            let labels = LabelSet::from_pairs([("code", "500")]);
            vec![labelled("b_total", "B.", MetricType::Counter, [(labels, 1.0)])]
        });
        let text = exposition::encode(&registry.gather(), exposition::content::negotiate(""));
        let text = String::from_utf8(text).unwrap();
        let samples: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "a -1.5",
                r#"b_total{code="200"} 2"#,
                r#"b_total{code="500"} 1"#,
                r#"c_seconds_bucket{le="1"} 0"#,
                r#"c_seconds_bucket{le="2"} 1"#,
                r#"c_seconds_bucket{le="+Inf"} 1"#,
                "c_seconds_sum 1.5",
                "c_seconds_count 1",
            ]
        );
    }
}
