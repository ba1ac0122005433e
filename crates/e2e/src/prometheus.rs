//! Prometheus' HTTP API as the tests ask it, of ours and of the original alike.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::http;

/// Labels and value of one series of an instant vector; the value as text, so that NaN compares.
pub type Vector = BTreeMap<BTreeMap<String, String>, f64>;

/// `data` of a successful API answer.
pub fn data(address: &str, path: &str) -> anyhow::Result<Value> {
    let answer = http::get(address, path)?;
    let mut json = answer.json()?;
    ensure!(answer.status == 200 && json["status"] == "success", "{path}: status {}: {json}", answer.status);
    Ok(json["data"].take())
}

/// `/api/v1/query` at a time in seconds, or now.
pub fn query(address: &str, expression: &str, time: Option<f64>) -> anyhow::Result<Value> {
    let time = time.map_or_else(String::new, |time| format!("&time={time}"));
    data(address, &format!("/api/v1/query?query={}{time}", http::encode(expression)))
}

/// `/api/v1/query_range`, times and step in seconds.
pub fn query_range(
    address: &str,
    expression: &str,
    start: f64,
    end: f64,
    step: f64,
) -> anyhow::Result<Value> {
    let expression = http::encode(expression);
    data(address, &format!("/api/v1/query_range?query={expression}&start={start}&end={end}&step={step}"))
}

/// The result of [`query`] as a map; a scalar has the one key of no labels.
pub fn vector(data: &Value) -> anyhow::Result<Vector> {
    let number = |value: &Value| -> anyhow::Result<f64> {
        Ok(value[1].as_str().context("a value is no string")?.parse()?)
    };
    if data["resultType"] == "scalar" {
        return Ok(Vector::from([(BTreeMap::new(), number(&data["result"])?)]));
    }
    let series = data["result"].as_array().context("no result")?;
    series.iter().map(|one| Ok((labels(&one["metric"])?, number(&one["value"])?))).collect()
}

/// A JSON object of strings.
pub fn labels(metric: &Value) -> anyhow::Result<BTreeMap<String, String>> {
    let object = metric.as_object().context("labels are no object")?;
    object
        .iter()
        .map(|(name, value)| Ok((name.clone(), value.as_str().context("a label is no string")?.to_owned())))
        .collect()
}

/// The single value that `expression` has now.
pub fn number(address: &str, expression: &str) -> anyhow::Result<f64> {
    let vector = vector(&query(address, expression, None)?)?;
    ensure!(vector.len() == 1, "{expression} has {} series", vector.len());
    Ok(*vector.values().next().context("no value")?)
}

/// The active target whose `job` label is given.
pub fn target(address: &str, job: &str) -> anyhow::Result<Value> {
    let targets = data(address, "/api/v1/targets")?;
    let active = targets["activeTargets"].as_array().context("no activeTargets")?;
    active
        .iter()
        .find(|target| target["labels"]["job"] == job)
        .cloned()
        .with_context(|| format!("no target of job {job}"))
}
