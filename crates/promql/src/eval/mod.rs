//! Evaluation by column: every node yields its values on all steps of the grid at once.

mod aggregate;
mod arith;
mod binary;
mod block;
mod column;
mod elements;
mod extended;
mod functions;
mod grouping;
mod histogram;
mod histogram_fold;
mod info;
mod labels;
mod leaf;
mod mixed;
mod range_call;
mod rank;
mod starts;
mod tally;

use std::cell::RefCell;
use std::sync::Arc;

use kernels::Grid;
use storage::{LeafExecutor, QueryContext};

pub(crate) use block::{Block, drop_reserved};
pub(crate) use info::first_selector;
pub(crate) use tally::Tally;

use crate::annotations::Notes;
use crate::error::QueryError;
use crate::histogram::neg;
use crate::plan::Node;

/// A node's value.
#[derive(Debug)]
pub(crate) enum Out {
    /// One number per step.
    Scalar(Vec<f64>),
    Vector(Block),
    Text(String),
}

impl Out {
    /// The numbers of a node the parser has typed as scalar.
    pub(crate) fn scalar(self) -> Result<Vec<f64>, QueryError> {
        match self {
            Self::Scalar(values) => Ok(values),
            _ => Err(QueryError::execution("expected a scalar")),
        }
    }

    /// The rows of a node the parser has typed as instant vector.
    pub(crate) fn vector(self) -> Result<Block, QueryError> {
        match self {
            Self::Vector(block) => Ok(block),
            _ => Err(QueryError::execution("expected an instant vector")),
        }
    }
}

/// What evaluation needs besides the plan.
pub(crate) struct Evaluator<'a> {
    pub(crate) store: &'a dyn LeafExecutor,
    pub(crate) ctx: Arc<QueryContext>,
    pub(crate) lookback_ms: i64,
    pub(crate) default_subquery_step_ms: i64,
    pub(crate) delayed_name_removal: bool,
    pub(crate) type_and_unit_labels: bool,
    pub(crate) use_start_timestamps: bool,
    pub(crate) notes: RefCell<Notes>,
    /// Where samples are counted, if somebody asked.
    pub(crate) tally: Option<Tally>,
}

impl Evaluator<'_> {
    /// Evaluates a node on all steps of `grid`.
    pub(crate) fn eval(&self, node: &Node, grid: &Grid) -> Result<Out, QueryError> {
        self.ctx.check()?;
        let mut out = self.eval_node(node, grid)?;
        if let Out::Vector(block) = &mut out {
            block.account(&self.ctx)?;
        }
        Ok(out)
    }

    fn eval_node(&self, node: &Node, grid: &Grid) -> Result<Out, QueryError> {
        Ok(match node {
            Node::Number(v) => Out::Scalar(vec![*v; grid.steps]),
            Node::Text(text) => Out::Text(text.clone()),
            Node::Once(inner) => {
                let first = Grid { steps: 1, ..*grid };
                match self.tally_once(|| self.eval(inner, &first))? {
                    Out::Scalar(v) => Out::Scalar(vec![v[0]; grid.steps]),
                    Out::Vector(block) => Out::Vector(block.broadcast(grid.steps)),
                    Out::Text(text) => Out::Text(text),
                }
            }
            Node::Select(_) | Node::SelectTime(_) | Node::Window(_) => {
                let mut all = Block::new(grid.steps);
                self.stream(node, grid, leaf::Names::Exact, &mut |part| {
                    all.append_accounted(part, &self.ctx)
                })?;
                Out::Vector(all)
            }
            Node::Range(_) => return Err(QueryError::execution("range vector in an instant position")),
            Node::Aggregate(aggregate) => Out::Vector(self.aggregate(aggregate, grid)?),
            Node::Binary(binary) => self.binary(binary, grid)?,
            Node::Negate(inner) => match self.eval(inner, grid)? {
                Out::Scalar(mut values) => {
                    values.iter_mut().for_each(|v| *v = -*v);
                    Out::Scalar(values)
                }
                Out::Vector(mut block) => {
                    block.cells.cells_mut().0.iter_mut().for_each(|v| *v = -*v);
                    block.histograms.iter_mut().flatten().for_each(|(_, h)| neg(Arc::make_mut(h)));
                    block.drop_names(self.delayed_name_removal);
                    if !self.delayed_name_removal {
                        block.merge_duplicates()?;
                    }
                    Out::Vector(block)
                }
                Out::Text(text) => Out::Text(text),
            },
            Node::Call(call) => self.call(call, grid)?,
            Node::SelectStart(selector) => Out::Vector(self.start_timestamps(selector, grid)?),
            Node::Info(info) => Out::Vector(self.info(info, grid)?),
        })
    }

    /// Joins equal rows, as upstream does after each operation on instant vectors. With delayed name removal and a single
    /// step that waits for the end.
    pub(crate) fn settle(&self, block: &mut Block) -> Result<(), QueryError> {
        if self.delayed_name_removal && block.steps() == 1 {
            return Ok(());
        }
        block.merge_duplicates()
    }

    /// The last act of delayed name removal.
    pub(crate) fn finish(&self, block: &mut Block) -> Result<(), QueryError> {
        if !self.delayed_name_removal {
            return Ok(());
        }
        for (labels, drop) in block.labels.iter_mut().zip(&block.drop_name) {
            if *drop {
                *labels = drop_reserved(labels);
            }
        }
        block.merge_duplicates()
    }
}
