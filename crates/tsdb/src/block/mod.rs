//! Immutable blocks on disk: a span of time of many series, indexed, mapped, checksummed, merged in the background.
//!
//! A [`BlockWriter`] takes series in label order and makes a directory `<ULID>/` of `meta.json`, `index`, `chunks` and
//! `timestamps`; deletions come later as `tombstones`. A [`Block`] maps it. [`merge`] writes one block from several, [`plan`] says
//! which, [`Blocks`] holds all of a store. Nothing here knows of the head. Byte layout: `docs/format/block.md`.

use std::path::Path;
use std::sync::Arc;

use model::{Histogram, LabelSet, Matcher};
use roaring::RoaringBitmap;
use storage::{Error, ErrorKind, TimeRange};

use crate::codec::histogram::HistogramCodec;
use crate::codec::{Decoder, Effort, IntDecoder};
use crate::disk::Faults;
use crate::segment::Damaged;

/// The identity of a label set across head and blocks: xxh3-128 of its packed bytes.
pub(crate) fn series_key(labels: &LabelSet) -> u128 {
    xxhash_rust::xxh3::xxh3_128(labels.as_bytes())
}

/// One series' samples, ascending by time; a time occurs once in `ts` and once in `histograms` at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeriesData<'a> {
    pub(crate) ts: &'a [i64],
    /// As many as `ts`; [`storage::ABSENT`] is none of them.
    pub(crate) values: &'a [f64],
    pub(crate) histograms: &'a [(i64, Arc<Histogram>)],
}

/// What a block says of where it came from.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    /// How often it was merged; 1 from the head.
    pub(crate) level: u32,
    /// ULIDs of the level 1 blocks it was made from; empty means itself.
    pub(crate) sources: Vec<String>,
    /// ULIDs of the blocks it takes the place of.
    pub(crate) parents: Vec<String>,
    /// Head samples of rows before this are in blocks.
    pub(crate) flushed_until: Option<i64>,
}

/// What `meta.json` holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockMeta {
    pub(crate) ulid: String,
    pub(crate) mint: i64,
    /// Inclusive.
    pub(crate) maxt: i64,
    pub(crate) samples: u64,
    pub(crate) histogram_samples: u64,
    pub(crate) series: u64,
    pub(crate) chunks: u64,
    pub(crate) level: u32,
    pub(crate) sources: Vec<String>,
    pub(crate) parents: Vec<String>,
    pub(crate) flushed_until: Option<i64>,
}

/// One chunk of a series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkRef {
    pub(crate) rows: u32,
    pub(crate) mint: i64,
    pub(crate) maxt: i64,
    /// The id of its timestamp vector, which other series' chunks may share: equal ids, equal vectors.
    pub(crate) ts: u32,
    pub(crate) histogram: bool,
    at: u64,
    len: u32,
}

/// Writes one block.
#[derive(Debug)]
pub(crate) struct BlockWriter {}

fn missing() -> Error {
    Error::new(ErrorKind::Unsupported, "blocks are being written")
}

impl BlockWriter {
    pub(crate) fn create(
        _blocks: &Path,
        _now_ms: i64,
        _entropy: u128,
        _effort: Effort,
        _faults: &Faults,
    ) -> Result<Self, Error> {
        Err(missing())
    }

    pub(crate) fn series(&mut self, _labels: &LabelSet, _data: &SeriesData<'_>) -> Result<(), Error> {
        Err(missing())
    }

    pub(crate) fn finish(self, _about: About) -> Result<Option<Block>, Error> {
        Err(missing())
    }
}

/// A block that can be read.
#[derive(Debug)]
pub(crate) struct Block {
    meta: BlockMeta,
}

impl Block {
    pub(crate) fn open(_dir: &Path) -> Result<Self, Error> {
        Err(missing())
    }

    pub(crate) fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    pub(crate) fn select(&self, _matchers: &[Matcher]) -> Result<RoaringBitmap, Error> {
        Err(missing())
    }

