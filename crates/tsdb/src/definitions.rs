//! The definitions file: label pairs, label sets, groups and their slots, appended to as they come.
//!
//! ```text
//! definitions.00000001 := "VIGIEDEF", version u32, number u32, crc32c u32 of the sixteen bytes before; then frames
//! ```
//! A checkpoint appends what is new and names the file and its length; what lies beyond is of a checkpoint that did not come
//! to be, and is as true as the rest. Series and groups that are gone are listed, not taken out; once they are half, or pairs
//! got new numbers ([`crate::index::Index::epoch`]), the next file is written whole, and the one before removed when a
//! checkpoint names it. Numbers of names and pairs in the file are those of the index. [`load`] reads it.

pub(crate) mod load;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use hashbrown::HashMap;
use model::LabelSet;
use parking_lot::RwLock;
use roaring::RoaringBitmap;
use storage::Error;

use crate::bytes::{put_bytes, put_varint, put_zigzag};
use crate::disk::{DiskFile, Faults, sync_dir};
use crate::group::LOST;
use crate::index::Index;
use crate::record::{self, kind};

const MAGIC: &[u8; 8] = b"VIGIEDEF";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 20;
const PREFIX: &str = "definitions.";
/// Names, pairs, sets or groups per record.
const PER_RECORD: usize = 4096;
/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 20;
/// Fewer dead definitions than this are not worth a new file.
const MIN_GARBAGE: u64 = 4096;

/// A group as the file is to have it.
#[derive(Debug)]
pub(crate) struct GroupDefinition<'a> {
    pub(crate) id: u32,
    pub(crate) key: &'a LabelSet,
    /// Series by slot, or [`LOST`].
    pub(crate) slots: &'a [u32],
}

/// Takes a group.
pub(crate) type Put<'a> = dyn FnMut(&GroupDefinition<'_>) -> Result<(), Error> + 'a;

/// What a file has.
#[derive(Debug, Default)]
struct Written {
    epoch: u64,
    names: u32,
    pairs: u32,
    /// The reference after the last one.
    series: u32,
    /// Slots by group.
    groups: HashMap<u32, u32>,
    sets: u64,
    /// Series and slots that are no more.
    garbage: u64,
}

#[derive(Debug)]
struct Current {
    number: u32,
    file: DiskFile,
    len: u64,
    written: Written,
}

/// The writing end.
#[derive(Debug)]
pub(crate) struct Definitions {
    dir: PathBuf,
    faults: Faults,
    /// `None`: the next one is written whole.
    current: Option<Current>,
    next: u32,
}

impl Definitions {
    /// A store without definitions, or whose file had better be written anew; `next` is a number never used.
    pub(crate) fn none(dir: &Path, next: u32, faults: &Faults) -> Self {
        Self { dir: dir.to_owned(), faults: faults.clone(), current: None, next }
    }

