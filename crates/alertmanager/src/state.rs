//! What must survive a crash, in one file: silences, the notification log, alerts.
//!
//! Layout (`docs/format/alertmanager.md`): an 8-byte head, then records `len crc kind payload`. Changes are appended;
//! when the file has grown to several times what is alive, it is written anew beside the old one and renamed over it.
//! A record that was written in part (a crash) ends the file: it is cut off there, and what was cut is kept aside.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Fingerprint};
use crate::error::Error;
use crate::nflog;
use crate::silence::Silence;

const MAGIC: &[u8; 8] = b"VIGIEAM1";
const FILE: &str = "state.log";
/// Bytes before a record's payload: length, checksum, kind.
const HEAD: usize = 9;
/// The largest record that is read or written.
const MAX_RECORD_BYTES: usize = 16 << 20;
/// The largest file that is read at start.
const MAX_FILE_BYTES: u64 = 4 << 30;
/// A file smaller than this is never rewritten.
const COMPACT_FLOOR_BYTES: u64 = 1 << 20;
/// How many times larger than the live records the file may grow.
const COMPACT_FACTOR: u64 = 4;

/// One change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Record {
    Silence(Silence),
    SilenceGone(String),
    Notified(nflog::Entry),
    Alert(Alert),
    AlertGone(Fingerprint),
}

impl Record {
    fn kind(&self) -> u8 {
        match self {
            Self::Silence(_) => 1,
            Self::SilenceGone(_) => 2,
            Self::Notified(_) => 3,
            Self::Alert(_) => 4,
            Self::AlertGone(_) => 5,
        }
    }
}

/// Whether a write must be on the disk, or only with the system, before the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// Survives the machine's crash.
    Disk,
    /// Survives the process's crash.
    System,
}

/// The file, or nothing where no path was given.
#[derive(Debug)]
pub(crate) struct Log {
    path: Option<PathBuf>,
    file: Option<File>,
    len_bytes: u64,
    /// A failed flush to the disk; nothing is accepted after it, as nobody knows what the disk holds.
    broken: bool,
}

impl Log {
    /// A log that keeps nothing.
    pub(crate) fn in_memory() -> Self {
        Self { path: None, file: None, len_bytes: 0, broken: false }
    }

    /// A log whose flush has failed.
    #[cfg(test)]
    pub(crate) fn broken(dir: &Path) -> Self {
        let (log, _) = Self::open(dir).unwrap();
        Self { broken: true, ..log }
    }

