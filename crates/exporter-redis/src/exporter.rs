//! One scrape of one server: what is asked in which order, and the families about the scrape itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exporters::{Kind, Page};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config_values::ServerConfig;
use crate::connect::{Batch, Connection, Fault};
use crate::info::{self, Info};
use crate::keys::{self, Exposed, Keys};
use crate::resp::Value;
use crate::scan::{Found, Order, Scanner};
use crate::server::Server;
use crate::sheet::Sheet;
use crate::streams::Streams;
use crate::{Options, clients, cluster, latency, modules, sentinel, streams};

/// Part of the time a scraper has that is left for sending the page.
const RESERVE: f64 = 0.1;

/// Longest error that becomes a label.
const MAX_ERROR_CHARS: usize = 500;

/// What is scraped, and how its scrapes went.
pub(crate) struct Target {
    pub(crate) options: Arc<Options>,
    /// `None` where no server is named.
    pub(crate) server: Option<Server>,
    /// `None` where nothing has to be looked for.
    pub(crate) scanner: Option<Arc<Scanner>>,
    pub(crate) scrapes: Arc<Scrapes>,
}

/// Numbers of scrapes.
#[derive(Debug, Default)]
pub(crate) struct Scrapes(Mutex<ScrapeCounts>);

#[derive(Debug, Default, Clone, Copy)]
struct ScrapeCounts {
    total: u64,
    measured: u64,
    seconds: f64,
}

/// Why a scrape failed, as `exporter_last_scrape_error` tells it.
type Failed = String;

impl Target {
    /// A page. A server that cannot be asked is told of by it.
    pub(crate) async fn page(&self, timeout: Option<Duration>, request_errors: u64) -> Page {
        let options = &*self.options;
        let begin = Instant::now();
        let deadline = timeout.map(|t| begin + t.mul_f64(1.0 - RESERVE));
        let mut sheet = Sheet::new(&options.namespace);
        self.scrapes.0.lock().total += 1;
        if let Some(server) = &self.server {
            let outcome = self.scrape(&mut sheet, server, deadline).await;
            let (error, up) = match &outcome {
                Ok(()) => ("", 1.0),
                Err(e) => (e.as_str(), 0.0),
            };
            if options.role_label && !sheet.has_role() {
                sheet.set_role("");
            }
            // A server's words may be long.
            let error: String = error.chars().take(MAX_ERROR_CHARS).collect();
            let labels = [("err", error.as_str())];
            sheet.gauge("exporter_last_scrape_error", "The last scrape error status.", &labels, 1.0 - up);
            sheet.gauge("up", "Information about the Redis instance", &[], up);
            let took = begin.elapsed().as_secs_f64();
            sheet.plain("exporter_last_scrape_duration_seconds", Kind::Gauge, took);
            let mut counts = self.scrapes.0.lock();
            counts.measured += 1;
            counts.seconds += took;
        }
        let counts = *self.scrapes.0.lock();
        let name = |name: &str| {
            if options.namespace.is_empty() {
                name.to_owned()
            } else {
                format!("{}_{name}", options.namespace)
            }
        };
        let mut page = sheet.into_page();
        let help = "Current total redis scrapes.";
        page.single(&name("exporter_scrapes_total"), help, Kind::Counter, counts.total as f64);
        let help = "Durations of scrapes by the exporter";
        page.family(&name("exporter_scrape_duration_seconds"), help, Kind::Summary).summary(
            &[],
            &[],
            counts.seconds,
            counts.measured as f64,
        );
        let help = "Errors in requests to the exporter";
        page.single(&name("target_scrape_request_errors_total"), help, Kind::Counter, request_errors as f64);
        if !options.only_redis {
            // A label without a value: there is no Go here, and builds have no date.
            let labels = [
                ("build_date", ""),
                ("commit_sha", ""),
                ("golang_version", ""),
                ("version", env!("CARGO_PKG_VERSION")),
            ];
            let name = name("exporter_build_info");
            page.family(&name, "redis exporter build_info", Kind::Gauge).sample(&labels, 1.0);
        }
        page
    }

