//! Prometheus' blocks in the store's directory: read where they are, never changed, never removed.

use std::path::Path;
use std::sync::Arc;

use interchange::{Block, TimeRange as Range};
use model::Matcher;
use roaring::RoaringBitmap;
use storage::{Error, ErrorKind, TimeRange};

/// Opens the blocks in `root` by time; those that cannot be read are named and counted.
pub(crate) fn open(root: &Path) -> Result<(Vec<Arc<Block>>, u64), Error> {
    let failed = |e| Error::io(format!("list {}", root.display()), e);
    let (mut blocks, mut damaged) = (vec![], 0);
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let named = path.file_name().and_then(|n| n.to_str()).is_some_and(interchange::is_ulid);
        if !named || !path.join("meta.json").is_file() {
            continue;
        }
        match Block::open(&path) {
            Ok(block) => blocks.push(Arc::new(block)),
            Err(e) => {
                tracing::error!(block = %path.display(), error = %e, "block of Prometheus cannot be read");
                damaged += 1;
            }
        }
    }
    blocks.sort_by_key(|b| (b.meta().min_time, b.meta().max_time));
    Ok((blocks, damaged))
}

/// First and last millisecond.
pub(crate) fn range_of(block: &Block) -> TimeRange {
    TimeRange { mint: block.meta().min_time, maxt: block.meta().max_time - 1 }
}

/// The range in the other crate's words.
pub(crate) fn range(range: TimeRange) -> Range {
    Range { mint: range.mint, maxt: range.maxt }
}

/// References of the series that match. They are offsets in units of 16 bytes, so they fit for any index below 64 GiB.
pub(crate) fn select(block: &Block, matchers: &[Matcher]) -> Result<RoaringBitmap, Error> {
    let all = block.select(matchers).map_err(error)?;
    let all = all.into_iter().map(u32::try_from).collect::<Result<_, _>>();
    all.map_err(|_| {
        let ulid = &block.meta().ulid;
        Error::new(ErrorKind::Unsupported, format!("block {ulid}: an index of more than 64 GiB"))
    })
}

pub(crate) fn error(e: interchange::Error) -> Error {
    Error::new(ErrorKind::Corrupt, e.to_string())
}
