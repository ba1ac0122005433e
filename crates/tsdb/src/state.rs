//! What readers see of the store as a whole: which blocks are in force, and what of the head they stand for.
//!
//! A reader takes the state once, for as long as it runs. Who moves samples from the head to a block puts a new state in force first,
//! then waits until no reader has an older one, and only then takes the samples out of the head: so a reader finds each
//! sample in the head or in a block, and rows in one of them only.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::RwLock;
use storage::TimeRange;

use crate::block::Block;
use crate::foreign;

/// One state. Holding it keeps its blocks readable, also when they are merged or removed meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct ReadState {
    /// By first and last time.
    pub(crate) blocks: Vec<Arc<Block>>,
    /// Those of a Prometheus that had the directory before.
    pub(crate) foreign: Vec<Arc<interchange::Block>>,
    /// Rows of groups before this time are in blocks.
    pub(crate) rows_from: i64,
    /// Deleted intervals of series of the head, by reference.
    pub(crate) deleted: Arc<HashMap<u32, Vec<TimeRange>>>,
}

impl Default for ReadState {
    fn default() -> Self {
        Self { blocks: vec![], foreign: vec![], rows_from: i64::MIN, deleted: Arc::default() }
    }
}

impl ReadState {
    pub(crate) fn overlapping(&self, range: TimeRange) -> impl Iterator<Item = &Arc<Block>> {
        self.blocks.iter().filter(move |b| range.overlaps(&b.range()))
    }

    pub(crate) fn foreign(&self, range: TimeRange) -> impl Iterator<Item = &Arc<interchange::Block>> {
        self.foreign.iter().filter(move |b| range.overlaps(&foreign::range_of(b)))
    }

    pub(crate) fn deleted(&self, series: u32) -> &[TimeRange] {
        self.deleted.get(&series).map_or(&[], |d| d)
    }
}

/// The state in force.
#[derive(Debug, Default)]
pub(crate) struct Current(RwLock<Arc<ReadState>>);

impl Current {
    pub(crate) fn new(state: ReadState) -> Self {
        Self(RwLock::new(Arc::new(state)))
    }

    pub(crate) fn get(&self) -> Arc<ReadState> {
        Arc::clone(&self.0.read())
    }

    /// Puts a changed state in force and returns the one before.
    pub(crate) fn change(&self, change: impl FnOnce(&mut ReadState)) -> Arc<ReadState> {
        let mut current = self.0.write();
        let mut next = ReadState::clone(&current);
        change(&mut next);
        std::mem::replace(&mut *current, Arc::new(next))
    }
}

/// Waits until no reader has the state any more. Queries end by their deadline, so this does.
#[expect(clippy::needless_pass_by_value, reason = "the last but the readers' is waited for and dropped here")]
pub(crate) fn wait_for_readers(state: Arc<ReadState>) {
    let mut pause = Duration::from_micros(50);
    while Arc::strong_count(&state) > 1 {
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
