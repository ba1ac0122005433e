//! How rules ask: a seam between evaluation and the engine, so that tables of results can stand in for it.

use std::path::Path;
use std::sync::Arc;

use model::{Histogram, LabelSet, TimestampMs};
use promql::histogram::Text;
use promql::{Engine, Origin, Priority, QueryErrorKind, QueryOptions, Value, VectorSample};
use storage::{LeafData, LeafExecutor, LeafOp, LeafRequest, QueryContext};
use template::prometheus::SampleValue;

/// A sample of a rule's expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: LabelSet,
    /// Its value; 0 where it is a histogram.
    pub value: f64,
    /// The sample, where it is a native histogram.
    pub histogram: Option<Arc<Histogram>>,
}

impl Sample {
    /// Its value as templates show it.
    pub(crate) fn template_value(&self) -> SampleValue {
        match &self.histogram {
            None => SampleValue::Float(self.value),
            Some(h) => SampleValue::Histogram(Text(h).to_string().into()),
        }
    }
}

/// Whose rules ask.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The rule file.
    pub file: &'a Path,
    /// The group's name.
    pub group: &'a str,
}

/// A query that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryFailure {
    /// The engine's message.
    pub message: String,
    /// Whether someone ended the query on purpose, as on shutdown; not worth a line in the log.
    pub cancelled: bool,
}

/// Answers rules.
pub trait Querier: Send + Sync {
    /// The instant vector of `expr` at `ts`; a scalar is one sample without labels.
    ///
    /// # Errors
    /// When the query fails, or gives neither a vector nor a scalar.
    fn instant(&self, asker: Asker<'_>, expr: &str, ts: TimestampMs) -> Result<Vec<Sample>, QueryFailure>;

    /// The newest sample in `[mint, maxt]` of each series with these labels among its own. May be a staleness marker.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn newest(
        &self,
        matchers: &[model::Matcher],
        mint: TimestampMs,
        maxt: TimestampMs,
    ) -> Result<Vec<(LabelSet, TimestampMs, f64)>, QueryFailure>;
}

/// The engine over a store.
pub struct EngineQuerier {
    engine: Arc<Engine>,
    store: Arc<dyn LeafExecutor>,
}

impl EngineQuerier {
    /// Rules ask `engine` about `store`, from the reserve that rules have.
    #[must_use]
    pub fn new(engine: Arc<Engine>, store: Arc<dyn LeafExecutor>) -> Self {
        Self { engine, store }
    }
}

impl Querier for EngineQuerier {
    fn instant(&self, asker: Asker<'_>, expr: &str, ts: TimestampMs) -> Result<Vec<Sample>, QueryFailure> {
        let origin =
            Origin::RuleGroup { file: asker.file.display().to_string(), name: asker.group.to_owned() };
        let options =
            QueryOptions { priority: Priority::Rule, origin: Some(origin), ..QueryOptions::default() };
        let result = self.engine.instant_query(&*self.store, expr, ts, &options).map_err(|e| {
            QueryFailure { cancelled: e.kind == QueryErrorKind::Canceled, message: e.message }
        })?;
        match result.value {
            Value::Vector(samples) => {
                let sample =
                    |s: VectorSample| Sample { labels: s.labels, value: s.value, histogram: s.histogram };
                Ok(samples.into_iter().map(sample).collect())
            }
            Value::Scalar { value, .. } => {
                Ok(vec![Sample { labels: LabelSet::empty(), value, histogram: None }])
            }
            _ => Err(QueryFailure {
                message: "rule result is not a vector or scalar".to_owned(),
                cancelled: false,
            }),
        }
    }

    fn newest(
        &self,
        matchers: &[model::Matcher],
        mint: TimestampMs,
        maxt: TimestampMs,
    ) -> Result<Vec<(LabelSet, TimestampMs, f64)>, QueryFailure> {
        let request = LeafRequest {
            matchers: matchers.to_vec(),
            op: LeafOp::Select,
            // The window is open at its start.
            range_ms: (maxt - mint).max(0) + 1,
            grid: kernels::Grid::instant(maxt),
        };
        let mut out = Vec::new();
        let ctx = QueryContext::unbounded();
        let mut sink = |batch: storage::LeafBatch| {
            if let LeafData::Raw(raw) = &batch.data {
                for (labels, ends) in batch.labels.iter().zip(raw.offsets.windows(2)) {
                    // Histograms, which stand as absent values, are no state of an alert.
                    let newest = (ends[0]..ends[1]).rev().find(|&i| !storage::is_absent(raw.values[i]));
                    if let Some(i) = newest {
                        out.push((labels.clone(), raw.ts[i], raw.values[i]));
                    }
                }
            }
            Ok(())
        };
        self.store
            .run(&request, &ctx, &mut sink)
            .map_err(|e| QueryFailure { message: e.to_string(), cancelled: false })?;
        Ok(out)
    }
}
