//! The PostgreSQL exporter beside the original (0.11.1) on real servers, and where the original gives up.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::expositions::{Differs, Exception, Exposition, compare};
use e2e::postgres::{PASSWORD, Postgres};
use e2e::program::{Program, test_directory};
use e2e::{http, tools, wait_for};

use crate::support::free_address;

const fn missing(pattern: &'static str, reason: &'static str) -> Exception {
    Exception { pattern, what: Differs::Missing, reason }
}

const fn extra(pattern: &'static str, reason: &'static str) -> Exception {
    Exception { pattern, what: Differs::Extra, reason }
}

const fn value(pattern: &'static str, reason: &'static str) -> Exception {
    Exception { pattern, what: Differs::Value, reason }
}

/// Differences from 0.11.1 under its own names.
const OLD: &[Exception] = &[
    missing("go_.*", "the Go runtime's own metrics"),
    missing("postgres_exporter_build_info.*", "another program's build"),
    extra("postgres_exporter_build_info.*", "another program's build"),
    extra("process_.*", "a process metric that the original's library does not have yet"),
    value("(process|promhttp)_.*", "another process"),
    value("pg_exporter_.*|pg_scrape_collector_duration_seconds.*", "another process's scrapes"),
    value("pg_settings_extra_float_digits.*", "the original shows what its driver set in its own session"),
    value(
        "pg_(stat_activity|locks)_.*|pg_stat_database_numbackends.*",
        "who asks sees his own session, and so do the others in turn",
    ),
    value(
        "pg_stat_archiver_last_archive_age.*|pg_stat_activity_max_tx_duration.*",
        "ages, read at another moment",
    ),
    value(
        "pg_stat_database_(xact|blks|tup|session|active|sessions|idle).*|pg_stat_(replication|bgwriter)_.*",
        "written to the statistics a moment later",
    ),
    Exception {
        pattern: "process_.*|promhttp_.*",
        what: Differs::Help,
        reason: "texts of another version of the library",
    },
];

/// Further ones of the default, which has the current exporter's families besides.
const BOTH: &[Exception] = &[
    missing(
        "pg_stat_replication_.*",
        "0.11 puts the sender's process into the label slot_name; here that has the slot's name, and pid the process",
    ),
    extra(
        "pg_stat_(replication|user_tables|database_active_time_seconds|progress_vacuum|checkpointer)_.*|pg_statio_.*|pg_replication_.*|pg_roles_.*|pg_wal_.*|pg_database_connection_limit.*|pg_scrape_collector_.*|postgres_exporter_config_.*",
        "families of later versions",
    ),
    extra("pg_stat_bgwriter_[a-z_]*[^l]\\{.*", "names from before they ended in _total"),
];

fn binaries() -> Option<(PathBuf, PathBuf)> {
    Some((tools::vigie()?, tools::postgres_bin_dir()?))
}

fn ours(vigie: &Path, directory: &Path, name: &str, sources: &str, flags: &[&str]) -> (Program, String) {
    let address = free_address();
    let mut command = Command::new(vigie);
    command.arg("postgres-exporter").arg(format!("--web.listen-address={address}")).args(flags);
    start(command, directory, name, sources, address)
}

fn theirs(program: &Path, directory: &Path, name: &str, sources: &str, flags: &[&str]) -> (Program, String) {
    let address = free_address();
    let mut command = Command::new(program);
    command.arg(format!("--web.listen-address={address}")).args(flags);
    start(command, directory, name, sources, address)
}

fn start(
    mut command: Command,
    directory: &Path,
    name: &str,
    sources: &str,
    address: String,
) -> (Program, String) {
    command.env("DATA_SOURCE_NAME", sources).current_dir(directory);
    let mut program = Program::start(name, &mut command, directory);
    program.wait_until_listening(&address);
    (program, address)
}

fn page(address: &str) -> Exposition {
    let answer = http::get(address, "/metrics").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    assert!(!text.contains(PASSWORD), "the password is on the page");
    Exposition::parse(&text)
}

