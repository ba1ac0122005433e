//! Reading a body: line by line against the last one, and what a failure takes back.

use std::sync::Arc;

use exposition::{Entry, Format, Parser, scan_float};
use model::{LabelSet, MetricType, NORMAL_NAN, TimestampMs};
use storage::{ABSENT, is_absent};

use super::Ingest;
use crate::lines::Target;
use crate::metadata::{Families, Piece};

/// Timestamps of more digits are left to the parser, which knows which are too large.
const MAX_DIGITS: usize = 18;

/// One body being read.
pub(super) struct Reading {
    pub(super) row: Vec<f64>,
    pub(super) order: Vec<u32>,
    /// Whether `order` is filled: it is the old order up to here otherwise.
    pub(super) diverged: bool,
    /// Which timestamps this format's lines have.
    stamps: Stamps,
    pub(super) pending: Vec<Pending>,
    pub(super) stamped: Vec<(u32, f64, TimestampMs)>,
    pub(super) known_before: usize,
    pub(super) scraped: u64,
    pub(super) kept: u64,
    pub(super) duplicates: u64,
    pub(super) out_of_bounds: u64,
    pub(super) slow: u64,
}

/// Which timestamps need no parsing because nothing is made of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamps {
    None,
    /// Milliseconds, whole: the text format's.
    Millis,
    /// Seconds, perhaps with a fraction: OpenMetrics'.
    Seconds,
}

/// A series that this body names for the first time.
pub(super) struct Pending {
    pub(super) line: u32,
    pub(super) labels: LabelSet,
    pub(super) value: f64,
}

/// Why a body is not taken.
pub(super) enum Failure {
    SampleLimit,
    LabelLimit(String),
    Other(String),
}

impl Ingest {
    pub(super) fn begin(&self) -> Reading {
        Reading {
            row: vec![ABSENT; self.seen.len()],
            order: Vec::new(),
            diverged: false,
            stamps: Stamps::None,
            pending: Vec::new(),
            stamped: Vec::new(),
            known_before: self.lines.len(),
            scraped: 0,
            kept: 0,
            duplicates: 0,
            out_of_bounds: 0,
            slow: 0,
        }
    }

    pub(super) fn walk(
        &mut self,
        format: Format,
        body: &[u8],
        ts: TimestampMs,
        read: &mut Reading,
    ) -> Result<(), Failure> {
        let mut parser = Parser::new(format, body);
        read.stamps = match format {
            Format::Text => Stamps::Millis,
            Format::OpenMetrics => Stamps::Seconds,
        };
        let families = Arc::clone(&self.families);
        let mut families = families.lock();
        families.next_body();
        let mut kind = MetricType::Unknown;
        let (mut pos, mut place) = (0, 0);
        let mut places: Option<Vec<u32>> = None;
        loop {
            if let Some(id) = self.lines.at(place) {
                let line = self.lines.line(id);
                if let Some(end) = self.lines.end_of(line, body, pos)
                    && let Some(next) = self.quick(line.target(), body, end, &mut kind, &mut families, read)
                {
                    if read.diverged {
                        read.order.push(id);
                    }
                    (pos, place) = (next, place + 1);
                    continue;
                }
            }
            parser.seek(pos, kind);
            let Some(id) = self.slow(&mut parser, body, pos, ts, &mut families, read)? else { break };
            kind = parser.kind();
            pos = parser.position();
            if let Some(id) = id {
                if self.lines.at(place) == Some(id) {
                    place += 1;
                } else {
                    if !read.diverged {
                        read.diverged = true;
                        read.order = (0..place).filter_map(|n| self.lines.at(n)).collect();
                    }
                    // A line that moved or follows missing ones: go on after where it stood.
                    let places = places.get_or_insert_with(|| self.lines.places());
                    let at = places.get(id as usize).filter(|at| **at != u32::MAX);
                    place = at.map_or(place, |at| *at as usize + 1);
                }
                if read.diverged {
                    read.order.push(id);
                }
            }
        }
        if !read.diverged && self.lines.at(place).is_some() {
            // The end is missing.
            read.diverged = true;
            read.order = (0..place).filter_map(|n| self.lines.at(n)).collect();
        }
        let appended = read.kept - read.duplicates;
        if self.settings.sample_limit > 0 && appended > self.settings.sample_limit {
            return Err(Failure::SampleLimit);
        }
        Ok(())
    }