    /// Appends what is new, syncs, and returns the file's number and length for the checkpoint. On failure the file stays as
    /// long as it was.
    ///
    /// `with_group` gives the group at an index into `groups`, their ids ascending, to the function it is called with.
    pub(crate) fn append(
        &mut self,
        index: &RwLock<Index>,
        groups: impl Iterator<Item = u32> + Clone,
        with_group: impl Fn(usize, &mut Put<'_>) -> Result<(), Error>,
    ) -> Result<(u32, u64), Error> {
        let stale = |c: &Current| {
            c.written.epoch != index.read().epoch()
                || (c.written.garbage > MIN_GARBAGE && c.written.garbage * 2 > c.written.sets)
        };
        if self.current.as_ref().is_some_and(stale) {
            self.current = None;
        }
        let current = match &mut self.current {
            Some(current) => current,
            None => {
                let current = create(&self.dir, self.next, &self.faults)?;
                self.next += 1;
                self.current.insert(current)
            }
        };
        let forgotten = index.write().take_forgotten();
        let before = current.len;
        let mut out = Out { file: &current.file, number: current.number, len: before, buffer: vec![] };
        let result = (|| {
            put_index(&mut out, &index.read(), &mut current.written, &forgotten)?;
            put_left(&mut out, groups.clone(), &mut current.written)?;
            let mut runs = vec![];
            for i in 0..groups.count() {
                with_group(i, &mut |group| put_group(&mut out, group, &mut current.written, &mut runs))?;
            }
            out.flush()?;
            current.file.sync().map_err(|e| failed(current.number, "sync", e))?;
            Ok(out.len)
        })();
        match result {
            Ok(len) => {
                current.len = len;
                Ok((current.number, len))
            }
            Err(e) => {
                index.write().put_back_forgotten(&forgotten);
                // What `written` says is no longer so; and after a failed sync nobody knows what the file has.
                let number = current.number;
                self.current = None;
                let _ = std::fs::remove_file(path_of_unused(&self.dir, number, before));
                Err(e)
            }
        }
    }

    /// Removes the files before the one that a checkpoint in force names.
    pub(crate) fn remove_others(&self, keep: u32) {
        for number in list(&self.dir).unwrap_or_default() {
            if number != keep {
                // What stays is ignored by the next start, and tried again then.
                let _ = std::fs::remove_file(path(&self.dir, number));
            }
        }
    }
}

/// A new file that failed is of no use; an old one is still named by a checkpoint.
fn path_of_unused(dir: &Path, number: u32, before: u64) -> PathBuf {
    if before == HEADER_LEN as u64 { path(dir, number) } else { dir.join("definitions.tmp") }
}

fn failed(number: u32, what: &str, e: std::io::Error) -> Error {
    Error::io(format!("definitions {number}: {what}"), e)
}

pub(crate) fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{PREFIX}{number:08}"))
}

/// The definitions files in `dir`, ascending.
pub(crate) fn list(dir: &Path) -> Result<Vec<u32>, Error> {
    crate::dir::numbered_between(dir, PREFIX, "")
}

fn header(number: u32) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c(&header[..16]);
    header[16..].copy_from_slice(&crc.to_le_bytes());
    header
}

fn create(dir: &Path, number: u32, faults: &Faults) -> Result<Current, Error> {
    let path = path(dir, number);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .map_err(|e| failed(number, "create", e))?;
    let file = DiskFile::new(file, faults);
    if let Err(e) = file.write_all_at(&header(number), 0).and_then(|()| sync_dir(dir)) {
        let _ = std::fs::remove_file(&path);
        return Err(failed(number, "create", e));
    }
    Ok(Current { number, file, len: HEADER_LEN as u64, written: Written::default() })
}

/// Frames on their way to the file.
struct Out<'a> {
    file: &'a DiskFile,
    number: u32,
    len: u64,
    buffer: Vec<u8>,
}

