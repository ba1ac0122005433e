//! Bodies that no exporter should send: judged as the original judges them, with a reason on show.

use std::fmt::Write as _;
use std::fs;

use anyhow::ensure;
use e2e::program::test_directory;
use e2e::server::{Response, Server as Target};
use e2e::{prometheus, tools, wait_for};

use crate::support::{SOON, Server};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Job name, content type, body.
fn cases() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut long_label = b"a{b=\"".to_vec();
    long_label.resize(1_000_000, b'x');
    long_label.extend_from_slice(b"\"} 1\n");
    let mut long_comment = b"# ".to_vec();
    long_comment.resize(1_000_000, b'y');
    long_comment.extend_from_slice(b"\na 1\n");
    vec![
        ("fine", TEXT, b"a 1\nb{c=\"d\"} 2.5e3\n".to_vec()),
        ("empty", TEXT, b"".to_vec()),
        ("html", "text/html", b"<!doctype html><html><body><h1>It works!</h1></body></html>\n".to_vec()),
        ("html_as_text", TEXT, b"<!doctype html><html><body><h1>It works!</h1></body></html>\n".to_vec()),
        ("json", TEXT, b"{\"status\": \"ok\"}\n".to_vec()),
        ("truncated_labels", TEXT, b"a 1\nb{c=\"d".to_vec()),
        ("truncated_value", TEXT, b"a 1\nb ".to_vec()),
        ("no_final_newline", TEXT, b"a 1\nb 2".to_vec()),
        ("carriage_returns", TEXT, b"a 1\r\nb 2\r\n".to_vec()),
        ("invalid_utf8_label", TEXT, b"a{b=\"\xff\xfe\"} 1\n".to_vec()),
        ("invalid_utf8_help", TEXT, b"# HELP a \xff\xfe\na 1\n".to_vec()),
        ("zero_bytes", TEXT, b"\0\0\0\0".to_vec()),
        ("long_label", TEXT, long_label),
        ("long_comment", TEXT, long_comment),
        ("duplicate_series", TEXT, b"a{b=\"c\"} 1\na{b=\"c\"} 2\n".to_vec()),
        ("duplicate_label", TEXT, b"a{b=\"c\",b=\"d\"} 1\n".to_vec()),
        ("nan_values", TEXT, b"a NaN\nb nan\nc -NaN\n".to_vec()),
        ("nan_with_payload", TEXT, b"a NaN(0x7ff0000000000002)\n".to_vec()),
        ("infinities", TEXT, b"a +Inf\nb -Inf\nc Inf\n".to_vec()),
        ("hexadecimal_value", TEXT, b"a 0x1p4\n".to_vec()),
        ("underscored_value", TEXT, b"a 1_000\n".to_vec()),
        ("bad_name", TEXT, b"1a 1\n".to_vec()),
        ("bad_timestamp", TEXT, b"a 1 now\n".to_vec()),
        ("old_timestamp", TEXT, b"a 1 1000\n".to_vec()),
        ("no_value", TEXT, b"a\n".to_vec()),
        ("om_fine", OPENMETRICS, b"# TYPE a counter\na_total 1\n# EOF\n".to_vec()),
        ("om_without_eof", OPENMETRICS, b"# TYPE a counter\na_total 1\n".to_vec()),
        ("om_after_eof", OPENMETRICS, b"a 1\n# EOF\nb 2\n".to_vec()),
        ("om_blank_line", OPENMETRICS, b"a 1\n\nb 2\n# EOF\n".to_vec()),
        ("om_bad_exemplar", OPENMETRICS, b"# TYPE a counter\na_total 1 # {x=\n# EOF\n".to_vec()),
    ]
}

#[test]
fn every_bad_body_is_up_or_down_as_at_the_original() {
    let (Some(vigie), Some(original)) = (tools::vigie(), tools::prometheus()) else { return };
    let directory = test_directory("bad-bodies");
    let target = Target::start(|request| {
        let name = request.path.trim_start_matches('/').to_owned();
        match cases().into_iter().find(|(case, ..)| *case == name) {
            Some((_, content_type, body)) => Response::ok(content_type, body),
            None => Response { status: 503, content_type: TEXT.to_owned(), body: b"a 1\n".to_vec() },
        }
    });
    let mut config = "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n".to_owned();
    let jobs: Vec<&str> = cases().into_iter().map(|(name, ..)| name).chain(["status_503"]).collect();
    for job in &jobs {
        writeln!(
            config,
            "  - job_name: {job}\n    metrics_path: /{job}\n    static_configs:\n      - targets: ['{}']",
            target.address()
        )
        .unwrap();
    }
    fs::write(directory.join("prometheus.yml"), config).unwrap();
    let ours = Server::ours(&vigie, &directory, "prometheus.yml");
    let theirs = Server::original(&original, &directory, "prometheus.yml");
    let settled = |server: &Server, job: &str| {
        wait_for(&format!("the health of {job}"), SOON, || {
            let target = prometheus::target(&server.address, job)?;
            ensure!(target["health"] != "unknown", "{target}");
            Ok(target)
        })
    };
    let mut wrong = Vec::new();
    for job in &jobs {
        let (our, their) = (settled(&ours, job), settled(&theirs, job));
        println!(
            "{job}: {} / {}: {} / {}",
            our["health"], their["health"], our["lastError"], their["lastError"]
        );
        if our["health"] != their["health"] {
            wrong.push(format!(
                "{job}: {} ({}), there {} ({})",
                our["health"], our["lastError"], their["health"], their["lastError"]
            ));
        }
        if our["health"] == "down" && our["lastError"].as_str().is_none_or(str::is_empty) {
            wrong.push(format!("{job}: down without a reason"));
        }
        let expression = format!("up{{job=\"{job}\"}}");
        let up = f64::from(u8::from(our["health"] == "up"));
        if prometheus::number(&ours.address, &expression).ok() != Some(up) {
            wrong.push(format!("{job}: `up` is not {up}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