    /// Handles a line whose text, known to end at `end`, is as expected. Returns where the next one starts, or `None` where the
    /// rest of the line is not plain enough.
    #[inline]
    fn quick(
        &self,
        target: Target,
        body: &[u8],
        end: usize,
        kind: &mut MetricType,
        families: &mut Families,
        read: &mut Reading,
    ) -> Option<usize> {
        match target {
            Target::Slot(slot) => {
                let (value, end) = plain_value(body, end)?;
                let passed = if self.settings.honor_timestamps { Stamps::None } else { read.stamps };
                let next = line_end(body, end, passed)?;
                read.scraped += 1;
                read.kept += 1;
                let cell = &mut read.row[slot as usize];
                if is_absent(*cell) {
                    *cell = value;
                } else {
                    read.duplicates += 1;
                }
                return Some(next);
            }
            Target::Dropped => {
                let (_, end) = plain_value(body, end)?;
                let next = line_end(body, end, read.stamps)?;
                read.scraped += 1;
                return Some(next);
            }
            Target::Stamped | Target::Pending(_) => return None,
            Target::Meta(_) | Target::Type(_) | Target::Comment => {}
        }
        if body.get(end) != Some(&b'\n') {
            return None;
        }
        if let Target::Meta(family) | Target::Type(family) = target {
            families.touch(family);
        }
        if let Target::Type(family) = target {
            *kind = families.kind(family);
        }
        Some(end + 1)
    }

    /// Parses the entry at the parser's position. `None` at the end of the body, `Some(None)` for what cannot be recognised by
    /// its text.
    fn slow(
        &mut self,
        parser: &mut Parser<'_>,
        body: &[u8],
        pos: usize,
        ts: TimestampMs,
        families: &mut Families,
        read: &mut Reading,
    ) -> Result<Option<Option<u32>>, Failure> {
        let entry = parser.next().map_err(|e| Failure::Other(e.to_string()))?;
        let store = &self.sinks.metadata;
        let target = match entry {
            None => return Ok(None),
            Some(Entry::Series(series)) => {
                read.slow += 1;
                return self.slow_series(&series, ts, read).map(|id| Some(Some(id)));
            }
            Some(Entry::Comment(_)) => Some(Target::Comment),
            Some(Entry::Help { family, text }) => {
                families.set(store, &family, &Piece::Help(&text)).map(Target::Meta)
            }
            Some(Entry::Unit { family, unit }) => {
                families.set(store, &family, &Piece::Unit(&unit)).map(Target::Meta)
            }
            Some(Entry::Type { family, kind }) => {
                families.set(store, &family, &Piece::Kind(kind)).map(Target::Type)
            }
        };
        // Only a line that is the entry and nothing but the entry can be known again by its bytes.
        let line = body.get(pos..parser.position().saturating_sub(1)).unwrap_or_default();
        let whole = body.get(pos + line.len()) == Some(&b'\n')
            && line.first() == Some(&b'#')
            && !line.contains(&b'\n');
        let Some(target) = target.filter(|_| whole) else { return Ok(Some(None)) };
        let id = match self.lines.find(line) {
            Some(id) => {
                self.lines.set_target(id, target);
                id
            }
            None => self.lines.add(line, target),
        };
        Ok(Some(Some(id)))
    }
}

/// ` value` at `at`: the value and where it ends.
#[inline]
fn plain_value(body: &[u8], at: usize) -> Option<(f64, usize)> {
    let (&b' ', rest) = body.get(at..)?.split_first()? else { return None };
    let (value, len) = match scan_float(rest) {
        Some(found) => found,
        None if rest.starts_with(b"NaN") => (NORMAL_NAN, 3),
        None if rest.starts_with(b"+Inf") => (f64::INFINITY, 4),
        None => return None,
    };
    Some((value, at + 1 + len))
}

/// Where the next line starts, if this one ends at `at` or after a plain timestamp there.
#[inline]
fn line_end(body: &[u8], at: usize, stamps: Stamps) -> Option<usize> {
    match body.get(at)? {
        b'\n' => Some(at + 1),
        b' ' => stamps.pass(body, at + 1),
        _ => None,
    }
}

impl Stamps {
    /// Where the next line starts, if `at` holds a timestamp and nothing else comes on this one.
    fn pass(self, body: &[u8], at: usize) -> Option<usize> {
        let rest = body.get(at..)?;
        let digits = |bytes: &[u8]| bytes.iter().take(MAX_DIGITS).take_while(|b| b.is_ascii_digit()).count();
        let mut len = match (self, digits(rest)) {
            (Self::None, _) | (_, 0) => return None,
            (_, len) => len,
        };
        if self == Self::Seconds && rest.get(len) == Some(&b'.') {
            len += 1 + digits(&rest[len + 1..]);
        }
        (rest.get(len) == Some(&b'\n')).then_some(at + len + 1)
    }
}
