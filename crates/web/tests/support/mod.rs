//! A server on a real store, with what the store does not do for these tests kept in memory.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use model::{Exemplar, LabelSet, Matcher};
use parking_lot::{Mutex, RwLock};
use remote::write::{Limits, Receiver};
use serde_json::Value;
use storage::{
    BlockInfo, Error, ErrorKind, ExemplarReader, LeafExecutor, PointAppender, PointsReport, Refusals,
    SampleAppender as _, SeriesPoints, SeriesSample, StoreAdmin, TimeRange,
};
use telemetry::Registry;
use tokio::sync::mpsc;
use tower::ServiceExt as _;
use web::api::{Api, BuildInfo, Lifecycle, RemoteWrite, RuntimeFacts};
use web::server::Shutdown;

/// Notes what it is told to do.
#[derive(Default)]
pub(crate) struct Admin {
    pub(crate) done: Mutex<Vec<String>>,
    pub(crate) broken: bool,
}

impl Admin {
    fn note(&self, what: String) -> Result<(), Error> {
        if self.broken {
            return Err(Error::new(ErrorKind::NoSpace, "the disk is full"));
        }
        self.done.lock().push(what);
        Ok(())
    }
}

impl StoreAdmin for Admin {
    fn delete(&self, matcher_sets: &[Vec<Matcher>], range: TimeRange) -> Result<(), Error> {
        let sets: Vec<String> = matcher_sets
            .iter()
            .map(|s| s.iter().map(|m| format!("{}~{}", m.name, m.value)).collect())
            .collect();
        self.note(format!("delete {} {} {}", sets.join(" or "), range.mint, range.maxt))
    }

    fn clean_tombstones(&self) -> Result<(), Error> {
        self.note("clean".to_owned())
    }

    fn snapshot(&self, name: &str, skip_head: bool) -> Result<(), Error> {
        self.note(format!("snapshot {name} {skip_head}"))
    }

    fn blocks(&self) -> Vec<BlockInfo> {
        vec![BlockInfo {
            ulid: "01HF000000000000000000000A".to_owned(),
            min_time: 1,
            max_time: 7_200_000,
            samples: 10,
            histogram_samples: 3,
            series: 2,
            chunks: 4,
            tombstones: 0,
            level: 1,
            sources: vec!["01HF000000000000000000000A".to_owned()],
            bytes: 4_096,
        }]
    }
}

/// One exemplar of each series asked for.
struct Exemplars;