    /// Opens the log in `dir` (made where missing) and reads what it holds.
    pub(crate) fn open(dir: &Path) -> Result<(Self, Vec<Record>), Error> {
        std::fs::create_dir_all(dir).map_err(|e| Error::storage("create", dir, &e))?;
        let path = dir.join(FILE);
        let fail = |what: &str, e: &std::io::Error| Error::storage(what, &path, e);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| fail("open", &e))?;
        let size = file.metadata().map_err(|e| fail("inspect", &e))?.len();
        if size > MAX_FILE_BYTES {
            let e = std::io::Error::other(format!(
                "{size} bytes are more than the {MAX_FILE_BYTES} that are read"
            ));
            return Err(fail("read", &e));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| fail("read", &e))?;
        let (records, good) = if bytes.is_empty() {
            file.write_all(MAGIC).and_then(|()| file.sync_all()).map_err(|e| fail("start", &e))?;
            sync_dir(dir);
            (Vec::new(), MAGIC.len())
        } else if let Some(body) = bytes.strip_prefix(MAGIC) {
            let (records, used) = decode_all(body);
            (records, MAGIC.len() + used)
        } else {
            let e = std::io::Error::other("this is no state file of this program");
            return Err(fail("read", &e));
        };
        if good < bytes.len() {
            keep_aside(&path, &bytes[good..]);
            file.set_len(good as u64).map_err(|e| fail("cut", &e))?;
        }
        file.seek(SeekFrom::Start(good as u64)).map_err(|e| fail("seek", &e))?;
        let log = Self { path: Some(path), file: Some(file), len_bytes: good as u64, broken: false };
        Ok((log, records))
    }

    /// Appends records, all or none.
    ///
    /// # Errors
    /// When the file cannot take them; the file is then as it was.
    pub(crate) fn append(&mut self, records: &[Record], sync: Sync) -> Result<(), Error> {
        let (Some(path), Some(file)) = (&self.path, &mut self.file) else { return Ok(()) };
        if self.broken {
            let e = std::io::Error::other("an earlier flush failed; restart after mending the disk");
            return Err(Error::storage("write", path, &e));
        }
        let mut bytes = Vec::new();
        for record in records {
            encode(record, &mut bytes).map_err(|e| Error::storage("write", path, &e))?;
        }
        if let Err(e) = file.write_all(&bytes) {
            // A part may have been written: cut it off, or what follows could not be read.
            let undone =
                file.set_len(self.len_bytes).and_then(|()| file.seek(SeekFrom::Start(self.len_bytes)));
            self.broken = undone.is_err();
            return Err(Error::storage("write", path, &e));
        }
        self.len_bytes += bytes.len() as u64;
        if sync == Sync::Disk
            && let Err(e) = file.sync_data()
        {
            self.broken = true;
            return Err(Error::storage("flush", path, &e));
        }
        Ok(())
    }

    /// Whether the file is worth writing anew for about `live` records.
    pub(crate) fn wants_compaction(&self, live_bytes: u64) -> bool {
        self.file.is_some()
            && self.len_bytes > COMPACT_FLOOR_BYTES.max(live_bytes.saturating_mul(COMPACT_FACTOR))
    }

    /// Writes the file anew with these records only.
    pub(crate) fn compact(&mut self, records: impl Iterator<Item = Record>) -> Result<(), Error> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        let fail = |e: &std::io::Error| Error::storage("rewrite", &path, e);
        let mut bytes = MAGIC.to_vec();
        for record in records {
            encode(&record, &mut bytes).map_err(|e| fail(&e))?;
        }
        let tmp = path.with_extension("log.tmp");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&tmp)
            .map_err(|e| fail(&e))?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(|e| fail(&e))?;
        std::fs::rename(&tmp, &path).map_err(|e| fail(&e))?;
        if let Some(dir) = path.parent() {
            sync_dir(dir);
        }
        self.len_bytes = bytes.len() as u64;
        self.file = Some(file);
        self.broken = false;
        Ok(())
    }

    /// Puts everything on the disk.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        match (&self.path, &mut self.file) {
            (Some(path), Some(file)) => file.sync_all().map_err(|e| Error::storage("flush", path, &e)),
            _ => Ok(()),
        }
    }

    /// The file's size.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }
}

fn encode(record: &Record, out: &mut Vec<u8>) -> std::io::Result<()> {
    let payload = serde_json::to_vec(record).map_err(std::io::Error::other)?;
    if payload.len() > MAX_RECORD_BYTES {
        return Err(std::io::Error::other(format!("a record of {} bytes is too large", payload.len())));
    }
    let len = u32::try_from(payload.len()).map_err(std::io::Error::other)?;
    let kind = record.kind();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&[kind]), &payload);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&crc.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(&payload);
    Ok(())
}

/// The records up to the first that is not whole, and how many bytes they take.
fn decode_all(body: &[u8]) -> (Vec<Record>, usize) {
    let (mut records, mut at) = (Vec::new(), 0);
    while let Some((record, len)) = decode(&body[at..]) {
        records.extend(record);
        at += len;
    }
    (records, at)
}

