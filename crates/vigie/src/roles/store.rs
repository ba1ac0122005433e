//! What the store is opened with: the flags and the `storage` block of the configuration, as upstream joins them.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use config::{ByteSize, Config};

use super::Clock;
use crate::Failure;
use crate::flags::Parsed;

/// Upstream's default retention.
const DEFAULT_RETENTION: Duration = Duration::from_secs(15 * 24 * 3600);

/// How late samples may be where the configuration says nothing. Upstream's default is 0: it takes none.
const DEFAULT_OUT_OF_ORDER_WINDOW: Duration = Duration::from_secs(30 * 60);

/// Upstream's default number of exemplars.
const DEFAULT_MAX_EXEMPLARS: i64 = 100_000;

/// The store's flags.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoreFlags {
    retention_time: Option<Duration>,
    retention_size: Option<u64>,
    block_span_ms: i64,
    max_block_span_ms: Option<i64>,
    segment_bytes: Option<u64>,
    samples_per_chunk: usize,
    sync_interval_ms: i64,
}

/// What is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Retention {
    /// How long, `None` without a bound.
    pub(crate) time_ms: Option<i64>,
    /// How much, `None` without a bound.
    pub(crate) bytes: Option<u64>,
    /// The share of the disk that `bytes` was computed from, in percent.
    percentage: f64,
}

/// The part of the store's settings that stands in the configuration file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct StoreConfig {
    pub(crate) retention: Retention,
    out_of_order_window_ms: i64,
    max_exemplars: usize,
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl StoreFlags {
    /// Reads and checks them.
    pub(crate) fn read(flags: &Parsed) -> Result<Self, Failure> {
        let duration = |name: &str| match flags.get(name) {
            "" => Ok(None),
            _ => flags.duration(name).map(Some),
        };
        let size = |name: &str| match flags.get(name) {
            "" => Ok(None),
            text => ByteSize::parse(text)
                .map(|size| Some(size.0))
                .map_err(|e| Failure::new(format!("--{name}: {e}; write it as 512MB or 10GB"))),
        };
        let retention_time = match duration("storage.tsdb.retention.time")? {
            None => duration("storage.tsdb.retention")?,
            given => given,
        };
        let segment_bytes = size("storage.tsdb.wal-segment-size")?.filter(|&b| b > 0);
        if segment_bytes.is_some_and(|b| !(10 << 20..=256 << 20).contains(&b)) {
            return Err(Failure::new(
                "flag 'storage.tsdb.wal-segment-size' must be set between 10MB and 256MB",
            ));
        }
        let block_span = flags.duration("storage.tsdb.min-block-duration")?;
        let max_block_span = duration("storage.tsdb.max-block-duration")?.filter(|d| !d.is_zero());
        if block_span < Duration::from_secs(1) || max_block_span.is_some_and(|max| max < block_span) {
            return Err(Failure::new(
                "--storage.tsdb.min-block-duration: expected 1s at least and at most --storage.tsdb.max-block-duration",
            ));
        }
        let samples_per_chunk = flags.number("storage.tsdb.samples-per-chunk")?;
        if !(1..=tsdb::MAX_CHUNK_ROWS).contains(&samples_per_chunk) {
            return Err(Failure::new(format!(
                "--storage.tsdb.samples-per-chunk: expected 1 to {}, found {samples_per_chunk}",
                tsdb::MAX_CHUNK_ROWS
            )));
        }
        Ok(Self {
            retention_time: retention_time.filter(|d| !d.is_zero()),
            retention_size: size("storage.tsdb.retention.size")?.filter(|&b| b > 0),
            block_span_ms: ms(block_span),
            max_block_span_ms: max_block_span.map(ms),
            segment_bytes,
            samples_per_chunk,
            sync_interval_ms: ms(flags.duration("storage.vigie.sync-interval")?),
        })
    }

    /// How long written bytes may wait for an fsync; 0 for not at all.
    pub(crate) fn sync_interval_ms(&self) -> i64 {
        self.sync_interval_ms
    }

    /// The settings of a store that also obeys `config`.
    pub(crate) fn options(&self, config: &StoreConfig, clock: Clock) -> tsdb::StoreOptions {
        let defaults = tsdb::StoreOptions::default();
        tsdb::StoreOptions {
            sync_interval_ms: self.sync_interval_ms,
            segment_bytes: self.segment_bytes.unwrap_or(defaults.segment_bytes),
            seal_samples: self.samples_per_chunk,
            chunk_file_span_ms: defaults.chunk_file_span_ms.min(self.block_span_ms),
            block_span_ms: self.block_span_ms,
            max_block_span_ms: self.max_block_span_ms,
            retention_ms: config.retention.time_ms,
            retention_bytes: config.retention.bytes,
            out_of_order_window_ms: config.out_of_order_window_ms,
            max_exemplars: config.max_exemplars,
            clock,
            ..defaults
        }
    }
}

