//! From a request's body to an answer.

use std::sync::Arc;

use parking_lot::Mutex;
use storage::{Error, ErrorKind, PointAppender, PointsReport, Refusal, RefusalKind, Refusals};
use telemetry::{Counter, CounterVec, Registry};

use super::decode::{Buffers, DecodeError, KeySecret, LabelCheck, decode};
use super::{Limit, Limits, media};

/// Decompressed bytes a pooled buffer may keep.
const KEPT_BODY_BYTES: usize = 1 << 20;

/// A decompressed body of this length at most is quickly taken: two thousand series of one sample, or twenty thousand samples.
const QUICK_BYTES: usize = 512 << 10;

/// A request that was not taken: the answer's status and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The HTTP status: 400, 413, 415 or 500.
    pub status: u16,
    /// The body, in upstream's words where it has some.
    pub message: String,
}

impl Rejection {
    fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

/// Takes remote write requests and hands them to a store. Shared between threads.
pub struct Receiver {
    store: Arc<dyn PointAppender>,
    secret: KeySecret,
    limits: Limits,
    pool: Mutex<Vec<Pooled>>,
    metrics: Metrics,
}

#[derive(Default)]
struct Pooled {
    body: Vec<u8>,
    buffers: Buffers,
}

/// What of a message is not appended.
struct LeftOut {
    invalid_series: usize,
    invalid_exemplars: usize,
    metadata: usize,
}

struct Metrics {
    invalid_labels: Counter,
    samples: Counter,
    histograms: Counter,
    exemplars: Counter,
    exemplars_refused: Counter,
    metadata_skipped: Counter,
    refused: CounterVec,
    limited: CounterVec,
}

impl Receiver {
    /// A receiver that writes to `store`. `random` becomes the [`KeySecret`]; give each process its own.
    #[must_use]
    pub fn new(
        store: Arc<dyn PointAppender>,
        random: [u8; 192],
        limits: Limits,
        registry: &Registry,
    ) -> Self {
        let one = |name: &str, help: &str| registry.counter(name, help, &[]).with(&[]);
        let values = registry.gauge(
            "vigie_limit",
            "Values of limits, in the unit the limit's name ends with.",
            &["limit"],
        );
        for limit in Limit::ALL {
            values.with(&[limit.name()]).set(limit.value(&limits));
        }
        let metrics = Metrics {
            invalid_labels: one(
                "prometheus_api_remote_write_invalid_labels_samples_total",
                "The total number of received remote write samples and histogram samples which were rejected due to invalid labels.",
            ),
            samples: one(
                "vigie_remote_write_received_samples_total",
                "Samples received by remote write and stored.",
            ),
            histograms: one(
                "vigie_remote_write_received_histograms_total",
                "Native histograms received by remote write and stored.",
            ),
            exemplars: one(
                "vigie_remote_write_received_exemplars_total",
                "Exemplars received by remote write and stored.",
            ),
            exemplars_refused: one(
                "vigie_remote_write_refused_exemplars_total",
                "Exemplars received by remote write and not stored.",
            ),
            metadata_skipped: one(
                "vigie_remote_write_skipped_metadata_total",
                "Metadata entries received by remote write, which are not stored.",
            ),
            refused: registry.counter(
                "vigie_remote_write_refused_samples_total",
                "Samples for which a remote write request was refused, by reason.",
                &["reason"],
            ),
            limited: registry.counter(
                "vigie_limit_hits_total",
                "How often a limit was met: something was refused or had to wait.",
                &["limit"],
            ),
        };
        Self { store, secret: KeySecret::new(random), limits, pool: Mutex::default(), metrics }
    }

    /// The limits, those that the transport has to keep among them.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Counts that a limit was met.
    pub fn note_limit(&self, limit: Limit) {
        self.metrics.limited.with(&[limit.name()]).inc();
    }

    /// Judges a request by its headers (`""` for an absent one), before its body is read.
    ///
    /// # Errors
    /// A [`Rejection`] with status 415.
    pub fn check_headers(&self, content_type: &str, content_encoding: &str) -> Result<(), Rejection> {
        media::check(content_type, content_encoding).map_err(|text| Rejection::new(415, text))
    }

    /// The rejection of a body that is too long.
    #[must_use]
    pub fn too_long(&self) -> Rejection {
        self.note_limit(Limit::BodyBytes);
        let most = self.limits.body_bytes;
        Rejection::new(413, format!("the body is larger than {most} bytes; send smaller requests"))
    }

    /// Whether [`Receiver::receive`] takes no more than about a millisecond for this body, most likely: it is small and the
    /// store has no reason to wait. Then a thread that serves others too may call it, which spares two changes of thread; those
    /// cost as much as some hundred samples.
    #[must_use]
    pub fn is_quick(&self, body: &[u8]) -> bool {
        body.len() <= QUICK_BYTES
            && snap::raw::decompress_len(body).is_ok_and(|len| len <= QUICK_BYTES)
            && !self.store.may_wait()
    }

    /// Decodes a body and appends all of it or nothing. Blocks.
    ///
    /// # Errors
    /// What to answer: 413 for what is too large, 400 for what is corrupt or what the store refuses, 500 for a store that
    /// cannot write.
    pub fn receive(&self, body: &[u8]) -> Result<PointsReport, Rejection> {
        if body.len() > self.limits.body_bytes {
            return Err(self.too_long());
        }
        let mut pooled = self.pool.lock().pop().unwrap_or_default();
        let outcome = self.receive_with(body, &mut pooled);
        // Not cleared: bytes that are overwritten anyway need not be zeroed first.
        pooled.body.truncate(KEPT_BODY_BYTES);
        pooled.body.shrink_to(KEPT_BODY_BYTES);
        let mut pool = self.pool.lock();
        if pool.len() < self.limits.concurrent_appends {
            pool.push(pooled);
        }
        outcome
    }

