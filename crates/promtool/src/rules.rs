//! `promtool tsdb create-blocks-from rules`: what recording rules would have recorded, asked of a server's API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use config::rules::{Rule, RuleGroup};
use http::{Method, Request, header};
use httpclient::{Client, ClientOptions, Limits};
use model::{LabelSet, METRIC_NAME};
use serde::Deserialize;

use crate::args::{Args, Positional, Spec, value};
use crate::openmetrics::{MAX_BLOCK, QUIET, READABLE, block_span, write};
use crate::{Failure, Outside};

pub(crate) const SPEC: Spec = Spec {
    about: "Create blocks of data for new recording rules.",
    flags: &[
        READABLE,
        QUIET,
        MAX_BLOCK,
        value(
            "url",
            "http://localhost:9090",
            "The URL for the Prometheus API with the data where the rule will be backfilled from.",
        ),
        value(
            "start",
            "",
            "The time to start backfilling the new rule from: RFC3339 or Unix timestamp. Required.",
        ),
        value("end", "", "The time to backfill to: RFC3339 or Unix timestamp. Default: 3 hours ago."),
        value("output-dir", "data/", "Output directory for generated blocks."),
        value("eval-interval", "60s", "How frequently to evaluate rules whose files do not say."),
    ],
    positional: &[Positional { name: "rule-files", default: None, many: true }],
};

/// A query may take this long.
const TIMEOUT: Duration = Duration::from_secs(120);
/// The default end: the head of the server may still change what is younger.
const SETTLED_S: i64 = 3 * 3600;

