//! `admin/tsdb/*` and `status/tsdb/blocks`: what an operator does to the store.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use storage::{BlockInfo, TimeRange};

use super::envelope::{ApiError, ApiResult, ErrorType, Reply, no_content};
use super::params::{MAX_TIME_MS, MIN_TIME_MS, Params, bad_data};
use super::{Api, blocking};

fn require_enabled(api: &Api) -> Result<(), ApiError> {
    if api.enable_admin {
        return Ok(());
    }
    Err(ApiError::new(ErrorType::Unavailable, "admin APIs disabled"))
}

fn internal(e: impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorType::Internal, e.to_string())
}

pub(super) async fn delete_series(State(api): State<Arc<Api>>, params: Params) -> Result<Response, ApiError> {
    require_enabled(&api)?;
    let matcher_sets = params.matcher_sets().map_err(|e| ApiError::parameter("match[]", e))?;
    if matcher_sets.is_empty() {
        return Err(bad_data("no match[] parameter provided"));
    }
    let mint = params.time_or("start", MIN_TIME_MS)?;
    let maxt = params.time_or("end", MAX_TIME_MS)?;
    let admin = Arc::clone(&api.store_admin);
    blocking(move || admin.delete(&matcher_sets, TimeRange { mint, maxt })).await?.map_err(internal)?;
    Ok(no_content())
}

pub(super) async fn clean_tombstones(State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    require_enabled(&api)?;
    let admin = Arc::clone(&api.store_admin);
    blocking(move || admin.clean_tombstones()).await?.map_err(internal)?;
    Ok(no_content())
}

pub(super) async fn snapshot(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    #[derive(Serialize)]
    struct Data {
        name: String,
    }
    require_enabled(&api)?;
    let skip_head = params.is_set("skip_head")?;
    let random = getrandom::u64().map_err(|e| internal(format!("create snapshot: no random name: {e}")))?;
    let name = snapshot_name(api.now_ms(), random)
        .ok_or_else(|| internal("create snapshot: the clock is out of range"))?;
    let admin = Arc::clone(&api.store_admin);
    let of_snapshot = name.clone();
    blocking(move || admin.snapshot(&of_snapshot, skip_head))
        .await?
        .map_err(|e| internal(format!("create snapshot: {e}")))?;
    Ok(Reply::data(&Data { name }))
}

/// `20060102T150405Z-<16 hexadecimal digits of a positive i64>`
fn snapshot_name(now_ms: i64, random: u64) -> Option<String> {
    let now = jiff::Timestamp::from_millisecond(now_ms).ok()?;
    Some(format!("{}-{:016x}", now.strftime("%Y%m%dT%H%M%SZ"), random >> 1))
}

/// The blocks in the shape of their `meta.json`; zeros are left out where upstream leaves them out.
pub(super) async fn blocks(State(api): State<Arc<Api>>) -> ApiResult {
    #[derive(Serialize)]
    struct Data {
        blocks: Vec<Meta>,
    }
    let admin = Arc::clone(&api.store_admin);
    let blocks = blocking(move || admin.blocks()).await?;
    Ok(Reply::data(&Data { blocks: blocks.into_iter().map(Meta::from).collect() }))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    ulid: String,
    min_time: i64,
    max_time: i64,
    stats: Stats,
    compaction: Compaction,
    version: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    #[serde(skip_serializing_if = "is_zero")]
    num_samples: u64,
    #[serde(skip_serializing_if = "is_zero")]
    num_float_samples: u64,
    #[serde(skip_serializing_if = "is_zero")]
    num_histogram_samples: u64,
    #[serde(skip_serializing_if = "is_zero")]
    num_series: u64,
    #[serde(skip_serializing_if = "is_zero")]
    num_chunks: u64,
    #[serde(skip_serializing_if = "is_zero")]
    num_tombstones: u64,
}

#[derive(Serialize)]
struct Compaction {
    level: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sources: Vec<String>,
}

impl From<BlockInfo> for Meta {
    fn from(b: BlockInfo) -> Self {
        Self {
            ulid: b.ulid,
            min_time: b.min_time,
            max_time: b.max_time,
            stats: Stats {
                num_samples: b.samples,
                num_float_samples: b.samples.saturating_sub(b.histogram_samples),
                num_histogram_samples: b.histogram_samples,
                num_series: b.series,
                num_chunks: b.chunks,
                num_tombstones: b.tombstones,
            },
            compaction: Compaction { level: b.level, sources: b.sources },
            version: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_named_as_upstream_names_them() {
        let name = snapshot_name(1_700_000_000_123, u64::MAX).unwrap();
        assert_eq!(name, "20231114T221320Z-7fffffffffffffff");
        assert_eq!(snapshot_name(0, 0).unwrap(), "19700101T000000Z-0000000000000000");
    }
}
