//! `prometheus.WriteRequest` from bytes, without a copy of a label and without an allocation per series.
//!
//! Unknown fields are skipped, of repeated single fields the last wins, packed and unpacked lists are the same. Metadata is
//! counted and left. Series whose labels upstream would skip are skipped here, and counted.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use model::{Exemplar, Histogram, TimestampMs};
use storage::SeriesPoints;
use xxhash_rust::xxh3::xxh3_128_with_secret;

use super::budget::{Budget, Spent};
use super::labels::{self, LABEL_TAG, RawLabels, Verdict};
use super::{Limits, histogram};
use crate::wire::{Reader, WireError};

/// What series keys are hashed with: random bytes, one set for the life of the store that gets the keys, so that nobody can
/// send two label sets with one key.
#[derive(Clone)]
pub struct KeySecret([u8; 192]);

impl KeySecret {
    /// From random bytes.
    #[must_use]
    pub fn new(random: [u8; 192]) -> Self {
        Self(random)
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret")
    }
}

/// Memory that is used again from request to request.
#[derive(Debug, Default)]
pub struct Buffers {
    floats: Vec<(TimestampMs, f64)>,
    histograms: Vec<(TimestampMs, Histogram)>,
    exemplars: Vec<Exemplar>,
    /// How many series the last request had: room for the next one.
    series: usize,
}

/// Bytes of [`Buffers`] that are kept between requests; what an unusual request needed beyond goes back.
const KEPT_BYTES: usize = 1 << 20;

impl Buffers {
    fn clear(&mut self) {
        self.floats.clear();
        self.histograms.clear();
        self.exemplars.clear();
        self.floats.shrink_to(KEPT_BYTES / size_of::<(TimestampMs, f64)>());
        self.histograms.shrink_to(KEPT_BYTES / size_of::<(TimestampMs, Histogram)>());
        self.exemplars.shrink_to(KEPT_BYTES / size_of::<Exemplar>());
        self.series = self.series.min(KEPT_BYTES / size_of::<Series<'_>>());
    }
}

/// Why a body cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are no `WriteRequest`.
    #[error("proto: series {series}: {what}")]
    Malformed {
        /// The ordinal of the series it is in, or of the next one.
        series: usize,
        /// What is wrong.
        what: String,
    },
    /// A histogram contradicts itself. The text is upstream's.
    #[error("{0}")]
    Histogram(String),
    /// [`Limits::decoded_bytes`] would be exceeded.
    #[error("the request takes more than {0} bytes of memory once decoded; send smaller requests")]
    TooLarge(usize),
}

/// Why a part of a body cannot be taken.
#[derive(Debug)]
pub(super) enum Fault {
    Wire(WireError),
    Histogram(String),
    Spent,
}

impl From<WireError> for Fault {
    fn from(e: WireError) -> Self {
        Self::Wire(e)
    }
}

impl From<Spent> for Fault {
    fn from(_: Spent) -> Self {
        Self::Spent
    }
}

#[derive(Debug)]
struct Series<'a> {
    labels: RawLabels<'a>,
    key: u128,
    floats: Range<usize>,
    histograms: Range<usize>,
    exemplars: Range<usize>,
}

/// A request's content.
#[derive(Debug)]
pub struct Decoded<'a> {
    series: Vec<Series<'a>>,
    buffers: &'a Buffers,
    /// Series skipped because their labels are none that may be stored.
    pub invalid_series: usize,
    /// Exemplars skipped for the same reason.
    pub invalid_exemplars: usize,
    /// Metadata entries, which are not stored.
    pub metadata: usize,
}

impl Decoded<'_> {
    /// The series with points, for [`storage::PointAppender::append_points`]. Keys may repeat.
    #[must_use]
    pub fn points(&self) -> Vec<SeriesPoints<'_>> {
        let points = self.series.iter().map(|s| SeriesPoints {
            key: Some(s.key),
            labels: &s.labels,
            floats: &self.buffers.floats[s.floats.clone()],
            histograms: &self.buffers.histograms[s.histograms.clone()],
            exemplars: &self.buffers.exemplars[s.exemplars.clone()],
        });
        points.collect()
    }
}

