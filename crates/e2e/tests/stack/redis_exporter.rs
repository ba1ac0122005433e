//! Our Redis exporter beside the original of Debian 12 (1.45): the same servers, the same moment, each family and series.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::expositions::{Differs, Exception, Exposition, compare};
use e2e::program::{Program, test_directory};
use e2e::{http, tools, wait_for};

use crate::redis_servers::{Redis, Tools};
use crate::support::{SOON, free_address};

/// An exporter, ours or the original: both take the same flags.
struct Exporter {
    program: Program,
    address: String,
}

impl Exporter {
    fn ours(directory: &Path, redis: &str, flags: &[&str]) -> Option<Self> {
        let mut command = Command::new(tools::vigie()?);
        command.arg("redis-exporter");
        Some(Self::start("ours", command, directory, redis, flags))
    }

    fn original(directory: &Path, redis: &str, flags: &[&str]) -> Option<Self> {
        let command = Command::new(tools::redis_exporter()?);
        Some(Self::start("original", command, directory, redis, flags))
    }

    fn start(name: &str, mut command: Command, directory: &Path, redis: &str, flags: &[&str]) -> Self {
        let address = free_address();
        command.args(["-web.listen-address", &address, "-redis.addr", redis]).args(flags);
        let mut program = Program::start(name, &mut command, directory);
        program.wait_until_listening(&address);
        Self { program, address }
    }

    fn text(&self, path: &str) -> String {
        let answer = http::get(&self.address, path).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    }

    fn page(&self, path: &str) -> Exposition {
        Exposition::parse(&self.text(path))
    }
}

/// Both exporters of one server.
struct Pair {
    ours: Exporter,
    original: Exporter,
}

impl Pair {
    fn start(directory: &Path, redis: &str, flags: &[&str]) -> Option<Self> {
        let ours = Exporter::ours(directory, redis, flags)?;
        Some(Self { ours, original: Exporter::original(directory, redis, flags)? })
    }

    /// Compares both at `path`; gives ours.
    #[expect(clippy::print_stdout, reason = "test runners show what tests print")]
    fn compare(&self, name: &str, path: &str, more: &[Exception]) -> Exposition {
        // The first scrapes make what later ones find: commands in the statistics, scripts in the cache.
        let _ = (self.original.page(path), self.ours.page(path));
        let before = self.original.page(path);
        let ours = self.ours.page(path);
        let after = self.original.page(path);
        let exceptions: Vec<Exception> = EXCEPTIONS.iter().chain(more).copied().collect();
        let differences = compare(&before, &ours, &after, &exceptions);
        let report = differences.report(name, &exceptions);
        println!("{report}");
        assert!(differences.common > 20, "{report}");
        assert!(differences.found.is_empty(), "{report}\nlog:\n{}", self.ours.program.log());
        ours
    }
}

const fn except(what: Differs, pattern: &'static str, reason: &'static str) -> Exception {
    Exception { pattern, what, reason }
}

