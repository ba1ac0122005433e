//! `info(v, {selector})`: adds the labels of info metrics, such as `target_info`, to the series that they describe.
//!
//! A series is described by the info series with the same `instance` and `job`. Of several info series of one metric the
//! one with the newest sample counts. The info series are looked up at the time which the first argument's own selector
//! reads (`@`, `offset` and those of subqueries around it), not at the evaluation time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use kernels::{Grid, RangeFn};
use model::{Histogram, LabelSet, METRIC_NAME, MatchOp, Matcher};

use super::Evaluator;
use super::block::Block;
use crate::error::QueryError;
use crate::parser::{Expr, RangeModifier, Span, SubqueryExpr, VectorSelector};
use crate::plan::{Detail, Info, Node, Selector};

/// What an info series and the series it describes have in common; upstream has these two fixed as well.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// The info metric where the selector names none.
const TARGET_INFO: &str = "target_info";

/// Info metrics where the selector only says what they are not called.
const ANY_INFO: &str = ".+_info";

/// Past so many values the store is asked for the info series with any value: a longer pattern costs more than it saves.
const MAX_VALUES: usize = 64;

/// In place of the row of an info series: there is none.
const NONE: u32 = u32::MAX;

/// The first instant selector of an expression with the offsets and the `@` that decide which time it reads: its own, and
/// those of the subqueries around it up to the first `@`.
pub(crate) fn first_selector(expr: &Expr) -> Option<(&VectorSelector, Vec<&SubqueryExpr>)> {
    match expr {
        Expr::Vector(v) => Some((v, Vec::new())),
        Expr::Matrix(m) => Some((&m.selector, Vec::new())),
        other => {
            let (selector, mut around) = other.children().into_iter().find_map(first_selector)?;
            if let Expr::Subquery(subquery) = other {
                around.push(subquery);
            }
            Some((selector, around))
        }
    }
}

/// The values of [`IDENTIFYING`], empty where absent.
fn identity(labels: &LabelSet) -> [&str; 2] {
    IDENTIFYING.map(|name| labels.value(name))
}

/// Those rows of info series that describe the same series by the same metric: the candidates at each step.
#[derive(Debug, Default)]
struct Candidates {
    rows: Vec<usize>,
    /// By step: which row counts, or [`NONE`].
    chosen: Vec<u32>,
}

/// The info series found: by name, then by identity.
type ByName = BTreeMap<String, HashMap<[String; 2], Candidates>>;