/// When it is found out whether a series' labels may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelCheck {
    /// While decoding: series whose labels may not be stored are skipped and counted, those that are no message are an error.
    Now,
    /// Where a label set is asked for, which then fails with [`storage::ErrorKind::Corrupt`]: a store that knows the series does
    /// not ask, since the same bytes were sound before.
    WhenAsked,
}

/// Decodes a message (decompressed). What is decoded stands in `buffers`, whose content before is dropped.
///
/// # Errors
/// [`DecodeError`]; nothing of the request is then of use.
pub fn decode<'a>(
    body: &'a [u8],
    buffers: &'a mut Buffers,
    secret: &KeySecret,
    limits: &Limits,
    check: LabelCheck,
) -> Result<Decoded<'a>, DecodeError> {
    buffers.clear();
    let mut decoder = Decoder {
        check,
        series: Vec::with_capacity(buffers.series),
        buffers,
        secret,
        budget: Budget::new(limits.decoded_bytes),
        invalid_series: 0,
        invalid_exemplars: 0,
    };
    let mut metadata = 0;
    let mut ordinal = 0;
    let mut request = Reader::new(body);
    let outcome = loop {
        let step = request.tag().and_then(|tag| tag.map(|tag| Ok((tag, request.bytes_of(tag)?))).transpose());
        // Fields of other types than bytes are unknown ones: read again, skipping.
        match step {
            Ok(None) => break Ok(()),
            Ok(Some((tag, bytes))) if tag.field == 1 => {
                ordinal += 1;
                if let Err(fault) = decoder.series(bytes) {
                    break Err(fault);
                }
            }
            Ok(Some((tag, _))) => metadata += usize::from(tag.field == 3),
            Err(WireError::Mismatch { field, found }) if !matches!(field, 1 | 3) => {
                if let Err(e) = request.skip(crate::wire::Tag { field, wire: found }) {
                    break Err(e.into());
                }
            }
            Err(e) => break Err(e.into()),
        }
    };
    outcome.map_err(|fault| match fault {
        Fault::Wire(e) => DecodeError::Malformed { series: ordinal, what: e.to_string() },
        Fault::Histogram(text) => DecodeError::Histogram(text),
        Fault::Spent => DecodeError::TooLarge(limits.decoded_bytes),
    })?;
    let Decoder { series, buffers, invalid_series, invalid_exemplars, .. } = decoder;
    buffers.series = series.len();
    Ok(Decoded { series, buffers, invalid_series, invalid_exemplars, metadata })
}

struct Decoder<'a, 's> {
    check: LabelCheck,
    series: Vec<Series<'a>>,
    buffers: &'a mut Buffers,
    secret: &'s KeySecret,
    budget: Budget,
    invalid_series: usize,
    invalid_exemplars: usize,
}