impl StoreConfig {
    /// What `config` says, or else the flags, or else the defaults. `path` is on the disk of which a percentage may be kept.
    pub(crate) fn resolve(config: &Config, flags: &StoreFlags, path: &Path) -> Result<Self, Failure> {
        let tsdb = config.storage.tsdb.clone().unwrap_or_default();
        let given = tsdb.retention.unwrap_or_default();
        let by_default = match (flags.retention_time, flags.retention_size) {
            (None, None) => Some(DEFAULT_RETENTION),
            (time, _) => time,
        };
        let time = given.time.or(by_default).filter(|d| !d.is_zero());
        let mut bytes = given.size.map(|size| size.0).or(flags.retention_size).filter(|&b| b > 0);
        if given.percentage > 0.0 {
            if bytes.is_some() {
                tracing::warn!(
                    "storage.tsdb.retention.size is ignored, because storage.tsdb.retention.percentage is specified"
                );
            }
            bytes = Some((capacity(path, given.percentage)? as f64 * given.percentage / 100.0) as u64);
        }
        let exemplars = config.storage.exemplars.as_ref().map_or(DEFAULT_MAX_EXEMPLARS, |e| e.max_exemplars);
        Ok(Self {
            retention: Retention { time_ms: time.map(ms), bytes, percentage: given.percentage },
            out_of_order_window_ms: ms(tsdb.out_of_order_time_window.unwrap_or(DEFAULT_OUT_OF_ORDER_WINDOW)),
            max_exemplars: usize::try_from(exemplars).unwrap_or(0),
        })
    }

    /// The names of the settings in which `next` differs: they are in force from the next start on.
    pub(crate) fn changed_in(&self, next: &Self) -> Vec<&'static str> {
        let changed = [
            ("storage.tsdb.retention", self.retention != next.retention),
            (
                "storage.tsdb.out_of_order_time_window",
                self.out_of_order_window_ms != next.out_of_order_window_ms,
            ),
            ("storage.exemplars.max_exemplars", self.max_exemplars != next.max_exemplars),
        ];
        changed.into_iter().filter_map(|(name, changed)| changed.then_some(name)).collect()
    }
}

impl Retention {
    /// `15d or 512MiB or 80%`, as `/api/v1/status/runtimeinfo` shows it.
    pub(crate) fn text(&self) -> String {
        let mut parts = Vec::new();
        if let Some(time_ms) = self.time_ms {
            let time = Duration::from_millis(u64::try_from(time_ms).unwrap_or(0));
            parts.push(model::duration::format(time));
        }
        if self.percentage > 0.0 {
            parts.push(format!("{}%", self.percentage));
        } else if let Some(bytes) = self.bytes {
            parts.push(ByteSize(bytes).to_string());
        }
        let mut text = String::new();
        for (i, part) in parts.iter().enumerate() {
            let or = if i > 0 { " or " } else { "" };
            write!(text, "{or}{part}").expect("a String takes all");
        }
        text
    }
}