impl ExemplarReader for Exemplars {
    fn exemplars(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<(LabelSet, Vec<Exemplar>)>, Error> {
        let of = |set: &Vec<Matcher>| {
            let labels = LabelSet::from_pairs(set.iter().map(|m| (&m.name, &m.value)));
            let exemplar = Exemplar {
                labels: LabelSet::from_pairs([("trace_id", "a<b")]),
                value: 0.25,
                ts: Some(range.mint),
            };
            (labels, vec![exemplar])
        };
        Ok(matcher_sets.iter().map(of).collect())
    }
}

/// Floats of a batch into the store, one by one.
struct Points(Arc<tsdb::Store>);

impl PointAppender for Points {
    fn append_points(&self, batch: &[SeriesPoints<'_>], _: Refusals) -> Result<PointsReport, Error> {
        let mut samples = Vec::new();
        for series in batch {
            let labels = series.labels.label_set()?;
            samples.extend(series.floats.iter().map(|&(ts, value)| SeriesSample {
                labels: labels.clone(),
                ts,
                value,
            }));
        }
        let report = self.0.append(&samples)?;
        Ok(PointsReport { floats: report.accepted, ..PointsReport::default() })
    }
}

/// What a test wants switched on.
#[derive(Default, Clone)]
pub(crate) struct Options {
    pub(crate) lifecycle: bool,
    pub(crate) admin: bool,
    pub(crate) broken_store: bool,
    pub(crate) remote_write: Option<Limits>,
    pub(crate) engine: Option<promql::EngineOptions>,
    /// In place of the real one, for reading.
    pub(crate) store: Option<Arc<dyn LeafExecutor>>,
}

/// The time of the newest sample; the API's clock stands here.
pub(crate) const NOW_MS: i64 = 1_700_000_000_000;

pub(crate) struct Server {
    pub(crate) router: Router,
    pub(crate) api: Arc<Api>,
    pub(crate) admin: Arc<Admin>,
    pub(crate) registry: Registry,
    _dir: tempfile::TempDir,
}

pub(crate) fn server(on: Options) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Fn() -> i64 + Send + Sync> = Arc::new(|| NOW_MS);
    let options = tsdb::StoreOptions { clock: Arc::clone(&clock), ..tsdb::StoreOptions::default() };
    let store = tsdb::Store::open(dir.path(), options).unwrap();
    let mut batch = Vec::new();
    for minute in 0..10 {
        for job in ["a", "b"] {
            let labels = LabelSet::from_pairs([("__name__", "hits_total"), ("job", job)]);
            let value = f64::from(minute) * if job == "a" { 60.0 } else { 120.0 };
            batch.push(SeriesSample { labels, ts: NOW_MS - i64::from(9 - minute) * 60_000, value });
        }
    }
    assert_eq!(store.append(&batch).unwrap().accepted, 20);
    let engine = Arc::new(promql::Engine::new(on.engine.unwrap_or_default()));
    let notifier = Arc::new(notifier::Manager::new(notifier::ManagerOptions::default()));
    let rules = rules::Manager::new(
        Arc::clone(&engine),
        store.clone(),
        (store.clone(), store.clone()),
        notifier.clone(),
        rules::ManagerOptions::default(),
    );
    let registry = Registry::new();
    let admin = Arc::new(Admin { broken: on.broken_store, ..Admin::default() });
    let api = Arc::new(Api {
        turns: web::api::Turns::new(engine.options().max_concurrency),
        features: web::api::Features::new(engine.options()),
        engine,
        store: on.store.unwrap_or_else(|| store.clone()),
        store_status: store.clone(),
        store_admin: admin.clone(),
        enable_admin: on.admin,
        exemplars: Some(Arc::new(Exemplars)),
        remote_write: on.remote_write.map(|limits| {
            let points = Arc::new(Points(store.clone()));
            RemoteWrite::new(Arc::new(Receiver::new(points, [1; 192], limits, &registry)))
        }),
        scrape: Arc::new(scrape::Manager::new(store.clone(), store, scrape::ManagerOptions::default())),
        rules: Arc::new(rules),
        notifier,
        http_requests: registry.counter("prometheus_http_requests_total", "Counter.", &["handler", "code"]),
        http_durations: registry.histogram(
            "prometheus_http_request_duration_seconds",
            "Histogram.",
            &["handler"],
            &[1.0],
        ),
        registry: registry.clone(),
        config_yaml: Arc::new(RwLock::new("global: {}\n".to_owned())),
        flags: BTreeMap::from([("web.cors.origin".to_owned(), ".*".to_owned())]),
        lifecycle: Lifecycle::new(on.lifecycle, mpsc::channel(1).0, Shutdown::default()),
        runtime: RuntimeFacts { start_ms: NOW_MS, storage_retention: "15d".to_owned() },
        build: BuildInfo {
            version: "1".to_owned(),
            revision: String::new(),
            branch: String::new(),
            build_user: String::new(),
            build_date: String::new(),
            go_version: String::new(),
        },
        external_url: url::Url::parse("http://vigie.example/").unwrap(),
        cors_origin: model::anchored(".*").unwrap(),
        listen_port: 9090,
        clock,
    });
    Server { router: web::api::router(Arc::clone(&api)), api, admin, registry, _dir: dir }
}

impl Server {
    pub(crate) async fn call(&self, method: Method, uri: &str, form: Option<&str>) -> (StatusCode, String) {
        let uri = uri.replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
        let req = Request::builder().method(method).uri(uri);
        let req = match form {
            Some(form) => req
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::from(form.to_owned())),
            None => req.body(Body::empty()),
        };
        let response = self.router.clone().oneshot(req.unwrap()).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub(crate) async fn get(&self, uri: &str) -> (u16, Value) {
        let (status, text) = self.call(Method::GET, uri, None).await;
        (status.as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

pub(crate) fn ready(on: Options) -> Server {
    let server = server(on);
    server.api.lifecycle.set_ready();
    server
}
