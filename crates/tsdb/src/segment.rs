//! A group segment: some rows of one group by column, timestamps once.
//!
//! The same bytes serve in memory (pieces of a few rows), in a checkpoint, and in chunk files.
//!
//! ```text
//! meta  := group u32, rows u32, slots u32, ts_len u32, ts_crc u32, table_crc u32, mint i64, maxt i64
//! body  := timestamps (ints, ts_len bytes), table, blocks
//! table := one entry per 64 slots: end of its block, from the end of the table, u32; crc32c of the block u32
//! block := length of each slot's chunk u16, chunks
//! ```
//! A damaged block costs its 64 slots in these rows; damaged timestamps or a damaged table the segment.

use storage::ABSENT;

use crate::MAX_CHUNK_ROWS;
use crate::bytes::Reader;
use crate::codec::{Constant, Decoder, Effort, Encoder, IntDecoder, IntEncoder};
use crate::mmap::Blob;

const BLOCK_SLOTS: usize = 64;
const TABLE_ENTRY: usize = 8;

/// What of a segment is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damaged(pub(crate) &'static str);

/// What is known of a segment without reading its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) group: u32,
    pub(crate) rows: u32,
    pub(crate) slots: u32,
    ts_len: u32,
    ts_crc: u32,
    table_crc: u32,
    pub(crate) mint: i64,
    pub(crate) maxt: i64,
}

impl Meta {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        for v in [self.group, self.rows, self.slots, self.ts_len, self.ts_crc, self.table_crc] {
            out.extend_from_slice(&v.to_le_bytes());
        }
        out.extend_from_slice(&self.mint.to_le_bytes());
        out.extend_from_slice(&self.maxt.to_le_bytes());
    }

    /// Reads what [`Meta::put`] wrote, with bounds that later reads rely on.
    pub(crate) fn get(r: &mut Reader<'_>) -> Option<Self> {
        let meta = Self {
            group: r.u32()?,
            rows: r.u32()?,
            slots: r.u32()?,
            ts_len: r.u32()?,
            ts_crc: r.u32()?,
            table_crc: r.u32()?,
            mint: r.i64()?,
            maxt: r.i64()?,
        };
        let sane = meta.rows >= 1 && meta.rows as usize <= MAX_CHUNK_ROWS && meta.mint <= meta.maxt;
        sane.then_some(meta)
    }

    fn table_len(&self) -> usize {
        (self.slots as usize).div_ceil(BLOCK_SLOTS) * TABLE_ENTRY
    }
}

/// A segment that can be read.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) meta: Meta,
    pub(crate) body: Blob,
}

/// Makes segments; keeps its buffers.
#[derive(Debug, Default)]
pub(crate) struct SegmentBuilder {
    ints: IntEncoder,
    values: Encoder,
    cells: Vec<f64>,
    block: Vec<u8>,
}

impl SegmentBuilder {
    /// For segments that are soon joined to longer ones.
    pub(crate) fn brief() -> Self {
        Self { values: Encoder::with_effort(Effort::Brief), ..Self::default() }
    }

    /// Builds a segment of `ts.len()` rows (1 to [`MAX_CHUNK_ROWS`], ascending) and `slots` columns; `columns` fills the cells
    /// of some slots (the first of them, then how many), column after column, or gives their chunks where they are constant.
    pub(crate) fn build(
        &mut self,
        group: u32,
        ts: &[i64],
        slots: u32,
        mut columns: impl FnMut(u32, u32, &mut [f64], &mut [Option<Constant>; BLOCK_SLOTS]),
    ) -> (Meta, Vec<u8>) {
        let mut meta = Meta {
            group,
            rows: u32::try_from(ts.len()).expect("at most MAX_CHUNK_ROWS rows"),
            slots,
            ts_len: 0,
            ts_crc: 0,
            table_crc: 0,
            mint: ts[0],
            maxt: ts[ts.len() - 1],
        };
        let mut body = Vec::with_capacity(slots as usize * 16 + 64);
        self.ints.encode(ts, &mut body);
        meta.ts_len = u32::try_from(body.len()).expect("ten bytes a row at most");
        meta.ts_crc = crc32c::crc32c(&body);
        let table_at = body.len();
        let blocks_at = table_at + meta.table_len();
        body.resize(blocks_at, 0);
        self.cells.clear();
        self.cells.resize(ts.len() * BLOCK_SLOTS, ABSENT);
        for (i, first) in (0..slots).step_by(BLOCK_SLOTS).enumerate() {
            let in_block = (slots - first).min(64);
            self.block.clear();
            self.block.resize(in_block as usize * 2, 0);
            let cells = &mut self.cells[..in_block as usize * ts.len()];
            let mut constants = [None; BLOCK_SLOTS];
            columns(first, in_block, cells, &mut constants);
            for (i, column) in cells.chunks_exact(ts.len()).enumerate() {
                let start = self.block.len();
                match &constants[i] {
                    Some(constant) => self.block.extend_from_slice(constant.as_bytes()),
                    None => self.values.encode(column, &mut self.block),
                }
                let len = u16::try_from(self.block.len() - start)
                    .expect("MAX_CHUNK_ROWS doubles and their runs fit");
                self.block[i * 2..i * 2 + 2].copy_from_slice(&len.to_le_bytes());
            }
            body.extend_from_slice(&self.block);
            let end = u32::try_from(body.len() - blocks_at).expect("a segment is shorter than 4 GiB");
            let entry = table_at + i * TABLE_ENTRY;
            body[entry..entry + 4].copy_from_slice(&end.to_le_bytes());
            body[entry + 4..entry + 8].copy_from_slice(&crc32c::crc32c(&self.block).to_le_bytes());
        }
        meta.table_crc = crc32c::crc32c(&body[table_at..blocks_at]);
        (meta, body)
    }
}

