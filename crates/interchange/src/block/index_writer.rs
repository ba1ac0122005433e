//! `index` of a block, written: version 2, section by section as upstream's `index.Writer` up to Prometheus 2.x, which also has the
//! label indices that nobody reads any more.

use std::collections::BTreeMap;
use std::io::Write;

use model::LabelSet;

use super::ChunkMeta;
use crate::bytes::{put_str, put_uvarint, put_varint};
use crate::{Error, ErrorKind};

/// The series of an index before their symbols are known.
#[derive(Debug, Default)]
pub(super) struct IndexWriter {
    series: Vec<Pending>,
    /// Encoded chunk lists, one after the other.
    chunks: Vec<u8>,
}

#[derive(Debug)]
struct Pending {
    labels: LabelSet,
    /// One past this series' bytes in `chunks`.
    chunks_end: usize,
}

/// Why writing stopped.
pub(super) enum Failure {
    Io(std::io::Error),
    Refused(Error),
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        Self::Io(e)
    }
}

impl IndexWriter {
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    pub(super) fn last(&self) -> Option<&LabelSet> {
        self.series.last().map(|s| &s.labels)
    }

    pub(super) fn push(&mut self, labels: LabelSet, chunks: &[ChunkMeta]) {
        let out = &mut self.chunks;
        put_uvarint(out, chunks.len() as u64);
        let mut last: Option<&ChunkMeta> = None;
        for chunk in chunks {
            match last {
                None => put_varint(out, chunk.mint),
                Some(before) => put_uvarint(out, chunk.mint.wrapping_sub(before.maxt).cast_unsigned()),
            }
            put_uvarint(out, chunk.maxt.wrapping_sub(chunk.mint).cast_unsigned());
            match last {
                None => put_uvarint(out, chunk.reference),
                Some(before) => put_varint(out, chunk.reference.wrapping_sub(before.reference).cast_signed()),
            }
            last = Some(chunk);
        }
        self.series.push(Pending { labels, chunks_end: self.chunks.len() });
    }

    pub(super) fn write(&self, out: &mut impl Write) -> Result<(), Failure> {
        let symbols = self.symbols();
        let mut w = Sections { out, at: 0 };
        w.put(&[0xba, 0xaa, 0xd7, 0x00, 2])?;
        let symbols_at = w.at;
        w.section(|body| {
            put_u32(body, symbols.len(), "symbols")?;
            symbols.keys().for_each(|s| put_str(body, s));
            Ok(())
        })?;
        // Where the padding before the first series begins, as upstream has it.
        let series_at = w.at;
        let postings = self.write_series(&mut w, &symbols)?;
        let label_indices_at = w.at;
        let label_indices = write_label_indices(&mut w, &postings, &symbols)?;
        let postings_at = w.at;
        w.pad(4)?;
        let table = write_postings(&mut w, &postings)?;
        let label_table_at = w.at;
        w.section(|body| {
            put_u32(body, label_indices.len(), "labels")?;
            for (name, at) in &label_indices {
                put_uvarint(body, 1);
                put_str(body, name);
                put_uvarint(body, *at);
            }
            Ok(())
        })?;
        let table_at = w.at;
        w.section(|body| {
            put_u32(body, table.len(), "pairs of labels")?;
            for (name, value, at) in &table {
                put_uvarint(body, 2);
                put_str(body, name);
                put_str(body, value);
                put_uvarint(body, *at);
            }
            Ok(())
        })?;
        let toc = [symbols_at, series_at, label_indices_at, label_table_at, postings_at, table_at];
        let toc: Vec<u8> = toc.iter().flat_map(|at| at.to_be_bytes()).collect();
        w.put(&toc)?;
        w.put(&crc32c::crc32c(&toc).to_be_bytes())
    }

    /// All strings of all labels with their numbers in order.
    fn symbols(&self) -> BTreeMap<&str, u32> {
        // The name of the list of all series is the empty string, which upstream counts as a symbol.
        let mut symbols = BTreeMap::from([("", 0)]);
        for s in &self.series {
            for (name, value) in &s.labels {
                symbols.insert(name, 0);
                symbols.insert(value, 0);
            }
        }
        for (number, slot) in (0..).zip(symbols.values_mut()) {
            *slot = number;
        }
        symbols
    }

