//! `meta.json` of a block, and the names blocks have.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

/// A block's description, with upstream's field names and order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// The block's name.
    pub ulid: String,
    /// First millisecond.
    pub min_time: i64,
    /// The millisecond after the last.
    pub max_time: i64,
    /// What is in it.
    #[serde(default)]
    pub stats: Stats,
    /// What it was made from.
    pub compaction: Compaction,
    /// Always 1.
    pub version: u32,
}

/// What is in a block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stats {
    /// Samples of both kinds.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Floats; older versions do not tell them apart.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Histograms.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Chunks.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Deleted intervals.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
}

/// How a block came to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compaction {
    /// How often its samples were rewritten; 1 from the head.
    pub level: u32,
    /// The level 1 blocks it was made from.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub sources: Vec<String>,
    /// It has no samples and is to be removed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deletable: bool,
    /// The blocks it was merged from directly.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub parents: Vec<Parent>,
    /// A merge of it failed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Where it comes from, such as `from-out-of-order`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub hints: Vec<String>,
}

/// A block that another was merged from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    /// Its name.
    pub ulid: String,
    /// First millisecond.
    pub min_time: i64,
    /// The millisecond after the last.
    pub max_time: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn null_is_empty<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

/// The hint of blocks that hold samples which came late.
const OUT_OF_ORDER: &str = "from-out-of-order";

impl Meta {
    /// Reads `meta.json` in `dir`.
    ///
    /// # Errors
    /// When it is absent, is not JSON of this shape, or has another version.
    pub fn read(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("meta.json");
        let text = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let meta: Self = serde_json::from_slice(&text)
            .map_err(|e| Error::corrupt(format!("{}: not a block's description: {e}", path.display())))?;
        if meta.version != 1 {
            let message = format!("{}: version {} is not read, only 1", path.display(), meta.version);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        if meta.min_time > meta.max_time {
            return Err(Error::corrupt(format!("{}: minTime is after maxTime", path.display())));
        }
        Ok(meta)
    }

    /// The text of `meta.json`, as upstream writes it.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
        self.serialize(&mut serializer).expect("numbers and text can be written to memory");
        out
    }

    /// Whether the block was made from samples that came late; such a block may overlap the head.
    #[must_use]
    pub fn is_out_of_order(&self) -> bool {
        self.compaction.hints.iter().any(|h| h == OUT_OF_ORDER)
    }
}

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A ULID: 48 bits of time and the low 80 bits of `random`, in Crockford's base 32.
#[must_use]
pub fn ulid(unix_ms: i64, random: u128) -> String {
    let time = u128::from(unix_ms.cast_unsigned() & ((1 << 48) - 1));
    let bits = time << 80 | (random & ((1 << 80) - 1));
    (0..26).rev().map(|i| char::from(CROCKFORD[(bits >> (5 * i) & 31) as usize])).collect()
}

/// Whether `name` is a ULID as block directories have it.
#[must_use]
pub fn is_ulid(name: &str) -> bool {
    name.len() == 26 && name.bytes().all(|b| CROCKFORD.contains(&b)) && name.as_bytes()[0] <= b'7'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_upstreams() {
        let meta = Meta {
            ulid: ulid(1_700_000_000_000, 5),
            min_time: 1,
            max_time: 2,
            stats: Stats { num_samples: 3, ..Stats::default() },
            compaction: Compaction { level: 1, sources: vec!["A".into()], ..Compaction::default() },
            version: 1,
        };
        let text = String::from_utf8(meta.to_json()).unwrap();
        assert_eq!(
            text,
            "{\n\t\"ulid\": \"01HF7YAT000000000000000005\",\n\t\"minTime\": 1,\n\t\"maxTime\": 2,\n\t\"stats\": {\n\t\t\"numSamples\": 3\n\t},\n\t\"compaction\": {\n\t\t\"level\": 1,\n\t\t\"sources\": [\n\t\t\t\"A\"\n\t\t]\n\t},\n\t\"version\": 1\n}"
        );
        assert_eq!(serde_json::from_str::<Meta>(&text).unwrap(), meta);
        assert!(is_ulid(&meta.ulid) && !is_ulid("wal") && !is_ulid("81HF7YAT000000000000000005"));
    }
}
