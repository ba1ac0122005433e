//! One loop per target: wait for the slot, fetch, ingest, report; all on the target's thread (`shards`).

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use config::{EscapingScheme, ScrapeConfig, ScrapeProtocol};
use exposition::content::{self, Protocol};
use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{HeaderMap, Request, Uri};
use httpclient::{Buffer, Client, ErrorKind, Fetcher, Limits};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::ingest::{Fetched, Ingest};
use crate::local::{LocalAddresses, LocalPages};
use crate::schedule::{Slots, offset};
use crate::stats::add;
use crate::target::{Health, Target};

/// Bodies up to this take well below a millisecond when their lines are known…
const MAX_KNOWN_BYTES: usize = 1 << 20;
/// … and those up to this when they are not.
const MAX_NEW_BYTES: usize = 32 << 10;

/// What a loop is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Scrape.
    Run,
    /// The target is gone: write staleness markers once it is sure that it does not come back, then end.
    Retire,
    /// End now and hand the state over; the target goes on under another loop.
    HandOver,
    /// End now without markers: the process stops.
    Shutdown,
}

/// How targets of a pool are fetched.
#[derive(Debug)]
pub(crate) struct Fetch {
    /// One per thread.
    fetchers: Vec<Fetcher>,
    accept: String,
    accept_encoding: &'static str,
    fallback: Option<Protocol>,
    body_size_limit: u64,
    local: LocalAddresses,
    /// Fails every scrape of the pool while set.
    pub(crate) forced_error: Mutex<Option<String>>,
}

impl Fetch {
    pub(crate) fn new(config: &ScrapeConfig, client: &Client, shards: usize, local: LocalAddresses) -> Self {
        let protocols: Vec<_> = config.scrape_protocols.iter().map(|p| protocol(*p)).collect();
        let escaping = match config.metric_name_escaping_scheme {
            None | Some(EscapingScheme::AllowUtf8) => "allow-utf-8",
            Some(EscapingScheme::Underscores) => "underscores",
            Some(EscapingScheme::Dots) => "dots",
            Some(EscapingScheme::Values) => "values",
        };
        let protocols = if protocols.is_empty() { Protocol::DEFAULT.to_vec() } else { protocols };
        Self {
            fetchers: (0..shards).map(|_| client.fetcher()).collect(),
            accept: content::accept_header(&protocols, escaping),
            accept_encoding: if config.enable_compression { "gzip" } else { "identity" },
            fallback: config.fallback_scrape_protocol.map(protocol),
            body_size_limit: config.body_size_limit.0,
            local,
            forced_error: Mutex::new(None),
        }
    }

    /// What a target is asked at each scrape.
    fn request(&self, target: &Target) -> Result<(Uri, HeaderMap), String> {
        let request = Request::builder()
            .uri(&target.url)
            .header(ACCEPT, &self.accept)
            .header(ACCEPT_ENCODING, self.accept_encoding)
            .header(
                "X-Prometheus-Scrape-Timeout-Seconds",
                model::float::format_f(target.timeout.as_secs_f64()),
            )
            .body(())
            .map_err(|e| format!("parse {}: {e}", model::float::go_quote(&target.url)))?;
        let (parts, ()) = request.into_parts();
        Ok((parts.uri, parts.headers))
    }

    /// Fetches a target's body with the format it is in.
    async fn fetch(
        &self,
        shard: usize,
        request: &Result<(Uri, HeaderMap), String>,
        timeout: Duration,
    ) -> Result<(content::Decision, Buffer), FetchError> {
        let failed = |error: String| FetchError { error, body_size: 0 };
        if let Some(error) = &*self.forced_error.lock() {
            return Err(failed(error.clone()));
        }
        let (uri, headers) = request.as_ref().map_err(|e| failed(e.clone()))?;
        // A body of exactly the limit is too large, as upstream.
        let max = (self.body_size_limit > 0).then(|| self.body_size_limit - 1);
        let limits = Limits { timeout, max_body_bytes: max };
        let reply = match self.local.find(uri) {
            Some(pages) => local_reply(&*pages, uri, headers, &limits).await?,
            None => self.fetchers[shard].get(uri, headers, &limits).await.map_err(|e| FetchError {
                body_size: if e.kind() == ErrorKind::BodyTooLarge { -1 } else { 0 },
                error: e.to_string(),
            })?,
        };
        if reply.status != http::StatusCode::OK {
            return Err(failed(format!("server returned HTTP status {}", reply.status)));
        }
        let content_type = reply.content_type.as_ref().map_or(&b""[..], |v| v.as_bytes());
        let decision =
            content::decide(&String::from_utf8_lossy(content_type), self.fallback).map_err(failed)?;
        Ok((decision, reply.buffer))
    }
}

fn protocol(p: ScrapeProtocol) -> Protocol {
    match p {
        ScrapeProtocol::PrometheusProto => Protocol::PrometheusProto,
        ScrapeProtocol::PrometheusText004 => Protocol::PrometheusText0_0_4,
        ScrapeProtocol::PrometheusText100 => Protocol::PrometheusText1_0_0,
        ScrapeProtocol::OpenMetricsText001 => Protocol::OpenMetricsText0_0_1,
        ScrapeProtocol::OpenMetricsText100 => Protocol::OpenMetricsText1_0_0,
    }
}

/// An answer of this process, under the limits and with the errors of one from elsewhere.
async fn local_reply(
    pages: &dyn LocalPages,
    uri: &Uri,
    headers: &HeaderMap,
    limits: &Limits,
) -> Result<httpclient::Fetched, FetchError> {
    let reply = tokio::time::timeout(limits.timeout, pages.get(uri, headers)).await.map_err(|_| {
        FetchError { error: format!("Get \"{uri}\": context deadline exceeded"), body_size: 0 }
    })?;
    if limits.max_body_bytes.is_some_and(|max| reply.body.len() as u64 > max) {
        return Err(FetchError { error: "body size limit exceeded".to_owned(), body_size: -1 });
    }
    let buffer = Buffer::of_body(reply.body);
    Ok(httpclient::Fetched { status: reply.status, content_type: reply.content_type, buffer })
}

