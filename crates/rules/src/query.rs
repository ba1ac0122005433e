//! How rules ask: a seam between evaluation and the engine, so that tables of results can stand in for it.

use std::sync::Arc;

use model::{LabelSet, TimestampMs};
use promql::{Engine, Priority, QueryErrorKind, QueryOptions, Value};
use storage::{LeafData, LeafExecutor, LeafOp, LeafRequest, QueryContext};

/// A sample of a rule's expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: LabelSet,
    /// Its value.
    pub value: f64,
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
    fn instant(&self, expr: &str, ts: TimestampMs) -> Result<Vec<Sample>, QueryFailure>;

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
    fn instant(&self, expr: &str, ts: TimestampMs) -> Result<Vec<Sample>, QueryFailure> {
        let options = QueryOptions { priority: Priority::Rule, ..QueryOptions::default() };
        let result = self.engine.instant_query(&*self.store, expr, ts, &options).map_err(|e| {
            QueryFailure { cancelled: e.kind == QueryErrorKind::Canceled, message: e.message }
        })?;
        match result.value {
            Value::Vector(samples) => {
                Ok(samples.into_iter().map(|s| Sample { labels: s.labels, value: s.value }).collect())
            }
            Value::Scalar { value, .. } => Ok(vec![Sample { labels: LabelSet::empty(), value }]),
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
                    // Only plain samples: alert states are nothing else.
                    if ends[1] > ends[0] && !storage::is_absent(raw.values[ends[1] - 1]) {
                        out.push((labels.clone(), raw.ts[ends[1] - 1], raw.values[ends[1] - 1]));
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
