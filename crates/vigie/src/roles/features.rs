//! `--enable-feature`: which names are known, what each does here, and what `/api/v1/features` says of this process.

use promql::EngineOptions;
use web::api::Features;

/// What a name of `--enable-feature` does.
enum Effect {
    /// This, in the engine's options, and it is said in the log.
    Engine(fn(&mut EngineOptions), &'static str),
    /// Nothing, for this reason: upstream ignores it too, or it is always so here.
    NoOp(&'static str),
    /// Nothing yet.
    Later,
}

use Effect::{Engine, Later, NoOp};

const ALWAYS_ON: &str = "This option for --enable-feature is now permanently enabled and therefore a no-op.";

/// The names of upstream 3.14.
const KNOWN: &[(&str, Effect)] = &[
    (
        "auto-reload-config",
        NoOp("This option for --enable-feature is deprecated. Use --config.auto-reload instead."),
    ),
    ("concurrent-rule-eval", Later),
    ("created-timestamp-zero-ingestion", Later),
    (
        "delayed-compaction",
        NoOp("Blocks are merged one at a time, in a thread of their own: there is nothing to delay."),
    ),
    ("exemplar-storage", NoOp(ALWAYS_ON)),
    ("extra-scrape-metrics", Later),
    ("fast-startup", NoOp(ALWAYS_ON)),
    ("histograms-st-encoding", Later),
    ("memory-snapshot-on-shutdown", NoOp("Starting replays no log that a snapshot could spare.")),
    ("metadata-wal-records", Later),
    (
        "native-histograms",
        NoOp(
            "This option for --enable-feature is a no-op. To scrape native histograms, set the scrape_native_histograms scrape config setting to true.",
        ),
    ),
    ("old-ui", NoOp("There is one user interface only.")),
    ("ooo-native-histograms", NoOp(ALWAYS_ON)),
    ("otlp-deltatocumulative", Later),
    ("otlp-native-delta-ingestion", Later),
    (
        "promql-binop-fill-modifiers",
        Engine(
            |o| o.parser.binop_fill_modifiers = true,
            "Experimental PromQL binary operator fill modifiers enabled.",
        ),
    ),
    (
        "promql-delayed-name-removal",
        Engine(|o| o.delayed_name_removal = true, "Experimental PromQL delayed name removal enabled."),
    ),
    ("promql-duration-expr", NoOp(ALWAYS_ON)),
    (
        "promql-experimental-functions",
        Engine(|o| o.parser.experimental_functions = true, "Experimental PromQL functions enabled."),
    ),
    (
        "promql-extended-range-selectors",
        Engine(
            |o| o.parser.extended_range_selectors = true,
            "Experimental PromQL extended range selectors enabled.",
        ),
    ),
    (
        "promql-per-step-stats",
        Engine(|o| o.per_step_stats = true, "Experimental per-step statistics reporting"),
    ),
    ("search-api", Later),
    ("st-storage", Later),
    ("st-synthesis", Later),
    (
        "type-and-unit-labels",
        Engine(
            |o| o.type_and_unit_labels = true,
            "Experimental type and unit labels enabled in queries; scrapes do not add them yet",
        ),
    ),
    (
        "use-start-timestamps",
        Engine(
            |o| o.use_start_timestamps = true,
            "Experimental usage of start timestamps in PromQL engine is enabled; scrapes do not store them yet",
        ),
    ),
    ("use-uncached-io", NoOp("The store decides by itself what it keeps in the page cache.")),
    ("xor2-encoding", NoOp("The store has its own encoding.")),
];

/// Puts the features named in force, as far as they concern the engine; the others are remarked on.
pub(crate) fn enable<'a>(names: impl IntoIterator<Item = &'a str>, options: &mut EngineOptions) {
    for name in names {
        match KNOWN.iter().find(|(known, _)| *known == name) {
            Some((_, Engine(turn_on, said))) => {
                turn_on(options);
                tracing::info!("{said}");
            }
            Some((_, NoOp(why))) => tracing::warn!(option = name, "{why}"),
            Some((_, Later)) => {
                tracing::warn!(option = name, "This option for --enable-feature is not acted on yet");
            }
            None => tracing::warn!(option = name, "Unknown option for --enable-feature"),
        }
    }
}

/// Service discoveries of upstream; only `static` finds targets here.
const DISCOVERIES: &[&str] = &[
    "aws",
    "azure",
    "consul",
    "digitalocean",
    "dns",
    "docker",
    "dockerswarm",
    "ec2",
    "ecs",
    "elasticache",
    "eureka",
    "file",
    "gce",
    "hetzner",
    "http",
    "ionos",
    "kubernetes",
    "kuma",
    "lightsail",
    "linode",
    "marathon",
    "msk",
    "nerve",
    "nomad",
    "oci",
    "openstack",
    "outscale",
    "ovhcloud",
    "puppetdb",
    "rds",
    "scaleway",
    "serverset",
    "stackit",
    "static",
    "triton",
    "uyuni",
    "vultr",
];

/// What may be done over HTTP, for [`of`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ways {
    pub(crate) admin: bool,
    pub(crate) lifecycle: bool,
    pub(crate) remote_write: bool,
}

