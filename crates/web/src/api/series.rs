//! `series`, `labels`, `label/<name>/values`.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::Serialize;
use storage::{MetaRequest, TimeRange};

use super::envelope::{ApiError, ApiResult, Reply};
use super::params::{MAX_TIME_MS, MIN_TIME_MS, Params, bad_data};
use super::{Api, blocking};
use crate::json::Labels;

pub(super) async fn series(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let limit = params.limit()?;
    let request = request(&params)?;
    if request.matcher_sets.is_empty() {
        return Err(bad_data("no match[] parameter provided"));
    }
    let context = api.context(api.engine.options().timeout);
    let store = Arc::clone(&api.store);
    let found = blocking(move || store.series(&request, &context)).await??;
    Ok(limited(found.iter().map(Labels).collect(), limit))
}

pub(super) async fn labels(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let limit = params.limit()?;
    let request = request(&params)?;
    let context = api.context(api.engine.options().timeout);
    let store = Arc::clone(&api.store);
    let names = blocking(move || store.label_names(&request, &context)).await??;
    Ok(limited(names, limit))
}

pub(super) async fn label_values(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    params: Params,
) -> ApiResult {
    let name = unescape(&name).ok_or_else(|| bad_data(format!("invalid label name: {name:?}")))?;
    let limit = params.limit()?;
    let request = request(&params)?;
    let context = api.context(api.engine.options().timeout);
    let store = Arc::clone(&api.store);
    let values = blocking(move || store.label_values(&name, &request, &context)).await??;
    Ok(limited(values, limit))
}

fn request(params: &Params) -> Result<MetaRequest, ApiError> {
    let mint = params.time_or("start", MIN_TIME_MS)?;
    let maxt = params.time_or("end", MAX_TIME_MS)?;
    Ok(MetaRequest { matcher_sets: params.matcher_sets()?, range: TimeRange { mint, maxt } })
}

fn limited<T: Serialize>(mut all: Vec<T>, limit: usize) -> Reply {
    let truncated = limit > 0 && all.len() > limit;
    if truncated {
        all.truncate(limit);
    }
    Reply::data(&all).with_warnings(truncated.then(|| "results truncated due to limit".to_owned()))
}

/// The "values" escaping of UTF-8 names in a path: `U__` and then `__` for `_`, `_HEX_` for any other character.
fn unescape(name: &str) -> Option<String> {
    let Some(mut rest) = name.strip_prefix("U__") else {
        return (!name.is_empty()).then(|| name.to_owned());
    };
    let mut out = String::new();
    while let Some((head, tail)) = rest.split_once('_') {
        out.push_str(head);
        if let Some(after) = tail.strip_prefix('_') {
            out.push('_');
            rest = after;
        } else {
            let (hex, after) = tail.split_once('_')?;
            out.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
            rest = after;
        }
    }
    out.push_str(rest);
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unescapes_names() {
        for (escaped, name) in [
            ("job", Some("job")),
            ("U__http_2e_status:sum", Some("http.status:sum")),
            ("U__a__b", Some("a_b")),
            ("U___1F600_x", Some("😀x")),
            ("U__a_zz_", None),
            ("U__a_2e", None),
            ("", None),
        ] {
            assert_eq!(unescape(escaped).as_deref(), name, "{escaped}");
        }
    }
}