impl Out<'_> {
    fn frame(&mut self, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), Error> {
        record::frame(&mut self.buffer, kind, fill);
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.file.write_all_at(&self.buffer, self.len).map_err(|e| failed(self.number, "write", e))?;
        self.len += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

fn put_index(
    out: &mut Out<'_>,
    index: &Index,
    written: &mut Written,
    forgotten: &RoaringBitmap,
) -> Result<(), Error> {
    written.epoch = index.epoch();
    let names: Vec<&str> = index.pairs.all_names().skip(written.names as usize).collect();
    for names in names.chunks(PER_RECORD) {
        out.frame(kind::NAMES, |out| {
            put_varint(out, u64::from(written.names));
            put_varint(out, names.len() as u64);
            names.iter().for_each(|n| put_bytes(out, n.as_bytes()));
        })?;
        written.names += u32::try_from(names.len()).expect("a portion");
    }
    while written.pairs < index.pairs.count() {
        let end = index.pairs.count().min(written.pairs + u32::try_from(PER_RECORD).expect("small"));
        out.frame(kind::PAIRS, |out| {
            put_varint(out, u64::from(written.pairs));
            put_varint(out, u64::from(end - written.pairs));
            for id in written.pairs..end {
                put_varint(out, u64::from(index.pairs.name_of(id)));
                put_bytes(out, index.pairs.get(id).1.as_bytes());
            }
        })?;
        written.pairs = end;
    }
    let mut new = index.live().range(written.series..).peekable();
    let known = written.series;
    let mut portion = vec![];
    while let Some(&first) = new.peek() {
        portion.clear();
        portion.extend(new.by_ref().take(PER_RECORD));
        out.frame(kind::SETS, |out| put_sets(out, index, first, &portion))?;
        written.series = portion.last().map_or(first, |s| s + 1);
        written.sets += portion.len() as u64;
    }
    let gone: Vec<u32> = forgotten.range(..known).collect();
    if !gone.is_empty() {
        written.garbage += gone.len() as u64;
        out.frame(kind::GONE, |out| {
            let runs: Vec<&[u32]> = gone.chunk_by(|a, b| a + 1 == *b).collect();
            put_varint(out, runs.len() as u64);
            let mut next = 0;
            for run in runs {
                put_varint(out, u64::from(run[0] - next));
                put_varint(out, run.len() as u64);
                next = run[run.len() - 1] + 1;
            }
        })?;
    }
    Ok(())
}

fn put_sets(out: &mut Vec<u8>, index: &Index, first: u32, series: &[u32]) {
    put_varint(out, u64::from(first));
    put_varint(out, series.len() as u64);
    put_varint(out, series.iter().map(|&s| index.pair_ids(s).len() as u64).sum());
    let mut next = first;
    let mut last: Vec<u32> = vec![];
    for &s in series {
        put_varint(out, u64::from(s - next));
        next = s + 1;
        let ids = index.pair_ids(s);
        put_varint(out, ids.len() as u64);
        let changed = out.len();
        out.resize(changed + ids.len().div_ceil(8), 0);
        let n = ids.len();
        last.resize(n, 0);
        for (i, (id, last)) in ids.zip(&mut last).enumerate() {
            if id != *last {
                out[changed + i / 8] |= 1 << (i % 8);
                put_zigzag(out, i64::from(id) - i64::from(*last));
                *last = id;
            }
        }
    }
}

fn put_left(
    out: &mut Out<'_>,
    groups: impl Iterator<Item = u32>,
    written: &mut Written,
) -> Result<(), Error> {
    let here: RoaringBitmap = groups.collect();
    let mut left: Vec<u32> = written.groups.keys().copied().filter(|&id| !here.contains(id)).collect();
    if left.is_empty() {
        return Ok(());
    }
    left.sort_unstable();
    for id in &left {
        written.garbage += u64::from(written.groups.remove(id).unwrap_or(0)) / 4;
    }
    out.frame(kind::LEFT, |out| {
        put_varint(out, left.len() as u64);
        left.iter().for_each(|&id| put_varint(out, u64::from(id)));
    })
}

fn put_group(
    out: &mut Out<'_>,
    group: &GroupDefinition<'_>,
    written: &mut Written,
    runs: &mut Vec<(u32, u32)>,
) -> Result<(), Error> {
    let known = match written.groups.get(&group.id) {
        Some(&slots) => slots as usize,
        None => {
            out.frame(kind::KEYS, |out| {
                put_varint(out, 1);
                put_varint(out, u64::from(group.id));
                put_bytes(out, group.key.as_bytes());
            })?;
            0
        }
    };
    // A series that was defined since the index was written comes with the next checkpoint, and so does its slot.
    let new = group.slots.get(known..).unwrap_or(&[]);
    let end = new.iter().position(|&s| s != LOST && s >= written.series).unwrap_or(new.len());
    let new = &new[..end];
    if !new.is_empty() {
        runs.clear();
        for &s in new {
            match runs.last_mut() {
                Some((first, len)) if s != LOST && *len > 0 && *first + *len == s => *len += 1,
                _ if s == LOST => runs.push((LOST, 0)),
                _ => runs.push((s, 1)),
            }
        }
        out.frame(kind::PLACES, |out| {
            put_varint(out, u64::from(group.id));
            put_varint(out, known as u64);
            put_varint(out, new.len() as u64);
            let mut next = 0;
            for &(first, len) in &*runs {
                let first = if len == 0 { next } else { first };
                put_zigzag(out, i64::from(first) - i64::from(next));
                put_varint(out, u64::from(len));
                next = first + len;
            }
        })?;
    }
    written.groups.insert(group.id, u32::try_from(known + new.len()).expect("slots are u32"));
    Ok(())
}

#[cfg(test)]
mod tests;
