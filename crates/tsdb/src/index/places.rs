//! What the index knows of a series by its reference: where its labels start and where its rows are.
//!
//! References are never given twice, so under churn most of those below the newest are dead. Places are kept in pages of
//! 1,024 references; a page whose series are all gone is given back, and costs eight bytes from then on.

/// Where rows hold a series: group and slot.
pub(crate) type Location = (u32, u32);

const NOWHERE: Location = (u32::MAX, u32::MAX);
/// In the place of a group: the slot is the first of a chain of nodes. No group has this number.
const CHAINED: u32 = u32::MAX - 1;
/// Groups have numbers below this.
pub(crate) const MAX_GROUP: u32 = CHAINED - 1;
const END: u32 = u32::MAX;

const PAGE: usize = 1024;
/// No such series.
const DEAD: u32 = u32::MAX;

#[derive(Debug)]
struct Page {
    live: usize,
    starts: [u32; PAGE],
    locations: [Location; PAGE],
}

/// A location of a series that has several.
#[derive(Debug, Clone, Copy)]
struct Node {
    location: Location,
    next: u32,
}

/// By series reference.
#[derive(Debug, Default)]
pub(super) struct Places {
    pages: Vec<Option<Box<Page>>>,
    nodes: Vec<Node>,
    /// First of the nodes that are free, as a chain; [`END`] when `nodes` has none.
    free: Option<u32>,
    used_nodes: usize,
}

impl Places {
    #[inline]
    fn page(&self, series: u32) -> Option<&Page> {
        self.pages.get(series as usize / PAGE)?.as_deref()
    }

    /// Where the series' labels start; `None` where there is no such series.
    #[inline]
    pub(super) fn start(&self, series: u32) -> Option<u32> {
        let start = self.page(series)?.starts[series as usize % PAGE];
        (start != DEAD).then_some(start)
    }

    /// Sets where a series' labels start, below `u32::MAX`; the series is new or known.
    pub(super) fn set_start(&mut self, series: u32, start: u32) {
        let i = series as usize / PAGE;
        if self.pages.len() <= i {
            self.pages.resize_with(i + 1, || None);
        }
        let page = self.pages[i].get_or_insert_with(|| {
            Box::new(Page { live: 0, starts: [DEAD; PAGE], locations: [NOWHERE; PAGE] })
        });
        let at = &mut page.starts[series as usize % PAGE];
        page.live += usize::from(*at == DEAD);
        *at = start;
    }

    pub(super) fn remove(&mut self, series: u32) {
        loop {
            let Some((group, _)) = self.locations(series).next() else { break };
            self.remove_location(series, group);
        }
        let Some(slot) = self.pages.get_mut(series as usize / PAGE) else { return };
        let Some(page) = slot else { return };
        let at = &mut page.starts[series as usize % PAGE];
        page.live -= usize::from(*at != DEAD);
        *at = DEAD;
        if page.live == 0 {
            *slot = None;
        }
    }

    fn location_mut(&mut self, series: u32) -> Option<&mut Location> {
        let page = self.pages.get_mut(series as usize / PAGE)?.as_deref_mut()?;
        Some(&mut page.locations[series as usize % PAGE])
    }

    fn node(&mut self, node: Node) -> u32 {
        self.used_nodes += 1;
        if let Some(free) = self.free {
            let next = self.nodes[free as usize].next;
            self.free = (next != END).then_some(next);
            self.nodes[free as usize] = node;
            return free;
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).expect("fewer locations than 2^32 series have slots")
    }

    fn release(&mut self, node: u32) {
        self.used_nodes -= 1;
        if self.used_nodes == 0 {
            (self.nodes, self.free) = (vec![], None);
            return;
        }
        self.nodes[node as usize].next = self.free.unwrap_or(END);
        self.free = Some(node);
    }

    /// Notes that a group's slot holds the series; a series that is not known is left alone.
    pub(super) fn add_location(&mut self, series: u32, location: Location) {
        if self.start(series).is_none() {
            return;
        }
        let Some(first) = self.location_mut(series).copied() else { return };
        let new = if first == NOWHERE {
            location
        } else if first.0 != CHAINED {
            if first == location {
                return;
            }
            let next = self.node(Node { location, next: END });
            (CHAINED, self.node(Node { location: first, next }))
        } else {
            let mut at = first.1;
            loop {
                let node = self.nodes[at as usize];
                if node.location == location {
                    return;
                }
                if node.next == END {
                    break;
                }
                at = node.next;
            }
            let new = self.node(Node { location, next: END });
            self.nodes[at as usize].next = new;
            return;
        };
        if let Some(first) = self.location_mut(series) {
            *first = new;
        }
    }

