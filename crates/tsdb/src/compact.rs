//! Blocks in the background: merged level by level, dropped by age and size.

use std::sync::Arc;

use model::TimestampMs;
use storage::Error;

use crate::Store;
use crate::block::{self, Block, PlanInput};
use crate::codec::Effort;
use crate::flush::entropy;
use crate::foreign;
use crate::store::count;

/// The longest span that blocks are merged to.
const MAX_SPAN_MS: i64 = 31 * 86_400_000;

impl Store {
    /// To be called about each minute, from a thread of its own since a merge may take long: merges what should be, and drops blocks
    /// that are past retention by age or by size. Returns how many blocks were merged or dropped.
    ///
    /// # Errors
    /// When a block cannot be written or removed; then those in force stay.
    pub fn compact(&self, now_ms: TimestampMs) -> Result<usize, Error> {
        let _one = self.compaction.lock();
        let mut changed = self.drop_blocks(now_ms)?;
        while let Some(inputs) = self.next_merge() {
            changed += inputs.len();
            self.merge(&inputs)?;
        }
        Ok(changed)
    }

    /// Writes all of the head to blocks and merges what lies in one span. For a store that nobody writes to: what a tool does to
    /// leave a directory small.
    ///
    /// # Errors
    /// As [`Store::maintain`] and [`Store::compact`].
    pub fn compact_all(&self) -> Result<(), Error> {
        {
            let _one = self.maintenance.lock();
            if let Some(bounds) = self.head_bounds() {
                let span = self.options.block_span_ms;
                self.flush(bounds.maxt.div_euclid(span).saturating_add(1).saturating_mul(span))?;
            }
            self.chunks.lock().finish();
        }
        let _one = self.compaction.lock();
        while let Some(inputs) = self.next_merge().or_else(|| self.pile()) {
            self.merge(&inputs)?;
        }
        Ok(())
    }

    /// Several blocks in one span, however few: no more are to come.
    fn pile(&self) -> Option<Vec<Arc<Block>>> {
        let span = self.options.block_span_ms;
        let blocks = self.blocks.all();
        let window = |b: &Arc<Block>| (b.meta().mint.div_euclid(span), b.meta().maxt.div_euclid(span));
        let pile = blocks.chunk_by(|a, b| window(a) == window(b)).find(|pile| pile.len() > 1)?;
        let mut pile = pile.to_vec();
        // In the order they were written, as `merge` wants them.
        pile.sort_by(|a, b| a.meta().ulid.cmp(&b.meta().ulid));
        Some(pile)
    }

    fn next_merge(&self) -> Option<Vec<Arc<Block>>> {
        let blocks = self.blocks.all();
        let metas: Vec<PlanInput> = blocks.iter().map(|b| b.plan_input()).collect();
        let longest = self
            .options
            .max_block_span_ms
            .unwrap_or_else(|| self.options.retention_ms.map_or(MAX_SPAN_MS, |r| (r / 10).min(MAX_SPAN_MS)));
        let span = self.options.block_span_ms;
        let chosen = block::plan(&metas, span, longest.max(span))?;
        Some(chosen.into_iter().filter_map(|i| blocks.get(i).cloned()).collect())
    }

    /// Puts one block in the place of several. The caller holds `compaction`.
    pub(crate) fn merge(&self, inputs: &[Arc<Block>]) -> Result<(), Error> {
        let now = (self.options.clock)();
        let merged = block::merge(&self.dir.blocks, inputs, now, entropy(), Effort::Cold, &self.faults)?;
        if let Some(merged) = &merged {
            let meta = merged.meta();
            tracing::info!(
                ulid = meta.ulid,
                from = inputs.len(),
                series = meta.series,
                samples = meta.samples,
                bytes = merged.bytes(),
                "blocks merged"
            );
        }
        self.blocks.replace(inputs, merged)?;
        count(&self.counters.merges, 1);
        self.publish_blocks();
        Ok(())
    }

    /// Readers to come see the blocks as they are now.
    pub(crate) fn publish_blocks(&self) {
        self.state.change(|state| state.blocks = self.blocks.all());
    }

    fn drop_blocks(&self, now_ms: TimestampMs) -> Result<usize, Error> {
        let mut dropped = 0;
        if let Some(retention) = self.options.retention_ms {
            // Not ours to remove; only not shown any more.
            let mint = now_ms.saturating_sub(retention);
            if self.state.get().foreign.iter().any(|b| foreign::range_of(b).maxt < mint) {
                self.state.change(|s| s.foreign.retain(|b| foreign::range_of(b).maxt >= mint));
            }
        }
        if let Some(retention) = self.options.retention_ms {
            let mint = now_ms.saturating_sub(retention);
            for block in self.blocks.all().iter().filter(|b| b.meta().maxt < mint) {
                tracing::info!(ulid = block.meta().ulid, "block past retention removed");
                self.blocks.remove(block)?;
                count(&self.counters.time_retentions, 1);
                dropped += 1;
            }
        }
        if let Some(limit) = self.options.retention_bytes {
            let mut blocks = self.blocks.all();
            blocks.sort_by_key(|b| b.meta().maxt);
            for block in blocks {
                let bytes = self.disk_bytes();
                if bytes <= limit {
                    break;
                }
                tracing::info!(
                    ulid = block.meta().ulid,
                    bytes,
                    limit,
                    "block removed, the store is past its size"
                );
                self.blocks.remove(&block)?;
                count(&self.counters.size_retentions, 1);
                dropped += 1;
            }
        }
        if dropped > 0 {
            self.publish_blocks();
        }
        Ok(dropped)
    }

    /// Bytes on disk of all kinds.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let checkpoint = self.counters.checkpoint_bytes.load(std::sync::atomic::Ordering::Relaxed);
        self.blocks.bytes() + self.chunks.lock().totals().1 + self.log.lock().len_bytes() + checkpoint
    }
}