/// What is in `exposition` under a name, however labelled.
fn values(exposition: &Exposition, name: &str) -> Vec<f64> {
    let is_of = |key: &&String| key.split('{').next() == Some(name);
    exposition.series.iter().filter(|(key, _)| is_of(key)).map(|(_, v)| *v).collect()
}

fn check(name: &str, theirs: &str, ours: &str, exceptions: &[Exception]) {
    // The first scrapes of each connect.
    for address in [theirs, ours] {
        drop(page(address));
    }
    let (before, mine, after) = (page(theirs), page(ours), page(theirs));
    let differences = compare(&before, &mine, &after, exceptions);
    let report = differences.report(name, exceptions);
    print(&report);
    assert!(differences.found.is_empty(), "{report}");
    assert!(differences.common > 250, "{report}");
}

#[expect(clippy::print_stdout, reason = "test runners show what tests print")]
fn print(text: &str) {
    println!("{text}");
}

const QUERIES: &str = "\
app_orders:
  query: \"SELECT status, count(*) AS count, sum(amount) AS amount, now() AS at FROM orders GROUP BY status\"
  master: true
  metrics:
    - status: {usage: LABEL, description: State}
    - count: {usage: GAUGE, description: Orders}
    - amount: {usage: COUNTER, description: Sum}
app_size:
  query: \"SELECT current_database() AS datname, pg_database_size(current_database()) > 0 AS filled, '250ms' AS took, NULL::int AS nothing, 'x' AS word\"
  metrics:
    - datname: {usage: LABEL, description: Database}
    - filled: {usage: GAUGE, description: Filled}
    - took: {usage: DURATION, description: Took}
app_histogram:
  query: \"SELECT ARRAY[1, 2.5] AS h, ARRAY[3, 4] AS h_bucket, 9.5 AS h_sum, 5 AS h_count\"
  master: true
  cache_seconds: 60
  metrics:
    - h: {usage: HISTOGRAM, description: Histogram}
app_broken:
  query: \"SELECT * FROM nowhere\"
  master: true
  metrics:
    - a: {usage: GAUGE, description: A}
";

/// A primary with databases, tables, a standby and an archiver.
fn primary(bin: &Path, directory: &Path, name: &str) -> Postgres {
    let primary = Postgres::start(
        bin,
        directory,
        name,
        "archive_mode = on\narchive_command = 'true'\nshared_preload_libraries = 'pg_stat_statements'\nautovacuum = off\nmax_slot_wal_keep_size = '1GB'",
    );
    for database in ["app", "shop"] {
        primary.sql("postgres", &format!("CREATE DATABASE {database}"));
    }
    primary.sql(
        "app",
        "CREATE TABLE orders (id int PRIMARY KEY, status text, amount numeric, note text); \
         INSERT INTO orders SELECT g, CASE WHEN g % 3 = 0 THEN 'open' ELSE 'done' END, g * 0.5, repeat('x', 100) \
         FROM generate_series(1, 3000) g; ANALYZE orders; CREATE EXTENSION pg_stat_statements; SELECT pg_switch_wal();",
    );
    primary
}

