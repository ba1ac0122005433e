//! What bounds the receiver. Each limit has a name, a default and metrics.

/// The limits and their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body as it is sent. Upstream's bound of the protocol.
    pub body_bytes: usize,
    /// Bytes of a body once decompressed.
    pub decompressed_bytes: usize,
    /// Bytes of memory that the series, samples, histograms and exemplars of one request take once decoded.
    pub decoded_bytes: usize,
    /// Bodies in memory at once, in bytes; requests beyond wait.
    pub in_flight_bytes: usize,
    /// Requests decoded and appended at once; more wait.
    pub concurrent_appends: usize,
    /// How long a body may take to arrive, in milliseconds.
    pub body_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            body_bytes: 32 << 20,
            decompressed_bytes: 32 << 20,
            decoded_bytes: 256 << 20,
            in_flight_bytes: 128 << 20,
            concurrent_appends: 2 * cores,
            body_timeout_ms: 30_000,
        }
    }
}

/// A limit's name in metrics and messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::body_bytes`]
    BodyBytes,
    /// [`Limits::decompressed_bytes`]
    DecompressedBytes,
    /// [`Limits::decoded_bytes`]
    DecodedBytes,
    /// [`Limits::in_flight_bytes`]
    InFlightBytes,
    /// [`Limits::concurrent_appends`]
    ConcurrentAppends,
    /// [`Limits::body_timeout_ms`]
    BodyTimeout,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::BodyBytes,
        Self::DecompressedBytes,
        Self::DecodedBytes,
        Self::InFlightBytes,
        Self::ConcurrentAppends,
        Self::BodyTimeout,
    ];

    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BodyBytes => "remote_write_body_bytes",
            Self::DecompressedBytes => "remote_write_decompressed_bytes",
            Self::DecodedBytes => "remote_write_decoded_bytes",
            Self::InFlightBytes => "remote_write_in_flight_bytes",
            Self::ConcurrentAppends => "remote_write_concurrent_appends",
            Self::BodyTimeout => "remote_write_body_timeout_seconds",
        }
    }

    /// Its value, in the unit its name ends with.
    #[must_use]
    pub fn value(self, limits: &Limits) -> f64 {
        match self {
            Self::BodyBytes => limits.body_bytes as f64,
            Self::DecompressedBytes => limits.decompressed_bytes as f64,
            Self::DecodedBytes => limits.decoded_bytes as f64,
            Self::InFlightBytes => limits.in_flight_bytes as f64,
            Self::ConcurrentAppends => limits.concurrent_appends as f64,
            Self::BodyTimeout => limits.body_timeout_ms as f64 / 1000.0,
        }
    }
}
