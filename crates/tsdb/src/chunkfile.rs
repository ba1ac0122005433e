//! Chunk files: sealed segments of groups and chunks of loose series, mapped.
//!
//! ```text
//! chunks/00000001.chunks := "VIGIECHK", version u32, crc32c u32 of the twelve bytes before; items; [footer]
//! item   := kind u8 (1 group segment, 4 loose chunks), 0 0 0, meta length u32, body length u32,
//!           crc32c u32 of the twelve bytes before and meta; meta; body
//! loose item := see `loose::chunk`
//! footer := an item of kind 3 whose meta is the offset of each item, u64; then its own offset u64, crc32c u32 of that, "ENDC"
//! ```
//! A file that is still written to has no footer; its items are found one after the other. With a footer a damaged item
//! costs only itself. Bodies carry their own checksums, looked at when they are read.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use memmap2::Mmap;
use storage::Error;

use crate::bytes::Reader;
use crate::disk::{DiskFile, Faults, sync_dir};
use crate::loose::{ItemBuilder, LooseItem};
use crate::mmap::{self, Blob};
use crate::segment::{Meta, Segment};

const MAGIC: &[u8; 8] = b"VIGIECHK";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 16;
const ITEM_HEADER: usize = 16;
const TRAILER: usize = 16;
const END: &[u8; 4] = b"ENDC";
const GROUP: u8 = 1;
const FOOTER: u8 = 3;
const LOOSE: u8 = 4;

/// One item of a file.
#[derive(Debug)]
pub(crate) enum Item {
    Group(Segment),
    Loose(LooseItem),
}

/// What is known of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileInfo {
    pub(crate) number: u32,
    pub(crate) len: u64,
    pub(crate) maxt: i64,
}

/// Items to be sealed, in the bytes they will have in the file.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    offsets: Vec<usize>,
    mint: Option<i64>,
    maxt: Option<i64>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    pub(crate) fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn item(&mut self, kind: u8, meta: &[u8], body: &[u8], mint: i64, maxt: i64) {
        self.offsets.push(self.bytes.len());
        put_item(&mut self.bytes, kind, meta, body);
        self.mint = Some(self.mint.map_or(mint, |m| m.min(mint)));
        self.maxt = Some(self.maxt.map_or(maxt, |m| m.max(maxt)));
    }

    pub(crate) fn group(&mut self, meta: &Meta, body: &[u8]) {
        let mut bytes = vec![];
        meta.put(&mut bytes);
        self.item(GROUP, &bytes, body, meta.mint, meta.maxt);
    }

    /// Chunks of loose series; nothing where there are none.
    pub(crate) fn loose(&mut self, item: &ItemBuilder) {
        if let (Some(mint), Some(maxt)) = (item.mint, item.maxt) {
            self.item(LOOSE, &item.meta(), &item.body, mint, maxt);
        }
    }
}

fn put_item(out: &mut Vec<u8>, kind: u8, meta: &[u8], body: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&[kind, 0, 0, 0]);
    for len in [meta.len(), body.len()] {
        out.extend_from_slice(&u32::try_from(len).expect("an item is far below 4 GiB").to_le_bytes());
    }
    let crc = crc32c::crc32c_append(crc32c::crc32c(&out[start..]), meta);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(meta);
    out.extend_from_slice(body);
}

/// The file that is written to.
#[derive(Debug)]
struct Current {
    file: DiskFile,
    map: Arc<Mmap>,
    info: FileInfo,
    mint: i64,
    offsets: Vec<u64>,
}

/// All chunk files of a store.
#[derive(Debug)]
pub(crate) struct ChunkFiles {
    dir: PathBuf,
    faults: Faults,
    max_bytes: u64,
    max_span_ms: i64,
    finished: Vec<Finished>,
    current: Option<Current>,
    next: u32,
}

/// A file that is not written to any more.
#[derive(Debug)]
struct Finished {
    info: FileInfo,
    /// Gone once nobody has a part of it.
    map: Weak<Mmap>,
}

