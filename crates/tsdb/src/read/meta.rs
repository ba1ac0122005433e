//! Series, label names and label values.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use model::LabelSet;
use roaring::RoaringBitmap;
use storage::{Error, MetaRequest, QueryContext, TimeRange};

use crate::Store;

impl Store {
    /// The series that match and have a sample in the range, by the granularity of groups. `None` stands for all.
    fn meta_selected(
        &self,
        request: &MetaRequest,
        ctx: &QueryContext,
    ) -> Result<Option<RoaringBitmap>, Error> {
        ctx.check()?;
        let covered =
            self.bounds().is_none_or(|b| request.range.mint <= b.mint && b.maxt <= request.range.maxt);
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

    pub(super) fn meta_series(
        &self,
        request: &MetaRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<LabelSet>, Error> {
        let selected = self.meta_selected(request, ctx)?;
        let index = self.index.read();
        let selected = selected.as_ref().unwrap_or(index.live());
        let mut sets = vec![];
        for series in selected {
            ctx.check()?;
            if index.contains(series) {
                sets.push(index.labels(series));
            }
        }
        sets.sort_unstable();
        Ok(sets)
    }

    pub(super) fn meta_label_names(
        &self,
        request: &MetaRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, Error> {
        let selected = self.meta_selected(request, ctx)?;
        let index = self.index.read();
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for name in index.pairs.names() {
            ctx.check()?;
            let hit = match &selected {
                None => true,
                Some(selected) => index.pairs.of_name(name).any(|(_, postings)| postings.meets(selected)),
            };
            if hit {
                names.insert(name);
            }
        }
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    pub(super) fn meta_label_values(
        &self,
        name: &str,
        request: &MetaRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, Error> {
        let selected = self.meta_selected(request, ctx)?;
        let index = self.index.read();
        let mut values: BTreeSet<&str> = BTreeSet::new();
        for (value, postings) in index.pairs.of_name(name) {
            ctx.check()?;
            if selected.as_ref().is_none_or(|s| postings.meets(s)) {
                values.insert(value);
            }
        }
        Ok(values.into_iter().map(str::to_owned).collect())
    }
}

fn overlap(bounds: Option<(i64, i64)>, range: TimeRange) -> bool {
    bounds.is_some_and(|(mint, maxt)| range.overlaps(&TimeRange { mint, maxt }))
}