pub(crate) fn run(args: &Args, outside: &mut Outside<'_>) -> Result<(), Failure> {
    if args.get("start").is_empty() {
        return Err(Failure::usage("required flag --start not provided"));
    }
    let end_s = match args.get("end") {
        "" => outside.now_ms / 1000 - SETTLED_S,
        given => parse_time(given).map_err(|e| e.within("error parsing end time"))?,
    };
    let start_s = parse_time(args.get("start")).map_err(|e| e.within("error parsing start time"))?;
    if start_s >= end_s {
        return Err(Failure::new("start time is not before end time"));
    }
    let default_interval =
        model::duration::parse(args.get("eval-interval")).map_err(|e| Failure::usage(e.to_string()))?;
    let span_s = block_span(args)? / 1000;
    let mut groups = Vec::new();
    for file in args.rest(0) {
        groups.extend(load(Path::new(file))?);
    }
    let out = PathBuf::from(args.get("output-dir"));
    std::fs::create_dir_all(&out).map_err(|e| Failure::new(format!("create output dir: {e}")))?;
    let server = Server::new(args.get("url"))?;
    let mut failures = Vec::new();
    for (file, group) in &groups {
        let interval_s = group.interval.unwrap_or(default_interval).as_secs().max(1);
        let interval_s = i64::try_from(interval_s).unwrap_or(i64::MAX);
        let span = Span { start_s, end_s, span_s, interval_s, offset_ns: offset_ns(file, group, interval_s) };
        for rule in group.rules.iter().filter(|r| !r.is_alert()) {
            if let Err(e) = import(&server, rule, group, &span, &out, outside.now_ms) {
                failures.push(format!("rule importer error: {e}"));
            }
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    failures.push("error importing rules".to_owned());
    Err(Failure::new(failures.join("\n")))
}

/// A Unix timestamp, with a fraction or without, or RFC 3339; in seconds.
fn parse_time(text: &str) -> Result<i64, Failure> {
    if let Some(seconds) = model::float::parse_go_float(text).filter(|s| s.is_finite()) {
        return Ok(seconds.trunc() as i64);
    }
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed.map(jiff::Timestamp::as_second).map_err(|_| {
        Failure::new(format!("cannot parse {} to a valid timestamp", model::float::go_quote(text)))
    })
}

fn load(file: &Path) -> Result<Vec<(PathBuf, RuleGroup)>, Failure> {
    if !file.exists() {
        return Err(Failure::usage(format!("path '{}' does not exist", file.display())));
    }
    let problem = |e: String| Failure::new(format!("rule importer parse error: {e}"));
    let rules = config::rules::load_file(file).map_err(|e| problem(e.to_string()))?;
    for group in &rules.groups {
        for rule in &group.rules {
            promql::parser::parse(&rule.expr, &promql::parser::ParserOptions::all()).map_err(|e| {
                problem(format!("{}: {}: could not parse expression: {e}", file.display(), group.name))
            })?;
        }
    }
    Ok(rules.groups.into_iter().map(|g| (file.to_owned(), g)).collect())
}

/// How far a group's evaluations are shifted, as the server shifts them.
fn offset_ns(file: &Path, group: &RuleGroup, interval_s: i64) -> i64 {
    let key = LabelSet::from_pairs([("name", group.name.as_str()), ("file", &file.to_string_lossy())]);
    let interval_ns = interval_s.saturating_mul(1_000_000_000);
    i64::try_from(key.upstream_hash() % interval_ns.unsigned_abs()).unwrap_or(0)
}

/// When a group is evaluated, in seconds but for its shift.
struct Span {
    start_s: i64,
    end_s: i64,
    span_s: i64,
    interval_s: i64,
    offset_ns: i64,
}

impl Span {
    /// The first evaluation at or after `from_s`, in nanoseconds.
    fn first_after(&self, from_s: i64) -> i64 {
        let (from, interval) =
            (from_s.saturating_mul(1_000_000_000), self.interval_s.saturating_mul(1_000_000_000));
        let adjusted = from - self.offset_ns;
        let slot = adjusted - adjusted % interval + self.offset_ns;
        // By whole seconds, as upstream compares.
        if slot.div_euclid(1_000_000_000) < from_s { slot + interval } else { slot }
    }
}

/// One rule: a query and a block for each span.
fn import(
    server: &Server,
    rule: &Rule,
    group: &RuleGroup,
    span: &Span,
    out: &Path,
    now_ms: i64,
) -> Result<(), Failure> {
    let labels = group.labels_of(rule);
    let mut begin = span.start_s.div_euclid(span.span_s) * span.span_s;
    while begin <= span.end_s {
        let from_ns = span.first_after(begin.max(span.start_s));
        let to_s = (begin + span.span_s - 1).min(span.end_s);
        if to_s.saturating_mul(1_000_000_000) < from_ns {
            break;
        }
        let result = server
            .query_range(&rule.expr, from_ns, to_s, span.interval_s)
            .map_err(|e| e.within("query range"))?;
        let mut series = std::collections::BTreeMap::new();
        for (metric, samples) in result {
            let mut builder = metric.to_builder();
            for (name, value) in &labels {
                builder.set(name, value);
            }
            builder.set(METRIC_NAME, &rule.record);
            if series.insert(builder.build(), samples).is_some() {
                let text =
                    "add: multiappender append: two series have the same labels once the rule's are set";
                return Err(Failure::new(text));
            }
        }
        series.retain(|_, samples| !samples.is_empty());
        if !series.is_empty() {
            write(&series, out, now_ms)?;
        }
        begin += span.span_s;
    }
    Ok(())
}

/// A server's API.
struct Server {
    client: Client,
    runtime: tokio::runtime::Runtime,
    url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    #[serde(default)]
    status: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_type: String,
    data: Option<ReplyData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplyData {
    result_type: String,
    result: Vec<ReplySeries>,
}

#[derive(Deserialize)]
struct ReplySeries {
    metric: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

type SeriesOfReply = (LabelSet, Vec<(i64, f64)>);

impl Server {
    fn new(base: &str) -> Result<Self, Failure> {
        let base = url::Url::parse(base).map_err(|e| Failure::usage(format!("--url: {base:?}: {e}")))?;
        let url = format!("{}/api/v1/query_range", base.as_str().trim_end_matches('/'));
        let failed = |e: String| Failure::new(format!("new api client error: {e}"));
        let client = Client::new(
            &config::HttpClientConfig::default(),
            ClientOptions { user_agent: "promtool".into() },
        )
        .map_err(|e| failed(e.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self { client, runtime: runtime.map_err(|e| failed(e.to_string()))?, url })
    }

    fn query_range(
        &self,
        query: &str,
        from_ns: i64,
        to_s: i64,
        step_s: i64,
    ) -> Result<Vec<SeriesOfReply>, Failure> {
        // The server rounds to milliseconds.
        let from_ms = from_ns.saturating_add(500_000).div_euclid(1_000_000);
        let from = format!("{}.{:03}", from_ms.div_euclid(1000), from_ms.rem_euclid(1000));
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("query", query)
            .append_pair("start", &from)
            .append_pair("end", &to_s.to_string())
            .append_pair("step", &step_s.to_string())
            .finish();
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(body))
            .map_err(|e| Failure::new(e.to_string()))?;
        let limits = Limits { timeout: TIMEOUT, max_body_bytes: Some(1 << 30) };
        let reply = self
            .runtime
            .block_on(self.client.send(request, &limits))
            .map_err(|e| Failure::new(e.to_string()))?;
        let status = reply.status();
        let reply: Reply = serde_json::from_slice(reply.body())
            .map_err(|e| Failure::new(format!("server answered {status} with no JSON of its API: {e}")))?;
        if reply.status != "success" {
            return Err(Failure::new(format!("{}: {}", reply.error_type, reply.error)));
        }
        let data = reply.data.ok_or_else(|| Failure::new("server answered without data"))?;
        if data.result_type != "matrix" {
            return Err(Failure::new(format!("rule result is wrong type {}", data.result_type)));
        }
        data.result.into_iter().map(samples_of).collect()
    }
}

fn samples_of(series: ReplySeries) -> Result<SeriesOfReply, Failure> {
    let mut samples = Vec::with_capacity(series.values.len());
    for (seconds, text) in series.values {
        let value = model::float::parse_go_float(&text)
            .ok_or_else(|| Failure::new(format!("server answered {text:?} for a value")))?;
        samples.push(((seconds * 1000.0).round() as i64, value));
    }
    Ok((LabelSet::from_pairs(&series.metric), samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_slots_are_upstreams() {
        assert_eq!(parse_time("1700000000.9").unwrap(), 1_700_000_000);
        assert_eq!(parse_time("2023-11-14T22:13:20Z").unwrap(), 1_700_000_000);
        assert_eq!(parse_time("x").unwrap_err().0, "cannot parse \"x\" to a valid timestamp");
        let span = Span { start_s: 0, end_s: 1000, span_s: 7200, interval_s: 60, offset_ns: 7_500_000_000 };
        assert_eq!(span.first_after(0), 7_500_000_000);
        assert_eq!(span.first_after(7), 7_500_000_000);
        assert_eq!(span.first_after(8), 67_500_000_000);
    }
}
