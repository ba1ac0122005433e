//! Chunks: the compressed samples of one series over a short time.
//!
//! Layout of the data after the encoding byte (`tsdb/chunkenc`): XOR chunks have the number of samples as a big-endian `u16`, then the
//! bit stream; histogram chunks the same with a byte between whose two high bits tell of counter resets.

mod decode_histogram;
mod encode_histogram;
mod layout;
mod xor;

use model::Histogram;

use crate::{Error, ErrorKind};

/// Samples of one series: both lists ascend by time, and no time is in both.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// Plain samples, staleness markers among them.
    pub floats: Vec<(i64, f64)>,
    /// Native histograms, integer and float ones.
    pub histograms: Vec<(i64, Histogram)>,
}

impl Samples {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }
}

/// How a chunk's samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// Floats.
    Xor = 1,
    /// Integer histograms.
    Histogram = 2,
    /// Float histograms.
    FloatHistogram = 3,
}

impl Encoding {
    /// The encoding of a byte in front of a chunk's data.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for those newer than what is read here, [`ErrorKind::Corrupt`] for those that are none.
    pub fn from_byte(byte: u8) -> Result<Self, Error> {
        let newer = |name: &str| {
            Err(Error::new(
                ErrorKind::Unsupported,
                format!("chunk encoding {byte} ({name}) is not read by this version"),
            ))
        };
        match byte {
            1 => Ok(Self::Xor),
            2 => Ok(Self::Histogram),
            3 => Ok(Self::FloatHistogram),
            4 => newer("XOR2"),
            5 => newer("histogramST"),
            6 => newer("floathistogramST"),
            _ => Err(Error::corrupt(format!("chunk encoding {byte} is unknown"))),
        }
    }
}

/// A chunk ready to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// How.
    pub encoding: Encoding,
    /// Time of the first sample.
    pub mint: i64,
    /// Time of the last sample.
    pub maxt: i64,
    /// Samples in it.
    pub samples: u16,
    /// The data, without encoding, length and checksum.
    pub data: Vec<u8>,
}

/// The samples that a chunk of [`encode`] holds at most, as upstream's target.
pub const SAMPLES_PER_CHUNK: usize = 120;

/// Decodes a chunk's data and appends its samples to `out`.
///
/// # Errors
/// [`ErrorKind::Corrupt`] when the data ends early or contradicts itself; what was decoded before may be in `out`.
pub fn decode(encoding: Encoding, data: &[u8], out: &mut Samples) -> Result<(), Error> {
    match encoding {
        Encoding::Xor => xor::decode(data, &mut out.floats),
        Encoding::Histogram => {
            decode_histogram::decode(data, decode_histogram::Kind::Integer, &mut out.histograms)
        }
        Encoding::FloatHistogram => {
            decode_histogram::decode(data, decode_histogram::Kind::Float, &mut out.histograms)
        }
    }
}

/// The number of samples that a chunk's data claims to have.
#[must_use]
pub fn num_samples(data: &[u8]) -> u16 {
    data.first_chunk().map_or(0, |n| u16::from_be_bytes(*n))
}

/// Cuts samples into chunks in order of time; a chunk ends after [`SAMPLES_PER_CHUNK`] samples, where the kind of sample changes,
/// and for histograms where the buckets change or a counter was reset.
///
/// # Errors
/// [`ErrorKind::Misuse`] when times do not ascend.
pub fn encode(samples: &Samples) -> Result<Vec<Encoded>, Error> {
    let ascending = samples.floats.windows(2).all(|w| w[0].0 < w[1].0)
        && samples.histograms.windows(2).all(|w| w[0].0 < w[1].0);
    if !ascending {
        return Err(Error::new(ErrorKind::Misuse, "samples of a series must ascend by time, each time once"));
    }
    let mut out = Vec::new();
    let (mut floats, mut histograms) = (&samples.floats[..], &samples.histograms[..]);
    while !floats.is_empty() || !histograms.is_empty() {
        // A run of one kind reaches to the next sample of the other.
        let run = match histograms.first() {
            None => floats.len(),
            Some((next, _)) => floats.partition_point(|(ts, _)| ts < next),
        };
        if run > 0 {
            out.extend(floats[..run].chunks(SAMPLES_PER_CHUNK).map(xor::encode));
            floats = &floats[run..];
            continue;
        }
        let run = match floats.first() {
            None => histograms.len(),
            Some((next, _)) => histograms.partition_point(|(ts, _)| ts < next),
        };
        if run == 0 {
            return Err(Error::new(
                ErrorKind::Misuse,
                "a series has a float and a histogram at the same time",
            ));
        }
        encode_histogram::encode(&histograms[..run], &mut out);
        histograms = &histograms[run..];
    }
    Ok(out)
}

/// A chunk whose data ends early.
fn short(what: &str) -> Error {
    Error::corrupt(format!("{what} chunk ends early"))
}

#[cfg(test)]
mod tests;
