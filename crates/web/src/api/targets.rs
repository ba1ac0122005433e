//! `targets`, `targets/metadata`, `scrape_pools`, `metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use model::duration;
use scrape::TargetStatus;
use serde::Serialize;

use super::Api;
use super::envelope::{ApiError, ApiResult, Reply};
use super::params::{Params, bad_data};
use crate::json::Labels;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Active<'a> {
    discovered_labels: Labels<'a>,
    labels: Labels<'a>,
    scrape_pool: &'a str,
    scrape_url: &'a str,
    global_url: String,
    last_error: &'a str,
    last_scrape: String,
    last_scrape_duration: f64,
    health: &'a str,
    scrape_interval: String,
    scrape_timeout: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dropped<'a> {
    discovered_labels: Labels<'a>,
    scrape_pool: &'a str,
}

pub(super) async fn targets(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Data<'a> {
        active_targets: Vec<Active<'a>>,
        dropped_targets: Vec<Dropped<'a>>,
        dropped_target_counts: BTreeMap<String, usize>,
    }
    let state = params.get("state").to_lowercase();
    if !matches!(state.as_str(), "" | "any" | "active" | "dropped") {
        return Err(bad_data(format!("invalid state {state:?}: expected active, dropped or any")));
    }
    let pool = params.get("scrapePool");
    let (active, dropped) = (api.scrape.active_targets(), api.scrape.dropped_targets());
    let wanted = |p: &str| pool.is_empty() || p == pool;
    let mut sorted: Vec<&TargetStatus> =
        active.iter().filter(|t| state != "dropped" && wanted(&t.scrape_pool)).collect();
    sorted.sort_by(|a, b| (&a.scrape_pool, &a.labels).cmp(&(&b.scrape_pool, &b.labels)));
    let data = Data {
        active_targets: sorted.into_iter().map(|t| active_target(&api, t)).collect(),
        dropped_targets: dropped
            .iter()
            .filter(|t| state != "active" && wanted(&t.scrape_pool))
            .map(|t| Dropped { discovered_labels: Labels(&t.discovered_labels), scrape_pool: &t.scrape_pool })
            .collect(),
        dropped_target_counts: api.scrape.dropped_target_counts(),
    };
    Ok(Reply::data(&data))
}

fn active_target<'a>(api: &Api, t: &'a TargetStatus) -> Active<'a> {
    Active {
        discovered_labels: Labels(&t.discovered_labels),
        labels: Labels(&t.labels),
        scrape_pool: &t.scrape_pool,
        scrape_url: &t.scrape_url,
        global_url: global_url(api, &t.scrape_url),
        last_error: &t.last_error,
        last_scrape: super::alerts::time_or_zero((t.last_scrape_ms != 0).then_some(t.last_scrape_ms)),
        last_scrape_duration: t.last_scrape_duration.as_secs_f64(),
        health: t.health.as_str(),
        scrape_interval: duration::format(t.scrape_interval),
        scrape_timeout: duration::format(t.scrape_timeout),
    }
}

/// The URL as others reach it: a loopback host becomes the external one, with the external port where it is our own.
fn global_url(api: &Api, scrape_url: &str) -> String {
    let Ok(mut url) = url::Url::parse(scrape_url) else { return scrape_url.to_owned() };
    if !matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
        return scrape_url.to_owned();
    }
    let ours = url.port_or_known_default() == Some(api.listen_port);
    // The external URL has a host, so neither can fail.
    let _ = url.set_host(api.external_url.host_str());
    if ours {
        let _ = url.set_port(api.external_url.port());
        let _ = url.set_scheme(api.external_url.scheme());
    }
    url.to_string()
}

pub(super) async fn scrape_pools(State(api): State<Arc<Api>>) -> ApiResult {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        scrape_pools: Vec<String>,
    }
    let pools: BTreeSet<String> = api.scrape.scrape_pools().into_iter().collect();
    Ok(Reply::data(&Data { scrape_pools: pools.into_iter().collect() }))
}

fn number(params: &Params, name: &str) -> Result<usize, ApiError> {
    match params.get(name) {
        "" => Ok(usize::MAX),
        text => {
            let n: i64 = text.parse().map_err(|_| bad_data("limit must be a number"))?;
            // Upstream takes a negative or zero limit as none.
            Ok(usize::try_from(n).ok().filter(|&n| n > 0).unwrap_or(usize::MAX))
        }
    }
}

pub(super) async fn target_metadata(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    #[derive(Serialize)]
    struct Entry<'a> {
        target: Labels<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        metric: Option<&'a str>,
        #[serde(rename = "type")]
        kind: &'a str,
        help: &'a str,
        unit: &'a str,
    }
    let limit = number(&params, "limit")?;
    let metric = params.get("metric");
    let matchers = match params.get("match_target") {
        "" => Vec::new(),
        text => {
            promql::parser::parse_metric_selector(text).map_err(|e| ApiError::parameter("match_target", e))?
        }
    };
    let all = api.scrape.target_metadata();
    let entries: Vec<Entry<'_>> = all
        .iter()
        .filter(|m| matchers.iter().all(|x| x.matches_labels(&m.target)))
        .filter(|m| metric.is_empty() || m.metric == metric)
        .take(limit)
        .map(|m| Entry {
            target: Labels(&m.target),
            metric: metric.is_empty().then_some(m.metric.as_str()),
            kind: m.metadata.kind.as_str(),
            help: &m.metadata.help,
            unit: &m.metadata.unit,
        })
        .collect();
    Ok(Reply::data(&entries))
}

pub(super) async fn metadata(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    #[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
    struct Entry<'a> {
        #[serde(rename = "type")]
        kind: &'a str,
        help: &'a str,
        unit: &'a str,
    }
    let limit = number(&params, "limit")?;
    let per_metric = number(&params, "limit_per_metric")?;
    let metric = params.get("metric");
    let all = api.scrape.target_metadata();
    let mut families: BTreeMap<&str, BTreeSet<Entry<'_>>> = BTreeMap::new();
    for m in all.iter().filter(|m| metric.is_empty() || m.metric == metric) {
        let known = families.len();
        if !families.contains_key(m.metric.as_str()) && known >= limit {
            continue;
        }
        let entries = families.entry(&m.metric).or_default();
        if entries.len() < per_metric {
            entries.insert(Entry {
                kind: m.metadata.kind.as_str(),
                help: &m.metadata.help,
                unit: &m.metadata.unit,
            });
        }
    }
    Ok(Reply::data(&families))
}