/// What start-up found in one file.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) info: FileInfo,
    pub(crate) items: Vec<Item>,
    map: Weak<Mmap>,
    /// Places that could not be read.
    pub(crate) damaged: u64,
}

impl ChunkFiles {
    /// Reads the directories of all files in `dir`.
    pub(crate) fn open(
        dir: &Path,
        max_bytes: u64,
        max_span_ms: i64,
        faults: &Faults,
    ) -> Result<(Self, Vec<Opened>), Error> {
        let numbers = crate::dir::numbered(dir, ".chunks")?;
        let next = numbers.last().map_or(1, |n| n + 1);
        let mut opened = vec![];
        for (at, &number) in numbers.iter().enumerate() {
            match open_file(dir, number) {
                Ok(file) if file.info.len < HEADER_LEN as u64 && at + 1 == numbers.len() => {
                    // A crash between the creation of the newest file and its header: nothing was in it.
                    tracing::warn!(file = number, "chunk file: never begun, removed");
                    std::fs::remove_file(path(dir, number))
                        .map_err(|e| Error::io(format!("chunk file {number}: remove"), e))?;
                }
                Ok(file) => opened.push(file),
                Err(e) => {
                    tracing::error!(file = number, error = %e, "chunk file cannot be read");
                    let info = FileInfo { number, len: 0, maxt: i64::MAX };
                    opened.push(Opened { info, items: vec![], map: Weak::new(), damaged: 1 });
                }
            }
        }
        let files = Self {
            dir: dir.to_owned(),
            faults: faults.clone(),
            max_bytes,
            max_span_ms,
            finished: opened.iter().map(|o| Finished { info: o.info, map: o.map.clone() }).collect(),
            current: None,
            next,
        };
        Ok((files, opened))
    }

    /// Writes a batch and syncs it. Returns the file's number and the items as mapped. On failure nothing of the batch is in
    /// force.
    pub(crate) fn append(&mut self, batch: &Batch) -> Result<(u32, Vec<Item>), Error> {
        let (Some(mint), Some(maxt)) = (batch.mint, batch.maxt) else { return Ok((0, vec![])) };
        let len = batch.bytes.len() as u64;
        if let Some(c) = &self.current {
            let full = c.info.len + len > c.map.len() as u64;
            let long = maxt.saturating_sub(c.mint) > self.max_span_ms;
            if full || long {
                self.finish();
            }
        }
        let current = match &mut self.current {
            Some(current) => current,
            None => {
                let current =
                    create(&self.dir, self.next, self.max_bytes.max(len + HEADER_LEN as u64), &self.faults)?;
                self.next += 1;
                self.current.insert(current)
            }
        };
        let start = current.info.len;
        let written = current.file.write_all_at(&batch.bytes, start).and_then(|()| current.file.sync());
        if let Err(e) = written {
            let number = current.info.number;
            // Whatever its state, this file is not written to again.
            let _ = current.file.set_len(start);
            self.finish();
            return Err(Error::io(format!("chunk file {number}: write"), e));
        }
        current.info.len += len;
        current.mint = current.mint.min(mint);
        current.info.maxt = current.info.maxt.max(maxt);
        let mut items = vec![];
        for &offset in &batch.offsets {
            let at = start + offset as u64;
            current.offsets.push(at);
            let offset = usize::try_from(at).expect("within a map");
            let item =
                item_at(&current.map, offset, usize::try_from(current.info.len).expect("within a map"));
            items.extend(item.map(|(item, _)| item));
        }
        Ok((current.info.number, items))
    }

    /// Ends the current file; returns the number that no later item's file is below or at.
    pub(crate) fn rotate(&mut self) -> u32 {
        self.finish();
        self.next - 1
    }