    /// Drops the locations in a group.
    pub(super) fn remove_location(&mut self, series: u32, group: u32) {
        let Some(first) = self.location_mut(series) else { return };
        if first.0 != CHAINED {
            if first.0 == group {
                *first = NOWHERE;
            }
            return;
        }
        let mut at = first.1;
        let mut kept = vec![];
        while at != END {
            let node = self.nodes[at as usize];
            self.release(at);
            if node.location.0 != group {
                kept.push(node.location);
            }
            at = node.next;
        }
        if let Some(first) = self.location_mut(series) {
            *first = NOWHERE;
        }
        kept.into_iter().for_each(|l| self.add_location(series, l));
    }

    /// The places of a series' rows, in the order they were made.
    pub(super) fn locations(&self, series: u32) -> impl Iterator<Item = Location> + '_ {
        let first = self.page(series).map_or(NOWHERE, |p| p.locations[series as usize % PAGE]);
        let (one, mut at) = match first {
            (CHAINED, at) => (None, at),
            NOWHERE => (None, END),
            one => (Some(one), END),
        };
        let chain = std::iter::from_fn(move || {
            let node = self.nodes.get(at as usize)?;
            at = node.next;
            Some(node.location)
        });
        one.into_iter().chain(chain)
    }

    /// The reference after the greatest one seen.
    pub(super) fn end(&self) -> u32 {
        let Some(i) = self.pages.iter().rposition(Option::is_some) else { return 0 };
        let page = self.pages[i].as_deref().expect("the last one there is");
        let at = page.starts.iter().rposition(|&s| s != DEAD).map_or(0, |at| at + 1);
        u32::try_from(i * PAGE + at).unwrap_or(u32::MAX)
    }

    pub(super) fn resident_bytes(&self) -> usize {
        let pages = self.pages.iter().flatten().count();
        pages * size_of::<Page>() + self.pages.capacity() * 8 + self.nodes.capacity() * size_of::<Node>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Two pages and one far off.
    const SERIES: [u32; 6] = [0, 1, 1023, 1024, 1025, 70_000];

    #[derive(Debug, Clone)]
    enum Step {
        Start(u32),
        Add(Location),
        Leave(u32),
        Remove,
    }

    fn step() -> impl Strategy<Value = (usize, Step)> {
        let step = prop_oneof![
            2 => (0_u32..9).prop_map(Step::Start),
            6 => (0_u32..4, 0_u32..3).prop_map(Step::Add),
            2 => (0_u32..4).prop_map(Step::Leave),
            1 => Just(Step::Remove),
        ];
        (0..SERIES.len(), step)
    }

    proptest! {
        #[test]
        fn places_are_what_was_noted(steps in proptest::collection::vec(step(), 0..120)) {
            let mut places = Places::default();
            let mut model: BTreeMap<u32, (u32, Vec<Location>)> = BTreeMap::new();
            for (i, step) in steps {
                let series = SERIES[i];
                match step {
                    Step::Start(start) => {
                        places.set_start(series, start);
                        model.entry(series).or_default().0 = start;
                    }
                    Step::Add(location) => {
                        places.add_location(series, location);
                        if let Some((_, all)) = model.get_mut(&series) && !all.contains(&location) {
                            all.push(location);
                        }
                    }
                    Step::Leave(group) => {
                        places.remove_location(series, group);
                        if let Some((_, all)) = model.get_mut(&series) {
                            all.retain(|l| l.0 != group);
                        }
                    }
                    Step::Remove => {
                        places.remove(series);
                        model.remove(&series);
                    }
                }
                for s in SERIES {
                    let known = model.get(&s);
                    prop_assert_eq!(places.start(s), known.map(|k| k.0));
                    let expect = known.map_or(&[][..], |k| &k.1[..]);
                    prop_assert_eq!(places.locations(s).collect::<Vec<_>>(), expect);
                }
                prop_assert_eq!(places.end(), model.keys().next_back().map_or(0, |s| s + 1));
                let chained: usize = model.values().map(|(_, l)| l.len()).filter(|&n| n > 1).sum();
                prop_assert!(places.used_nodes >= chained, "each location of several has a node");
            }
            // What nothing needs takes nothing but its place in the list of pages.
            SERIES.iter().for_each(|&s| places.remove(s));
            prop_assert!(places.pages.iter().all(Option::is_none));
            prop_assert_eq!((places.used_nodes, places.nodes.capacity()), (0, 0));
        }
    }

    #[test]
    fn nodes_that_are_given_back_serve_again() {
        let mut places = Places::default();
        (0..2).for_each(|s| places.set_start(s, 0));
        places.add_location(0, (9, 9));
        places.add_location(0, (8, 8));
        for round in 0..100 {
            places.add_location(1, (round, 0));
            places.add_location(1, (round, 1));
            assert_eq!(places.locations(1).count(), 2);
            places.remove_location(1, round);
        }
        assert_eq!((places.locations(0).count(), places.nodes.len()), (2, 4));
    }
}