/// What differs from 1.45 whatever the server.
const EXCEPTIONS: &[Exception] = &[
    except(Differs::Missing, "go_.*", "there is no Go runtime"),
    except(Differs::Extra, "process_threads.*", "told by every role of ours"),
    except(Differs::Missing, "redis_exporter_build_info.*", "another build"),
    except(Differs::Extra, "redis_exporter_build_info.*", "another build"),
    except(Differs::Value, "process_.*", "another process"),
    except(Differs::Value, "redis_exporter_.*", "about the exporter itself"),
    except(Differs::Missing, "redis_instance_info.*", "has master_replid since"),
    except(Differs::Extra, "redis_instance_info.*", "has master_replid since"),
    except(Differs::Kind, "redis_expired_time_cap_reached_total", "a counter since"),
    except(
        Differs::Extra,
        "redis_(config_repl_backlog_size|config_client_output_buffer_limit_.*|hz|configured_hz|commands_latencies_usec.*|current_eviction_exceeded_time_ms|\
         eviction_exceeded_time_ms_total|evicted_clients_total|eventloop_.*|instantaneous_eventloop_.*|async_loading|lazyfreed_objects|\
         mem_total_replication_buffers_bytes|memory_used_(vm|functions|scripts_eval)_?.*|number_of_(functions|libraries)|pubsubshard_channels|\
         rdb_last_load_.*|rdb_saves_total|reply_buffer_.*|net_repl_.*|expire_cycle_cpu_time_ms_total|mem_cluster_links_bytes|\
         mem_aof_buffer_bytes|mem_replication_backlog_bytes|allocator_muzzy_bytes|aof_rewrite_buffer_length|max_clients|\
         total_blocking_keys.*|acl_access_denied_.*|client_.*_disconnections_total)",
        "families since 1.45",
    ),
    except(Differs::Extra, "vigie_redis_.*", "our own"),
    except(
        Differs::Value,
        "redis_(memory_|mem_|allocator_|connected_clients|client_recent_|instantaneous_|tracking_).*",
        "up and down between three scrapes",
    ),
    except(Differs::Value, "redis_latency_percentiles_usec.*", "percentiles move both ways"),
    except(
        Differs::Value,
        "redis_(start_time_seconds|uptime_in_seconds)",
        "whole seconds, taken at other moments",
    ),
];

#[test]
fn a_primary_and_its_replica_are_told_alike() {
    let Some(redis) = Tools::find() else { return };
    let directory = test_directory("redis-exporter-primary");
    let primary = redis.start("primary", &directory, &[]);
    primary.fill();
    let replicates = format!("127.0.0.1 {}", primary.port);
    let replica = redis.start("replica", &directory, &["--replicaof", &replicates]);
    wait_for("the replica", SOON, || {
        ensure!(replica.run(&["INFO", "replication"]).contains("master_link_status:up"));
        Ok(())
    });
    let script = directory.join("count.lua");
    fs::write(&script, "return {'members', tostring(redis.call('SCARD', 'app:set')), 'two', '2.5'}").unwrap();
    let flags = [
        "-check-keys=app:*,db3=session:*",
        "-check-single-keys=db3=other:1,app:none",
        "-count-keys=db3=session:*,app:l*",
        "-check-single-streams=app:stream",
        "-check-key-groups=^(app):,^(session):",
        "-script",
        script.to_str().unwrap(),
        "-export-client-list",
        "-include-system-metrics",
        "-include-config-metrics",
        "-ping-on-connect",
    ];
    let Some(pair) = Pair::start(&directory, &format!("redis://{}", primary.address), &flags) else { return };
    let mine = [
        except(Differs::Missing, "redis_script_values.*", "has the label filename since"),
        except(
            Differs::Extra,
            "redis_script_(values|result).*",
            "has the label filename since; a result since",
        ),
        except(Differs::Missing, "redis_key_value_as_string.*app:sketch.*", "no HyperLogLog's bytes since"),
        except(Differs::Missing, "redis_key_value_as_string.*app:long.*", "longer than what becomes a label"),
        except(Differs::Extra, "redis_key_memory_usage_bytes.*", "since 1.45"),
        except(
            Differs::Extra,
            "redis_stream_(entries_added_total|first_entry_id|last_entry_id|max_deleted_entry_id|group_entries_read|group_lag).*",
            "since 1.45",
        ),
        except(
            Differs::Extra,
            "redis_connected_client_.*",
            "since 1.45 instead of connected_clients_details",
        ),
        except(Differs::Missing, "redis_connected_clients_details.*", "times of whole seconds in labels"),
        except(Differs::Extra, "redis_connected_clients_details.*", "times of whole seconds in labels"),
        except(
            Differs::Value,
            "redis_stream_group_consumer_idle_seconds.*",
            "milliseconds, taken at other moments",
        ),
        except(Differs::Value, "redis_last_key_groups_scrape_duration_milliseconds", "another exporter's"),
        except(Differs::Value, "redis_connected_slave_.*", "between two heartbeats"),
    ];
    let ours = pair.compare("primary", "/metrics", &mine);
    for (key, value) in [
        ("redis_key_size{db=\"db0\",key=\"app:sketch\"}", 4.0),
        ("redis_key_size{db=\"db0\",key=\"app:none\"}", 0.0),
        ("redis_key_value{db=\"db0\",key=\"app:number\"}", 12.5),
        ("redis_keys_count{db=\"db3\",key=\"session:*\"}", 2.0),
        ("redis_key_group_count{db=\"db0\",key_group=\"app\"}", 10.0),
        ("redis_key_group_count{db=\"db3\",key_group=\"unclassified\"}", 1.0),
        ("redis_stream_group_messages_pending{db=\"db0\",group=\"workers\",stream=\"app:stream\"}", 3.0),
        ("redis_stream_entries_added_total{db=\"db0\",stream=\"app:stream\"}", 3.0),
    ] {
        assert_eq!(ours.series.get(key), Some(&value), "{key}");
    }
    let labels = ours.series.keys().find(|k| k.starts_with("redis_connected_clients_details")).unwrap();
    for label in ["cmd=", "created_at=", "db=", "flags=", "host=", "idle_since=", "name=", "omem="] {
        assert!(labels.contains(label), "{labels}");
    }

    let path = format!("/scrape?target=redis://{}", replica.address);
    let more =
        [mine.as_slice(), &[except(Differs::Value, "redis_master_last_io_seconds_ago.*", "moves both ways")]];
    let ours = pair.compare("replica", &path, &more.concat());
    let up = format!("redis_master_link_up{{master_host=\"127.0.0.1\",master_port=\"{}\"}}", primary.port);
    assert_eq!(ours.series[&up], 1.0);
}