/// Bytes of the file system that holds `path`, or its nearest parent that exists.
fn capacity(path: &Path, percentage: f64) -> Result<u64, Failure> {
    let of = |path: &Path| rustix::fs::statvfs(path).ok().map(|s| s.f_blocks.saturating_mul(s.f_frsize));
    path.ancestors()
        .map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p })
        .find_map(of)
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| {
            Failure::new(format!(
                "unable to detect total capacity of metric storage at {}, please disable retention percentage ({percentage}%)",
                path.display()
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Outcome;
    use crate::flags::prometheus::COMMAND;

    fn flags(line: &str) -> Result<StoreFlags, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let Ok(Outcome::Run(parsed)) = COMMAND.parse(&args) else { panic!("{line}") };
        StoreFlags::read(&parsed).map_err(|f| f.message)
    }

    fn resolve(line: &str, yaml: &str) -> StoreConfig {
        let config = config::load_str(yaml, Path::new("prometheus.yml")).unwrap().value;
        StoreConfig::resolve(&config, &flags(line).unwrap(), Path::new(".")).unwrap()
    }

    #[test]
    fn retention_comes_from_the_file_then_the_flags_then_the_default() {
        const TIME: &str = "--storage.tsdb.retention.time=3d";
        const SIZE: &str = "--storage.tsdb.retention.size=1GB";
        for (line, retention, text) in [
            ("", "", "15d"),
            (TIME, "", "3d"),
            ("--storage.tsdb.retention=4d", "", "4d"),
            (SIZE, "", "1GiB"),
            (&*format!("{TIME} {SIZE}"), "", "3d or 1GiB"),
            (TIME, "time: 7d", "1w"),
            (TIME, "size: 512MB", "3d or 512MiB"),
            ("", "size: 512MB", "15d or 512MiB"),
            (SIZE, "time: 0s", "1GiB"),
            ("", "time: 0s", ""),
            (SIZE, "percentage: 80", "80%"),
        ] {
            let yaml = if retention.is_empty() {
                String::new()
            } else {
                format!("storage:\n  tsdb:\n    retention:\n      {retention}\n")
            };
            assert_eq!(resolve(line, &yaml).retention.text(), text, "{line} {retention}");
        }
        assert!(
            resolve("", "storage: {tsdb: {retention: {percentage: 50}}}").retention.bytes > Some(1 << 20)
        );
    }

    #[test]
    fn late_samples_and_exemplars() {
        let defaults = resolve("", "");
        assert_eq!((defaults.out_of_order_window_ms, defaults.max_exemplars), (1_800_000, 100_000));
        let given =
            resolve("", "storage: {tsdb: {out_of_order_time_window: 0s}, exemplars: {max_exemplars: 5}}");
        assert_eq!((given.out_of_order_window_ms, given.max_exemplars), (0, 5));
        assert_eq!(
            defaults.changed_in(&given),
            ["storage.tsdb.out_of_order_time_window", "storage.exemplars.max_exemplars"]
        );
    }

    #[test]
    fn flags_become_options() {
        let line = "--storage.tsdb.min-block-duration=10m --storage.tsdb.max-block-duration=1h \
                    --storage.tsdb.wal-segment-size=10MB --storage.tsdb.samples-per-chunk=240 --storage.vigie.sync-interval=0s";
        let clock: Clock = std::sync::Arc::new(|| 0);
        let options = flags(line).unwrap().options(&resolve("", ""), clock);
        assert_eq!((options.block_span_ms, options.max_block_span_ms), (600_000, Some(3_600_000)));
        assert_eq!(
            (options.segment_bytes, options.seal_samples, options.sync_interval_ms),
            (10 << 20, 240, 0)
        );
        assert_eq!(options.retention_ms, Some(15 * 86_400_000));
        for (line, error) in [
            (
                "--storage.tsdb.wal-segment-size=1MB",
                "flag 'storage.tsdb.wal-segment-size' must be set between",
            ),
            ("--storage.tsdb.samples-per-chunk=0", "--storage.tsdb.samples-per-chunk: expected 1 to"),
            ("--storage.tsdb.retention.size=5", "--storage.tsdb.retention.size: units: "),
            ("--storage.tsdb.min-block-duration=0s", "--storage.tsdb.min-block-duration: expected 1s"),
        ] {
            let got = flags(line).unwrap_err();
            assert!(got.starts_with(error), "{line}: {got}");
        }
    }
}
