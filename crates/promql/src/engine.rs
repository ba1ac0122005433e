//! The engine: takes queries, bounds and accounts them, and shapes their results.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kernels::Grid;
use storage::{LeafExecutor, QueryContext};

use crate::annotations::Notes;
use crate::error::{QueryError, QueryErrorKind};
use crate::eval::{Block, Evaluator, Out, Tally};
use crate::gate::Gate;
use crate::parser::{Expr, ParserOptions, ValueType, parse};
use crate::plan::{Node, QueryTimes, Source, plan};
use crate::samples::{Cells, Samples};
use crate::value::{Annotations, QueryResult, QueryStats, Series, Value, VectorSample};
use crate::watch::{Origin, QueryRecord, QueryWatch, Slot};

/// How many bytes a query may hold at once where nothing else is said: room for a result of 50 million samples while it is shaped.
pub const DEFAULT_MAX_BYTES: u64 = 2 << 30;

/// How an engine behaves; the defaults are upstream's.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// How far back an instant selector looks, in milliseconds.
    pub lookback_ms: i64,
    /// How many samples a query may hold at once.
    pub max_samples: u64,
    /// How many bytes a query may hold at once, as far as they are accounted: columns, label sets, results.
    pub max_bytes: u64,
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
    /// Whether [`StatsLevel::PerStep`] gives figures by step; else it is as [`StatsLevel::Totals`].
    pub per_step_stats: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lookback_ms: 300_000,
            max_samples: 50_000_000,
            max_bytes: DEFAULT_MAX_BYTES,
            timeout: Duration::from_secs(120),
            max_concurrency: 20,
            default_subquery_step_ms: 60_000,
            parser: ParserOptions::default(),
            delayed_name_removal: false,
            type_and_unit_labels: false,
            use_start_timestamps: false,
            per_step_stats: false,
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

/// Which figures a query is asked for besides its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatsLevel {
    /// Those that cost nothing.
    #[default]
    Cheap,
    /// Samples by upstream's definitions, which takes a pass over them.
    Totals,
    /// The same by step, where [`EngineOptions::per_step_stats`] is on.
    PerStep,
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
    /// To cancel the query from outside, with its own deadline and budget; made by the engine where `None`. Make it with
    /// [`Engine::context`].
    pub context: Option<Arc<QueryContext>>,
    /// Figures about samples. They are counted where the context was made for them.
    pub stats: StatsLevel,
    /// When the caller began to wait, where it was before the call.
    pub asked_at: Option<Instant>,
    /// Where the query comes from, for the query log.
    pub origin: Option<Origin>,
}

/// Evaluates PromQL. Cheap to share; queries run on the threads that ask.
pub struct Engine {
    options: EngineOptions,
    gate: Gate,
    watch: Option<Arc<dyn QueryWatch>>,
    outside: AtomicUsize,
    default_subquery_step_ms: AtomicI64,
}

