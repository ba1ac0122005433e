//! `status/*` and `/version`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use storage::NameCount;

use super::Api;
use super::envelope::{ApiResult, Reply};
use super::params::{Params, bad_data};

/// What `/status/buildinfo` and `/version` say.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildInfo {
    /// The program's version.
    pub version: String,
    /// The commit it was built from, if known.
    pub revision: String,
    /// The branch, if known.
    pub branch: String,
    /// Empty: builds are reproducible and name nobody.
    pub build_user: String,
    /// Empty, for the same reason.
    pub build_date: String,
    /// The compiler, in the field where clients expect one.
    pub go_version: String,
}

/// What `/status/runtimeinfo` says and only the wiring knows.
#[derive(Debug, Clone)]
pub struct RuntimeFacts {
    /// When the process started, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// `15d or 512MiB`
    pub storage_retention: String,
}

pub(super) async fn config(State(api): State<Arc<Api>>) -> ApiResult {
    #[derive(Serialize)]
    struct Data<'a> {
        yaml: &'a str,
    }
    Ok(Reply::data(&Data { yaml: &api.config_yaml.read() }))
}

pub(super) async fn flags(State(api): State<Arc<Api>>) -> ApiResult {
    Ok(Reply::data(&api.flags))
}

pub(super) async fn build_info(State(api): State<Arc<Api>>) -> ApiResult {
    Ok(Reply::data(&api.build))
}

/// The same without the envelope.
pub(super) async fn version(State(api): State<Arc<Api>>) -> Json<BuildInfo> {
    Json(api.build.clone())
}

pub(super) async fn runtime_info(State(api): State<Arc<Api>>) -> ApiResult {
    #[derive(Serialize)]
    struct Data {
        #[serde(rename = "startTime")]
        start_time: String,
        #[serde(rename = "CWD")]
        cwd: String,
        hostname: String,
        #[serde(rename = "serverTime")]
        server_time: String,
        #[serde(rename = "reloadConfigSuccess")]
        reload_config_success: bool,
        #[serde(rename = "lastConfigTime")]
        last_config_time: String,
        #[serde(rename = "corruptionCount")]
        corruption_count: u64,
        #[serde(rename = "goroutineCount")]
        goroutine_count: usize,
        #[serde(rename = "GOMAXPROCS")]
        gomaxprocs: usize,
        #[serde(rename = "GOMEMLIMIT")]
        gomemlimit: i64,
        #[serde(rename = "GOGC")]
        gogc: &'static str,
        #[serde(rename = "GODEBUG")]
        godebug: &'static str,
        #[serde(rename = "storageRetention")]
        storage_retention: String,
    }
    let reload = api.lifecycle.last_reload();
    Ok(Reply::data(&Data {
        start_time: rfc3339(api.runtime.start_ms),
        cwd: std::env::current_dir().map(|d| d.display().to_string()).unwrap_or_default(),
        hostname: std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map(|h| h.trim().to_owned())
            .unwrap_or_default(),
        server_time: rfc3339(api.now_ms()),
        reload_config_success: reload.success,
        last_config_time: rfc3339(reload.last_success_ms),
        corruption_count: api.store_status.head_stats().corruptions,
        // Tasks of the runtime are the nearest thing; the Go-only fields keep their places for clients that expect them.
        goroutine_count: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        gomaxprocs: std::thread::available_parallelism().map_or(1, usize::from),
        gomemlimit: i64::MAX,
        gogc: "",
        godebug: "",
        storage_retention: api.runtime.storage_retention.clone(),
    }))
}

pub(super) async fn tsdb(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let limit = match params.get("limit") {
        "" => 10,
        text => text
            .parse::<usize>()
            .ok()
            .filter(|&n| n >= 1)
            .ok_or_else(|| bad_data("limit must be a positive number"))?,
    };
    if limit > 10_000 {
        return Err(bad_data("limit must not exceed 10000"));
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        num_series: u64,
        num_label_pairs: u64,
        chunk_count: u64,
        min_time: i64,
        max_time: i64,
    }
    #[derive(Serialize)]
    struct Count {
        name: String,
        value: u64,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        head_stats: Head,
        series_count_by_metric_name: Vec<Count>,
        label_value_count_by_label_name: Vec<Count>,
        memory_in_bytes_by_label_name: Vec<Count>,
        series_count_by_label_value_pair: Vec<Count>,
    }
    let status = Arc::clone(&api.store_status);
    let (head, top) = super::blocking(move || (status.head_stats(), status.cardinality(limit))).await?;
    let counts = |list: Vec<NameCount>| -> Vec<Count> {
        list.into_iter().map(|c| Count { name: c.name, value: c.value }).collect()
    };
    Ok(Reply::data(&Data {
        head_stats: Head {
            num_series: head.num_series,
            num_label_pairs: head.num_label_pairs,
            chunk_count: head.chunk_count,
            min_time: head.min_time,
            max_time: head.max_time,
        },
        series_count_by_metric_name: counts(top.series_count_by_metric_name),
        label_value_count_by_label_name: counts(top.label_value_count_by_label_name),
        memory_in_bytes_by_label_name: counts(top.memory_in_bytes_by_label_name),
        series_count_by_label_value_pair: counts(top.series_count_by_label_value_pair),
    }))
}

/// Replay is over before the API is served, so all of it is always done.
pub(super) async fn walreplay() -> ApiResult {
    #[derive(Serialize)]
    struct Data {
        min: u64,
        max: u64,
        current: u64,
    }
    Ok(Reply::data(&Data { min: 0, max: 0, current: 0 }))
}

/// UTC with what fraction there is, as Go prints times in JSON.
pub(super) fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| "0001-01-01T00:00:00Z".to_owned(), |t| t.to_string())
}
