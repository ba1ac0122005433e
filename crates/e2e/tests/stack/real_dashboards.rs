//! Dashboards from the world, and our starters: what the original exporter gives them, ours gives too.
//!
//! The original and ours watch the same host or server and are scraped by one server as two instances. Each query of each panel
//! is asked for both. A query that has series by the original's samples and none by ours fails the test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;
use e2e::program::{Program, test_directory};
use e2e::{prometheus, tools, wait_for};
use serde_json::Value;

use crate::dashboard_queries::{PanelQuery, Variable, one, panel_queries, substitute};
use crate::databases;
use crate::support::{SOON, Server, free_address};

/// What ours may lack: a beginning of the metrics' names, and why.
const LEFT_OUT: [(&str, &str); 2] = [
    ("go_", "ours is no Go program"),
    (
        "node_tcp_connection_states",
        "a state has a series only while a connection is in it, which may end between two scrapes",
    ),
];

/// Where dashboards come from.
struct Boards<'a> {
    job: &'a str,
    /// Files among the conformance data, without `.json`.
    public: &'a [&'a str],
    starter: &'a str,
}

/// A role of ours as `prepare` has it, listening.
fn ours(
    (vigie, role): (&Path, &str),
    directory: &Path,
    address: &str,
    prepare: impl FnOnce(&mut Command),
) -> Program {
    let mut command = Command::new(vigie);
    command.arg(role).args(["--web.listen-address", address]);
    prepare(&mut command);
    let mut program = Program::start("ours", &mut command, directory);
    program.wait_until_listening(address);
    program
}

fn conformance(name: &str) -> Option<PathBuf> {
    let file = format!("shared/conformance/dashboards/{name}.json");
    let found =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|a| a.join(&file)).find(|p| p.is_file());
    if found.is_none() {
        tools::skipped(&format!("no {file} above the repository"));
    }
    found
}

/// One server that scrapes both each second, once it has enough samples for a rate.
fn scraping(vigie: &Path, directory: &Path, job: &str, original: &str, ours: &str) -> Server {
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: {job}\n  static_configs:\n  \
         - {{targets: ['{original}'], labels: {{instance: original}}}}\n  - {{targets: ['{ours}'], labels: {{instance: ours}}}}\n"
    );
    fs::write(directory.join("prometheus.yml"), config).unwrap();
    let server = Server::ours(vigie, directory, "prometheus.yml");
    wait_for("a dozen samples of both", SOON, || {
        for instance in ["original", "ours"] {
            let up = format!("sum_over_time(up{{instance=\"{instance}\"}}[1m])");
            let count = prometheus::number(&server.address, &up)?;
            ensure!(count >= 12.0, "{instance}: {count}");
        }
        Ok(())
    });
    server
}

/// Asks everything for both instances.
#[expect(clippy::print_stdout, reason = "the counts are for whoever reads the run")]
fn compare(server: &Server, boards: &Boards<'_>) {
    let starter = tools::root().join(format!("crates/dashboards/starters/{}.json", boards.starter));
    let files = boards.public.iter().filter_map(|name| conformance(name)).chain([starter]);
    let nodename = nodename(server);
    let mut missing = Vec::new();
    for file in files {
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let (title, queries) = panel_queries(&dashboard);
        assert!(queries.len() > 10, "{}: {}", file.display(), queries.len());
        let (mut both, mut by_ours) = (0, 0);
        let mut empty = BTreeSet::new();
        for query in &queries {
            let original = has_series(server, query, boards.job, "original", &nodename);
            let ours = has_series(server, query, boards.job, "ours", &nodename);
            match (original, ours) {
                (true, true) => both += 1,
                (false, true) => by_ours += 1,
                (false, false) => {
                    empty.insert(query.panel.as_str());
                }
                (true, false) if LEFT_OUT.iter().any(|(name, _)| query.expression.contains(name)) => {}
                (true, false) => missing.push(format!("{title}, {}: {}", query.panel, query.expression)),
            }
        }
        let panels: BTreeSet<_> = queries.iter().map(|q| q.panel.as_str()).collect();
        println!(
            "{}, {title}: {} queries in {} panels: {both} have data by both, {by_ours} by ours only, {} panels with a query that is empty for both: {empty:?}",
            file.file_stem().unwrap_or_default().display(),
            queries.len(),
            panels.len(),
            empty.len()
        );
        assert!(both * 2 > queries.len(), "{title}: only {both} of {} queries have data", queries.len());
    }
    assert!(missing.is_empty(), "no data by our exporter:\n{}", missing.join("\n"));
}

