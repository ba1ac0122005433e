//! Which blocks to merge next.

use std::ops::Range;

/// What [`plan`] needs to know of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanInput {
    pub(crate) ulid: String,
    /// Oldest sample.
    pub(crate) mint: i64,
    /// Newest sample.
    pub(crate) maxt: i64,
    pub(crate) series: u64,
    /// Series and intervals deleted but not yet rewritten.
    pub(crate) tombstones: u64,
    /// A merge met damage in it; it is left alone until the store is opened again.
    pub(crate) failed: bool,
}

/// Merged spans grow by this much from level to level.
const GROWTH: i64 = 3;

/// Small blocks in the newest span that are worth a merge: each early flush adds one, and all of them are merged in the end.
const PILE: usize = 4;

/// The blocks to merge next, as indices in the order in which [`super::merge`] wants them (a later one wins where both have a
/// sample of one time: the later written); `None` when all is well. First blocks that overlap, then several in one span, then
/// spans grown by three up to `max_span_ms` that are complete, then one with more than 5 % deletions.
pub(crate) fn plan(metas: &[PlanInput], span_ms: i64, max_span_ms: i64) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..metas.len()).filter(|&i| !metas[i].failed).collect();
    order.sort_by_key(|&i| (metas[i].mint, metas[i].maxt));
    let mut chosen = overlapping(metas, &order)
        .or_else(|| by_span(metas, &order, span_ms.max(1), max_span_ms))
        .or_else(|| deleted(metas, &order))?;
    chosen.sort_by(|&a, &b| metas[a].ulid.cmp(&metas[b].ulid));
    Some(chosen)
}

/// The first blocks that overlap, directly or by way of others.
fn overlapping(metas: &[PlanInput], order: &[usize]) -> Option<Vec<usize>> {
    let mut group: Vec<usize> = vec![];
    let mut end = i64::MIN;
    for &i in order {
        if !group.is_empty() && metas[i].mint > end {
            if group.len() > 1 {
                break;
            }
            group.clear();
        }
        end = if group.is_empty() { metas[i].maxt } else { end.max(metas[i].maxt) };
        group.push(i);
    }
    (group.len() > 1).then_some(group)
}

/// The first span, shorter spans first, with several blocks wholly inside.
fn by_span(metas: &[PlanInput], order: &[usize], span_ms: i64, max_span_ms: i64) -> Option<Vec<usize>> {
    let newest = metas.iter().map(|m| m.mint).max()?;
    let mut span = span_ms;
    while span == span_ms || span <= max_span_ms {
        let window = |t: i64| t.div_euclid(span);
        let mut rest = order;
        while let Some(&first) = rest.first() {
            let at = window(metas[first].mint);
            let n = rest.iter().take_while(|&&i| window(metas[i].mint) == at).count();
            // A block that is longer than the window, or lies across its end, is of a higher level.
            let inside: Vec<usize> =
                rest[..n].iter().copied().filter(|&i| window(metas[i].maxt) == at).collect();
            rest = &rest[n..];
            // Of the window in which the newest block lies more is to come; but small ones are not left to pile up.
            let complete = window(newest) > at || span > span_ms && fills(metas, &inside, at, span);
            let enough = if complete { 2 } else if span == span_ms { PILE } else { usize::MAX };
            if inside.len() >= enough {
                return Some(inside);
            }
        }
        span = span.checked_mul(GROWTH)?;
    }
    None
}

/// Whether blocks reach into both the first and the last ninth of a window.
fn fills(metas: &[PlanInput], inside: &[usize], at: i64, span: i64) -> bool {
    let Some(start) = at.checked_mul(span) else { return false };
    let margin = span / (GROWTH * GROWTH);
    let reach: Range<i64> = start.saturating_add(margin)..start.saturating_add(span - margin);
    inside.iter().any(|&i| metas[i].mint < reach.start) && inside.iter().any(|&i| metas[i].maxt >= reach.end)
}