    /// [`series_key`] of a series. Where the index is damaged there, it is a key that no series has.
    pub(crate) fn key(&self, _ordinal: u32) -> u128 {
        0
    }

    pub(crate) fn labels(&self, _ordinal: u32) -> Result<LabelSet, Error> {
        Err(missing())
    }

    pub(crate) fn chunks(
        &self,
        _ordinal: u32,
        _range: TimeRange,
        _out: &mut Vec<ChunkRef>,
    ) -> Result<(), Damaged> {
        Err(Damaged("blocks are being written"))
    }

    pub(crate) fn timestamps(
        &self,
        _chunk: &ChunkRef,
        _ints: &mut IntDecoder,
        _out: &mut Vec<i64>,
    ) -> Result<(), Damaged> {
        Err(Damaged("blocks are being written"))
    }

    pub(crate) fn values(
        &self,
        _chunk: &ChunkRef,
        _decoder: &mut Decoder,
        _out: &mut [f64],
    ) -> Result<(), Damaged> {
        Err(Damaged("blocks are being written"))
    }

    pub(crate) fn histograms(
        &self,
        _chunk: &ChunkRef,
        _codec: &mut HistogramCodec,
        _out: &mut Vec<Arc<Histogram>>,
    ) -> Result<(), Damaged> {
        Err(Damaged("blocks are being written"))
    }

    pub(crate) fn deleted(&self, _ordinal: u32) -> Vec<TimeRange> {
        vec![]
    }

    pub(crate) fn has_tombstones(&self) -> bool {
        false
    }

    pub(crate) fn delete(&self, _ordinals: &RoaringBitmap, _range: TimeRange) -> Result<(), Error> {
        Err(missing())
    }

    pub(crate) fn label_names(&self, _selected: Option<&RoaringBitmap>) -> Result<Vec<String>, Error> {
        Err(missing())
    }

    pub(crate) fn label_values(
        &self,
        _name: &str,
        _selected: Option<&RoaringBitmap>,
    ) -> Result<Vec<String>, Error> {
        Err(missing())
    }

    pub(crate) fn bytes(&self) -> u64 {
        0
    }

    pub(crate) fn info(&self) -> storage::BlockInfo {
        storage::BlockInfo::default()
    }

    pub(crate) fn plan_input(&self) -> PlanInput {
        PlanInput { ulid: self.meta.ulid.clone(), mint: 0, maxt: 0, series: 0, tombstones: 0 }
    }
}

pub(crate) fn merge(
    _blocks: &Path,
    _inputs: &[Arc<Block>],
    _now_ms: i64,
    _entropy: u128,
    _effort: Effort,
    _faults: &Faults,
) -> Result<Option<Block>, Error> {
    Err(missing())
}

/// What [`plan`] needs to know of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanInput {
    pub(crate) ulid: String,
    pub(crate) mint: i64,
    pub(crate) maxt: i64,
    pub(crate) series: u64,
    /// Deleted intervals.
    pub(crate) tombstones: u64,
}

pub(crate) fn plan(_metas: &[PlanInput], _span_ms: i64, _max_span_ms: i64) -> Option<Vec<usize>> {
    None
}

/// All blocks of a store.
#[derive(Debug)]
pub(crate) struct Blocks {}

impl Blocks {
    pub(crate) fn open(_dir: &Path, _faults: &Faults) -> Result<(Self, u64), Error> {
        Ok((Self {}, 0))
    }

    pub(crate) fn overlapping(&self, _range: TimeRange) -> Vec<Arc<Block>> {
        vec![]
    }

    pub(crate) fn all(&self) -> Vec<Arc<Block>> {
        vec![]
    }

    pub(crate) fn add(&self, _block: Block) {}

    pub(crate) fn replace(&self, _old: &[Arc<Block>], _new: Option<Block>) -> Result<(), Error> {
        Err(missing())
    }

    pub(crate) fn remove(&self, _block: &Arc<Block>) -> Result<(), Error> {
        Err(missing())
    }

    pub(crate) fn bytes(&self) -> u64 {
        0
    }
}