    fn receive_with(&self, body: &[u8], pooled: &mut Pooled) -> Result<PointsReport, Rejection> {
        let len = self.decompress(body, &mut pooled.body)?;
        let message = &pooled.body[..len];
        let (decoded, appended) = self.append(message, &mut pooled.buffers, LabelCheck::WhenAsked)?;
        let (decoded, appended) = match appended {
            // Labels of a new series are not sound: once more, saying which ones or leaving them out.
            Err(e) if e.kind() == ErrorKind::Corrupt => {
                self.append(message, &mut pooled.buffers, LabelCheck::Now)?
            }
            other => (decoded, other),
        };
        let m = &self.metrics;
        for (counter, n) in [
            (&m.invalid_labels, decoded.invalid_series),
            (&m.exemplars_refused, decoded.invalid_exemplars),
            (&m.metadata_skipped, decoded.metadata),
        ] {
            if n > 0 {
                counter.add(n as f64);
            }
        }
        let report = appended.map_err(|e| Rejection::new(status_of(e.kind()), e.to_string()))?;
        if let Some(refusal) = &report.first {
            for (kind, n) in KINDS.iter().zip(report.refused).filter(|(_, n)| *n > 0) {
                m.refused.with(&[reason(*kind)]).add(n as f64);
            }
            return Err(Rejection::new(400, refusal_text(refusal)));
        }
        m.samples.add(report.floats as f64);
        if report.histograms > 0 {
            m.histograms.add(report.histograms as f64);
        }
        if report.exemplars + report.refused_exemplars > 0 {
            m.exemplars.add(report.exemplars as f64);
            m.exemplars_refused.add(report.refused_exemplars as f64);
        }
        Ok(report)
    }

    /// Decodes a message and appends it. What was left out, and what the store says.
    fn append(
        &self,
        message: &[u8],
        buffers: &mut Buffers,
        check: LabelCheck,
    ) -> Result<(LeftOut, Result<PointsReport, Error>), Rejection> {
        let decoded = decode(message, buffers, &self.secret, &self.limits, check).map_err(|e| match e {
            DecodeError::TooLarge(_) => {
                self.note_limit(Limit::DecodedBytes);
                Rejection::new(413, e.to_string())
            }
            DecodeError::Histogram(text) => {
                self.metrics.refused.with(&[reason(RefusalKind::InvalidHistogram)]).inc();
                Rejection::new(400, text)
            }
            DecodeError::Malformed { .. } => Rejection::new(400, e.to_string()),
        })?;
        let points = decoded.points();
        let appended = if points.is_empty() {
            Ok(PointsReport::default())
        } else {
            self.store.append_points(&points, Refusals::FailBatch)
        };
        let left_out = LeftOut {
            invalid_series: decoded.invalid_series,
            invalid_exemplars: decoded.invalid_exemplars,
            metadata: decoded.metadata,
        };
        Ok((left_out, appended))
    }

    /// Snappy's block format; the length it claims is checked before memory is taken.
    /// `out` is grown as needed; gives how many of its bytes are the message.
    fn decompress(&self, body: &[u8], out: &mut Vec<u8>) -> Result<usize, Rejection> {
        let corrupt = |e: snap::Error| Rejection::new(400, format!("snappy: corrupt input: {e}"));
        let len = snap::raw::decompress_len(body).map_err(corrupt)?;
        let most = self.limits.decompressed_bytes;
        if len > most {
            self.note_limit(Limit::DecompressedBytes);
            let text = format!(
                "the body is {len} bytes long once decompressed, more than {most}; send smaller requests"
            );
            return Err(Rejection::new(400, text));
        }
        // A copy element is two bytes long at least and gives 64 at most, so an honest length is at most 32 times the body's;
        // no memory is taken for others.
        if len / 64 > body.len() {
            return Err(Rejection::new(400, "snappy: corrupt input: the length it claims cannot be reached"));
        }
        if out.len() < len {
            out.resize(len, 0);
        }
        snap::raw::Decoder::new().decompress(body, &mut out[..len]).map_err(corrupt)
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// In the order of [`PointsReport::refused`].
const KINDS: [RefusalKind; 5] = [
    RefusalKind::OutOfOrder,
    RefusalKind::TooOld,
    RefusalKind::Duplicate,
    RefusalKind::OutOfBounds,
    RefusalKind::InvalidHistogram,
];

fn reason(kind: RefusalKind) -> &'static str {
    match kind {
        RefusalKind::OutOfOrder => "out_of_order",
        RefusalKind::TooOld => "too_old",
        RefusalKind::Duplicate => "duplicate",
        RefusalKind::OutOfBounds => "out_of_bounds",
        RefusalKind::InvalidHistogram => "invalid_histogram",
    }
}

/// Upstream's text, then which sample it was.
fn refusal_text(refusal: &Refusal) -> String {
    let Refusal { kind, labels, ts } = refusal;
    let text = match kind {
        RefusalKind::OutOfOrder => "out of order sample".to_owned(),
        RefusalKind::TooOld => "too old sample".to_owned(),
        RefusalKind::Duplicate => format!("duplicate sample for timestamp {ts}; overrides not allowed"),
        RefusalKind::OutOfBounds => "out of bounds".to_owned(),
        RefusalKind::InvalidHistogram => "histogram contradicts itself".to_owned(),
    };
    format!("{text}: series {labels}, timestamp {ts}")
}

/// A sender drops what gets a 4xx and sends again what gets a 5xx.
fn status_of(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::OutOfOrder | ErrorKind::Duplicate => 400,
        _ => 500,
    }
}