impl<'a> Decoder<'a, '_> {
    /// One `TimeSeries`.
    fn series(&mut self, bytes: &'a [u8]) -> Result<(), Fault> {
        let before = (self.buffers.floats.len(), self.buffers.histograms.len(), self.buffers.exemplars.len());
        let (run, rest) = bytes.split_at(labels::extent(bytes)?);
        let mut raw = Cow::Borrowed(run);
        let mut reader = Reader::new(rest);
        while let Some(tag) = reader.tag()? {
            match tag.field {
                1 => {
                    // Labels after samples: nobody writes it, the format allows it.
                    let label = reader.bytes_of(tag)?;
                    self.budget.take(label.len() + 11)?;
                    let owned = raw.to_mut();
                    owned.push(LABEL_TAG);
                    put_varint(owned, label.len() as u64);
                    owned.extend_from_slice(label);
                }
                2 => {
                    self.budget.take(size_of::<(TimestampMs, f64)>())?;
                    self.buffers.floats.push(sample(reader.bytes_of(tag)?)?);
                }
                3 => self.exemplar(reader.bytes_of(tag)?)?,
                4 => {
                    let one = histogram::decode(reader.bytes_of(tag)?, &mut self.budget)?;
                    self.buffers.histograms.push(one);
                }
                _ => reader.skip(tag)?,
            }
        }
        let buffers = &mut *self.buffers;
        let empty = before == (buffers.floats.len(), buffers.histograms.len(), buffers.exemplars.len());
        // Nobody will ask for the labels of a series without points.
        if (empty || self.check == LabelCheck::Now) && labels::scan(&raw)?.1 == Verdict::Invalid {
            self.invalid_series += 1;
            buffers.floats.truncate(before.0);
            buffers.histograms.truncate(before.1);
            buffers.exemplars.truncate(before.2);
            return Ok(());
        }
        if empty {
            return Ok(());
        }
        self.budget.take(size_of::<Series<'_>>() + size_of::<SeriesPoints<'_>>())?;
        self.series.push(Series {
            key: xxh3_128_with_secret(&raw, &self.secret.0),
            labels: RawLabels(raw),
            floats: before.0..buffers.floats.len(),
            histograms: before.1..buffers.histograms.len(),
            exemplars: before.2..buffers.exemplars.len(),
        });
        Ok(())
    }

    fn exemplar(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let (run, _) = labels::scan(bytes)?;
        let mut raw = Cow::Borrowed(&bytes[..run]);
        let (mut value, mut ts) = (0.0, 0);
        let mut reader = Reader::new(&bytes[run..]);
        while let Some(tag) = reader.tag()? {
            match tag.field {
                1 => {
                    let label = reader.bytes_of(tag)?;
                    raw.to_mut().push(LABEL_TAG);
                    put_varint(raw.to_mut(), label.len() as u64);
                    raw.to_mut().extend_from_slice(label);
                }
                2 => value = reader.double_of(tag)?,
                3 => ts = reader.varint_of(tag)? as i64,
                _ => reader.skip(tag)?,
            }
        }
        self.budget.take(size_of::<Exemplar>() + raw.len() + 32)?;
        match labels::build(&raw)? {
            // As upstream: the timestamp 0 is none.
            Some(labels) => {
                self.buffers.exemplars.push(Exemplar { labels, value, ts: (ts != 0).then_some(ts) });
            }
            None => self.invalid_exemplars += 1,
        }
        Ok(())
    }
}

/// One `Sample`.
#[inline]
fn sample(bytes: &[u8]) -> Result<(TimestampMs, f64), WireError> {
    let (mut value, mut ts) = (0.0, 0);
    let mut reader = Reader::new(bytes);
    while let Some(tag) = reader.tag()? {
        match tag.field {
            1 => value = reader.double_of(tag)?,
            2 => ts = reader.varint_of(tag)? as i64,
            _ => reader.skip(tag)?,
        }
    }
    Ok((ts, value))
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// For fuzzing: whatever the bytes are, decoding ends without a panic and within [`Limits::decoded_bytes`], and what it hands
/// to a store can be asked for.
///
/// # Panics
/// When that is not so.
pub fn fuzz_decode(bytes: &[u8]) {
    let limits = Limits { decoded_bytes: 1 << 20, ..Limits::default() };
    let (mut buffers, secret) = (Buffers::default(), KeySecret::new([7; 192]));
    if let Ok(decoded) = decode(bytes, &mut buffers, &secret, &limits, LabelCheck::WhenAsked) {
        for point in decoded.points() {
            let _ = point.labels.label_set();
        }
    }
    let Ok(decoded) = decode(bytes, &mut buffers, &secret, &limits, LabelCheck::Now) else { return };
    for point in decoded.points() {
        let labels = point.labels.label_set().expect("labels were checked when decoded");
        assert!(!labels.metric_name().is_empty(), "a series without a name was kept");
        assert!(point.floats.len() + point.histograms.len() + point.exemplars.len() > 0, "nothing to append");
    }
}
