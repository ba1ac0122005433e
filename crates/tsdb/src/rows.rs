//! The row path: groups are opened, get their slots, take rows, are closed.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::HashMap;
use model::{LabelSet, TimestampMs};
use storage::{Error, ErrorKind, GroupId, RowAppender, Slot};

use crate::Store;
use crate::group::Group;
use crate::index::MAX_GROUP;
use crate::record;
use crate::store::{Definitions, count, put_series_records};

thread_local! {
    static FRAMES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl RowAppender for Store {
    fn open_group(&self, key: &LabelSet) -> Result<GroupId, Error> {
        let mut definitions = self.definitions.lock();
        let known = {
            let groups = self.groups.read();
            groups.by_key.get(key).and_then(|id| groups.by_id.get(id)).cloned()
        };
        let group = match known {
            Some(group) if group.state.read().open => {
                return Err(Error::new(ErrorKind::AlreadyOpen, format!("group {key} is open already")));
            }
            // Its slots would cost as much as those in use. What rows it has stay under its id.
            Some(group) if is_mostly_dead(&group) => new_group(&definitions, key)?,
            Some(group) => group,
            None => new_group(&definitions, key)?,
        };
        let mut frames = vec![];
        record::put_open(&mut frames, group.id, key);
        self.write_log(&frames)?;
        group.state.write().open = true;
        definitions.next_group = definitions.next_group.max(group.id + 1);
        let mut groups = self.groups.write();
        groups.by_key.insert(key.clone(), group.id);
        let id = GroupId(group.id);
        groups.by_id.insert(group.id, group);
        Ok(id)
    }

    fn define(&self, group: GroupId, series: &[LabelSet]) -> Result<Vec<Slot>, Error> {
        let mut definitions = self.definitions.lock();
        let group = self.open_group_of(group)?;
        let first_slot = {
            let state = group.state.read();
            if !state.open {
                return Err(Error::new(ErrorKind::NotOpen, format!("group {} is not open", group.id)));
            }
            state.slots.len()
        };
        let (refs, new) = self.resolve(series.iter(), definitions.next_series)?;

        let mut added: Vec<u32> = vec![];
        let mut fresh: HashMap<u32, u32> = HashMap::new();
        let slots: Vec<Slot> = {
            let index = self.index.read();
            refs.iter()
                .map(|&s| {
                    let known = index.locations(s).find(|l| l.0 == group.id).map(|l| l.1);
                    Slot(known.unwrap_or_else(|| {
                        *fresh.entry(s).or_insert_with(|| {
                            added.push(s);
                            u32::try_from(first_slot + added.len() - 1).expect("fewer slots than series")
                        })
                    }))
                })
                .collect()
        };
        if added.is_empty() {
            return Ok(slots);
        }
        let mut frames = vec![];
        put_series_records(&mut frames, &new);
        record::put_slots(&mut frames, group.id, first_slot, &added);
        self.write_log(&frames)?;
        self.insert_series(&mut definitions, &new)?;
        {
            let mut index = self.index.write();
            for (slot, &s) in (first_slot..).zip(&added) {
                index.add_location(s, (group.id, u32::try_from(slot).expect("fewer slots than series")));
            }
        }
        {
            let mut loose = self.loose.write();
            added.iter().for_each(|&s| loose.note_group(s));
        }
        group.state.write().slots.extend_from_slice(&added);
        Ok(slots)
    }

    fn append_row(&self, group: GroupId, ts: TimestampMs, row: &[f64]) -> Result<(), Error> {
        let group = self.open_group_of(group)?;
        let mut state = group.state.write();
        if !state.open {
            return Err(Error::new(ErrorKind::NotOpen, format!("group {} is not open", group.id)));
        }
        if state.last_ts == Some(ts) {
            return Err(Error::new(
                ErrorKind::Duplicate,
                format!("row at {ts} of group {}: there is one at that time", group.key),
            ));
        }
        let flushed = self.rows_before.load(Ordering::SeqCst);
        if ts < flushed || state.last_ts.is_some_and(|last| ts < last) {
            if self.takes_late(ts) {
                drop(state);
                return self.append_late_row(&group, ts, row);
            }
            count(&self.counters.out_of_order, row.len() as u64);
            let last = state.last_ts.max(flushed.checked_sub(1)).unwrap_or(ts);
            return Err(Error::new(
                ErrorKind::OutOfOrder,
                format!("row at {ts} of group {}: the last one is at {last}", group.key),
            ));
        }
        if row.len() > state.slots.len() {
            let (n, slots) = (row.len(), state.slots.len());
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("row of {n} values for group {} of {slots} slots", group.key),
            ));
        }
        FRAMES.with_borrow_mut(|frames| -> Result<(), Error> {
            let put = |frames: &mut Vec<u8>, last| {
                frames.clear();
                record::put_row(frames, group.id, ts, last, row);
            };
            // Most rows follow another of the same segment: encode before the lock, and again if that was wrong.
            put(frames, Some(state.last_row()));
            let mut log = self.log.lock();
            let written = log.prepare(frames.len()).and_then(|segment| {
                if segment != state.log_segment {
                    put(frames, None);
                }
                log.write(frames).map(|()| segment)
            });
            state.log_segment = written.inspect_err(|_| count(&self.counters.write_failures, 1))?;
            state.row_bytes = u32::try_from(frames.len()).unwrap_or(u32::MAX);
            Ok(())
        })?;
        let segment = state.log_segment;
        state.push(group.id, ts, row, segment, self.options.raw_rows);
        self.note_newest(ts);
        drop(state);
        count(&self.counters.samples, row.len() as u64);
        self.after_write()
    }

    fn close_group(&self, group: GroupId) {
        let _definitions = self.definitions.lock();
        let Some(group) = self.group(group.0) else { return };
        let mut state = group.state.write();
        if !state.open {
            return;
        }
        state.open = false;
        state.dead_slots = state.count_dead();
        state.compress(group.id);
        state.last = Box::default();
        // The next row, if ever, has to be written against nothing.
        state.log_segment = 0;
        let mut frames = vec![];
        record::put_close(&mut frames, group.id);
        if let Err(e) = self.write_log(&frames) {
            // It is open again after a restart, without rows; nothing is lost.
            tracing::warn!(group = %group.key, error = %e, "the end of a group is not in the log");
        }
    }
}

/// Fewer dead slots than this are not worth a new group.
const MIN_DEAD: usize = 256;

/// Whether more than a quarter of a closed group's slots had no sample in its last row.
fn is_mostly_dead(group: &Group) -> bool {
    let state = group.state.read();
    state.dead_slots >= MIN_DEAD && state.dead_slots * 4 > state.slots.len()
}

fn new_group(definitions: &Definitions, key: &LabelSet) -> Result<Arc<Group>, Error> {
    let id = definitions.next_group;
    if id >= MAX_GROUP {
        return Err(Error::new(ErrorKind::Unsupported, "the store is full: 2^32 groups"));
    }
    Ok(Arc::new(Group::new(id, key.clone())))
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