fn nodename(server: &Server) -> String {
    let found =
        prometheus::query(&server.address, "node_uname_info", None).and_then(|d| prometheus::vector(&d));
    let labels = found.unwrap().into_keys().next();
    labels.and_then(|l| l.get("nodename").cloned()).unwrap_or_default()
}

fn has_series(server: &Server, query: &PanelQuery, job: &str, instance: &str, nodename: &str) -> bool {
    let any = |name| Variable { name, equal: "postgres", pattern: ".*" };
    let variables = [
        one("job", job),
        one("instance", instance),
        one("node", instance),
        one("nodename", nodename),
        any("datname"),
        any("db"),
        Variable { name: "mode", equal: "accesssharelock", pattern: ".*" },
        // Labels that these targets do not have.
        one("namespace", ""),
        one("release", ""),
        one("interval", "10s"),
        one("__rate_interval", "10s"),
        one("__interval", "10s"),
        one("__range", "30s"),
    ];
    let expression = substitute(&query.expression, &variables)
        .unwrap_or_else(|name| panic!("{}: no value for ${name} in {}", query.panel, query.expression));
    let answer = prometheus::query(&server.address, &expression, None);
    let vector =
        answer.and_then(|data| prometheus::vector(&data)).unwrap_or_else(|e| panic!("{expression}: {e:#}"));
    !vector.is_empty()
}

/// Collectors of the node exporter that these dashboards ask for and that are off by default.
const OPTIONAL: [&str; 4] = ["processes", "tcpstat", "interrupts", "systemd"];

#[test]
fn dashboards_of_a_host_have_data() {
    let (Some(vigie), Some(exporter)) = (tools::vigie(), tools::node_exporter()) else { return };
    let directory = test_directory("real-dashboards-node");
    let (original, mine) = (free_address(), free_address());
    let more = OPTIONAL.map(|name| format!("--collector.{name}"));
    let with = |command: &mut Command| {
        command.args(&more);
    };
    let _ours = ours((&vigie, "node-exporter"), &directory, &mine, with);
    let mut command = Command::new(exporter);
    command.arg(format!("--web.listen-address={original}")).args(&more);
    let mut theirs = Program::start("original", &mut command, &directory);
    theirs.wait_until_listening(&original);
    let server = scraping(&vigie, &directory, "node", &original, &mine);
    compare(&server, &Boards { job: "node", public: &["rfmoz__node-exporter-full"], starter: "host" });
}

#[test]
fn dashboards_of_postgresql_have_data() {
    let (Some(vigie), Some(exporter)) = (tools::vigie(), tools::postgres_exporter()) else { return };
    let directory = test_directory("real-dashboards-postgresql");
    let (original, mine) = (free_address(), free_address());
    let Some(database) = databases::postgresql(&directory) else { return };
    let dsn = database.dsn("postgres");
    let with = |command: &mut Command| {
        command.env("DATA_SOURCE_NAME", &dsn);
    };
    let _ours = ours((&vigie, "postgres-exporter"), &directory, &mine, with);
    let mut command = Command::new(exporter);
    command.arg(format!("--web.listen-address={original}")).env("DATA_SOURCE_NAME", &dsn);
    let mut theirs = Program::start("original", &mut command, &directory);
    theirs.wait_until_listening(&original);
    let server = scraping(&vigie, &directory, "postgres", &original, &mine);
    let public = ["lstn__postgresql-database", "prometheus-community__postgres-overview"];
    compare(&server, &Boards { job: "postgres", public: &public, starter: "postgresql" });
}

#[test]
fn dashboards_of_redis_have_data() {
    let (Some(vigie), Some(exporter)) = (tools::vigie(), tools::redis_exporter()) else { return };
    let directory = test_directory("real-dashboards-redis");
    let (original, mine) = (free_address(), free_address());
    let Some(database) = databases::redis(&directory) else { return };
    let address = format!("redis://{}", database.address);
    let with = |command: &mut Command| {
        command.args(["--redis.addr", &address]);
    };
    let _ours = ours((&vigie, "redis-exporter"), &directory, &mine, with);
    let mut command = Command::new(exporter);
    command.args(["--redis.addr", &address, "--web.listen-address", &original]);
    let mut theirs = Program::start("original", &mut command, &directory);
    theirs.wait_until_listening(&original);
    let server = scraping(&vigie, &directory, "redis", &original, &mine);
    let public = ["oliver006__redis-overview", "oliver006__grafana_prometheus_redis_dashboard"];
    compare(&server, &Boards { job: "redis", public: &public, starter: "redis" });
}