    /// Ends the current file with its footer.
    pub(crate) fn finish(&mut self) {
        let Some(mut current) = self.current.take() else { return };
        let mut meta = vec![];
        current.offsets.iter().for_each(|o| meta.extend_from_slice(&o.to_le_bytes()));
        let mut footer = vec![];
        put_item(&mut footer, FOOTER, &meta, &[]);
        let at = current.info.len.to_le_bytes();
        footer.extend_from_slice(&at);
        footer.extend_from_slice(&crc32c::crc32c(&at).to_le_bytes());
        footer.extend_from_slice(END);
        // A convenience for the next start, which can do without.
        match current.file.write_all_at(&footer, current.info.len).and_then(|()| current.file.sync()) {
            Ok(()) => current.info.len += footer.len() as u64,
            Err(e) => {
                tracing::warn!(file = current.info.number, error = %e, "chunk file stays without its footer");
                let _ = current.file.set_len(current.info.len);
            }
        }
        self.finished.push(Finished { info: current.info, map: Arc::downgrade(&current.map) });
    }

    /// Removes the files of which nobody has a part any more, and returns how many.
    pub(crate) fn remove_unused(&mut self) -> usize {
        if self.current.as_ref().is_some_and(|c| !c.offsets.is_empty() && Arc::strong_count(&c.map) == 1) {
            self.finish();
        }
        let before = self.finished.len();
        let dir = self.dir.clone();
        // A file that could not be read stays where it is.
        let unused = |f: &Finished| f.map.strong_count() == 0 && f.info.len > 0;
        self.finished.retain(|f| !unused(f) || !removed(&dir, f.info.number));
        before - self.finished.len()
    }

    /// The map of the oldest file, where there are more than `files`.
    pub(crate) fn oldest_of_more_than(&self, files: usize) -> Option<Arc<Mmap>> {
        (self.finished.len() > files).then(|| self.finished.first()?.map.upgrade())?
    }

    /// Removes the finished files whose newest sample is older than `mint`; returns their numbers.
    pub(crate) fn remove_before(&mut self, mint: i64) -> Vec<u32> {
        if self.current.as_ref().is_some_and(|c| c.info.maxt < mint) {
            self.finish();
        }
        let dir = self.dir.clone();
        let mut numbers = vec![];
        self.finished.retain(|Finished { info, .. }| {
            let gone = info.maxt < mint && removed(&dir, info.number);
            if gone {
                numbers.push(info.number);
            }
            !gone
        });
        numbers
    }

    /// Number of files and their bytes.
    pub(crate) fn totals(&self) -> (usize, u64) {
        let current = self.current.iter().map(|c| c.info);
        let all = self.finished.iter().map(|f| f.info).chain(current);
        all.fold((0, 0), |(n, bytes), info| (n + 1, bytes + info.len))
    }
}

fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}.chunks"))
}

/// Removes a file; what cannot be removed is tried again.
fn removed(dir: &Path, number: u32) -> bool {
    match std::fs::remove_file(path(dir, number)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            tracing::error!(file = number, error = %e, "chunk file that is not needed any more cannot be removed");
            false
        }
        _ => true,
    }
}

fn file_header() -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32c::crc32c(&header[..12]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    header
}

fn create(dir: &Path, number: u32, capacity: u64, faults: &Faults) -> Result<Current, Error> {
    let path = path(dir, number);
    let failed = |e| Error::io(format!("chunk file {number}: create"), e);
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).map_err(failed)?;
    let file = DiskFile::new(file, faults);
    let made = file.write_all_at(&file_header(), 0).and_then(|()| sync_dir(dir)).and_then(|()| {
        // Room for what will be written: one map a file, however many batches.
        mmap::map(file.file(), usize::try_from(capacity).map_err(std::io::Error::other)?)
    });
    let map = match made {
        Ok(map) => map,
        Err(e) => {
            let _ = std::fs::remove_file(&path);
            return Err(failed(e));
        }
    };
    let info = FileInfo { number, len: HEADER_LEN as u64, maxt: i64::MIN };
    Ok(Current { file, map, info, mint: i64::MAX, offsets: vec![] })
}