impl Evaluator<'_> {
    pub(super) fn info(&self, node: &Info, grid: &Grid) -> Result<Block, QueryError> {
        let base = self.eval(&node.input, grid)?.vector()?;
        let selector = node.labels.as_deref().unwrap_or_default();
        let (names, data): (Vec<&Matcher>, Vec<&Matcher>) =
            selector.iter().partition(|m| m.name == METRIC_NAME);
        let names = name_matchers(&names)?;
        let is_info = |l: &LabelSet| names.iter().all(|m| m.matches(l.metric_name()));
        let plain: Vec<bool> = base.labels.iter().map(is_info).collect();
        let described: HashSet<[&str; 2]> =
            base.labels.iter().zip(&plain).filter(|(_, plain)| !**plain).map(|(l, _)| identity(l)).collect();
        let (found, by_name) = match self.select_infos(&described, names, &data, node)? {
            Some(selector) => self.candidates(&base, &described, &selector, grid)?,
            None => (Block::new(grid.steps), ByName::new()),
        };
        let mut joined = Joined::new(&base, &found, &data);
        for (row, plain) in plain.into_iter().enumerate() {
            self.ctx.check()?;
            let labels = &base.labels[row];
            let mut chosen: Vec<&[u32]> = Vec::new();
            if !plain {
                let id = identity(labels).map(str::to_owned);
                chosen.extend(by_name.values().filter_map(|ids| Some(&*ids.get(&id)?.chosen)));
            }
            joined.row(row, plain, &chosen)?;
        }
        Ok(joined.out)
    }

    /// The selector of the info series that describe any of the series; `None` where none can.
    fn select_infos(
        &self,
        described: &HashSet<[&str; 2]>,
        names: Vec<Matcher>,
        data: &[&Matcher],
        node: &Info,
    ) -> Result<Option<Selector>, QueryError> {
        let mut matchers: Vec<Matcher> = Vec::new();
        for (i, name) in IDENTIFYING.iter().enumerate() {
            let values: BTreeSet<&str> = described.iter().map(|id| id[i]).filter(|v| !v.is_empty()).collect();
            matchers.extend(one_of(name, &values)?);
        }
        if matchers.is_empty() {
            return Ok(None);
        }
        matchers.extend(data.iter().map(|m| (*m).clone()));
        matchers.extend(names);
        let (at_ms, offset_ms) = (node.at_ms, node.offset_ms);
        let (modifier, detail, span) = (RangeModifier::None, Detail::Statistics, Span::default());
        Ok(Some(Selector { matchers, offset_ms, at_ms, modifier, detail, span }))
    }

    /// The info series, and which of them counts at each step.
    fn candidates(
        &self,
        base: &Block,
        described: &HashSet<[&str; 2]>,
        selector: &Selector,
        grid: &Grid,
    ) -> Result<(Block, ByName), QueryError> {
        let found = self.eval(&Node::Select(selector.clone()), grid)?.vector()?;
        // As upstream, which looks at no info series where there is nothing to describe.
        let mut asked = vec![0_u64; grid.steps.div_ceil(64)];
        super::leaf::union(base, &mut asked);
        let mut by_name = ByName::new();
        for (row, labels) in found.labels.iter().enumerate() {
            let id = identity(labels);
            if described.contains(&id) {
                let ids = by_name.entry(labels.metric_name().to_owned()).or_default();
                ids.entry(id.map(str::to_owned)).or_default().rows.push(row);
            }
        }
        let mut times = None;
        for candidates in by_name.values_mut().flat_map(HashMap::values_mut) {
            if candidates.rows.len() > 1 && times.is_none() {
                times = Some(self.sample_times(selector, grid)?);
            }
            candidates.choose(&found, times.as_ref(), &asked)?;
        }
        let is_asked = |h: &(usize, Arc<Histogram>)| kernels::bit(&asked, h.0);
        let mut rows = by_name.values().flat_map(HashMap::values).flat_map(|c| &c.rows);
        if rows.any(|&row| found.histograms_of(row).iter().any(is_asked)) {
            return Err(QueryError::execution("info sample should be float"));
        }
        Ok((found, by_name))
    }

    /// When the sample was taken that counts at each step, in seconds, by series.
    fn sample_times(
        &self,
        selector: &Selector,
        grid: &Grid,
    ) -> Result<HashMap<LabelSet, Vec<f64>>, QueryError> {
        let mut times = HashMap::new();
        self.select(selector, RangeFn::LastTimestamp, grid, &mut |part| {
            for (row, labels) in part.labels.iter().enumerate() {
                times.insert(labels.clone(), part.cells.row(row).0.to_vec());
            }
            Ok(())
        })?;
        Ok(times)
    }
}

impl Candidates {
    /// Chooses the row with the newest sample at each of the steps `asked`.
    ///
    /// # Errors
    /// When two samples are equally new.
    fn choose(
        &mut self,
        found: &Block,
        times: Option<&HashMap<LabelSet, Vec<f64>>>,
        asked: &[u64],
    ) -> Result<(), QueryError> {
        self.chosen = vec![NONE; found.steps()];
        let time = |row: usize, step: usize| {
            times.and_then(|t| t.get(&found.labels[row])).map_or(f64::NEG_INFINITY, |t| t[step])
        };
        for &row in &self.rows {
            let present = found.presence(row);
            for (step, chosen) in self.chosen.iter_mut().enumerate() {
                if !kernels::bit(&present, step) || !kernels::bit(asked, step) {
                    continue;
                }
                let mut newer = *chosen == NONE;
                if !newer {
                    let other = *chosen as usize;
                    let (a, b) = (time(other, step), time(row, step));
                    if a == b {
                        let (first, second) = (&found.labels[other], &found.labels[row]);
                        let ms = (a * 1000.0).round();
                        return Err(QueryError::execution(format!(
                            "found duplicate series for info metric: existing {first} @ {ms}, new {second} @ {ms}"
                        )));
                    }
                    newer = a < b;
                }
                if newer {
                    *chosen = u32::try_from(row).expect("a block has less than 2^32 rows");
                }
            }
        }
        Ok(())
    }
}

/// The result, row by row.
struct Joined<'a> {
    base: &'a Block,
    found: &'a Block,
    /// The only labels to add; all where empty.
    wanted: HashSet<&'a str>,
    /// Whether a series that nothing describes stays.
    keeps_plain: bool,
    out: Block,
    rows: HashMap<LabelSet, usize>,
}

