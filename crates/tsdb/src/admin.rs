//! What an operator does: deletes, clean-up after them, snapshots.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use model::Matcher;
use roaring::RoaringBitmap;
use storage::{BlockInfo, Error, StoreAdmin, TimeRange};

use crate::block::{About, Block, BlockWriter};
use crate::codec::Effort;
use crate::disk::sync_dir;
use crate::flush::entropy;
use crate::{Store, record};

impl StoreAdmin for Store {
    fn delete(&self, matcher_sets: &[Vec<Matcher>], range: TimeRange) -> Result<(), Error> {
        // Neither may a block be merged without its new tombstones, nor samples move between head and blocks meanwhile.
        let _merges = self.compaction.lock();
        let _one = self.maintenance.lock();
        for block in self.state.get().overlapping(range) {
            let selected = union(matcher_sets, |set| block.select(set))?;
            if !selected.is_empty() {
                block.delete(&selected, range)?;
            }
        }
        if self.head_bounds().is_none_or(|b| !b.overlaps(&range)) {
            return Ok(());
        }
        let series = {
            let index = self.index.read();
            union(matcher_sets, |set| Ok(index.select(set)))?
        };
        if series.is_empty() {
            return Ok(());
        }
        let mut frames = vec![];
        let ranges = self.up_to_newest(&series, range);
        for (&maxt, series) in &ranges {
            record::put_delete(&mut frames, series, TimeRange { mint: range.mint, maxt });
        }
        self.write_log(&frames)?;
        self.state.change(|state| {
            let deleted = Arc::make_mut(&mut state.deleted);
            for (&maxt, series) in &ranges {
                let range = TimeRange { mint: range.mint, maxt };
                series.iter().for_each(|s| deleted.entry(s).or_default().push(range));
            }
        });
        self.sync()
    }

    fn clean_tombstones(&self) -> Result<(), Error> {
        let _merges = self.compaction.lock();
        for block in self.blocks.all().iter().filter(|b| b.has_tombstones()) {
            self.merge(std::slice::from_ref(block))?;
        }
        Ok(())
    }

    fn snapshot(&self, name: &str, skip_head: bool) -> Result<(), Error> {
        let _merges = self.compaction.lock();
        let _one = self.maintenance.lock();
        let root = self.dir.root.join("snapshots");
        let (partial, dir) = (root.join(format!("{name}.tmp")), root.join(name));
        let result = self.write_snapshot(&partial, skip_head).and_then(|()| {
            let failed = |e| Error::io(format!("snapshot {name}: put in place"), e);
            std::fs::rename(&partial, &dir).map_err(failed)?;
            sync_dir(&root).map_err(failed)
        });
        if result.is_err() {
            let _ = std::fs::remove_dir_all(&partial);
        }
        result
    }

    fn blocks(&self) -> Vec<BlockInfo> {
        self.state.get().blocks.iter().map(|b| b.info()).collect()
    }
}

fn union(
    sets: &[Vec<Matcher>],
    select: impl Fn(&[Matcher]) -> Result<RoaringBitmap, Error>,
) -> Result<RoaringBitmap, Error> {
    sets.iter().try_fold(RoaringBitmap::new(), |all, set| Ok(all | select(set)?))
}

impl Store {
    /// Series by the end of what is deleted of them: never after their newest sample, since what comes later is not meant.
    fn up_to_newest(&self, series: &RoaringBitmap, range: TimeRange) -> BTreeMap<i64, RoaringBitmap> {
        let mut ranges: BTreeMap<i64, RoaringBitmap> = BTreeMap::new();
        for series in series {
            let locations: Vec<_> = self.index.read().locations(series).collect();
            let in_rows = locations.iter().filter_map(|l| self.group(l.0)?.state.read().last_ts).max();
            let newest = in_rows.max(self.loose.read().newest(series));
            if let Some(newest) = newest.filter(|&t| t >= range.mint) {
                ranges.entry(newest.min(range.maxt)).or_default().insert(series);
            }
        }
        ranges
    }

    fn write_snapshot(&self, dir: &Path, skip_head: bool) -> Result<(), Error> {
        let failed = |e| Error::io(format!("snapshot in {}", dir.display()), e);
        let blocks = dir.join("blocks");
        std::fs::create_dir_all(&blocks).map_err(failed)?;
        for block in self.blocks.all() {
            link_block(&block, &self.dir.blocks, &blocks).map_err(failed)?;
        }
        if let (false, Some(bounds)) = (skip_head, self.head_bounds()) {
            let now = (self.options.clock)();
            let mut writer = BlockWriter::create(&blocks, now, entropy(), Effort::Fresh, &self.faults)?;
            let from = self.state.get().rows_from;
            self.each_of_head(bounds, true, &mut |labels, data| writer.series(labels, data))?;
            let until = bounds.maxt.saturating_add(1).max(from);
            writer.finish(About { level: 1, flushed_until: Some(until), ..About::default() })?;
        }
        sync_dir(&blocks).and_then(|()| sync_dir(dir)).map_err(failed)
    }
}

/// Blocks never change but for their tombstones, which are replaced by renames: links suffice.
fn link_block(block: &Block, from: &Path, to: &Path) -> std::io::Result<()> {
    let ulid = &block.meta().ulid;
    let (from, to) = (from.join(ulid), to.join(ulid));
    std::fs::create_dir(&to)?;
    for entry in std::fs::read_dir(&from)? {
        let entry = entry?;
        std::fs::hard_link(entry.path(), to.join(entry.file_name()))?;
    }
    sync_dir(&to)
}