/// See [`Engine::waiting`].
#[derive(Debug)]
pub struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("options", &self.options)
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine with these options.
    #[must_use]
    pub fn new(options: EngineOptions) -> Self {
        let gate = Gate::new(options.max_concurrency);
        let step = AtomicI64::new(options.default_subquery_step_ms);
        Self { options, gate, watch: None, outside: AtomicUsize::new(0), default_subquery_step_ms: step }
    }

    /// The same engine, with someone who is told of its queries.
    #[must_use]
    pub fn with_watch(mut self, watch: Arc<dyn QueryWatch>) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Queries that run or wait for their turn now, those that wait outside ([`Engine::waiting`]) among them.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.gate.inside() + self.outside.load(Ordering::Relaxed)
    }

    /// Changes the step of subqueries that name none, for queries that begin from now on.
    pub fn set_default_subquery_step(&self, step_ms: i64) {
        // Relaxed: a number by itself.
        self.default_subquery_step_ms.store(step_ms, Ordering::Relaxed);
    }

    /// Counts a query that waits outside the engine until the guard is dropped.
    #[must_use]
    pub fn waiting(&self) -> Waiting<'_> {
        // Relaxed: a figure for people.
        self.outside.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.outside)
    }

    /// How many queries can run at once, the reserve of rules included.
    #[must_use]
    pub fn turns(&self) -> usize {
        self.gate.turns()
    }

    /// What bounds a query that began at `began`: the engine's budgets and timeout, or a shorter one. With figures of `stats`, or
    /// where every query is logged with them, it counts windows.
    #[must_use]
    pub fn context(&self, began: Instant, timeout: Option<Duration>, stats: StatsLevel) -> QueryContext {
        let timeout = timeout.map_or(self.options.timeout, |t| t.min(self.options.timeout));
        let ctx = QueryContext::new(began.checked_add(timeout), self.options.max_samples)
            .with_max_bytes(self.options.max_bytes);
        let logged = self.watch.as_ref().is_some_and(|w| w.wants_stats());
        if logged || stats != StatsLevel::Cheap { ctx.with_window_counts() } else { ctx }
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
        let asked = Asked { query, times: QueryTimes { start_ms, end_ms, step_ms }, opts, started };
        self.run(store, &asked, |evaluator| {
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
        let times = QueryTimes { start_ms: ts_ms, end_ms: ts_ms, step_ms: 0 };
        let asked = Asked { query, times, opts, started };
        self.run(store, &asked, |evaluator| {
            if let Node::Range(range) = &node {
                let is_subquery = matches!(range.source, Source::Subquery { .. });
                let series = evaluator.range_root(range, &grid)?;
                let evaluated = Instant::now();
                if let (true, Some(tally)) = (is_subquery, &evaluator.tally) {
                    tally.root_is_subquery();
                }
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

    /// Runs `evaluate`, which returns the value and when it was known, and tells the watch.
    fn run(
        &self,
        store: &dyn LeafExecutor,
        asked: &Asked<'_>,
        evaluate: impl FnOnce(&Evaluator<'_>) -> Result<(Value, Instant), QueryError>,
    ) -> Result<QueryResult, QueryError> {
        let opts = asked.opts;
        let ctx = opts
            .context
            .clone()
            .unwrap_or_else(|| Arc::new(self.context(asked.started, opts.timeout, opts.stats)));
        let mut stats = QueryStats { prepare: asked.started.elapsed(), ..QueryStats::default() };
        let result = self.attempt(store, asked, &ctx, &mut stats, evaluate);
        stats.peak_samples = ctx.peak_samples();
        stats.peak_bytes = ctx.peak_bytes();
        if let Some(watch) = &self.watch {
            watch.finished(&QueryRecord {
                query: asked.query,
                start_ms: asked.times.start_ms,
                end_ms: asked.times.end_ms,
                step_ms: asked.times.step_ms,
                origin: opts.origin.as_ref(),
                error: result.as_ref().err(),
                stats: &stats,
            });
        }
        let (value, annotations) = result?;
        Ok(QueryResult { value, annotations, stats })
    }

    /// Waits for a turn and runs `evaluate`; what it cost goes to `stats` even where it fails.
    fn attempt(
        &self,
        store: &dyn LeafExecutor,
        asked: &Asked<'_>,
        ctx: &Arc<QueryContext>,
        stats: &mut QueryStats,
        evaluate: impl FnOnce(&Evaluator<'_>) -> Result<(Value, Instant), QueryError>,
    ) -> Result<(Value, Annotations), QueryError> {
        let opts = asked.opts;
        let queued = Instant::now();
        let before = opts.asked_at.map_or(Duration::ZERO, |at| asked.started.saturating_duration_since(at));
        let turn = self.gate.enter(opts.priority, ctx);
        stats.queue = before + queued.elapsed();
        let _turn = turn?;
        let _active = Active::new(self.watch.as_deref(), asked.query);
        ctx.check_in("query execution")?;
        let admitted = Instant::now();
        let evaluator = Evaluator {
            store,
            ctx: ctx.clone(),
            lookback_ms: opts.lookback_ms.filter(|l| *l > 0).unwrap_or(self.options.lookback_ms),
            default_subquery_step_ms: self.default_subquery_step_ms.load(Ordering::Relaxed),
            delayed_name_removal: self.options.delayed_name_removal,
            type_and_unit_labels: self.options.type_and_unit_labels,
            use_start_timestamps: self.options.use_start_timestamps,
            notes: RefCell::new(Notes::default()),
            tally: ctx.counts_windows().then(|| Tally::new(asked.times.steps())),
        };
        let outcome = evaluate(&evaluator);
        stats.samples_read = ctx.samples_read();
        stats.total_samples = stats.samples_read;
        if let Some(tally) = &evaluator.tally {
            let steps = tally.finish(asked.times.start_ms, asked.times.step_ms.max(1));
            stats.total_samples = steps.total_samples.iter().sum();
            stats.samples_read = steps.samples_read.iter().sum();
            let by_step = self.options.per_step_stats && opts.stats == StatsLevel::PerStep;
            stats.per_step = by_step.then_some(steps);
        }
        match outcome {
            Ok((value, evaluated)) => {
                stats.eval = evaluated.saturating_duration_since(admitted);
                stats.sort = evaluated.elapsed();
                Ok((value, evaluator.notes.into_inner().finish(asked.query)))
            }
            Err(error) => {
                stats.eval = admitted.elapsed();
                Err(error)
            }
        }
    }
}

/// A query as it was asked.
struct Asked<'a> {
    query: &'a str,
    times: QueryTimes,
    opts: &'a QueryOptions,
    started: Instant,
}

/// A query that the watch knows to be running; told of its end when dropped, also by a panic.
struct Active<'a> {
    watch: Option<&'a dyn QueryWatch>,
    slot: Slot,
}

impl<'a> Active<'a> {
    fn new(watch: Option<&'a dyn QueryWatch>, query: &str) -> Self {
        Self { watch, slot: watch.map_or(Slot(0), |w| w.began(query)) }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        if let Some(watch) = self.watch {
            watch.ended(self.slot);
        }
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
            sorted(series(evaluator, block, grid)?)
        }
    })
}

/// A vector's rows as the series of a result. They keep its cells, or lists of samples where those take less.
fn series(evaluator: &Evaluator<'_>, mut block: Block, grid: &Grid) -> Result<Vec<Series>, QueryError> {
    let (values, present) = block.cells.cells();
    let points: usize = present.iter().map(|w| w.count_ones() as usize).sum();
    let (of_lists, of_cells) = (16 * points, 8 * (values.len() + present.len()));
    // For as long as the result lives, which the context outlives.
    evaluator.ctx.hold_bytes(of_lists.min(of_cells) + size_of::<Series>() * block.rows())?;
    let cells = Arc::new(Cells { grid: *grid, cells: std::mem::take(&mut block.cells) });
    let mut all = Vec::with_capacity(block.rows());
    for (row, labels) in std::mem::take(&mut block.labels).into_iter().enumerate() {
        let mut samples = Samples::row(&cells, row);
        if of_lists < of_cells {
            samples = samples.iter().collect();
        }
        let histograms = block.take_histograms(row);
        if !samples.is_empty() || !histograms.is_empty() {
            let histograms = histograms.into_iter().map(|(i, h)| (grid.at(i), h)).collect();
            all.push(Series { labels, samples, histograms });
        }
    }
    Ok(all)
}

fn sorted(mut series: Vec<Series>) -> Value {
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Value::Matrix(series)
}
