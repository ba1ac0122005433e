//! Series, label names and label values: those of the head by the granularity of groups, those of blocks by that of blocks.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;
use model::LabelSet;
use roaring::RoaringBitmap;
use storage::{Error, MetaRequest, QueryContext, TimeRange};

use crate::Store;
use crate::block::Block;
use crate::foreign;

impl Store {
    /// The series that match and have a sample in the range, by the granularity of groups. `None` stands for all.
    fn meta_selected(
        &self,
        request: &MetaRequest,
        ctx: &QueryContext,
    ) -> Result<Option<RoaringBitmap>, Error> {
        ctx.check()?;
        let covered =
            self.head_bounds().is_none_or(|b| request.range.mint <= b.mint && b.maxt <= request.range.maxt);
        if covered && request.matcher_sets.is_empty() {
            return Ok(None);
        }
        let selected = {
            let index = self.index.read();
            match &request.matcher_sets[..] {
                [] => index.live().clone(),
                sets => sets.iter().fold(RoaringBitmap::new(), |all, set| all | index.select(set)),
            }
        };
        if covered {
            return Ok(Some(selected));
        }
        let mut overlaps: HashMap<u32, bool> = HashMap::new();
        let mut kept = RoaringBitmap::new();
        for series in &selected {
            let locations: Vec<_> = self.index.read().locations(series).collect();
            let in_groups = locations.iter().any(|&(group, _)| {
                *overlaps.entry(group).or_insert_with(|| {
                    let bounds = self.group(group).and_then(|g| g.state.read().bounds());
                    overlap(bounds, request.range)
                })
            });
            let keep = in_groups || {
                let loose = self.loose.read();
                overlap(loose.get(series).and_then(crate::loose::LooseSeries::bounds), request.range)
            };
            if keep {
                kept.insert(series);
            }
        }
        Ok(Some(kept))
    }

    /// The blocks in the range, each with the series that match; `None` stands for all.
    fn meta_blocks(&self, request: &MetaRequest) -> Vec<(Arc<Block>, Option<RoaringBitmap>)> {
        let state = self.state.get();
        let mut blocks = vec![];
        for block in state.overlapping(request.range) {
            let selected = request.matcher_sets.iter().map(|set| block.select(set));
            match selected.collect::<Result<Vec<_>, _>>() {
                Ok(sets) => {
                    let all = sets.into_iter().reduce(|a, b| a | b);
                    if all.as_ref().is_none_or(|all| !all.is_empty()) {
                        blocks.push((Arc::clone(block), all));
                    }
                }
                Err(e) => self.note_block_damage(block, &e),
            }
        }
        blocks
    }

    /// The label sets that match in Prometheus' blocks.
    fn meta_foreign(&self, request: &MetaRequest, ctx: &QueryContext) -> Result<Vec<LabelSet>, Error> {
        let mut sets = vec![];
        let every = [vec![]];
        let matcher_sets =
            if request.matcher_sets.is_empty() { &every[..] } else { &request.matcher_sets[..] };
        for block in self.state.get().foreign(request.range) {
            for set in matcher_sets {
                for reference in foreign::select(block, set)? {
                    ctx.check()?;
                    match block.resolve(u64::from(reference)) {
                        Ok(series) => sets.push(series.labels),
                        Err(e) => {
                            tracing::error!(error = %e, "series of a block of Prometheus cannot be read");
                            self.note_damage(1);
                        }
                    }
                }
            }
        }
        Ok(sets)
    }

    fn note_block_damage(&self, block: &Block, e: &Error) {
        tracing::error!(block = block.meta().ulid, error = %e, "block left out of a query");
        self.note_damage(1);
    }

    pub(super) fn meta_series(
        &self,
        request: &MetaRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<LabelSet>, Error> {
        // Held until the end: what moves to a block meanwhile stays in the head.
        let _state = self.state.get();
        let blocks = self.meta_blocks(request);
        let selected = self.meta_selected(request, ctx)?;
        let mut sets = vec![];
        {
            let index = self.index.read();
            for series in selected.as_ref().unwrap_or(index.live()) {
                ctx.check()?;
                if index.contains(series) {
                    sets.push(index.labels(series));
                }
            }
        }
        for (block, selected) in blocks {
            let all = || (0..u32::try_from(block.meta().series).unwrap_or(u32::MAX)).collect();
            for ordinal in selected.unwrap_or_else(all) {
                ctx.check()?;
                match block.labels(ordinal) {
                    Ok(labels) => sets.push(labels),
                    Err(e) => self.note_block_damage(&block, &e),
                }
            }
        }
        sets.extend(self.meta_foreign(request, ctx)?);
        sets.sort_unstable();
        sets.dedup();
        Ok(sets)
    }

    pub(super) fn meta_label_names(
        &self,
        request: &MetaRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, Error> {
        // Held until the end: what moves to a block meanwhile stays in the head.
        let _state = self.state.get();
        let mut names: BTreeSet<String> = BTreeSet::new();
        for (block, selected) in self.meta_blocks(request) {
            ctx.check()?;
            match block.label_names(selected.as_ref()) {
                Ok(of_block) => names.extend(of_block),
                Err(e) => self.note_block_damage(&block, &e),
            }
        }
        for labels in self.meta_foreign(request, ctx)? {
            for (name, _) in &labels {
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            }
        }
        let selected = self.meta_selected(request, ctx)?;
        let index = self.index.read();
        for name in index.pairs.names() {
            ctx.check()?;
            let hit = match &selected {
                None => true,
                Some(selected) => index.pairs.of_name(name).any(|(_, postings)| postings.meets(selected)),
            };
            if hit && !names.contains(name) {
                names.insert(name.to_owned());
            }
        }
        Ok(names.into_iter().collect())
    }

    pub(super) fn meta_label_values(
        &self,
        name: &str,
        request: &MetaRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, Error> {
        // Held until the end: what moves to a block meanwhile stays in the head.
        let _state = self.state.get();
        let mut values: BTreeSet<String> = BTreeSet::new();
        for (block, selected) in self.meta_blocks(request) {
            ctx.check()?;
            match block.label_values(name, selected.as_ref()) {
                Ok(of_block) => values.extend(of_block),
                Err(e) => self.note_block_damage(&block, &e),
            }
        }
        for labels in self.meta_foreign(request, ctx)? {
            if let Some(value) = labels.get(name).filter(|v| !values.contains(*v)) {
                values.insert(value.to_owned());
            }
        }
        let selected = self.meta_selected(request, ctx)?;
        let index = self.index.read();
        for (value, postings) in index.pairs.of_name(name) {
            ctx.check()?;
            if !values.contains(value) && selected.as_ref().is_none_or(|s| postings.meets(s)) {
                values.insert(value.to_owned());
            }
        }
        Ok(values.into_iter().collect())
    }
}

fn overlap(bounds: Option<(i64, i64)>, range: TimeRange) -> bool {
    bounds.is_some_and(|(mint, maxt)| range.overlaps(&TimeRange { mint, maxt }))
}
