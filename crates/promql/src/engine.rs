//! The engine: takes queries, bounds and accounts them, and shapes their results.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kernels::Grid;
use storage::{LeafExecutor, QueryContext};

use crate::annotations::Notes;
use crate::error::{QueryError, QueryErrorKind};
use crate::eval::{Block, Evaluator, Out};
use crate::gate::Gate;
use crate::parser::{Expr, ParserOptions, ValueType, parse};
use crate::plan::{Node, QueryTimes, plan};
use crate::value::{QueryResult, QueryStats, Series, Value, VectorSample};

/// How an engine behaves; the defaults are upstream's.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// How far back an instant selector looks, in milliseconds.
    pub lookback_ms: i64,
    /// How many samples a query may hold at once.
    pub max_samples: u64,
    /// How long a query may take, waiting included.
    pub timeout: Duration,
    /// How many queries run at once; rules may take a quarter more.
    pub max_concurrency: usize,
    /// The step of a subquery that names none: the global evaluation interval, in milliseconds.
    pub default_subquery_step_ms: i64,
    /// The language's options.
    pub parser: ParserOptions,
    /// Whether metric names are dropped at the end of a query rather than by each operation.
    pub delayed_name_removal: bool,
    /// Whether the label `__type__` decides what is a counter, rather than a name's ending.
    pub type_and_unit_labels: bool,
    /// Whether counters are also reset where a sample's start timestamp says so.
    pub use_start_timestamps: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lookback_ms: 300_000,
            max_samples: 50_000_000,
            timeout: Duration::from_secs(120),
            max_concurrency: 20,
            default_subquery_step_ms: 60_000,
            parser: ParserOptions::default(),
            delayed_name_removal: false,
            type_and_unit_labels: false,
            use_start_timestamps: false,
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// A dashboard, the API.
    #[default]
    Interactive,
    /// A rule, which may use the reserve.
    Rule,
}

/// Options of one query.
#[derive(Debug, Clone, Default)]
pub struct QueryOptions {
    /// Instead of the engine's lookback, where positive.
    pub lookback_ms: Option<i64>,
    /// Instead of the engine's timeout, where shorter.
    pub timeout: Option<Duration>,
    /// Who asks.
    pub priority: Priority,
    /// To cancel the query from outside, with its own deadline and budget; made by the engine where `None`.
    pub context: Option<Arc<QueryContext>>,
}

/// Evaluates PromQL. Cheap to share; queries run on the threads that ask.
#[derive(Debug)]
pub struct Engine {
    options: EngineOptions,
    gate: Gate,
}

