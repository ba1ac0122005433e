//! `query_exemplars`: the exemplars of the series that an expression's selectors name.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use model::{Exemplar, LabelSet};
use storage::TimeRange;

use super::envelope::{ApiError, Reply, no_content};
use super::params::{MAX_TIME_MS, MIN_TIME_MS, Params, bad_data};
use super::{Api, blocking};
use crate::json;

pub(super) async fn query(State(api): State<Arc<Api>>, params: Params) -> Result<Response, ApiError> {
    let mint = params.time_or("start", MIN_TIME_MS)?;
    let maxt = params.time_or("end", MAX_TIME_MS)?;
    if maxt < mint {
        return Err(bad_data("end timestamp must not be before start timestamp"));
    }
    let expr = promql::parser::parse(params.get("query"), &api.engine.options().parser).map_err(bad_data)?;
    let mut matcher_sets = Vec::new();
    expr.for_each_selector(&mut |selector| matcher_sets.push(selector.matchers.clone()));
    if matcher_sets.is_empty() {
        return Ok(no_content());
    }
    let found = match &api.exemplars {
        Some(exemplars) => {
            let exemplars = Arc::clone(exemplars);
            blocking(move || exemplars.exemplars(&matcher_sets, TimeRange { mint, maxt })).await??
        }
        None => Vec::new(),
    };
    Ok(Reply::written(|out| write(out, &found)).into_response())
}

fn write(out: &mut Vec<u8>, found: &[(LabelSet, Vec<Exemplar>)]) {
    json::write_list(out, found, |out, (labels, exemplars)| {
        out.extend_from_slice(b"{\"seriesLabels\":");
        json::write_labels(out, labels);
        out.extend_from_slice(b",\"exemplars\":");
        json::write_list(out, exemplars, |out, exemplar| {
            out.extend_from_slice(b"{\"labels\":");
            json::write_labels(out, &exemplar.labels);
            out.extend_from_slice(b",\"value\":\"");
            json::write_value(out, exemplar.value);
            out.extend_from_slice(b"\",\"timestamp\":");
            json::write_timestamp(out, exemplar.ts.unwrap_or(0));
            out.push(b'}');
        });
        out.push(b'}');
    });
}
