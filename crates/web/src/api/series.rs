//! `series`, `labels`, `label/<name>/values`.

use std::sync::Arc;

use axum::extract::{Path, State};
use storage::{MetaRequest, TimeRange};

use super::Api;
use super::envelope::{ApiError, ApiResult, Reply};
use super::params::{MAX_TIME_MS, MIN_TIME_MS, Params, bad_data};
use crate::json;
use crate::stream::List;

pub(super) async fn series(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    if params.all("match[]").next().is_none() {
        return Err(bad_data("no match[] parameter provided"));
    }
    let limit = params.limit()?;
    let request = request(&params, |e| ApiError::parameter("match[]", e))?;
    let found = api.metadata(move |store, ctx| store.series(&request, ctx)).await?;
    Ok(limited(found, limit, |out, labels| json::write_labels(out, &labels)))
}

pub(super) async fn labels(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let limit = params.limit()?;
    let request = request(&params, bad_data)?;
    let names = api.metadata(move |store, ctx| store.label_names(&request, ctx)).await?;
    Ok(limited(names, limit, |out, name| json::write(out, &name)))
}

pub(super) async fn label_values(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    params: Params,
) -> ApiResult {
    let name = unescape(&name).ok_or_else(|| bad_data(format!("invalid label name: {name:?}")))?;
    let limit = params.limit()?;
    let request = request(&params, bad_data)?;
    let values = api.metadata(move |store, ctx| store.label_values(&name, &request, ctx)).await?;
    Ok(limited(values, limit, |out, value| json::write(out, &value)))
}

/// The selection asked for; `wrong` makes the error of a wrong selector, which upstream words differently per call.
fn request(params: &Params, wrong: fn(String) -> ApiError) -> Result<MetaRequest, ApiError> {
    let mint = params.time_or("start", MIN_TIME_MS)?;
    let maxt = params.time_or("end", MAX_TIME_MS)?;
    let matcher_sets = params.matcher_sets().map_err(wrong)?;
    Ok(MetaRequest { matcher_sets, range: TimeRange { mint, maxt } })
}

/// At most `limit` of them, written one by one, and a warning where some are left out.
fn limited<T: Send + 'static>(
    mut all: Vec<T>,
    limit: usize,
    write: impl FnMut(&mut Vec<u8>, T) + Send + 'static,
) -> Reply {
    let truncated = limit > 0 && all.len() > limit;
    if truncated {
        all.truncate(limit);
    }
    Reply::streamed(List::new(all.into_iter(), write))
        .with_warnings(truncated.then(|| "results truncated due to limit".to_owned()))
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
