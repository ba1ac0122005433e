//! `query`, `query_range`, `format_query`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use promql::{Priority, QueryError, QueryErrorKind, QueryOptions, QueryResult, Value};
use serde::Serialize;
use storage::QueryContext;

use super::envelope::{ApiError, ApiResult, ErrorType, Reply};
use super::params::{Params, bad_data};
use super::{Api, blocking};
use crate::json;

/// Points per series a range query may ask for.
const MAX_POINTS: i64 = 11_000;

pub(super) async fn instant(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let ts = params.time_or("time", api.now_ms())?;
    let limit = params.limit()?;
    let query = params.get("query").to_owned();
    let (engine, store) = (Arc::clone(&api.engine), Arc::clone(&api.store));
    let result =
        run(&api, &params, move |options| engine.instant_query(&*store, &query, ts, &options)).await?;
    Ok(reply(result, &params, limit))
}

pub(super) async fn range(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let start = params.time("start")?;
    let end = params.time("end")?;
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step =
        super::params::parse_duration_ms(params.get("step")).map_err(|e| ApiError::parameter("step", e))?;
    if step <= 0 {
        return Err(ApiError::parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if (end - start) / step > MAX_POINTS {
        return Err(bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    let limit = params.limit()?;
    let query = params.get("query").to_owned();
    let (engine, store) = (Arc::clone(&api.engine), Arc::clone(&api.store));
    let result =
        run(&api, &params, move |options| engine.range_query(&*store, &query, start, end, step, &options))
            .await?;
    Ok(reply(result, &params, limit))
}

/// The expression in upstream's pretty form.
pub(super) async fn format(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let expr = promql::parser::parse(params.get("query"), &api.engine.options().parser)
        .map_err(|e| ApiError::parameter("query", e))?;
    Ok(Reply::data(&promql::parser::prettify(&expr)))
}

/// Cancels the query when the client goes away and its handler is dropped.
struct CancelOnDrop(Arc<QueryContext>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

async fn run(
    api: &Api,
    params: &Params,
    query: impl FnOnce(QueryOptions) -> Result<QueryResult, QueryError> + Send + 'static,
) -> Result<QueryResult, ApiError> {
    let timeout = params.timeout(api.engine.options().timeout)?;
    let lookback_ms = params.duration_ms("lookback_delta")?;
    let context = Arc::new(api.context(timeout));
    let _guard = CancelOnDrop(Arc::clone(&context));
    let options = QueryOptions {
        lookback_ms,
        context: Some(context),
        priority: Priority::Interactive,
        ..Default::default()
    };
    blocking(move || query(options)).await?.map_err(query_error)
}

fn query_error(e: QueryError) -> ApiError {
    let kind = match e.kind {
        QueryErrorKind::BadData => {
            return ApiError::parameter("query", e);
        }
        QueryErrorKind::Execution | QueryErrorKind::TooManySamples => ErrorType::Execution,
        QueryErrorKind::Canceled => ErrorType::Canceled,
        QueryErrorKind::Timeout => ErrorType::Timeout,
        QueryErrorKind::Internal => ErrorType::Internal,
    };
    ApiError::new(kind, e.to_string())
}

fn reply(mut result: QueryResult, params: &Params, limit: usize) -> Reply {
    let truncated = limit > 0 && truncate(&mut result.value, limit);
    let stats = params.get("stats");
    let mut warnings = result.annotations.warnings.clone();
    if truncated {
        warnings.push("results truncated due to limit".to_owned());
    }
    Reply::written(|out| write_result(out, &result, !stats.is_empty()))
        .with_warnings(warnings)
        .with_infos(result.annotations.infos.clone())
}

fn truncate(value: &mut Value, limit: usize) -> bool {
    match value {
        Value::Vector(v) if v.len() > limit => v.truncate(limit),
        Value::Matrix(m) if m.len() > limit => m.truncate(limit),
        _ => return false,
    }
    true
}

fn write_result(out: &mut Vec<u8>, result: &QueryResult, with_stats: bool) {
    let kind = match &result.value {
        Value::Scalar { .. } => "scalar",
        Value::String { .. } => "string",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
    };
    out.extend_from_slice(format!("{{\"resultType\":\"{kind}\",\"result\":").as_bytes());
    match &result.value {
        Value::Scalar { ts, value } => json::write_point(out, *ts, *value),
        Value::String { ts, value } => {
            out.push(b'[');
            json::write_timestamp(out, *ts);
            out.push(b',');
            json::write(out, value);
            out.push(b']');
        }
        Value::Vector(samples) => json::write_list(out, samples, |out, s| {
            out.extend_from_slice(b"{\"metric\":");
            json::write_labels(out, &s.labels);
            out.extend_from_slice(b",\"value\":");
            json::write_point(out, s.ts, s.value);
            out.push(b'}');
        }),
        Value::Matrix(series) => json::write_list(out, series, |out, s| {
            out.extend_from_slice(b"{\"metric\":");
            json::write_labels(out, &s.labels);
            out.extend_from_slice(b",\"values\":");
            json::write_list(out, &s.samples, |out, &(ts, v)| json::write_point(out, ts, v));
            out.push(b'}');
        }),
    }
    if with_stats {
        out.extend_from_slice(b",\"stats\":");
        json::write(out, &stats(result));
    }
    out.push(b'}');
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    timings: Timings,
    samples: Samples,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Timings {
    eval_total_time: f64,
    result_sort_time: f64,
    query_preparation_time: f64,
    inner_eval_time: f64,
    exec_queue_time: f64,
    exec_total_time: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Samples {
    total_queryable_samples: u64,
    samples_read: u64,
    peak_samples: u64,
}

fn stats(result: &QueryResult) -> Stats {
    let s = &result.stats;
    let seconds = |d: Duration| d.as_secs_f64();
    Stats {
        timings: Timings {
            eval_total_time: seconds(s.prepare + s.eval + s.sort),
            result_sort_time: seconds(s.sort),
            query_preparation_time: seconds(s.prepare),
            inner_eval_time: seconds(s.eval),
            exec_queue_time: seconds(s.queue),
            exec_total_time: seconds(s.queue + s.prepare + s.eval + s.sort),
        },
        samples: Samples {
            total_queryable_samples: s.samples_read,
            samples_read: s.samples_read,
            peak_samples: s.peak_samples,
        },
    }
}
