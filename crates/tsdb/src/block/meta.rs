//! A block's `meta.json`: what it is, in the style of upstream's, for people and tools to read.
//!
//! `checksum` is the crc32c of the same JSON, without spaces, with an empty checksum; so spaces may change and nothing else.

use std::path::Path;

use serde::{Deserialize, Serialize};
use storage::{Error, ErrorKind};

use super::ulid;
use crate::disk::{DiskFile, Faults};

const FORMAT: &str = "vigie-block";
const VERSION: u32 = 1;
/// No meta.json of ours is longer; each source is 30 bytes.
const MAX_LEN: u64 = 64 << 20;

/// What a block says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BlockMeta {
    /// Its name.
    pub(crate) ulid: String,
    /// Oldest sample.
    pub(crate) mint: i64,
    /// Newest sample.
    pub(crate) maxt: i64,
    /// Samples of all kinds.
    pub(crate) samples: u64,
    /// Of them histograms.
    pub(crate) histogram_samples: u64,
    pub(crate) series: u64,
    pub(crate) chunks: u64,
    /// How often it was merged; 1 from the head.
    pub(crate) level: u32,
    /// ULIDs of the level 1 blocks it was made from; its own when it is one.
    pub(crate) sources: Vec<String>,
    /// ULIDs of the blocks it takes the place of.
    pub(crate) parents: Vec<String>,
    /// Head samples of rows before this are in blocks.
    pub(crate) flushed_until: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Json {
    format: String,
    version: u32,
    ulid: String,
    min_time: i64,
    /// Exclusive, as upstream; `newest` is the truth at the end of time.
    max_time: i64,
    newest: i64,
    stats: Stats,
    compaction: Compaction,
    flushed_until: Option<i64>,
    checksum: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stats {
    num_samples: u64,
    num_histogram_samples: u64,
    num_series: u64,
    num_chunks: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Compaction {
    level: u32,
    sources: Vec<String>,
    parents: Vec<String>,
}

impl Json {
    fn checksum(&mut self) -> String {
        let given = std::mem::take(&mut self.checksum);
        let text = serde_json::to_vec(self).expect("numbers and strings");
        self.checksum = given;
        format!("{:08x}", crc32c::crc32c(&text))
    }
}

impl BlockMeta {
    /// Writes the file and syncs it.
    pub(super) fn write(&self, path: &Path, faults: &Faults) -> Result<(), Error> {
        let failed = |e| Error::io(format!("block: write {}", path.display()), e);
        let mut json = Json {
            format: FORMAT.to_owned(),
            version: VERSION,
            ulid: self.ulid.clone(),
            min_time: self.mint,
            max_time: self.maxt.saturating_add(1),
            newest: self.maxt,
            stats: Stats {
                num_samples: self.samples,
                num_histogram_samples: self.histogram_samples,
                num_series: self.series,
                num_chunks: self.chunks,
            },
            compaction: Compaction {
                level: self.level,
                sources: self.sources.clone(),
                parents: self.parents.clone(),
            },
            flushed_until: self.flushed_until,
            checksum: String::new(),
        };
        json.checksum = json.checksum();
        let mut text = serde_json::to_vec_pretty(&json).expect("numbers and strings");
        text.push(b'\n');
        let file = DiskFile::new(std::fs::File::create(path).map_err(failed)?, faults);
        file.write_all_at(&text, 0).map_err(failed)?;
        file.sync().map_err(failed)
    }

    /// Reads the file of the block `name`.
    pub(super) fn read(path: &Path, name: &str) -> Result<Self, Error> {
        let failed = |e| Error::io(format!("block: read {}", path.display()), e);
        let corrupt =
            |why: String| Error::new(ErrorKind::Corrupt, format!("block: {}: {why}", path.display()));
        if std::fs::metadata(path).map_err(failed)?.len() > MAX_LEN {
            return Err(corrupt("too long for what it is".to_owned()));
        }
        let text = std::fs::read(path).map_err(failed)?;
        let mut json: Json = serde_json::from_slice(&text).map_err(|e| corrupt(e.to_string()))?;
        if (json.format.as_str(), json.version) != (FORMAT, VERSION) {
            return Err(corrupt(format!("format {} {} is not known here", json.format, json.version)));
        }
        let found = json.checksum();
        if found != json.checksum {
            return Err(corrupt(format!("checksum mismatch (found {found}, expected {})", json.checksum)));
        }
        if json.ulid != name || ulid::parse(name).is_none() {
            return Err(corrupt(format!("belongs to block {}", json.ulid)));
        }
        if json.min_time > json.newest {
            return Err(corrupt("ends before it begins".to_owned()));
        }
        Ok(Self {
            ulid: json.ulid,
            mint: json.min_time,
            maxt: json.newest,
            samples: json.stats.num_samples,
            histogram_samples: json.stats.num_histogram_samples,
            series: json.stats.num_series,
            chunks: json.stats.num_chunks,
            level: json.compaction.level,
            sources: json.compaction.sources,
            parents: json.compaction.parents,
            flushed_until: json.flushed_until,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_changed_byte_changes_a_meaning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("meta.json");
        let name = ulid::ulid(5, 7);
        let meta = BlockMeta {
            ulid: name.clone(),
            mint: -3,
            maxt: i64::MAX,
            samples: 12,
            series: 4,
            chunks: 5,
            level: 2,
            sources: vec![ulid::ulid(1, 1), ulid::ulid(2, 2)],
            parents: vec![ulid::ulid(3, 3)],
            flushed_until: Some(99),
            ..BlockMeta::default()
        };
        meta.write(&path, &Faults::default()).unwrap();
        assert_eq!(BlockMeta::read(&path, &name).unwrap(), meta);
        assert!(BlockMeta::read(&path, &ulid::ulid(5, 8)).is_err());
        let sound = std::fs::read(&path).unwrap();
        for at in 0..sound.len() {
            for bit in [1, 0x20] {
                let mut bytes = sound.clone();
                bytes[at] ^= bit;
                std::fs::write(&path, &bytes).unwrap();
                if let Ok(read) = BlockMeta::read(&path, &name) {
                    assert_eq!(read, meta);
                }
            }
            std::fs::write(&path, &sound[..at]).unwrap();
            assert!(at + 1 == sound.len() || BlockMeta::read(&path, &name).is_err());
        }
    }
}