fn open_file(dir: &Path, number: u32) -> Result<Opened, Error> {
    let failed = |e| Error::io(format!("chunk file {number}: open"), e);
    let file = std::fs::File::open(path(dir, number)).map_err(failed)?;
    let len = file.metadata().map_err(failed)?.len();
    let mut opened = Opened {
        info: FileInfo { number, len, maxt: i64::MIN },
        items: vec![],
        map: Weak::new(),
        damaged: 0,
    };
    let size = usize::try_from(len).unwrap_or(usize::MAX);
    if size < HEADER_LEN {
        opened.damaged = 1;
        return Ok(opened);
    }
    let map = mmap::map(&file, size).map_err(failed)?;
    opened.map = Arc::downgrade(&map);
    let report = |offset: usize| tracing::error!(file = number, offset, "chunk file: damaged item");
    if map[..HEADER_LEN] != file_header() {
        // Items have their own checksums; a damaged header alone costs nothing.
        report(0);
        opened.damaged += 1;
    }
    if let Some(offsets) = footer(&map) {
        for offset in offsets {
            match item_at(&map, offset, size) {
                Some((item, _)) => opened.items.push(item),
                None => {
                    report(offset);
                    opened.damaged += 1;
                }
            }
        }
    } else {
        let mut offset = HEADER_LEN;
        while offset < size {
            match item_at(&map, offset, size) {
                Some((item, next)) => {
                    opened.items.push(item);
                    offset = next;
                }
                None => {
                    // A footer that was cut short says nothing that was lost.
                    if map[offset] != FOOTER {
                        report(offset);
                        opened.damaged += 1;
                    }
                    break;
                }
            }
        }
    }
    opened.info.maxt = opened
        .items
        .iter()
        .flat_map(|item| match item {
            Item::Group(s) => Some(s.meta.maxt),
            Item::Loose(item) => item.maxt(),
        })
        .max()
        .unwrap_or(i64::MIN);
    Ok(opened)
}

/// The offsets a footer lists.
fn footer(map: &Arc<Mmap>) -> Option<Vec<usize>> {
    let at = map.len().checked_sub(TRAILER)?;
    let mut r = Reader::new(&map[at..]);
    let offset: [u8; 8] = r.array()?;
    if r.u32()? != crc32c::crc32c(&offset) || r.take(4)? != END {
        return None;
    }
    let offset = usize::try_from(u64::from_le_bytes(offset)).ok()?;
    let (kind, meta, _) = raw_item(map, offset, at)?;
    let (offsets, rest) = map[meta].as_chunks::<8>();
    if kind != FOOTER || !rest.is_empty() {
        return None;
    }
    offsets.iter().map(|o| usize::try_from(u64::from_le_bytes(*o)).ok()).collect()
}

/// Kind, meta and body of the item at `offset`, all before `end`, its header's checksum verified.
fn raw_item(
    map: &Arc<Mmap>,
    offset: usize,
    end: usize,
) -> Option<(u8, std::ops::Range<usize>, std::ops::Range<usize>)> {
    let bytes = map.get(offset..end)?;
    let mut r = Reader::new(bytes);
    let kind = r.u8()?;
    r.take(3)?;
    let (meta_len, body_len, crc) = (r.u32()? as usize, r.u32()? as usize, r.u32()?);
    let meta = r.take(meta_len)?;
    r.take(body_len)?;
    if crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), meta) != crc {
        return None;
    }
    let meta_at = offset + ITEM_HEADER;
    let body_at = meta_at + meta_len;
    Some((kind, meta_at..body_at, body_at..body_at + body_len))
}

/// The item at `offset` and the offset after it.
fn item_at(map: &Arc<Mmap>, offset: usize, end: usize) -> Option<(Item, usize)> {
    let (kind, meta, body) = raw_item(map, offset, end)?;
    let next = body.end;
    let item = match kind {
        GROUP => {
            let meta = Meta::get(&mut Reader::new(&map[meta]))?;
            Item::Group(Segment { meta, body: Blob::mapped(map, body)? })
        }
        LOOSE => Item::Loose(LooseItem::read(map, &map[meta], body)?),
        _ => return None,
    };
    Some((item, next))
}