impl<'a> Joined<'a> {
    fn new(base: &'a Block, found: &'a Block, data: &[&'a Matcher]) -> Self {
        Self {
            base,
            found,
            wanted: data.iter().map(|m| m.name.as_str()).collect(),
            keeps_plain: data.iter().all(|m| m.matches_empty()),
            out: Block::new(base.steps()),
            rows: HashMap::new(),
        }
    }

    /// Adds a row of the base, to as many rows of the result as it has different descriptions.
    fn row(&mut self, row: usize, plain: bool, chosen: &[&[u32]]) -> Result<(), QueryError> {
        let mut last: Option<(Vec<u32>, Option<usize>)> = None;
        let present = self.base.presence(row);
        for step in (0..self.base.steps()).filter(|&step| kernels::bit(&present, step)) {
            let infos = chosen.iter().map(|c| c[step]).filter(|c| *c != NONE);
            let same = last.as_ref().is_some_and(|(l, _)| infos.clone().eq(l.iter().copied()));
            let to = match &last {
                Some((_, to)) if same => *to,
                _ => {
                    let infos: Vec<u32> = infos.collect();
                    let to = if infos.is_empty() && !plain && !self.keeps_plain {
                        None
                    } else {
                        let labels = self.labels(row, &infos)?;
                        Some(self.target(labels, self.base.drop_name[row]))
                    };
                    last = Some((infos, to));
                    to
                }
            };
            let Some(to) = to else { continue };
            if kernels::bit(self.out.cells.row(to).1, step) || self.out.histogram(to, step).is_some() {
                return Err(QueryError::same_labelset());
            }
            if let Some(histogram) = self.base.histogram(row, step) {
                self.add_histogram(to, step, histogram.clone());
            } else if let Some(value) = self.base.cells.get(row, step) {
                self.out.cells.set(to, step, value);
            }
        }
        Ok(())
    }

    fn add_histogram(&mut self, row: usize, step: usize, histogram: Arc<Histogram>) {
        let mut histograms = self.out.take_histograms(row);
        // Mostly at the end: rows of the base that share one of the result are rare.
        let at = histograms.partition_point(|h| h.0 < step);
        histograms.insert(at, (step, histogram));
        self.out.set_histograms(row, histograms);
    }

    /// The row of the result with these labels.
    fn target(&mut self, labels: LabelSet, drop_name: bool) -> usize {
        *self.rows.entry(labels).or_insert_with_key(|labels| {
            let row = self.out.cells.push_row();
            self.out.labels.push(labels.clone());
            self.out.drop_name.push(drop_name);
            row
        })
    }

    /// The labels of a series and of the info series that describe it.
    fn labels(&self, row: usize, infos: &[u32]) -> Result<LabelSet, QueryError> {
        let base = &self.base.labels[row];
        let mut added: BTreeMap<&str, &str> = BTreeMap::new();
        for &info in infos {
            for (name, value) in &self.found.labels[info as usize] {
                let unwanted = !self.wanted.is_empty() && !self.wanted.contains(name);
                if name == METRIC_NAME || unwanted || base.get(name).is_some() {
                    continue;
                }
                if added.insert(name, value).is_some_and(|other| other != value) {
                    return Err(QueryError::execution(format!("conflicting label: {name}")));
                }
            }
        }
        if added.is_empty() {
            return Ok(base.clone());
        }
        let mut labels = base.to_builder();
        for (name, value) in added {
            labels.set(name, value);
        }
        Ok(labels.build())
    }
}

/// The matchers that decide which metrics are info metrics. Those of the query count as they are where one of them says
/// what the name is, not only what it is not.
fn name_matchers(named: &[&Matcher]) -> Result<Vec<Matcher>, QueryError> {
    let mut out: Vec<Matcher> = Vec::new();
    if named.is_empty() {
        out.push(Matcher::equal(METRIC_NAME, TARGET_INFO));
    } else if !named.iter().any(|m| matches!(m.op, MatchOp::Equal | MatchOp::Regex)) {
        out.push(pattern(METRIC_NAME, ANY_INFO.to_owned())?);
    }
    out.extend(named.iter().map(|m| (*m).clone()));
    Ok(out)
}

/// That the label has one of the values, or, where these are many, any; nothing where there is none.
fn one_of(name: &str, values: &BTreeSet<&str>) -> Result<Option<Matcher>, QueryError> {
    Ok(match values.first() {
        None => None,
        Some(one) if values.len() == 1 => Some(Matcher::equal(name, *one)),
        Some(_) if values.len() > MAX_VALUES => Some(pattern(name, ".+".to_owned())?),
        Some(_) => {
            let values: Vec<String> = values.iter().map(|v| regex::escape(v)).collect();
            Some(pattern(name, values.join("|"))?)
        }
    })
}

fn pattern(name: &str, pattern: String) -> Result<Matcher, QueryError> {
    Matcher::new(name, MatchOp::Regex, pattern).map_err(|e| QueryError::execution(e.to_string()))
}