fn deleted(metas: &[PlanInput], order: &[usize]) -> Option<Vec<usize>> {
    order.iter().find(|&&i| metas[i].tombstones.saturating_mul(20) > metas[i].series).map(|&i| vec![i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Blocks as `mint-maxt`, in units of a span of 20, in the order of their names; `!` has deletions, `?` failed.
    fn check(blocks: &str, expect: Option<&[usize]>) {
        let metas: Vec<PlanInput> = blocks
            .split_whitespace()
            .enumerate()
            .map(|(i, text)| {
                let (mint, maxt) = text.trim_end_matches(['!', '?']).split_once('-').unwrap();
                PlanInput {
                    ulid: format!("{i:026}"),
                    mint: mint.parse().unwrap(),
                    maxt: maxt.parse().unwrap(),
                    series: 100,
                    tombstones: if text.contains('!') { 6 } else { 5 },
                    failed: text.contains('?'),
                }
            })
            .collect();
        assert_eq!(plan(&metas, 20, 180).as_deref(), expect, "{blocks}");
    }

    #[test]
    fn chooses() {
        check("", None);
        check("0-19", None);
        // Three spans of 20 fill one of 60; the newest is not waited for when it is full.
        check("0-19 20-39", None);
        check("0-19 20-39 40-59", Some(&[0, 1, 2]));
        check("0-19 20-39 60-79", Some(&[0, 1]));
        check("60-79 20-39 0-19", Some(&[1, 2]));
        check("0-59 60-79 80-99 120-139", Some(&[1, 2]));
        check("0-59 60-119 120-139", None);
        check("0-59 60-119 120-179", Some(&[0, 1, 2]));
        check("0-179 180-359 360-539 540-560", None);
        // Several within one span; of the newest only when they pile up.
        check("0-59 60-65 66-70", None);
        check("0-59 60-65 66-70 71-72 73-74", Some(&[1, 2, 3, 4]));
        check("0-59 60-65 66-70 80-99", Some(&[1, 2]));
        // Overlaps first, and all of them.
        check("0-19 20-39 40-59 200-219 210-230 225-240 241-250", Some(&[3, 4, 5]));
        check("0-500 3-4", Some(&[0, 1]));
        check("0-19 19-20", Some(&[0, 1]));
        // What failed stays out of it.
        check("0-19? 20-39 40-59 70-79?", Some(&[1, 2]));
        check("0-19 5-10?", None);
        check("0-19 20-39!", Some(&[1]));
    }

    proptest! {
        #[test]
        fn ends_and_never_chooses_too_long_a_span(
            blocks in proptest::collection::vec((0_i64..2_000, 0_i64..200, 0_u64..10), 0..40),
        ) {
            let mut metas: Vec<PlanInput> = blocks
                .into_iter()
                .enumerate()
                .map(|(i, (mint, len, tombstones))| PlanInput {
                    ulid: format!("{i:026}"), mint, maxt: mint + len, series: 100, tombstones, failed: false,
                })
                .collect();
            for step in 0.. {
                let Some(chosen) = plan(&metas, 20, 180) else { break };
                prop_assert!(step < 100);
                let mint = chosen.iter().map(|&i| metas[i].mint).min().unwrap();
                let maxt = chosen.iter().map(|&i| metas[i].maxt).max().unwrap();
                let merged = PlanInput {
                    ulid: format!("{:026}", 1_000 + step), mint, maxt, series: 100, tombstones: 0, failed: false,
                };
                let mut i = 0;
                metas.retain(|_| { i += 1; !chosen.contains(&(i - 1)) });
                metas.push(merged);
            }
            metas.sort_by_key(|m| m.mint);
            prop_assert!(metas.windows(2).all(|w| w[0].maxt < w[1].mint));
        }
    }

    #[test]
    fn extremes_do_no_harm() {
        let block = |mint, maxt| PlanInput {
            ulid: String::new(),
            mint,
            maxt,
            series: 0,
            tombstones: 0,
            failed: false,
        };
        let metas =
            [block(i64::MIN, i64::MIN), block(i64::MIN + 1, -1), block(0, 1), block(i64::MAX, i64::MAX)];
        for (span, max) in [(1, i64::MAX), (i64::MAX, i64::MAX), (0, 0), (7_200_000, -1)] {
            let _ = plan(&metas, span, max);
        }
    }
}