#[test]
fn a_sentinel_is_told_alike() {
    let Some(redis) = Tools::find() else { return };
    let directory = test_directory("redis-exporter-sentinel");
    let primary = redis.start("primary", &directory, &[]);
    let sentinel = redis.sentinel(&directory, &primary);
    let Some(pair) = Pair::start(&directory, &sentinel.address, &[]) else { return };
    let mine = [except(
        Differs::Extra,
        "redis_sentinel_master_(config_epoch|last_ok_ping_reply_seconds|setting_.*|ckquorum_status).*",
        "since 1.45",
    )];
    let ours = pair.compare("sentinel", "/metrics", &mine);
    assert!(ours.series.contains_key("redis_sentinel_masters"));
    assert!(ours.families.contains_key("redis_sentinel_master_ok_sentinels"));
}

#[test]
fn a_cluster_is_told_alike_and_its_nodes_are_found() {
    let Some(redis) = Tools::find() else { return };
    let directory = test_directory("redis-exporter-cluster");
    let nodes = redis.cluster(&directory);
    for (key, value) in [("one", "1"), ("two", "2"), ("three", "3"), ("four", "4"), ("five", "5")] {
        let at = &nodes[0];
        at.run(&["-c", "SET", key, value]);
    }
    let flags = ["-is-cluster", "-check-single-keys=one,two,three,four,five"];
    let Some(pair) = Pair::start(&directory, &format!("redis://{}", nodes[0].address), &flags) else {
        return;
    };
    let mine = [
        except(Differs::Extra, "redis_key_memory_usage_bytes.*", "since 1.45"),
        except(Differs::Value, "redis_cluster_(stats_messages|messages)_.*", "heartbeats"),
    ];
    let ours = pair.compare("cluster", "/metrics", &mine);
    for (key, value) in [("one", 1.0), ("two", 2.0), ("three", 3.0), ("four", 4.0), ("five", 5.0)] {
        assert_eq!(ours.series[&format!("redis_key_value{{db=\"db0\",key=\"{key}\"}}")], value, "{key}");
    }
    let answer = http::get(&pair.ours.address, "/discover-cluster-nodes").unwrap().json().unwrap();
    let mut found: Vec<&str> =
        answer[0]["targets"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    found.sort_unstable();
    let mut expect: Vec<String> = nodes.iter().map(|n| format!("redis://{}", n.address)).collect();
    expect.sort();
    assert_eq!(found, expect);

    let scanning =
        Exporter::ours(&directory, &nodes[1].address, &["-is-cluster", "-count-keys=*", "-check-keys=t*"]);
    let page = scanning.unwrap().page("/metrics");
    assert_eq!(page.series["redis_keys_count{db=\"db0\",key=\"*\"}"], 5.0);
    assert_eq!(page.series["redis_key_value{db=\"db0\",key=\"three\"}"], 3.0);
}

#[test]
fn users_passwords_and_servers_that_are_down() {
    let Some(redis) = Tools::find() else { return };
    let directory = test_directory("redis-exporter-access");
    let socket = directory.join("redis.sock");
    let flags = ["--requirepass", "hidden-word", "--unixsocket", socket.to_str().unwrap()];
    let mut server = redis.start("primary", &directory, &flags);
    server.log_in("default", "hidden-word");
    server.run(&["ACL", "SETUSER", "watcher", "on", ">other-word", "~*", "+@all"]);
    let passwords = directory.join("passwords.json");
    let write = |word: &str| {
        let text = format!("{{\"redis://watcher@{}\": \"{word}\"}}", server.address);
        fs::write(&passwords, text).unwrap();
    };
    write("wrong-word");
    let flags = ["-redis.user=watcher", "-redis.password-file", passwords.to_str().unwrap()];
    let Some(filed) = Exporter::ours(&directory, &format!("redis://{}", server.address), &flags) else {
        return;
    };
    let page = filed.text("/metrics");
    assert!(page.contains("redis_up 0\n") && page.contains("WRONGPASS"), "{page}");
    write("other-word");
    assert_eq!(filed.text("/-/reload"), "ok");
    assert_eq!(filed.page("/metrics").series["redis_up"], 1.0);
    assert_eq!(filed.page(&format!("/scrape?target={}", server.address)).series["redis_up"], 1.0);

    for (address, flags) in [
        (format!("redis://:hidden-word@{}", server.address), &[][..]),
        (format!("redis://watcher:other-word@{}/2", server.address), &[]),
        (server.address.clone(), &["-redis.password=hidden-word"]),
        (format!("unix://{}", socket.display()), &["-redis.password=hidden-word"]),
    ] {
        let exporter = Exporter::ours(&directory, &address, flags).unwrap();
        let text = exporter.text("/metrics");
        assert!(text.contains("\nredis_up 1\n"), "{address}: {text:.300}");
    }
    let everything = ["-redis.password=hidden-word", "-include-config-metrics", "-debug"];
    let Some(pair) = Pair::start(&directory, &format!("redis://{}", server.address), &everything) else {
        return;
    };
    let ours = pair.compare("password", "/metrics", &[]);
    assert_eq!(ours.series["redis_up"], 1.0);

    let nobody = free_address();
    let down = [
        except(
            Differs::Missing,
            "redis_exporter_last_scrape_error.*",
            "1.45 tells of its second attempt only",
        ),
        except(Differs::Extra, "redis_exporter_last_scrape_error.*", "1.45 tells of its second attempt only"),
    ];
    for (name, path) in [
        ("down", format!("/scrape?target={nobody}")),
        ("no password", "/scrape?target=".to_owned() + &server.address),
    ] {
        let exporter = Pair::start(&directory, &format!("redis://{nobody}"), &[]).unwrap();
        let path = if name == "down" { "/metrics".to_owned() } else { path };
        let before = exporter.original.page(&path);
        let ours = exporter.ours.page(&path);
        let differences = compare(&before, &ours, &before, &[EXCEPTIONS, &down].concat());
        assert!(differences.found.is_empty(), "{}", differences.report(name, &[]));
        assert_eq!(ours.series["redis_up"], 0.0);
    }
    let refused = pair.ours.text(&format!("/scrape?target={nobody}"));
    let expect = format!(
        "redis_exporter_last_scrape_error{{err=\"dial tcp {nobody}: connect: connection refused\"}} 1"
    );
    assert!(refused.contains(&expect), "{refused}");
    let log = fs::read_to_string(directory.join("ours.log")).unwrap();
    let secret = |text: &str| ["hidden-word", "other-word", "wrong-word"].iter().any(|w| text.contains(w));
    assert!(!secret(&log), "{log}");
    assert!(!secret(&pair.ours.text("/metrics")));
}

#[test]
fn its_own_pages_and_wrong_requests() {
    let Some(redis) = Tools::find() else { return };
    let directory = test_directory("redis-exporter-pages");
    let server = redis.start("primary", &directory, &[]);
    server.fill();
    let Some(exporter) =
        Exporter::ours(&directory, &server.address, &["-namespace=x", "-redis-only-metrics"])
    else {
        return;
    };
    let get = |path: &str| {
        let answer = http::get(&exporter.address, path).unwrap();
        (answer.status, answer.text())
    };
    assert_eq!(get("/health"), (200, "ok".to_owned()));
    assert_eq!(get("/scrape"), (400, "'target' parameter must be specified\n".to_owned()));
    assert_eq!(get("/scrape?target=h:x").0, 400);
    assert_eq!(get("/scrape?target=h&check-keys=a=b=c").0, 400);
    assert_eq!(get("/-/reload"), (400, "There is no pwd file specified\n".to_owned()));
    assert_eq!(get("/discover-cluster-nodes").0, 400);
    assert!(get("/").1.contains("href=\"/metrics\""));
    assert_eq!(get("/none").0, 404);
    let page = get("/metrics").1;
    assert!(
        page.contains("\nx_up 1\n") && !page.contains("process_cpu") && !page.contains("build_info"),
        "{page}"
    );
    assert!(page.contains("\nx_target_scrape_request_errors_total 3\n"), "{page}");
    let query = format!(
        "/scrape?target={}&check-keys=app:*&check-single-streams=app:stream&count-keys=db3=s*&check-single-keys=db3=other:1",
        server.address
    );
    let page = Exposition::parse(&get(&query).1);
    for key in [
        "x_key_size{db=\"db0\",key=\"app:list\"}",
        "x_key_size{db=\"db3\",key=\"other:1\"}",
        "x_keys_count{db=\"db3\",key=\"s*\"}",
        "x_stream_length{db=\"db0\",stream=\"app:stream\"}",
    ] {
        assert!(page.series.contains_key(key), "{key}");
    }
    assert!(!page.series.keys().any(|k| k.starts_with("process_")));
    let roles = Exporter::ours(&directory, &server.address, &["-append-instance-role-label"]).unwrap();
    assert!(roles.page("/metrics").series.contains_key("redis_up{instance_role=\"master\"}"));
}

#[test]
fn a_large_server_makes_no_scrape_late() {
    let Some(redis) = Tools::find() else { return };
    let directory = test_directory("redis-exporter-scan");
    let server = redis.start("primary", &directory, &["--enable-debug-command", "yes"]);
    server.run(&["DEBUG", "POPULATE", "300000", "key", "8"]);
    let flags = [
        "-count-keys=key:*",
        "-check-keys=key:1234*",
        "-check-key-groups=^(key):",
        "-check-keys-batch-size=200",
        "-vigie.key-scan-wait=50ms",
    ];
    let Some(exporter) = Exporter::ours(&directory, &server.address, &flags) else { return };
    let begin = Instant::now();
    let first = exporter.page("/metrics");
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(first.series["redis_up"], 1.0);
    assert!(!first.series.contains_key("redis_keys_count{db=\"db0\",key=\"key:*\"}"));
    let page = wait_for("the first scan", Duration::from_secs(60), || {
        let begin = Instant::now();
        let page = exporter.page("/metrics");
        assert!(begin.elapsed() < Duration::from_secs(2));
        ensure!(page.series.contains_key("vigie_redis_key_scan_age_seconds"), "no scan yet");
        Ok(page)
    });
    // A walk may meet a key twice while the table grows, never miss one.
    assert!(page.series["redis_keys_count{db=\"db0\",key=\"key:*\"}"] >= 300_000.0);
    assert!(page.series["redis_key_group_count{db=\"db0\",key_group=\"key\"}"] >= 300_000.0);
    assert_eq!(page.series.keys().filter(|k| k.starts_with("redis_key_size{")).count(), 111);
    assert!(page.series["vigie_redis_key_scan_duration_seconds"] > 0.05);
    assert_eq!(page.series["vigie_redis_key_scan_truncated"], 0.0);
}

#[test]
fn tls_in_both_directions() {
    let (Some(redis), Some(openssl)) = (Tools::find(), tools::openssl()) else { return };
    let directory = test_directory("redis-exporter-tls");
    let file = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let (key, cert, ca) = (file("key.pem"), file("cert.pem"), file("ca.pem"));
    let ca_key = file("ca-key.pem");
    let make = |arguments: &[&str]| {
        let mut command = Command::new(&openssl);
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        let output = command.args(["-days", "2"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    make(&["-keyout", &ca_key, "-out", &ca, "-subj", "/CN=authority"]);
    let names =
        ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"];
    let leaf = ["-keyout", &key, "-out", &cert, "-subj", "/CN=localhost", "-CA", &ca, "-CAkey", &ca_key];
    make(&[leaf.as_slice(), &names].concat());
    let tls_port = e2e::free_port().to_string();
    let flags = [
        "--tls-port",
        &tls_port,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ];
    let Some(server) = try_tls(&redis, &directory, &flags) else { return };
    let address = format!("rediss://127.0.0.1:{tls_port}");
    let Some(strict) = Exporter::ours(&directory, &address, &["-tls-ca-cert-file", &ca]) else { return };
    assert_eq!(strict.page("/metrics").series["redis_up"], 1.0, "{}", server.program.log());
    let distrusting = Exporter::ours(&directory, &address, &[]).unwrap();
    let text = distrusting.text("/metrics");
    assert!(text.contains("\nredis_up 0\n") && text.contains("certificate"), "{text}");
    let careless = Exporter::ours(&directory, &address, &["-skip-tls-verification"]).unwrap();
    assert_eq!(careless.page("/metrics").series["redis_up"], 1.0);
    let guarded = ["-basic-auth-username=u", "-basic-auth-password=p"];
    let guarded = Exporter::ours(&directory, &server.address, &guarded).unwrap();
    assert_eq!(http::get(&guarded.address, "/metrics").unwrap().status, 401);
    // u:p
    let login = [("Authorization", "Basic dTpw")];
    assert_eq!(http::request("GET", &guarded.address, "/metrics", &login, b"").unwrap().status, 200);
}

/// `None` where this build of Redis has no TLS.
fn try_tls(redis: &Tools, directory: &Path, flags: &[&str]) -> Option<Redis> {
    if redis.has_tls() {
        return Some(redis.start("primary", directory, flags));
    }
    tools::skipped("this build of redis-server has no TLS");
    None
}

/// Scrapes of each exporter whose commands are counted.
const SCRAPES: u32 = 50;

#[test]
fn a_scrape_asks_the_server_no_more_than_the_original() {
    let Some(redis) = Tools::find() else { return };
    let directory = test_directory("redis-exporter-cost");
    let server = redis.start("primary", &directory, &[]);
    server.fill();
    let Some(pair) = Pair::start(&directory, &format!("redis://{}", server.address), &[]) else { return };
    let commands = |exporter: &Exporter| {
        let _ = exporter.page("/metrics");
        let before = server.info("total_commands_processed");
        for _ in 0..SCRAPES {
            let _ = exporter.text("/metrics");
        }
        (server.info("total_commands_processed") - before - 1.0) / f64::from(SCRAPES)
    };
    let (ours, original) = (commands(&pair.ours), commands(&pair.original));
    // LATENCY HISTOGRAM is one that 1.45 does not know.
    assert!(ours <= original + 1.0, "commands a scrape: ours {ours}, original {original}");
}
