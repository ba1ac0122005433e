//! `queries.active`: the queries that run, on disk, so that after a crash it is known which ones did. The format is upstream's: `[`,
//! then a place of [`ENTRY_BYTES`] for each query that may run, either zeros or a JSON object padded with zeros and ended by `,`.
//!
//! Upstream maps the file; here an entry is one write. Both leave it to the kernel to keep what a killed process wrote.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use parking_lot::Mutex;
use serde::Serialize as _;

use super::Clock;

/// Bytes of one query's place.
const ENTRY_BYTES: usize = 1000;

/// How much of a former run's file is read.
const MAX_READ_BYTES: u64 = 4 << 20;

/// The file, and which places are free.
pub(crate) struct ActiveQueries {
    file: File,
    free: Mutex<Vec<usize>>,
    clock: Clock,
}

impl ActiveQueries {
    /// Logs what the last run left, and begins anew with `places`.
    pub(crate) fn open(dir: &Path, places: usize, clock: Clock) -> std::io::Result<Self> {
        let path = dir.join("queries.active");
        if let Some(queries) = unfinished(&path) {
            tracing::info!(queries, "These queries didn't finish in prometheus' last run:");
        }
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
        let mut empty = vec![0; 1 + places * ENTRY_BYTES];
        empty[0] = b'[';
        file.write_all_at(&empty, 0)?;
        Ok(Self { file, free: Mutex::new((0..places).rev().collect()), clock })
    }

    /// Notes a query; its place, if there is one.
    pub(crate) fn insert(&self, query: &str) -> Option<usize> {
        let place = self.free.lock().pop()?;
        let mut entry = entry_json(query, (self.clock)().div_euclid(1000));
        entry.resize(ENTRY_BYTES, 0);
        entry[ENTRY_BYTES - 1] = b',';
        self.write(place, &entry);
        Some(place)
    }

    /// The query in this place has ended.
    pub(crate) fn delete(&self, place: usize) {
        self.write(place, &[0; ENTRY_BYTES]);
        self.free.lock().push(place);
    }

    fn write(&self, place: usize, entry: &[u8]) {
        // On a full disk the file has its room already; any other failure costs a line in a log after the next crash.
        if let Err(e) = self.file.write_all_at(entry, 1 + (place * ENTRY_BYTES) as u64) {
            tracing::debug!(err = %e, "Cannot write queries.active");
        }
    }
}

/// The queries a former run left in the file, as a JSON list.
fn unfinished(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_READ_BYTES).read_to_end(&mut bytes).ok()?;
    bytes.retain(|b| *b != 0);
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    text.pop();
    text.push(']');
    (text.len() > 1).then_some(text)
}

/// `{"query":…,"timestamp_sec":…}` in less than [`ENTRY_BYTES`]; a query that is too long is cut.
fn entry_json(query: &str, seconds: i64) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Entry<'a> {
        query: &'a str,
        timestamp_sec: i64,
    }
    let json = |query: &str| {
        let mut out = Vec::new();
        let entry = Entry { query, timestamp_sec: seconds };
        // Plain data into memory.
        let _ = entry.serialize(&mut serde_json::Serializer::new(&mut out));
        out
    };
    let mut room = ENTRY_BYTES - 1 - json("").len();
    loop {
        let entry = json(&query[..query.floor_char_boundary(room)]);
        if entry.len() < ENTRY_BYTES {
            return entry;
        }
        // What is escaped takes more bytes than it has.
        room -= (entry.len() - ENTRY_BYTES + 1).min(room);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_did_not_finish_is_known_to_the_next_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queries.active");
        let open = || ActiveQueries::open(dir.path(), 3, Arc::new(|| 5_000)).unwrap();
        let active = open();
        assert_eq!(unfinished(&path), None);
        let first = active.insert("up").unwrap();
        let long = "é".repeat(900) + "\"\\\"";
        active.insert(&long).unwrap();
        let quotes = "\"".repeat(2000);
        active.insert(&quotes).unwrap();
        assert_eq!(active.insert("one too many"), None);
        active.delete(first);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 3001);
        let left: serde_json::Value = serde_json::from_str(&unfinished(&path).unwrap()).unwrap();
        assert_eq!(left[0]["timestamp_sec"], 5);
        assert!(long.starts_with(left[0]["query"].as_str().unwrap()));
        assert!(left[0]["query"].as_str().unwrap().len() > 900);
        assert!(quotes.starts_with(left[1]["query"].as_str().unwrap()));
        assert_eq!(left.as_array().unwrap().len(), 2);
        drop(active);
        let _ = open();
        assert_eq!(unfinished(&path), None);
    }

    #[test]
    fn any_bytes_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queries.active");
        for (bytes, expect) in [
            (&b""[..], None),
            (b"[", None),
            (b"\0\0", None),
            (b"[{}\0\0,\0", Some("[{}]")),
            (b"[\xff", Some("[]")),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(unfinished(&path).as_deref(), expect, "{bytes:?}");
        }
    }
}
