//! The role of `node_exporter`.

use std::sync::Arc;

use axum::Router;
use exporter_node::{Build, Flags, NodeExporter};
use exporters::http::{Landing, MetricsOptions, OwnMetrics};

use super::exporter;
use crate::Failure;
use crate::flags::Parsed;

/// `vigie node-exporter`
pub(crate) fn main(flags: &Parsed) -> Result<(), Failure> {
    exporter::serve(flags, flags.all("web.listen-address"), "web.config.file", || router(flags))
}

/// All routes of the role. Within a runtime.
pub(crate) fn router(flags: &Parsed) -> Result<Router, Failure> {
    let values = flags.values().map(|(name, values)| (name.to_owned(), values.to_vec()));
    let given = flags.given().iter().map(|name| (*name).to_owned()).collect();
    let build = super::prometheus::build_info();
    let version = build.version.clone();
    tracing::info!(version = %version, "Starting node_exporter");
    let build = Build {
        version: build.version,
        revision: build.revision,
        branch: build.branch,
        compiler: build.go_version,
    };
    let node = NodeExporter::new(&Flags::new(values, given), build).map_err(Failure::usage)?;
    let names: Vec<&str> = node.enabled().collect();
    tracing::info!(collectors = %names.join(","), "Enabled collectors");

    let max_requests = flags.number("web.max-requests").map_err(Failure::usage)?;
    let own = if flags.is_on("web.disable-exporter-metrics") {
        OwnMetrics::None
    } else {
        OwnMetrics::ProcessAndErrors
    };
    let path = flags.get("web.telemetry-path");
    if !path.starts_with('/') {
        return Err(Failure::usage(format!("--web.telemetry-path: {path:?} does not begin with a slash")));
    }
    let metrics = exporters::http::metrics(path, Arc::new(node), MetricsOptions { own, max_requests });
    if path == "/" {
        return Ok(metrics);
    }
    let landing = Landing {
        name: "Node Exporter",
        description: "Prometheus Node Exporter",
        version: &version,
        links: &[(path, "Metrics")],
    };
    Ok(metrics.merge(landing.route()))
}
