//! Files of a block: written front to back, mapped, with a checksum for each page of 1 KiB.
//!
//! ```text
//! file    := data, table, roots, trailer
//! data    := magic (8 bytes), version u32 = 1, 0 u32; then what the file holds
//! table   := crc32c u32 of each page of the data, the last one perhaps short
//! roots   := crc32c u32 of each page of the table
//! trailer := length of the data u64, crc32c of the roots u32, crc32c of the twelve bytes before u32
//! ```
//! The checksum of page *i* begins with *i* in place of 0, so that a page in the wrong place is seen too. Trailer and roots are
//! verified when the file is opened, a page of the table or of the data when it is first read. So a damaged byte costs what
//! touches its page, and opening costs 4 bytes for each 256 KiB.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::Mmap;
use storage::{Error, ErrorKind};

use crate::bytes::Reader;
use crate::disk::{DiskFile, Faults};
use crate::mmap;
use crate::segment::Damaged;

const PAGE: usize = 1024;
const CRC: usize = 4;
const VERSION: u32 = 1;
pub(super) const HEADER: usize = 16;
const TRAILER: usize = 16;
/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 20;

/// Writes such a file.
#[derive(Debug)]
pub(super) struct PageWriter {
    file: DiskFile,
    path: PathBuf,
    /// From `written` on; begins at a page.
    buffer: Vec<u8>,
    written: u64,
    table: Vec<u8>,
}

impl PageWriter {
    pub(super) fn create(path: &Path, magic: &[u8; 8], faults: &Faults) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|e| Error::io(format!("block: create {}", path.display()), e))?;
        let mut buffer = Vec::with_capacity(PAGE);
        buffer.extend_from_slice(magic);
        buffer.extend_from_slice(&VERSION.to_le_bytes());
        buffer.extend_from_slice(&0_u32.to_le_bytes());
        Ok(Self {
            file: DiskFile::new(file, faults),
            path: path.to_owned(),
            buffer,
            written: 0,
            table: vec![],
        })
    }

    /// Where the next byte will be.
    pub(super) fn at(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            let whole = self.buffer.len() / PAGE * PAGE;
            self.seal(whole)?;
        }
        Ok(())
    }

    /// Writes the first `len` bytes of the buffer: whole pages, or all there is.
    fn seal(&mut self, len: usize) -> Result<(), Error> {
        for page in self.buffer[..len].chunks(PAGE) {
            let crc = page_crc(self.table.len() / CRC, page);
            self.table.extend_from_slice(&crc.to_le_bytes());
        }
        self.write_at(&self.buffer[..len], self.written)?;
        self.written += len as u64;
        self.buffer.drain(..len);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Error> {
        self.file.write_all_at(bytes, offset).map_err(|e| self.failed("write", e))
    }

    fn failed(&self, what: &str, e: std::io::Error) -> Error {
        Error::io(format!("block: {what} {}", self.path.display()), e)
    }

    /// Writes what is left and the checksums, and syncs.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.seal(self.buffer.len())?;
        let mut roots = vec![];
        for (i, page) in self.table.chunks(PAGE).enumerate() {
            roots.extend_from_slice(&page_crc(i, page).to_le_bytes());
        }
        let mut tail = std::mem::take(&mut self.table);
        tail.extend_from_slice(&roots);
        let trailer_at = tail.len();
        tail.extend_from_slice(&self.written.to_le_bytes());
        tail.extend_from_slice(&crc32c::crc32c(&roots).to_le_bytes());
        let crc = crc32c::crc32c(&tail[trailer_at..]);
        tail.extend_from_slice(&crc.to_le_bytes());
        self.write_at(&tail, self.written)?;
        self.file.sync().map_err(|e| self.failed("sync", e))
    }
}