impl Engine {
    /// An engine with these options.
    #[must_use]
    pub fn new(options: EngineOptions) -> Self {
        let gate = Gate::new(options.max_concurrency);
        Self { options, gate }
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Parses a query with the engine's options.
    ///
    /// # Errors
    /// [`QueryErrorKind::BadData`] when the text is no query.
    pub fn parse(&self, query: &str) -> Result<Expr, QueryError> {
        Ok(parse(query, &self.options.parser)?)
    }

    /// Evaluates a query at one time.
    ///
    /// # Errors
    /// See [`QueryErrorKind`].
    pub fn instant_query(
        &self,
        store: &dyn LeafExecutor,
        query: &str,
        ts_ms: i64,
        opts: &QueryOptions,
    ) -> Result<QueryResult, QueryError> {
        let started = Instant::now();
        let expr = self.parse(query)?;
        self.instant(store, &expr, query, ts_ms, opts, started)
    }

    /// Evaluates an expression at one time. `query` is its text, for positions in annotations.
    ///
    /// # Errors
    /// See [`QueryErrorKind`].
    pub fn instant_expr(
        &self,
        store: &dyn LeafExecutor,
        expr: &Expr,
        query: &str,
        ts_ms: i64,
        opts: &QueryOptions,
    ) -> Result<QueryResult, QueryError> {
        self.instant(store, expr, query, ts_ms, opts, Instant::now())
    }

    /// Evaluates a query at `start_ms`, `start_ms + step_ms`, … up to `end_ms`. The result is a matrix.
    ///
    /// # Errors
    /// See [`QueryErrorKind`].
    pub fn range_query(
        &self,
        store: &dyn LeafExecutor,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        opts: &QueryOptions,
    ) -> Result<QueryResult, QueryError> {
        let started = Instant::now();
        let expr = self.parse(query)?;
        let found = expr.value_type();
        if !matches!(found, ValueType::Vector | ValueType::Scalar) {
            return Err(QueryError::new(
                QueryErrorKind::BadData,
                format!(
                    "invalid expression type {:?} for range query, must be Scalar or instant Vector",
                    found.documented()
                ),
            ));
        }
        if step_ms <= 0 {
            return Err(QueryError::new(
                QueryErrorKind::BadData,
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ));
        }
        if end_ms < start_ms {
            return Err(QueryError::new(
                QueryErrorKind::BadData,
                "end timestamp must not be before start time",
            ));
        }
        let node = plan(&expr, QueryTimes { start_ms, end_ms, step_ms })?;
        let grid = Grid::range(start_ms, end_ms, step_ms);
        self.run(store, query, opts, started, |evaluator| {
            let out = evaluator.eval(&node, &grid)?;
            let evaluated = Instant::now();
            Ok((matrix(evaluator, out, &grid)?, evaluated))
        })
    }

    fn instant(
        &self,
        store: &dyn LeafExecutor,
        expr: &Expr,
        query: &str,
        ts_ms: i64,
        opts: &QueryOptions,
        started: Instant,
    ) -> Result<QueryResult, QueryError> {
        let node = plan(expr, QueryTimes { start_ms: ts_ms, end_ms: ts_ms, step_ms: 0 })?;
        let grid = Grid::instant(ts_ms);
        self.run(store, query, opts, started, |evaluator| {
            if let Node::Range(range) = &node {
                let series = evaluator.range_root(range, &grid)?;
                let evaluated = Instant::now();
                return Ok((sorted(series), evaluated));
            }
            let out = evaluator.eval(&node, &grid)?;
            let evaluated = Instant::now();
            let value = match out {
                Out::Scalar(values) => Value::Scalar { ts: ts_ms, value: values[0] },
                Out::Text(value) => Value::String { ts: ts_ms, value },
                Out::Vector(mut block) => {
                    evaluator.finish(&mut block)?;
                    if block.has_duplicates() {
                        return Err(QueryError::same_labelset());
                    }
                    let samples = block.labels.iter().enumerate().filter_map(|(row, labels)| {
                        let histogram = block.histogram(row, 0).cloned();
                        let value = match histogram {
                            Some(_) => 0.0,
                            None => block.cells.get(row, 0)?,
                        };
                        Some(VectorSample { labels: labels.clone(), ts: ts_ms, value, histogram })
                    });
                    Value::Vector(samples.collect())
                }
            };
            Ok((value, evaluated))
        })
    }

    /// Waits for a turn and runs `evaluate`, which returns the value and when it was known.
    fn run(
        &self,
        store: &dyn LeafExecutor,
        query: &str,
        opts: &QueryOptions,
        started: Instant,
        evaluate: impl FnOnce(&Evaluator<'_>) -> Result<(Value, Instant), QueryError>,
    ) -> Result<QueryResult, QueryError> {
        let planned = Instant::now();
        let timeout = opts.timeout.map_or(self.options.timeout, |t| t.min(self.options.timeout));
        let deadline = started.checked_add(timeout);
        let ctx = match &opts.context {
            Some(ctx) => ctx.clone(),
            None => Arc::new(QueryContext::new(deadline, self.options.max_samples)),
        };
        let _turn = self.gate.enter(opts.priority, deadline)?;
        let admitted = Instant::now();
        let evaluator = Evaluator {
            store,
            ctx: ctx.clone(),
            lookback_ms: opts.lookback_ms.filter(|l| *l > 0).unwrap_or(self.options.lookback_ms),
            default_subquery_step_ms: self.options.default_subquery_step_ms,
            delayed_name_removal: self.options.delayed_name_removal,
            type_and_unit_labels: self.options.type_and_unit_labels,
            use_start_timestamps: self.options.use_start_timestamps,
            notes: RefCell::new(Notes::default()),
        };
        let (value, evaluated) = evaluate(&evaluator)?;
        let stats = QueryStats {
            samples_read: ctx.samples_read(),
            peak_samples: ctx.peak_samples(),
            queue: admitted - planned,
            prepare: planned - started,
            eval: evaluated - admitted,
            sort: evaluated.elapsed(),
        };
        Ok(QueryResult { value, annotations: evaluator.notes.into_inner().finish(query), stats })
    }
}

fn matrix(evaluator: &Evaluator<'_>, out: Out, grid: &Grid) -> Result<Value, QueryError> {
    Ok(match out {
        Out::Scalar(values) => {
            let samples = grid.times().zip(values).collect();
            let labels = model::LabelSet::empty();
            Value::Matrix(vec![Series { labels, samples, histograms: Vec::new() }])
        }
        Out::Text(_) => return Err(QueryError::execution("a string is no result of a range query")),
        Out::Vector(mut block) => {
            evaluator.finish(&mut block)?;
            if block.has_duplicates() {
                return Err(QueryError::same_labelset());
            }
            sorted(series(&block, grid))
        }
    })
}

fn series(block: &Block, grid: &Grid) -> Vec<Series> {
    let mut all = Vec::with_capacity(block.rows());
    for (row, labels) in block.labels.iter().enumerate() {
        let (values, present) = block.cells.row(row);
        let histograms = block.histograms_of(row);
        let count: u32 = present.iter().map(|w| w.count_ones()).sum();
        if count == 0 && histograms.is_empty() {
            continue;
        }
        let mut samples = Vec::with_capacity(count as usize);
        samples.extend(
            values
                .iter()
                .enumerate()
                .filter(|(i, _)| kernels::bit(present, *i))
                .map(|(i, v)| (grid.at(i), *v)),
        );
        let histograms = histograms.iter().map(|(i, h)| (grid.at(*i), h.clone())).collect();
        all.push(Series { labels: labels.clone(), samples, histograms });
    }
    all
}

fn sorted(mut series: Vec<Series>) -> Value {
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Value::Matrix(series)
}