/// One record (`None` for a kind from the future) and its length.
fn decode(bytes: &[u8]) -> Option<(Option<Record>, usize)> {
    let len = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
    let kind = *bytes.get(8)?;
    if len > MAX_RECORD_BYTES {
        return None;
    }
    let payload = bytes.get(HEAD..HEAD + len)?;
    if crc32c::crc32c_append(crc32c::crc32c(&[kind]), payload) != crc {
        return None;
    }
    let record: Option<Record> = serde_json::from_slice(payload).ok().filter(|r: &Record| r.kind() == kind);
    Some((record, HEAD + len))
}

/// What cannot be read is kept in a file of its own: most often it is one record written in part, but a damaged length
/// looks the same, and whole records may follow it.
fn keep_aside(path: &Path, tail: &[u8]) {
    let declared = tail.get(..4).and_then(|l| l.try_into().ok()).map_or(0, u32::from_le_bytes) as usize;
    let torn = tail.len() < HEAD + declared && declared <= MAX_RECORD_BYTES;
    let aside = path.with_extension("log.damaged");
    match std::fs::write(&aside, tail) {
        Ok(()) if torn => {
            tracing::warn!(file = %path.display(), kept = %aside.display(), bytes = tail.len(), "the last record was written in part and is dropped");
        }
        Ok(()) => {
            tracing::error!(file = %path.display(), kept = %aside.display(), bytes = tail.len(), "the state file is damaged; what follows the damage is set aside");
        }
        Err(e) => {
            tracing::error!(file = %path.display(), bytes = tail.len(), error = %e, "the state file is damaged, and what follows the damage could not be set aside");
        }
    }
}

/// Makes a rename or creation last; a file system that cannot do it says so with an error nobody can act on.
fn sync_dir(dir: &Path) {
    if let Ok(dir) = File::open(dir) {
        let _ = dir.sync_all();
    }
}

/// Label sets as JSON objects.
pub(crate) mod label_set {
    use std::collections::BTreeMap;

    use model::LabelSet;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(set: &LabelSet, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(set)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<LabelSet, D::Error> {
        Ok(LabelSet::from_pairs(BTreeMap::<String, String>::deserialize(d)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(n: u64) -> Record {
        Record::AlertGone(n)
    }

    #[test]
    fn survives_torn_and_damaged_tails() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, records) = Log::open(dir.path()).unwrap();
        assert!(records.is_empty());
        for n in 0..5 {
            log.append(&[gone(n)], Sync::System).unwrap();
        }
        drop(log);
        let path = dir.path().join(FILE);
        let whole = std::fs::read(&path).unwrap();
        // Every possible cut leaves the whole records before it.
        for cut in MAGIC.len()..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut log, records) = Log::open(dir.path()).unwrap();
            assert!(records.len() < 5);
            log.append(&[gone(9)], Sync::Disk).unwrap();
            drop(log);
            assert_eq!(Log::open(dir.path()).unwrap().1.len(), records.len() + 1);
        }
        let mut flipped = whole.clone();
        let middle = MAGIC.len() + (whole.len() - MAGIC.len()) / 5 * 2 + HEAD;
        flipped[middle] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert_eq!(Log::open(dir.path()).unwrap().1.len(), 2);
        assert!(path.with_extension("log.damaged").exists());
        std::fs::write(&path, b"not a state file").unwrap();
        assert!(Log::open(dir.path()).is_err());
    }

    #[test]
    fn compaction_keeps_what_is_given() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, _) = Log::open(dir.path()).unwrap();
        for n in 0..100 {
            log.append(&[gone(n)], Sync::System).unwrap();
        }
        let before = log.len_bytes();
        log.compact([gone(7)].into_iter()).unwrap();
        assert!(log.len_bytes() < before);
        log.append(&[gone(8)], Sync::System).unwrap();
        drop(log);
        assert_eq!(Log::open(dir.path()).unwrap().1.len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn decodes_anything_without_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            let (_, used) = decode_all(&bytes);
            proptest::prop_assert!(used <= bytes.len());
        }
    }
}