/// Reads columns of segments; keeps its buffers.
#[derive(Debug, Default)]
pub(crate) struct ColumnReader {
    ints: IntDecoder,
    values: Decoder,
}

/// The block of one segment that was verified last: neighbours need no second checksum.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Verified {
    table: bool,
    block: Option<usize>,
    /// The slot read last, and where its chunk starts in its block.
    at: (u32, usize),
    damaged: bool,
}

impl Verified {
    /// Notes that a column could not be read.
    pub(crate) fn mark_damage(&mut self) {
        self.damaged = true;
    }

    /// Whether there was such a note; takes it back.
    pub(crate) fn take_damage(&mut self) -> bool {
        std::mem::take(&mut self.damaged)
    }
}

impl ColumnReader {
    /// The segment's timestamps: `meta.rows` of them, strictly ascending within the meta's bounds.
    pub(crate) fn timestamps(&mut self, segment: &Segment, out: &mut Vec<i64>) -> Result<(), Damaged> {
        let meta = &segment.meta;
        let bytes = segment.body.get(..meta.ts_len as usize).ok_or(Damaged("timestamps cut short"))?;
        if crc32c::crc32c(bytes) != meta.ts_crc {
            return Err(Damaged("timestamps' crc mismatch"));
        }
        let start = out.len();
        out.resize(start + meta.rows as usize, 0);
        let ts = &mut out[start..];
        let read = self.ints.decode(&mut Reader::new(bytes), ts);
        let sound = read.is_some()
            && ts.windows(2).all(|w| w[0] < w[1])
            && ts.first() == Some(&meta.mint)
            && ts.last() == Some(&meta.maxt);
        if !sound {
            out.truncate(start);
            return Err(Damaged("timestamps do not decode"));
        }
        Ok(())
    }

    /// One slot's values; `out` is `meta.rows` long. A slot the segment does not have is absent.
    pub(crate) fn column(
        &mut self,
        segment: &Segment,
        slot: u32,
        verified: &mut Verified,
        out: &mut [f64],
    ) -> Result<(), Damaged> {
        if slot >= segment.meta.slots {
            out.fill(ABSENT);
            return Ok(());
        }
        let chunk = self.chunk(segment, slot, verified)?;
        self.values.decode(chunk, out).ok_or(Damaged("chunk does not decode"))
    }

    /// The chunk of one slot if it is constant, and the same in all of the segments. Damage is for [`ColumnReader::column`]
    /// to say.
    pub(crate) fn constant(
        &self,
        segments: &[&Segment],
        slot: u32,
        verified: &mut [Verified],
    ) -> Option<Constant> {
        let mut chunks = segments.iter().zip(verified).map(|(segment, verified)| {
            if slot < segment.meta.slots { self.chunk(segment, slot, verified).ok() } else { Some(&[][..]) }
        });
        let first = chunks.next()??;
        let constant = Constant::of(first)?;
        chunks.all(|chunk| chunk == Some(first)).then_some(constant)
    }

