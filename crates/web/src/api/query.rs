//! `query`, `query_range`, `format_query`, `parse_query`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use promql::{Priority, QueryError, QueryErrorKind, QueryOptions, QueryResult, StatsLevel, Value};

use super::envelope::{ApiError, ApiResult, ErrorType, Reply};
use super::params::{Params, bad_data};
use super::result::{ResultJson, stats_json};
use super::turns::CancelOnDrop;
use super::{Api, blocking};

/// Points per series a range query may ask for.
const MAX_POINTS: i64 = 11_000;

pub(super) async fn instant(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let limit = params.limit()?;
    let ts = params.time_or("time", api.now_ms())?;
    let query = params.get("query").to_owned();
    let (engine, store) = (Arc::clone(&api.engine), Arc::clone(&api.store));
    let result =
        run(&api, &params, move |options| engine.instant_query(&*store, &query, ts, &options)).await?;
    Ok(reply(result, &params, limit))
}

pub(super) async fn range(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let limit = params.limit()?;
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

/// The expression's tree.
pub(super) async fn parse(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let expr = promql::parser::parse(params.get("query"), &api.engine.options().parser)
        .map_err(|e| ApiError::parameter("query", e))?;
    // In this text the characters that Go escapes for HTML's sake stand within strings only.
    let mut tree = promql::parser::ast_json(&expr);
    for (found, escaped) in [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")] {
        if tree.contains(found) {
            tree = tree.replace(found, escaped);
        }
    }
    Ok(Reply::written(|out| out.extend_from_slice(tree.as_bytes())))
}

async fn run(
    api: &Api,
    params: &Params,
    query: impl FnOnce(QueryOptions) -> Result<QueryResult, QueryError> + Send + 'static,
) -> Result<QueryResult, ApiError> {
    let timeout = params.timeout(api.engine.options().timeout)?;
    let lookback_ms = match params.get("lookback_delta") {
        "" => None,
        text => Some(
            super::params::parse_duration_ms(text)
                .map_err(|e| bad_data(format!("error parsing lookback delta duration: {e}")))?,
        ),
    };
    let stats = match params.get("stats") {
        "" => StatsLevel::Cheap,
        "all" => StatsLevel::PerStep,
        _ => StatsLevel::Totals,
    };
    let asked_at = Instant::now();
    let context = Arc::new(api.engine.context(asked_at, Some(timeout), stats));
    let _guard = CancelOnDrop(Arc::clone(&context));
    let waiting = api.engine.waiting();
    let turn = api.turns.query(&context).await?;
    drop(waiting);
    let options = QueryOptions {
        lookback_ms,
        context: Some(context),
        priority: Priority::Interactive,
        stats,
        asked_at: Some(asked_at),
        origin: Some(params.origin().clone()),
        ..QueryOptions::default()
    };
    // The turn goes with the work: a client that left has not freed it until the query notices.
    let work = move || {
        let _turn = turn;
        query(options)
    };
    blocking(work).await?.map_err(query_error)
}

fn query_error(e: QueryError) -> ApiError {
    let kind = match e.kind {
        QueryErrorKind::BadData => {
            return ApiError::parameter("query", e);
        }
        QueryErrorKind::Execution | QueryErrorKind::TooManySamples | QueryErrorKind::TooManyBytes => {
            ErrorType::Execution
        }
        QueryErrorKind::Canceled => ErrorType::Canceled,
        QueryErrorKind::Timeout => ErrorType::Timeout,
        QueryErrorKind::Internal => ErrorType::Internal,
    };
    ApiError::new(kind, e.to_string())
}

fn reply(mut result: QueryResult, params: &Params, limit: usize) -> Reply {
    let truncated = limit > 0 && truncate(&mut result.value, limit);
    let mut warnings = result.annotations.warnings;
    if truncated {
        warnings.push("results truncated due to limit".to_owned());
    }
    let stats = match params.get("stats") {
        "" => None,
        asked => {
            if !matches!(asked, "true" | "all") {
                warnings.push(format!(
                    "value {asked:?} for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\""
                ));
            }
            Some(stats_json(&result.stats))
        }
    };
    Reply::streamed(ResultJson::new(result.value, stats))
        .with_warnings(warnings)
        .with_infos(result.annotations.infos)
}

fn truncate(value: &mut Value, limit: usize) -> bool {
    match value {
        Value::Vector(v) if v.len() > limit => v.truncate(limit),
        Value::Matrix(m) if m.len() > limit => m.truncate(limit),
        _ => return false,
    }
    true
}