    async fn scrape(
        &self,
        sheet: &mut Sheet,
        server: &Server,
        deadline: Option<Instant>,
    ) -> Result<(), Failed> {
        let options = &*self.options;
        let begin = Instant::now();
        let connection = server.connect(deadline).await;
        let took = begin.elapsed().as_secs_f64();
        let name = "exporter_last_scrape_connect_time_seconds";
        sheet.gauge(name, &format!("{name} metric"), &[], took);
        let mut connection = connection.map_err(|e| {
            tracing::error!(address = %server.address.place, err = %e, "Couldn't connect to redis instance");
            e.to_string()
        })?;
        let connection = &mut connection;
        if options.ping {
            ping(sheet, connection).await?;
        }
        let (text, config) = self.ask_info(connection).await?;
        let info = Info::parse(&text);
        if options.role_label {
            sheet.set_role(info.role());
        }
        let databases = config.databases()?;
        config.write(sheet, options.config());
        if options.rdb_size {
            config.write_rdb_size(sheet);
        }
        let db_count = if info.is_cluster() { 1 } else { databases.filter(|n| *n > 0).unwrap_or(16) };
        self.ask_rest(sheet, connection, &info, &config, db_count).await?;
        self.write_keys(sheet, connection, server, &info, db_count, deadline).await;
        if info.has_section("Sentinel") {
            let peers =
                if options.sentinel_peers { sentinel::Peers::Named } else { sentinel::Peers::Counted };
            let outcome = sentinel::write(sheet, connection, peers, options.config()).await;
            outcome.unwrap_or_else(|e| tracing::error!(err = %e, "A Sentinel cannot be asked"));
        }
        if let Some(wanted) = &options.indexes {
            let outcome = modules::write_indexes(sheet, connection, wanted).await;
            outcome.unwrap_or_else(|e| tracing::error!(err = %e, "Search indexes cannot be read"));
        }
        self.run_scripts(sheet, connection).await
    }

    /// What everything else depends on, in one round trip: INFO and the settings.
    async fn ask_info(&self, connection: &mut Connection) -> Result<(String, ServerConfig), Failed> {
        let options = &*self.options;
        let mut batch = Batch::default();
        if options.client_name {
            batch.ask(&["CLIENT", "SETNAME", "redis_exporter"]);
        }
        batch.ask(&["INFO", "ALL"]);
        if let Some(command) = &options.config_command {
            batch.ask(&[command, "GET", "*"]);
        }
        let mut replies = connection.run(&batch).await.map_err(|e| e.to_string())?.into_iter();
        if options.client_name
            && let Some(Value::Error(text)) = replies.next()
        {
            tracing::error!(err = %text, "Couldn't set client name");
        }
        let mut info = replies.next().unwrap_or(Value::Nil);
        if info.error().is_some() || info == Value::Text(Vec::new()) {
            info = connection.ask(&["INFO"]).await.map_err(|e| e.to_string())?;
        }
        if let Some(text) = info.error() {
            return Err(text.to_owned());
        }
        let info = info.into_text().ok_or("INFO: the server's reply is no text")?;
        let config = replies.next().unwrap_or(Value::Nil);
        if let Some(text) = config.error() {
            tracing::debug!(err = text, "CONFIG GET was refused");
        }
        Ok((info, ServerConfig::new(config.into_pairs().unwrap_or_default())))
    }

    /// What INFO said the server knows, in one more round trip.
    async fn ask_rest(
        &self,
        sheet: &mut Sheet,
        connection: &mut Connection,
        info: &Info<'_>,
        config: &ServerConfig,
        db_count: u32,
    ) -> Result<(), Failed> {
        let options = &*self.options;
        let wanted = Wanted::of(options, info);
        let mut batch = Batch::default();
        wanted.ask(&mut batch);
        let replies = connection.run(&batch).await.map_err(|e| e.to_string())?;
        let mut replies = replies.into_iter();
        let mut next = |wanted: bool| if wanted { replies.next() } else { None };
        if let Some(text) = next(wanted.cluster).and_then(Value::into_text) {
            info::write_cluster(sheet, &text);
        }
        let now_s = now_s();
        let times = info.write(
            sheet,
            &info::Wanted {
                db_count,
                empty_databases: options.empty_databases,
                system: options.system,
                now_s,
            },
        );
        if let Some(reply) = next(wanted.latency) {
            latency::write_latest(sheet, reply);
        }
        if let Some(reply) = next(wanted.histogram) {
            latency::write_histogram(sheet, reply, &times);
        }
        let [length, newest] = [(); 2].map(|()| next(true).unwrap_or(Value::Nil));
        latency::write_slowlog(sheet, &length, newest);
        if wanted.command_logs {
            let lengths = [(); 3].map(|()| next(true).unwrap_or(Value::Nil));
            latency::write_command_logs(sheet, &lengths, config);
        }
        if let Some(text) = next(wanted.clients).and_then(Value::into_text) {
            let wanted =
                clients::Wanted { port: options.client_ports, legacy: options.legacy_families, now_s };
            clients::write(sheet, &text, wanted);
        }
        if let Some(text) = next(wanted.modules).and_then(Value::into_text) {
            modules::write_info(sheet, &text);
        }
        if let Some(reply) = next(wanted.tile38) {
            modules::write_tile38(sheet, reply);
        }
        Ok(())
    }