#[test]
fn everything_0_11_exposes_is_there() {
    let Some((vigie, bin)) = binaries() else { return };
    let Some(original) = tools::postgres_exporter() else { return };
    let directory = test_directory("postgres-exporter");
    let primary = primary(&bin, &directory, "pg-primary");
    let standby = primary.standby("pg-standby", "standby1", "");
    wait_for("the standby to stream", Duration::from_secs(30), || {
        let state = primary.sql("postgres", "SELECT state FROM pg_stat_replication");
        ensure!(state == "streaming", "{state}");
        Ok(())
    });
    let hold = "BEGIN; LOCK TABLE orders IN SHARE MODE; SELECT pg_sleep(120)";
    let holder = Program::start("holder", &mut primary.psql("app", hold), &directory);

    for (role, server) in [("primary", &primary), ("standby", &standby)] {
        let dsn = server.dsn("app");
        let (_theirs, their) = theirs(&original, &directory, &format!("original-{role}"), &dsn, &[]);
        let (_old, old) = ours(&vigie, &directory, &format!("old-{role}"), &dsn, &["--names=0.11"]);
        check(&format!("0.11 of the {role}"), &their, &old, OLD);
        let (_both, both) = ours(&vigie, &directory, &format!("both-{role}"), &dsn, &[]);
        let exceptions = [OLD, BOTH].concat();
        check(&format!("the default of the {role}"), &their, &both, &exceptions);
        let held = "pg_locks_count{datname=\"app\",mode=\"sharelock\"";
        let locks = page(&both);
        let count = locks.series.iter().find(|(key, _)| key.starts_with(held)).map(|(_, v)| *v);
        assert_eq!(count, Some(if role == "primary" { 1.0 } else { 0.0 }));
    }
    holder.kill();

    std::fs::write(directory.join("queries.yaml"), QUERIES).unwrap();
    let flags =
        ["--auto-discover-databases", "--extend.query-path=queries.yaml", "--constantLabels=env=test"];
    let dsn = primary.dsn("app");
    let (_theirs, their) = theirs(&original, &directory, "original-custom", &dsn, &flags);
    let mut old_flags = flags.to_vec();
    old_flags.push("--names=0.11");
    let (_old, old) = ours(&vigie, &directory, "old-custom", &dsn, &old_flags);
    let time = value("app_orders_at.*", "a moment later");
    let took =
        extra("app_size_took_milliseconds.*", "the original knows the usage DURATION, but never converts");
    check("custom queries", &their, &old, &[OLD, &[time, took]].concat());
    let custom = page(&old);
    assert_eq!(values(&custom, "app_size_filled").len(), 3, "on each database");
    assert_eq!(values(&custom, "pg_exporter_last_scrape_error"), [1.0], "one query is broken");
    assert_eq!(values(&custom, "app_histogram_h_count"), [5.0]);
}

/// Families of the current exporter that this server cannot have: of 16 and 17, of before 10, and of what is not happening.
const NOT_HERE: [&str; 6] = [
    "pg_buffercache_summary",
    "pg_stat_checkpointer",
    "pg_xlog_location",
    "pg_stat_activity_autovacuum",
    "pg_stat_progress_vacuum",
    "pg_stat_wal_receiver_upstream_node",
];