/// What `/api/v1/features` says of this process.
pub(crate) fn of(engine: &EngineOptions, ways: Ways) -> Features {
    let mut all = Features::new(engine);
    for (category, name, on) in [
        ("api", "admin", ways.admin),
        ("api", "lifecycle", ways.lifecycle),
        ("api", "remote_write_receiver", ways.remote_write),
        ("api", "otlp_write_receiver", false),
        ("api", "openapi_3.1", false),
        ("api", "openapi_3.2", false),
        ("api", "search", false),
        ("api", "search_fuzz_alg_jarowinkler", false),
        ("api", "search_fuzz_alg_subsequence", false),
        ("otlp_receiver", "delta_conversion", false),
        ("otlp_receiver", "native_delta_ingestion", false),
        ("prometheus", "agent_mode", false),
        ("prometheus", "auto_reload_config", false),
        ("prometheus", "server_mode", true),
        ("prometheus", "stringlabels", true),
        ("rules", "concurrent_rule_eval", false),
        ("rules", "keep_firing_for", true),
        ("rules", "query_offset", true),
        ("scrape", "extra_scrape_metrics", false),
        ("scrape", "start_timestamp_zero_ingestion", false),
        ("scrape", "type_and_unit_labels", false),
        ("tsdb", "delayed_compaction", false),
        ("tsdb", "exemplar_storage", true),
        ("tsdb", "histograms_st_encoding", false),
        ("tsdb", "isolation", true),
        ("tsdb", "native_histograms", true),
        ("tsdb", "st_storage", false),
        ("tsdb", "use_uncached_io", false),
        ("tsdb", "xor2_encoding", false),
        ("ui", "ui_v2", false),
        ("ui", "ui_v3", false),
    ] {
        all.set(category, name, on);
    }
    for name in DISCOVERIES {
        all.set("service_discovery_providers", name, *name == "static");
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_act_on_the_engine() {
        let mut options = EngineOptions::default();
        enable(
            ["promql-per-step-stats", "promql-experimental-functions", "nonsense", "old-ui"],
            &mut options,
        );
        assert!(options.per_step_stats && options.parser.experimental_functions);
        assert!(!options.delayed_name_removal && !options.parser.binop_fill_modifiers);
        assert!(KNOWN.is_sorted_by_key(|(name, _)| *name));
    }

    #[test]
    fn the_names_of_features_are_upstreams() {
        let ways = Ways { admin: false, lifecycle: false, remote_write: false };
        let ours = of(&EngineOptions::default(), ways);
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|a| a.join("shared/conformance/prometheus-golden/features.json"))
            .find(|p| p.exists());
        let Some(path) = path else {
            println!("SKIPPED: no conformance data beside the project");
            return;
        };
        let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for (category, names) in golden.as_object().unwrap() {
            let upstream: BTreeSet<&str> = names.as_object().unwrap().keys().map(String::as_str).collect();
            let known: BTreeSet<&str> = ours.names(category).collect();
            assert_eq!(known, upstream, "{category}");
        }
    }
}