    fn chunk<'a>(
        &self,
        segment: &'a Segment,
        slot: u32,
        verified: &mut Verified,
    ) -> Result<&'a [u8], Damaged> {
        let (block, in_block) = (slot as usize / BLOCK_SLOTS, slot as usize % BLOCK_SLOTS);
        let bytes = self.block(segment, block, verified)?;
        let count = (segment.meta.slots as usize - block * BLOCK_SLOTS).min(BLOCK_SLOTS);
        let (lengths, chunks) = bytes.split_at_checked(count * 2).ok_or(Damaged("block cut short"))?;
        let length = |i: usize| usize::from(u16::from_le_bytes([lengths[i * 2], lengths[i * 2 + 1]]));
        // Most readers go from slot to slot.
        let start = match verified.at {
            (at, start) if at == slot => start,
            (at, start) if in_block > 0 && at == slot - 1 => start + length(in_block - 1),
            _ => (0..in_block).map(length).sum(),
        };
        verified.at = (slot, start);
        chunks.get(start..start + length(in_block)).ok_or(Damaged("chunk cut short"))
    }

    fn block<'a>(
        &self,
        segment: &'a Segment,
        block: usize,
        verified: &mut Verified,
    ) -> Result<&'a [u8], Damaged> {
        let meta = &segment.meta;
        let table_at = meta.ts_len as usize;
        let blocks_at = table_at + meta.table_len();
        let table = segment.body.get(table_at..blocks_at).ok_or(Damaged("table cut short"))?;
        if !verified.table {
            if crc32c::crc32c(table) != meta.table_crc {
                return Err(Damaged("table's crc mismatch"));
            }
            verified.table = true;
        }
        let (entries, _) = table.as_chunks::<TABLE_ENTRY>();
        let entry = |i: usize| {
            let [a, b, c, d, e, f, g, h] = entries[i];
            (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
        };
        let start = if block == 0 { 0 } else { entry(block - 1).0 as usize };
        let (end, crc) = entry(block);
        let bytes = segment
            .body
            .get(blocks_at + start..)
            .and_then(|b| b.get(..(end as usize).checked_sub(start)?))
            .ok_or(Damaged("block cut short"))?;
        if verified.block != Some(block) {
            if crc32c::crc32c(bytes) != crc {
                return Err(Damaged("block's crc mismatch"));
            }
            verified.block = Some(block);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(rows: usize, slots: u32) -> Segment {
        let ts: Vec<i64> = (0..rows).map(|i| 1_000 + i64::try_from(i).unwrap() * 15).collect();
        let (meta, body) = SegmentBuilder::default().build(3, &ts, slots, |first, count, out, _| {
            assert_eq!(out.len(), count as usize * rows);
            for (i, o) in out.iter_mut().enumerate() {
                *o = cell(first + u32::try_from(i / rows).unwrap(), i % rows);
            }
        });
        Segment { meta, body: Blob::Memory(body.into()) }
    }

    fn cell(slot: u32, row: usize) -> f64 {
        if slot % 5 == 4 && row < 3 { ABSENT } else { f64::from(slot) * row as f64 / 10.0 }
    }

    #[test]
    fn columns_come_back() {
        for (rows, slots) in [(1, 1), (2, 64), (24, 65), (120, 200)] {
            let segment = sample(rows, slots);
            let mut reader = ColumnReader::default();
            let mut ts = vec![];
            reader.timestamps(&segment, &mut ts).unwrap();
            assert_eq!(ts.len(), rows);
            let mut verified = Verified::default();
            let mut out = vec![0.0; rows];
            for slot in (0..slots).rev().chain([slots + 3]) {
                reader.column(&segment, slot, &mut verified, &mut out).unwrap();
                for (row, v) in out.iter().enumerate() {
                    let expect = if slot < slots { cell(slot, row) } else { ABSENT };
                    assert_eq!(v.to_bits(), expect.to_bits());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_flipped_bit_costs_cells_but_never_changes_one(at in any::<prop::sample::Index>(), bit in 0..8) {
            let mut segment = sample(24, 130);
            let mut body = segment.body.to_vec();
            let at = at.index(body.len());
            body[at] ^= 1_u8 << bit;
            segment.body = Blob::Memory(body.into());
            let mut reader = ColumnReader::default();
            let mut lost = 0;
            let mut ts = vec![];
            if reader.timestamps(&segment, &mut ts).is_err() { lost += 1; }
            let mut verified = Verified::default();
            let mut out = vec![0.0; 24];
            for slot in 0..130 {
                match reader.column(&segment, slot, &mut verified, &mut out) {
                    Ok(()) => for (row, v) in out.iter().enumerate() {
                        prop_assert_eq!(v.to_bits(), cell(slot, row).to_bits());
                    },
                    Err(_) => lost += 1,
                }
            }
            prop_assert!(lost > 0);
        }

        #[test]
        fn foreign_bytes_do_no_harm(meta in proptest::collection::vec(any::<u8>(), 40),
                                    body in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Some(meta) = Meta::get(&mut Reader::new(&meta)) {
                let segment = Segment { meta, body: Blob::Memory(body.into()) };
                let mut reader = ColumnReader::default();
                let _ = reader.timestamps(&segment, &mut vec![]);
                let mut out = vec![0.0; meta.rows as usize];
                let _ = reader.column(&segment, 0, &mut Verified::default(), &mut out);
            }
        }
    }
}