#[test]
fn every_family_of_the_current_exporter_is_there() {
    let Some((vigie, bin)) = binaries() else { return };
    let directory = test_directory("postgres-exporter-current");
    let primary = primary(&bin, &directory, "pg-current");
    let standby = primary.standby("pg-current-standby", "standby1", "");
    let off = [
        "buffercache_summary",
        "database_wraparound",
        "long_running_transactions",
        "postmaster",
        "process_idle",
        "stat_activity_autovacuum",
        "stat_checkpointer",
        "stat_statements",
        "stat_statements.include_query",
        "stat_wal_receiver",
        "statio_user_indexes",
        "xlog_location",
    ];
    let flags: Vec<String> = ["--names=current".to_owned()]
        .into_iter()
        .chain(off.iter().map(|name| format!("--collector.{name}")))
        .collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut seen = BTreeSet::new();
    for (name, server) in [("current-primary", &primary), ("current-standby", &standby)] {
        // Its connection idles until it is asked again.
        let (_idle, idle) = ours(&vigie, &directory, &format!("{name}-idle"), &server.dsn("app"), &[]);
        drop(page(&idle));
        let (_ours, address) = ours(&vigie, &directory, name, &server.dsn("app"), &flags);
        wait_for("the standby's receiver to tell of itself", Duration::from_secs(30), || {
            let found = page(&address);
            ensure!(
                name == "current-primary" || !values(&found, "pg_stat_wal_receiver_flushed_lsn").is_empty()
            );
            Ok(())
        });
        let found = page(&address);
        let failed: Vec<&String> = found
            .series
            .iter()
            .filter(|(key, v)| key.starts_with("pg_scrape_collector_success") && **v != 1.0)
            .map(|(key, _)| key)
            .collect();
        assert!(failed.is_empty(), "{failed:?}");
        assert!(
            !found.series.keys().any(|k| k.contains("server=")
                && !k.starts_with("pg_stat_database_conflicts_")
                && !k.starts_with("pg_static")),
            "a label of 0.11"
        );
        seen.extend(found.families.into_keys());
    }
    let missing: Vec<&str> = include_str!("postgres_exporter_families.txt")
        .lines()
        .filter(|family| !seen.contains(*family) && !NOT_HERE.iter().any(|prefix| family.starts_with(prefix)))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn servers_that_are_down_slow_or_locked_cost_themselves_only() {
    let Some((vigie, bin)) = binaries() else { return };
    let directory = test_directory("postgres-exporter-trouble");
    let mut server = Postgres::start(&bin, &directory, "pg-trouble", "");
    server.sql("postgres", "CREATE TABLE t (i int); CREATE TABLE u (i int)");
    std::fs::write(
        directory.join("queries.yaml"),
        "app_slow:\n  query: SELECT pg_sleep(60)\n  metrics:\n    - a: {usage: GAUGE}\n\
         app_fast:\n  query: SELECT 7 AS a\n  metrics:\n    - a: {usage: GAUGE, description: A}\n",
    )
    .unwrap();
    let nowhere = format!("postgresql://u:{PASSWORD}@127.0.0.1:1/x?sslmode=disable");
    let sources = format!("{},{nowhere}", server.dsn("postgres"));
    let (exporter, address) =
        ours(&vigie, &directory, "trouble", &sources, &["--extend.query-path=queries.yaml"]);
    let hurried = || {
        let begin = Instant::now();
        let headers = [("X-Prometheus-Scrape-Timeout-Seconds", "4")];
        let answer = http::request("GET", &address, "/metrics", &headers, b"").unwrap();
        assert_eq!(answer.status, 200);
        assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
        Exposition::parse(&answer.text())
    };

    // One of two is down, one query never ends, one table belongs to somebody else.
    let lock = "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(120)";
    let locker = Program::start("locker", &mut server.psql("postgres", lock), &directory);
    wait_for("the lock", Duration::from_secs(20), || {
        let held = server.sql("postgres", "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'");
        ensure!(held != "0");
        Ok(())
    });
    let found = hurried();
    assert_eq!(values(&found, "pg_up"), [1.0]);
    let up = |name: &str| found.series.get(&format!("pg_exporter_server_up{{server=\"{name}\"}}")).copied();
    assert_eq!((up(&server.address()), up("127.0.0.1:1")), (Some(1.0), Some(0.0)));
    assert_eq!(values(&found, "app_fast_a"), [7.0]);
    assert_eq!(values(&found, "app_slow_a"), [0.0; 0]);
    assert_eq!(values(&found, "pg_exporter_last_scrape_error"), [1.0]);
    assert_eq!(values(&found, "pg_stat_user_tables_n_live_tup").len(), 2, "counters of the locked table too");
    assert_eq!(values(&found, "pg_stat_user_tables_table_size_bytes").len(), 1, "but no size of it");
    let cancelled = server.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()");
    assert_eq!(cancelled, "0", "the slow query goes on on the server");
    locker.kill();

    // A connection that is cut, a server that goes and comes back.
    server.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vigie-postgres-exporter'");
    assert_eq!(values(&hurried(), "pg_up"), [1.0]);
    server.stop();
    let begin = Instant::now();
    let down = hurried();
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!(values(&down, "pg_up"), [0.0]);
    assert!(values(&down, "pg_scrape_collector_success").iter().all(|v| *v == 0.0));
    server.start_again();
    assert_eq!(values(&hurried(), "pg_up"), [1.0]);
    assert!(!exporter.log().contains(PASSWORD), "the password is in the log");
}

#[test]
fn a_probe_reads_the_server_it_names() {
    let Some((vigie, bin)) = binaries() else { return };
    let directory = test_directory("postgres-exporter-probe");
    let server = Postgres::start(&bin, &directory, "pg-probe", "");
    std::fs::write(
        directory.join("auth.yml"),
        format!(
            "auth_modules:\n  main:\n    type: userpass\n    userpass: {{username: postgres, password: {PASSWORD}}}\n    options: {{sslmode: disable}}\n"
        ),
    )
    .unwrap();
    let (exporter, address) = ours(&vigie, &directory, "probe", "", &["--config.file=auth.yml"]);
    let ask = |query: &str| {
        let answer = http::get(&address, &format!("/probe?{query}")).unwrap();
        (answer.status, answer.text())
    };
    let target = format!("target={}/postgres", server.address());
    for _ in 0..2 {
        let (status, text) = ask(&format!("{target}&auth_module=main"));
        assert_eq!(status, 200);
        assert!(text.contains("\npg_up 1\n") && text.contains("pg_settings_max_connections"), "{text}");
        assert!(!text.contains("\nprocess_"), "{text}");
    }
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vigie-postgres-exporter'";
    assert_eq!(server.sql("postgres", sessions), "1", "the second probe found the first one's connection");
    assert_eq!(ask(""), (400, "target is required\n".to_owned()));
    assert_eq!(
        ask(&format!("{target}&auth_module=other")),
        (400, "auth_module other not found\n".to_owned())
    );
    assert!(ask("target=127.0.0.1:1/x").1.contains("\npg_up 0\n"));
    assert_eq!(values(&page(&address), "pg_up"), [0.0], "no data source of its own");
    let landing = http::get(&address, "/").unwrap().text();
    assert!(landing.contains("Postgres Exporter") && !landing.contains(PASSWORD), "{landing}");
    assert!(!exporter.log().contains(PASSWORD));
}

#[test]
fn tls_is_as_strict_as_sslmode_says() {
    let Some((vigie, bin)) = binaries() else { return };
    let directory = test_directory("postgres-exporter-tls");
    let openssl = |arguments: &str| {
        let words = arguments.split(' ');
        let done = Command::new("openssl").args(words).current_dir(&directory).output();
        done.is_ok_and(|output| output.status.success())
    };
    let name = "-subj /CN=localhost -addext subjectAltName=DNS:localhost -nodes -days 2";
    let own = openssl(&format!("req -new -x509 {name} -out server.crt -keyout server.key"));
    if !own || !openssl("req -new -x509 -subj /CN=other -nodes -days 2 -out other.crt -keyout other.key") {
        tools::skipped("no program openssl to make certificates with");
        return;
    }
    let mut server = Postgres::start(&bin, &directory, "pg-tls", "");
    let read = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap();
    for (setting, file) in [("ssl_cert_file", "server.crt"), ("ssl_key_file", "server.key")] {
        let path = server.install(file, &read(file));
        server.sql("postgres", &format!("ALTER SYSTEM SET {setting} = '{}'", path.display()));
    }
    server.sql("postgres", "ALTER SYSTEM SET ssl = on");
    server.stop();
    server.start_again();
    let is_encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
        WHERE ssl AND application_name = 'vigie-postgres-exporter'";
    for (number, (host, options, up, encrypted)) in [
        ("127.0.0.1", "sslmode=disable", 1.0, "0"),
        ("127.0.0.1", "sslmode=allow", 1.0, "0"),
        ("127.0.0.1", "sslmode=prefer", 1.0, "1"),
        ("127.0.0.1", "", 1.0, "1"),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert=server.crt", 1.0, "1"),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert=server.crt", 0.0, "0"),
        ("localhost", "sslmode=verify-full&sslrootcert=server.crt", 1.0, "1"),
        ("localhost", "sslmode=verify-ca&sslrootcert=other.crt", 0.0, "0"),
        ("localhost", "sslmode=verify-full", 0.0, "0"),
    ]
    .into_iter()
    .enumerate()
    {
        let dsn = format!("postgresql://postgres:{PASSWORD}@{host}:{}/postgres?{options}", server.port);
        let (_ours, address) = ours(&vigie, &directory, &format!("tls-{number}"), &dsn, &[]);
        assert_eq!(values(&page(&address), "pg_up"), [up], "{host} {options}");
        assert_eq!(server.sql("postgres", is_encrypted), encrypted, "{host} {options}");
    }
}
