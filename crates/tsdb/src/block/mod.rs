//! Immutable blocks on disk: a span of time of many series, indexed, mapped, checksummed, merged in the background.
//!
//! A [`BlockWriter`] takes series in label order and makes a directory `<ULID>/` of `meta.json`, `index`, `chunks` and
//! `timestamps`; deletions come later as `tombstones`. A [`Block`] maps it. [`merge`] writes one block from several, [`plan`] says
//! which, [`Blocks`] holds all of a store. Nothing here knows of the head. Byte layout: `docs/format/block.md`.
//!
//! Every file but the two small ones is made of `pages` with a checksum each, looked at when a page is first read; so what reads
//! a block sees sound bytes or is told of the damage, and each part is lost alone.

mod cut;
mod dictionary;
mod entries;
mod index_read;
mod index_write;
mod interner;
mod merge;
mod meta;
mod open;
mod pages;
mod plan;
mod postings;
mod recent;
mod select;
mod set;
mod timestamps;
mod tombstones;
mod ulid;
mod writer;

use std::sync::Arc;

use model::{Histogram, LabelSet};

pub(crate) use index_read::LabelReader;
pub(crate) use merge::merge;
pub(crate) use meta::BlockMeta;
pub(crate) use open::{Block, ChunkRef};
pub(crate) use plan::{PlanInput, plan};
pub(crate) use set::Blocks;
pub(crate) use writer::BlockWriter;

/// Names of files and endings of directories.
mod file {
    pub(super) const META: &str = "meta.json";
    pub(super) const INDEX: &str = "index";
    pub(super) const CHUNKS: &str = "chunks";
    pub(super) const TIMESTAMPS: &str = "timestamps";
    pub(super) const TEMPORARY: &str = ".tmp";
    pub(super) const DELETED: &str = ".deleted";
}

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

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod model_tests;
