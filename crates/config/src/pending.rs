//! Keys that are read and checked, and that nothing acts on yet: each use is a warning that names the key.

use crate::yaml::{Context, Place};

/// (section, key, what it means for the user).
const PENDING: &[(&str, &str, &str)] = &[
    ("config.Config", "remote_write", "samples are not sent anywhere"),
    ("config.Config", "remote_read", "queries read the local store only"),
    ("config.Config", "tracing", "no traces are sent"),
    ("config.Config", "otlp", "there is no OTLP receiver yet"),
    ("config.Config", "runtime", "there is no garbage collector to tune"),
    ("config.GlobalConfig", "scrape_native_histograms", "native histograms are not stored yet"),
    ("config.GlobalConfig", "convert_classic_histograms_to_nhcb", "native histograms are not stored yet"),
    ("config.GlobalConfig", "always_scrape_classic_histograms", "classic histograms are always stored"),
    ("config.ScrapeConfig", "scrape_native_histograms", "native histograms are not stored yet"),
    ("config.ScrapeConfig", "convert_classic_histograms_to_nhcb", "native histograms are not stored yet"),
    ("config.ScrapeConfig", "always_scrape_classic_histograms", "classic histograms are always stored"),
    ("config.ScrapeConfig", "native_histogram_bucket_limit", "native histograms are not stored yet"),
    ("config.ScrapeConfig", "native_histogram_min_bucket_factor", "native histograms are not stored yet"),
    ("config.AlertmanagerConfig", "sigv4", "requests are not signed"),
    ("config.TSDBConfig", "stale_series_compaction_threshold", "stale series are compacted with the others"),
    ("config.TSDBConfig", "chunk_encoding", "the store has its own encoding"),
];

/// Warns when `key` of `section` is one of the keys above, or a service discovery.
pub(crate) fn note(section: &str, key: &str, place: Place, cx: &mut Context<'_>) {
    let why = PENDING.iter().find(|(s, k, _)| *s == section && *k == key).map(|(_, _, why)| *why);
    let why = match why {
        Some(why) => why,
        None if key.ends_with("_sd_configs") => "this discovery finds no targets yet; static_configs do",
        None => return,
    };
    cx.warn(place, format!("{key} is accepted but not acted on yet: {why}"));
}
