//! Counters, gauges and histograms, each with labels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use exposition::{Family, FamilySample};
use model::{LabelSet, MetricType};
use parking_lot::Mutex;

use crate::registry::{Collector, empty, suffix};

/// An `f64` that many threads add to. Relaxed orderings: a metric carries no other data.
#[derive(Debug, Default)]
struct AtomicF64(AtomicU64);

impl AtomicF64 {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, v: f64) {
        self.0.store(v.to_bits(), Ordering::Relaxed);
    }

    fn add(&self, v: f64) {
        // The closure always gives a value, so the update cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
            Some((f64::from_bits(bits) + v).to_bits())
        });
    }
}

/// A value that only goes up.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicF64>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.0.add(1.0);
    }

    /// Adds `v`, which must not be negative.
    pub fn add(&self, v: f64) {
        self.0.add(v);
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

/// A value that goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicF64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, v: f64) {
        self.0.set(v);
    }

    /// Adds `v`, which may be negative.
    pub fn add(&self, v: f64) {
        self.0.add(v);
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

#[derive(Debug)]
struct Buckets {
    bounds: Arc<[f64]>,
    /// Observations per bucket, not cumulative; the last is `+Inf`.
    counts: Vec<AtomicU64>,
    sum: AtomicF64,
}

/// Observations counted by size.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Buckets>);

impl Histogram {
    fn new(bounds: &Arc<[f64]>) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets { bounds: Arc::clone(bounds), counts, sum: AtomicF64::default() }))
    }

    /// Counts one observation.
    pub fn observe(&self, v: f64) {
        let bucket = self.0.bounds.partition_point(|&b| b < v);
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.sum.add(v);
    }

    fn points(&self, labels: &LabelSet, out: &mut Vec<FamilySample>) {
        let mut total = 0;
        for (i, count) in self.0.counts.iter().enumerate() {
            total += count.load(Ordering::Relaxed);
            let le = self.0.bounds.get(i).copied().unwrap_or(f64::INFINITY);
            let bucket = FamilySample::new("_bucket", labels.clone(), total as f64);
            out.push(FamilySample { bound: Some(("le", le)), ..bucket });
        }
        out.push(FamilySample::new("_sum", labels.clone(), self.0.sum.get()));
        out.push(FamilySample::new("_count", labels.clone(), total as f64));
    }
}

/// A family's children by their label values.
#[derive(Debug)]
struct Children<T> {
    name: String,
    help: String,
    label_names: Vec<String>,
    children: Mutex<BTreeMap<Vec<String>, T>>,
}

impl<T: Clone> Children<T> {
    fn new(name: &str, help: &str, labels: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            help: help.to_owned(),
            label_names: labels.iter().map(|&l| l.to_owned()).collect(),
            children: Mutex::default(),
        }
    }

    fn with(&self, values: &[&str], make: impl FnOnce() -> T) -> T {
        assert_eq!(values.len(), self.label_names.len(), "{}: one value per label name", self.name);
        let key: Vec<String> = values.iter().map(|&v| v.to_owned()).collect();
        self.children.lock().entry(key).or_insert_with(make).clone()
    }

    fn remove(&self, values: &[&str]) {
        let key: Vec<String> = values.iter().map(|&v| v.to_owned()).collect();
        self.children.lock().remove(&key);
    }

    fn family(
        &self,
        kind: MetricType,
        points: impl Fn(&T, &LabelSet, &mut Vec<FamilySample>),
    ) -> Vec<Family> {
        let mut all = Vec::new();
        for (values, child) in self.children.lock().iter() {
            let labels = LabelSet::from_pairs(self.label_names.iter().zip(values));
            points(child, &labels, &mut all);
        }
        vec![Family { samples: all, ..empty(&self.name, &self.help, kind) }]
    }
}

macro_rules! vec_of {
    ($(#[$doc:meta])* $vec:ident, $child:ty, $kind:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $vec(Arc<Children<$child>>);

        impl $vec {
            pub(crate) fn new(name: &str, help: &str, labels: &[&str]) -> Self {
                let vec = Self(Arc::new(Children::new(name, help, labels)));
                if labels.is_empty() {
                    let _ = vec.with(&[]);
                }
                vec
            }

            /// The child with these label values, one per label name, in order.
            #[must_use]
            pub fn with(&self, values: &[&str]) -> $child {
                self.0.with(values, Default::default)
            }

            /// Forgets a child.
            pub fn remove(&self, values: &[&str]) {
                self.0.remove(values);
            }
        }

        impl Collector for $vec {
            fn collect(&self) -> Vec<Family> {
                self.0.family($kind, |child, labels, out| {
                    out.push(FamilySample::new(suffix($kind), labels.clone(), child.get()));
                })
            }
        }
    };
}

vec_of!(
    /// Counters by label values.
    CounterVec, Counter, MetricType::Counter
);
vec_of!(
    /// Gauges by label values.
    GaugeVec, Gauge, MetricType::Gauge
);

/// Histograms by label values.
#[derive(Debug, Clone)]
pub struct HistogramVec {
    children: Arc<Children<Histogram>>,
    bounds: Arc<[f64]>,
}

impl HistogramVec {
    pub(crate) fn new(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Self {
        let vec = Self { children: Arc::new(Children::new(name, help, labels)), bounds: buckets.into() };
        if labels.is_empty() {
            let _ = vec.with(&[]);
        }
        vec
    }

    /// The child with these label values, one per label name, in order.
    #[must_use]
    pub fn with(&self, values: &[&str]) -> Histogram {
        self.children.with(values, || Histogram::new(&self.bounds))
    }
}

impl Collector for HistogramVec {
    fn collect(&self) -> Vec<Family> {
        self.children.family(MetricType::Histogram, Histogram::points)
    }
}