struct FetchError {
    error: String,
    body_size: i64,
}

/// Runs until told to end; gives back the state. An order given while a request is under way abandons the request; what is being
/// stored is stored.
pub(crate) async fn run(
    target: Arc<Target>,
    fetch: Arc<Fetch>,
    shard: usize,
    mut ingest: Ingest,
    seed: u64,
    mut orders: watch::Receiver<Order>,
) -> Ingest {
    let wait = offset(now_ns(), target.interval, target.hash(), seed);
    let mut order = sleep(wait, &mut orders).await;
    let mut slots = Slots::new(now_ns(), target.interval);
    let request = fetch.request(&target);
    let mut scraped = false;
    while order == Order::Run {
        let ts = slots.timestamp_ms(now_ns());
        let begin = Instant::now();
        let fetched = tokio::select! {
            fetched = fetch.fetch(shard, &request, target.timeout) => fetched,
            changed = change(&mut orders) => {
                order = changed;
                break;
            }
        };
        ingest = store(&target, &fetch, ingest, ts, begin, fetched).await;
        scraped = true;
        order = sleep(slots.until_next(now_ns()), &mut orders).await;
    }
    if order == Order::Retire {
        ingest = retire(ingest, &slots, target.interval, scraped, &mut orders).await;
    }
    ingest
}

/// Gives a scrape to the store, and notes how it went. What takes longer than the usual scrape is done on a thread of its own, so
/// that no other target of this one has to wait.
async fn store(
    target: &Arc<Target>,
    fetch: &Arc<Fetch>,
    mut ingest: Ingest,
    ts: i64,
    begin: Instant,
    fetched: Result<(content::Decision, Buffer), FetchError>,
) -> Ingest {
    if let Ok((content::Decision { warning: Some(warning), .. }, _)) = &fetched {
        tracing::debug!(target = %target.url, scrape_pool = %target.pool, warning, "content type");
    }
    if let Err(FetchError { body_size: -1, .. }) = &fetched {
        add(&ingest.stats().exceeded_body_size_limit, 1);
    }
    let forced = fetch.forced_error.lock().is_some();
    let size = fetched.as_ref().map_or(0, |(_, buffer)| buffer.body().len());
    let usual = if ingest.is_quick() { MAX_KNOWN_BYTES } else { MAX_NEW_BYTES };
    let work = move || {
        let summary = match &fetched {
            Ok((decision, buffer)) => {
                let body = Fetched::Body { format: decision.format, bytes: buffer.body() };
                ingest.scrape(ts, body, || begin.elapsed())
            }
            Err(e) => {
                let failed = Fetched::Failed { error: &e.error, body_size: e.body_size };
                ingest.scrape(ts, failed, || begin.elapsed())
            }
        };
        (ingest, summary, fetched.ok().map(|(_, buffer)| buffer))
    };
    let done = if size <= usual { Ok(work()) } else { tokio::task::spawn_blocking(work).await };
    let (ingest, summary, buffer) = match done {
        Ok(done) => done,
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    };
    if let Some(buffer) = buffer {
        buffer.recycle();
    }
    let error = summary.error.unwrap_or_default();
    if !error.is_empty() && !forced {
        tracing::debug!(target = %target.url, scrape_pool = %target.pool, error, "scrape failed");
    }
    *target.last.lock() = crate::target::Last {
        health: if error.is_empty() { Health::Up } else { Health::Down },
        error,
        at_ms: ts,
        duration: summary.duration,
    };
    ingest
}

/// Waits for two more slots and a tenth of the interval; then the target is gone, and its series end at the first slot it missed.
async fn retire(
    mut ingest: Ingest,
    slots: &Slots,
    interval: Duration,
    scraped: bool,
    orders: &mut watch::Receiver<Order>,
) -> Ingest {
    if !scraped && !ingest.has_samples() {
        return ingest;
    }
    let first = slots.until_next(now_ns());
    let stale_ns = now_ns().saturating_add(u64::try_from(first.as_nanos()).unwrap_or(u64::MAX));
    let order = tokio::select! {
        () = tokio::time::sleep(first + interval + interval / 10) => Order::Retire,
        order = until(orders, |o| matches!(o, Order::HandOver | Order::Shutdown)) => order,
    };
    if order != Order::Retire {
        return ingest;
    }
    let work = tokio::task::spawn_blocking(move || {
        let ts = i64::try_from(stale_ns / 1_000_000).unwrap_or(i64::MAX);
        if let Err(error) = ingest.end(ts) {
            tracing::warn!(error, "staleness markers of a removed target could not be stored");
        }
        ingest.close();
        ingest
    });
    match work.await {
        Ok(ingest) => ingest,
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}

async fn sleep(duration: Duration, orders: &mut watch::Receiver<Order>) -> Order {
    tokio::select! {
        () = tokio::time::sleep(duration) => Order::Run,
        order = change(orders) => order,
    }
}

/// The first order that is not to run.
async fn change(orders: &mut watch::Receiver<Order>) -> Order {
    until(orders, |o| o != Order::Run).await
}

async fn until(orders: &mut watch::Receiver<Order>, hit: impl Fn(Order) -> bool) -> Order {
    // A sender that is gone means that nobody is left to scrape for.
    match orders.wait_for(|o| hit(*o)).await {
        Ok(order) => *order,
        Err(_) => Order::Shutdown,
    }
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