fn page_crc(page: usize, bytes: &[u8]) -> u32 {
    // Page numbers repeat after 4 TiB; it is only a seed.
    let [a, b, c, d, ..] = page.to_le_bytes();
    crc32c::crc32c_append(u32::from_le_bytes([a, b, c, d]), bytes)
}

/// Such a file, mapped.
#[derive(Debug)]
pub(super) struct Pages {
    map: Arc<Mmap>,
    /// Of the data, which the table follows.
    len: usize,
    /// Pages of the data found sound, one bit each.
    sound: Box<[AtomicU64]>,
    /// Pages of the table likewise.
    table_sound: Box<[AtomicU64]>,
}

impl Pages {
    /// # Errors
    /// [`ErrorKind::Corrupt`] when it is no such file, or cut short.
    pub(super) fn open(path: &Path, magic: &[u8; 8]) -> Result<Self, Error> {
        let failed = |e| Error::io(format!("block: open {}", path.display()), e);
        let corrupt = |why: &str| Error::new(ErrorKind::Corrupt, format!("block: {}: {why}", path.display()));
        let file = File::open(path).map_err(failed)?;
        let total = usize::try_from(file.metadata().map_err(failed)?.len()).unwrap_or(0);
        let trailer_at =
            total.checked_sub(TRAILER).filter(|&t| t >= HEADER).ok_or_else(|| corrupt("cut short"))?;
        let map = mmap::map(&file, total).map_err(failed)?;
        let len =
            Self::check_tail(&map, trailer_at).ok_or_else(|| corrupt("damaged trailer or cut short"))?;
        let pages = len.div_ceil(PAGE);
        let bits = |n: usize| (0..n.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let this = Self { map, len, sound: bits(pages), table_sound: bits((pages * CRC).div_ceil(PAGE)) };
        let header = this.get(0, HEADER).map_err(|d| corrupt(d.0))?;
        if header[..8] != magic[..] {
            return Err(corrupt("not the file its name says"));
        }
        if header[8..12] != VERSION.to_le_bytes() {
            return Err(corrupt("of a later version; use the program that wrote it, or a newer one"));
        }
        Ok(this)
    }

    /// The length of the data.
    fn check_tail(map: &[u8], trailer_at: usize) -> Option<usize> {
        let mut r = Reader::new(&map[trailer_at..]);
        let (len, roots_crc) = (r.u64()?, r.u32()?);
        if r.u32()? != crc32c::crc32c(&map[trailer_at..trailer_at + 12]) {
            return None;
        }
        let len = usize::try_from(len).ok().filter(|&l| l >= HEADER && l <= trailer_at)?;
        let table = len.div_ceil(PAGE) * CRC;
        let roots = table.div_ceil(PAGE) * CRC;
        let roots_at = len + table;
        (roots_at + roots == trailer_at && crc32c::crc32c(&map[roots_at..trailer_at]) == roots_crc)
            .then_some(len)
    }

    /// Length of the data.
    pub(super) fn len(&self) -> u64 {
        self.len as u64
    }

    /// Bytes on disk.
    pub(super) fn file_len(&self) -> u64 {
        self.map.len() as u64
    }

    /// Some of the data, verified.
    #[inline]
    pub(super) fn get(&self, at: u64, len: usize) -> Result<&[u8], Damaged> {
        let start = usize::try_from(at).map_err(|_| Damaged("points outside of the file"))?;
        let end = start.checked_add(len).filter(|&e| e <= self.len);
        let end = end.ok_or(Damaged("points outside of the file"))?;
        if start < end {
            for page in start / PAGE..=(end - 1) / PAGE {
                if !is_set(&self.sound, page) {
                    self.verify(page)?;
                }
            }
        }
        Ok(&self.map[start..end])
    }

    /// As [`Pages::get`], but up to `max` bytes, fewer at the end of the data.
    pub(super) fn up_to(&self, at: u64, max: usize) -> Result<&[u8], Damaged> {
        let left = self.len().checked_sub(at).ok_or(Damaged("points outside of the file"))?;
        self.get(at, usize::try_from(left).unwrap_or(usize::MAX).min(max))
    }

    #[cold]
    fn verify(&self, page: usize) -> Result<(), Damaged> {
        let entry_at = self.len + page * CRC;
        let table_page = page * CRC / PAGE;
        let table_len = self.len.div_ceil(PAGE) * CRC;
        if !is_set(&self.table_sound, table_page) {
            let start = self.len + table_page * PAGE;
            let bytes = &self.map[start..(start + PAGE).min(self.len + table_len)];
            let root_at = self.len + table_len + table_page * CRC;
            if page_crc(table_page, bytes) != self.crc_at(root_at) {
                return Err(Damaged("page table's crc mismatch"));
            }
            set(&self.table_sound, table_page);
        }
        let start = page * PAGE;
        if page_crc(page, &self.map[start..(start + PAGE).min(self.len)]) != self.crc_at(entry_at) {
            return Err(Damaged("page's crc mismatch"));
        }
        set(&self.sound, page);
        Ok(())
    }

    fn crc_at(&self, at: usize) -> u32 {
        let mut crc = [0; CRC];
        crc.copy_from_slice(&self.map[at..at + CRC]);
        u32::from_le_bytes(crc)
    }
}

// Relaxed: a bit says only that the page, which never changes, was verified; who misses it verifies again.
#[inline]
fn is_set(bits: &[AtomicU64], i: usize) -> bool {
    bits[i / 64].load(Ordering::Relaxed) >> (i % 64) & 1 == 1
}

fn set(bits: &[AtomicU64], i: usize) {
    bits[i / 64].fetch_or(1 << (i % 64), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: &[u8; 8] = b"VIGIETST";

    fn written(len: usize) -> (tempfile::TempDir, PathBuf, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let data: Vec<u8> = (0..len).map(|i| (i * 7 % 251).to_le_bytes()[0]).collect();
        let mut writer = PageWriter::create(&path, MAGIC, &Faults::default()).unwrap();
        for part in data.chunks(333) {
            writer.append(part).unwrap();
        }
        assert_eq!(writer.at(), (HEADER + len) as u64);
        writer.finish().unwrap();
        (dir, path, data)
    }

    #[test]
    fn what_is_written_comes_back() {
        for len in [0, 1, PAGE - HEADER, PAGE, 5 * PAGE + 3, 3 << 20] {
            let (_dir, path, data) = written(len);
            let pages = Pages::open(&path, MAGIC).unwrap();
            assert_eq!(pages.get(HEADER as u64, len).unwrap(), data);
            assert!(pages.get(HEADER as u64, len + 1).is_err());
            assert!(pages.get(u64::MAX, 2).is_err());
            assert!(Pages::open(&path, b"VIGIEXXX").is_err());
        }
    }

    #[test]
    fn a_flipped_byte_costs_its_page_and_is_seen() {
        let (_dir, path, data) = written(300 * PAGE);
        let sound = std::fs::read(&path).unwrap();
        for at in (0..sound.len()).step_by(97).chain(sound.len() - 40..sound.len()) {
            let mut bytes = sound.clone();
            bytes[at] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            let Ok(pages) = Pages::open(&path, MAGIC) else { continue };
            let mut lost = 0;
            for (i, part) in data.chunks(100).enumerate() {
                match pages.get((HEADER + i * 100) as u64, part.len()) {
                    Ok(bytes) => assert_eq!(bytes, part),
                    Err(_) => lost += 1,
                }
            }
            assert!(lost > 0, "byte {at}");
            assert!(at >= 300 * PAGE || lost <= 13, "byte {at}: {lost} lost");
        }
        for len in (0..sound.len()).step_by(1_009) {
            std::fs::write(&path, &sound[..len]).unwrap();
            assert!(Pages::open(&path, MAGIC).is_err());
        }
    }
}