    /// Keys, streams and groups: those named are asked about now, what has to be looked for comes from the last scan.
    async fn write_keys(
        &self,
        sheet: &mut Sheet,
        connection: &mut Connection,
        server: &Server,
        info: &Info<'_>,
        db_count: u32,
        deadline: Option<Instant>,
    ) {
        let options = &*self.options;
        let with_keys = info.role() == "slave" || !options.not_keys_of_masters;
        let latest = match &self.scanner {
            Some(scanner) => {
                let order = Order { keys: with_keys, databases: info.databases() };
                Some(scanner.latest(server, order, deadline).await)
            }
            None => None,
        };
        let found = latest.as_ref().and_then(|l| l.found.clone());
        if with_keys {
            let (mut keys, mut streams) = (Keys::new(), Streams::new());
            if let Some(found) = &found {
                for (spec, count) in &found.counts {
                    let (db, key) = (format!("db{}", spec.db), String::from_utf8_lossy(&spec.key));
                    let labels = [("db", db.as_str()), ("key", &key)];
                    sheet.gauge("keys_count", "Count of keys", &labels, *count as f64);
                }
            }
            if let Err(e) = self.ask_keys(connection, server, &mut keys, &mut streams, deadline).await {
                tracing::error!(err = %e, "Keys cannot be asked about");
            }
            let none = Found::default();
            let found = found.as_deref().unwrap_or(&none);
            // What was asked about now goes before what the scan found.
            let found_keys = found.keys.iter().filter(|(spec, _)| !keys.contains_key(spec));
            let exposed = Exposed { values: options.key_values, absent: options.legacy_families };
            keys::write(sheet, keys.iter().chain(found_keys), exposed);
            let found_streams = found.streams.iter().filter(|(spec, _)| !streams.contains_key(spec));
            streams::write(sheet, streams.iter().chain(found_streams));
        }
        if !options.key_groups.is_empty()
            && let Some(found) = &found
        {
            for db in 0..db_count {
                let none = crate::groups::Groups::default();
                found.groups.get(&db).unwrap_or(&none).write(sheet, db, options.max_key_groups);
            }
        }
        let took = found.as_ref().map_or(Duration::ZERO, |f| f.groups_took);
        let help = "Duration of the last key group metrics scrape in milliseconds";
        sheet.gauge("last_key_groups_scrape_duration_milliseconds", help, &[], took.as_millis() as f64);
        if let Some(latest) = latest {
            write_scan(sheet, &latest);
        }
    }

    async fn ask_keys(
        &self,
        connection: &mut Connection,
        server: &Server,
        keys: &mut Keys,
        streams: &mut Streams,
        deadline: Option<Instant>,
    ) -> Result<(), Fault> {
        let options = &*self.options;
        let (single_keys, single_streams) = (options.single_keys(), options.single_streams());
        if single_keys.is_empty() && single_streams.is_empty() {
            return Ok(());
        }
        if !options.cluster {
            keys::read(connection, &single_keys, true, keys).await?;
            return streams::read(connection, &single_streams, true, options.consumers(), streams).await;
        }
        let nodes = connection.ask(&["CLUSTER", "NODES"]).await?.into_text().unwrap_or_default();
        let nodes = cluster::parse(&nodes);
        for (node, specs) in cluster::by_node(&nodes, &single_keys) {
            let mut there = server.at(node.address(&server.address)).connect(deadline).await?;
            keys::read(&mut there, &specs, false, keys).await?;
        }
        for (node, specs) in cluster::by_node(&nodes, &single_streams) {
            let mut there = server.at(node.address(&server.address)).connect(deadline).await?;
            streams::read(&mut there, &specs, false, options.consumers(), streams).await?;
        }
        Ok(())
    }