    fn write_series<'a>(
        &'a self,
        w: &mut Sections<'_, impl Write>,
        symbols: &BTreeMap<&str, u32>,
    ) -> Result<Postings<'a>, Failure> {
        let mut postings = Postings::default();
        let (mut body, mut head) = (Vec::new(), Vec::new());
        let mut chunks_start = 0;
        for s in &self.series {
            w.pad(16)?;
            let reference = u32::try_from(w.at / 16).map_err(|_| {
                Failure::Refused(Error::new(
                    ErrorKind::Unsupported,
                    "index: series beyond 64 GiB cannot be referenced",
                ))
            })?;
            body.clear();
            put_uvarint(&mut body, s.labels.len() as u64);
            for (name, value) in &s.labels {
                put_uvarint(&mut body, u64::from(symbols[name]));
                put_uvarint(&mut body, u64::from(symbols[value]));
                postings.pairs.entry(name).or_default().entry(value).or_default().push(reference);
            }
            body.extend_from_slice(&self.chunks[chunks_start..s.chunks_end]);
            chunks_start = s.chunks_end;
            head.clear();
            put_uvarint(&mut head, body.len() as u64);
            w.put(&head)?;
            w.put(&body)?;
            w.put(&crc32c::crc32c(&body).to_be_bytes())?;
            postings.all.push(reference);
        }
        Ok(postings)
    }
}

/// Series by label pair.
#[derive(Default)]
struct Postings<'a> {
    all: Vec<u32>,
    pairs: BTreeMap<&'a str, BTreeMap<&'a str, Vec<u32>>>,
}

fn write_label_indices<'a>(
    w: &mut Sections<'_, impl Write>,
    postings: &Postings<'a>,
    symbols: &BTreeMap<&str, u32>,
) -> Result<Vec<(&'a str, u64)>, Failure> {
    let mut table = Vec::new();
    for (name, values) in &postings.pairs {
        w.pad(4)?;
        table.push((*name, w.at));
        w.section(|body| {
            put_u32(body, 1, "names")?;
            put_u32(body, values.len(), "values")?;
            values.keys().for_each(|v| body.extend_from_slice(&symbols[v].to_be_bytes()));
            Ok(())
        })?;
    }
    Ok(table)
}

type PairPlace<'a> = (&'a str, &'a str, u64);

fn write_postings<'a>(
    w: &mut Sections<'_, impl Write>,
    postings: &Postings<'a>,
) -> Result<Vec<PairPlace<'a>>, Failure> {
    let mut table = Vec::new();
    let pairs =
        postings.pairs.iter().flat_map(|(n, values)| values.iter().map(move |(v, list)| (*n, *v, list)));
    for (name, value, list) in std::iter::once(("", "", &postings.all)).chain(pairs) {
        w.pad(4)?;
        table.push((name, value, w.at));
        w.section(|body| {
            put_u32(body, list.len(), "postings")?;
            list.iter().for_each(|r| body.extend_from_slice(&r.to_be_bytes()));
            Ok(())
        })?;
    }
    Ok(table)
}

fn put_u32(body: &mut Vec<u8>, n: usize, what: &str) -> Result<(), Failure> {
    let n = u32::try_from(n).map_err(|_| {
        Failure::Refused(Error::new(
            ErrorKind::Unsupported,
            format!("index: {n} {what} do not fit the format"),
        ))
    })?;
    body.extend_from_slice(&n.to_be_bytes());
    Ok(())
}

/// A file as it grows.
struct Sections<'a, W> {
    out: &'a mut W,
    at: u64,
}

impl<W: Write> Sections<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Zeros up to a multiple of `to`.
    fn pad(&mut self, to: u64) -> Result<(), Failure> {
        let over = self.at % to;
        if over > 0 {
            self.put(&[0; 16][..(to - over) as usize])?;
        }
        Ok(())
    }

    /// Length, what `fill` appends, checksum.
    fn section(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut body = Vec::new();
        fill(&mut body)?;
        let mut len = Vec::new();
        put_u32(&mut len, body.len(), "bytes of a section")?;
        self.put(&len)?;
        self.put(&body)?;
        self.put(&crc32c::crc32c(&body).to_be_bytes())
    }
}