    async fn run_scripts(&self, sheet: &mut Sheet, connection: &mut Connection) -> Result<(), Failed> {
        let command: &[u8] = if self.options.scripts_read_only { b"EVAL_RO" } else { b"EVAL" };
        let mut batch = Batch::default();
        for (_, script) in &self.options.scripts {
            batch.ask_bytes(&[command, script, b"0", b"0"]);
        }
        let replies = connection.run(&batch).await.map_err(|e| e.to_string())?;
        for ((file, _), reply) in self.options.scripts.iter().zip(replies) {
            modules::write_script(sheet, file, reply).inspect_err(|e| {
                tracing::error!(file = %file, err = %e, "A script failed");
            })?;
        }
        Ok(())
    }
}

/// Which commands go with the second round trip.
struct Wanted {
    cluster: bool,
    latency: bool,
    histogram: bool,
    command_logs: bool,
    clients: bool,
    modules: bool,
    tile38: bool,
}

impl Wanted {
    fn of(options: &Options, info: &Info<'_>) -> Self {
        // What calls itself older, or nothing we know, is not asked for what Redis has since 7.0: each refusal is counted as an error.
        let is_valkey = info.get("valkey_version").is_some();
        Self {
            cluster: info.is_cluster(),
            latency: options.latency,
            histogram: options.latency && (is_valkey || info.version("redis_version") >= (7, 0)),
            command_logs: info.version("valkey_version") >= (8, 1),
            clients: options.clients,
            modules: options.modules,
            tile38: options.tile38,
        }
    }

    fn ask(&self, batch: &mut Batch) {
        let mut ask = |wanted: bool, words: &[&str]| {
            if wanted {
                batch.ask(words);
            }
        };
        ask(self.cluster, &["CLUSTER", "INFO"]);
        ask(self.latency, &["LATENCY", "LATEST"]);
        ask(self.histogram, &["LATENCY", "HISTOGRAM"]);
        ask(true, &["SLOWLOG", "LEN"]);
        ask(true, &["SLOWLOG", "GET", "1"]);
        for (log, ..) in latency::COMMAND_LOGS {
            ask(self.command_logs, &["COMMANDLOG", "LEN", log]);
        }
        ask(self.clients, &["CLIENT", "LIST"]);
        ask(self.modules, &["INFO", "MODULES"]);
        ask(self.tile38, &["SERVER", "EXT"]);
    }
}

async fn ping(sheet: &mut Sheet, connection: &mut Connection) -> Result<(), Failed> {
    let begin = Instant::now();
    let reply = connection.ask(&["PING"]).await.map_err(|e| e.to_string())?;
    match reply.error() {
        Some(text) => tracing::error!(err = text, "Couldn't PING server"),
        None => {
            let name = "exporter_last_scrape_ping_time_seconds";
            sheet.gauge(name, &format!("{name} metric"), &[], begin.elapsed().as_secs_f64());
        }
    }
    Ok(())
}

fn write_scan(sheet: &mut Sheet, latest: &crate::scan::Latest) {
    let mut own = |name: &str, help: &str, kind, value| {
        sheet.own(&format!("vigie_redis_key_scan{name}"), help, kind, value);
    };
    if let Some(found) = &latest.found {
        let help = "Time since the scan was complete whose keys, counts and groups this page has.";
        own("_age_seconds", help, Kind::Gauge, latest.age.as_secs_f64());
        own("_duration_seconds", "How long that scan took.", Kind::Gauge, found.took.as_secs_f64());
        let help = "Whether more keys matched than are kept and exposed.";
        own("_truncated", help, Kind::Gauge, f64::from(u8::from(found.is_cut)));
    }
    own("s_completed_total", "Scans that ended well.", Kind::Counter, latest.completed as f64);
    own("s_failed_total", "Scans that failed or took too long.", Kind::Counter, latest.failed as f64);
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
