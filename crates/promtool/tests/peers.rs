//! Beside the real `promtool` and `prometheus`: each reads what the other wrote, and says the same of it.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::print_stdout, reason = "what is skipped is said")]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use interchange::{Block, Directory, TimeRange};

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn ours(args: &[&str]) -> String {
    let args: Vec<String> = args.iter().map(|s| (*s).to_owned()).collect();
    let mut out = Vec::new();
    promtool::main(&args, &mut promtool::Outside { out: &mut out, now_ms: now_ms() }).unwrap();
    String::from_utf8(out).unwrap()
}

fn theirs(args: &[&str]) -> String {
    let done = Command::new("promtool").args(args).output().unwrap();
    assert!(done.status.success(), "promtool {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        println!("SKIPPED: {program} is not on this machine");
    }
    found
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// Series with odd values and labels over five hours.
fn input() -> String {
    let mut out = String::new();
    let start = 1_600_000_000;
    for i in 0..600 {
        let ts = start + i * 30;
        let odd = ["NaN", "+Inf", "-Inf", "0", "-0", "1e-300", "123456789", "0.1"][i % 8];
        writeln!(out, "odd_values{{job=\"a\\\"b\\\\c\",nl=\"x\\ny\"}} {odd} {ts}").unwrap();
        for job in ["api", "web"] {
            writeln!(out, "requests_total{{job=\"{job}\",zone=\"é<>\"}} {} {ts}.{:03}", i * 7, i % 1000)
                .unwrap();
        }
        if i % 100 == 7 {
            writeln!(out, "seldom{{n=\"{}\"}} {i} {ts}", i / 100).unwrap();
        }
    }
    out.push_str("# EOF\n");
    out
}

#[test]
fn promtool_and_ours_say_the_same_of_both_ones_blocks() {
    if !is_there("promtool") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (file, a, b) = (path("in.om"), path("theirs"), path("ours"));
    std::fs::write(&file, input()).unwrap();
    theirs(&["tsdb", "create-blocks-from", "openmetrics", &file, &a]);
    ours(&["tsdb", "create-blocks-from", "openmetrics", &file, &b]);
    for made in [&a, &b] {
        // Upstream's dump wants a log.
        std::fs::create_dir_all(Path::new(made).join("wal")).unwrap();
        for list in [&["tsdb", "list", made][..], &["tsdb", "list", "-r", made]] {
            assert_eq!(ours(list), theirs(list));
        }
        let dump = ["tsdb", "dump", made];
        assert_eq!(ours(&dump), theirs(&dump));
        let some = ["tsdb", "dump", "--match={job=~\"a.*\",zone!=\"\"}", "--min-time=1600003000000", made];
        assert_eq!(ours(&some), theirs(&some));
        let analysis = theirs(&["tsdb", "analyze", made]).replace("\nSeries:", "\nTotal Series:");
        assert_eq!(sorted(&ours(&["tsdb", "analyze", made])), sorted(&analysis));
    }
    assert_eq!(ours(&["tsdb", "dump", &a]), ours(&["tsdb", "dump", &b]));
    assert_eq!(Directory::open(Path::new(&a)).unwrap().blocks().len(), 3);
}

#[test]
fn a_small_block_is_theirs_byte_by_byte() {
    if !is_there("promtool") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (file, a, b) = (path("in.om"), path("theirs"), path("ours"));
    let text: String =
        (0..25).map(|i| format!("up{{i=\"{}\"}} {} {}\n", i % 3, i * i, 1_600_000_000 + i)).collect();
    std::fs::write(&file, format!("{text}# EOF\n")).unwrap();
    theirs(&["tsdb", "create-blocks-from", "openmetrics", &file, &a]);
    ours(&["tsdb", "create-blocks-from", "openmetrics", &file, &b]);
    let block = |made: &str| Directory::open(Path::new(made)).unwrap().blocks()[0].dir().to_owned();
    let (a, b) = (block(&a), block(&b));
    for name in ["chunks/000001", "index", "tombstones"] {
        assert_eq!(std::fs::read(a.join(name)).unwrap(), std::fs::read(b.join(name)).unwrap(), "{name}");
    }
    // The size of what was compared; the other members differ in names only.
    let meta = |d: &Path| {
        let mut m = interchange::Meta::read(d).unwrap();
        m.ulid.clear();
        m.compaction.sources.clear();
        m.stats.num_float_samples = 0;
        m
    };
    assert_eq!(meta(&a), meta(&b));
}

/// A process that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn request(port: u16, head: &str, body: &[u8]) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "{head} HTTP/1.0\r\nHost: x\r\nContent-Length: {}\r\n", body.len()).ok()?;
    write!(stream, "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n").ok()?;
    write!(stream, "X-Prometheus-Remote-Write-Version: 0.1.0\r\n\r\n").ok()?;
    stream.write_all(body).ok()?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).ok()?;
    Some(String::from_utf8_lossy(&reply).into_owned())
}

/// Starts a Prometheus on `data` and waits for it to be ready.
fn prometheus(data: &Path) -> (Running, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = data.parent().unwrap().join("prometheus.yml");
    std::fs::write(&config, "global: {scrape_interval: 1h}\n").unwrap();
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args([
            "--storage.tsdb.retention.time=100y",
            "--web.enable-admin-api",
            "--web.enable-remote-write-receiver",
        ])
        .args(["--enable-feature=native-histograms"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running(child);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !request(port, "GET /-/ready", b"").is_some_and(|r| r.contains(" 200 ")) {
        assert!(Instant::now() < deadline, "prometheus does not become ready");
        std::thread::sleep(Duration::from_millis(100));
    }
    (running, port)
}

/// A field of a protocol buffer message.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push((v & 0x7f) as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

fn number(out: &mut Vec<u8>, field: u8, v: u64) {
    out.push(field << 3);
    varint(out, v);
}

fn double(out: &mut Vec<u8>, field: u8, v: f64) {
    out.push(field << 3 | 1);
    out.extend_from_slice(&v.to_le_bytes());
}

fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)).cast_unsigned()
}

/// A write request with an integer histogram `h` that grows and is reset, a float one `fh` and a plain series `f`.
fn write_request(times: &[i64]) -> Vec<u8> {
    let mut request = Vec::new();
    for name in ["f", "fh", "h"] {
        let mut series = Vec::new();
        let mut label = Vec::new();
        field(&mut label, 1, b"__name__");
        field(&mut label, 2, name.as_bytes());
        field(&mut series, 1, &label);
        for (i, ts) in times.iter().enumerate() {
            let n = (i % 50) as i64;
            let mut sample = Vec::new();
            if name == "f" {
                double(&mut sample, 1, n as f64 / 10.0);
                number(&mut sample, 2, ts.cast_unsigned());
                field(&mut series, 2, &sample);
                continue;
            }
            let is_integer = name == "h";
            let mut span = Vec::new();
            number(&mut span, 1, zigzag(-3));
            number(&mut span, 2, 2);
            if is_integer {
                number(&mut sample, 1, (3 * n + 1).cast_unsigned());
            } else {
                double(&mut sample, 2, (3 * n + 1) as f64 + 0.5);
            }
            double(&mut sample, 3, 0.25 * n as f64);
            number(&mut sample, 4, zigzag(2));
            double(&mut sample, 5, 1e-9);
            if is_integer {
                number(&mut sample, 6, 1);
            } else {
                double(&mut sample, 7, 1.5);
            }
            field(&mut sample, 11, &span);
            let mut counts = Vec::new();
            if is_integer {
                varint(&mut counts, zigzag(n));
                varint(&mut counts, zigzag(n));
                field(&mut sample, 12, &counts);
            } else {
                counts.extend_from_slice(&(n as f64).to_le_bytes());
                counts.extend_from_slice(&(2.0 * n as f64).to_le_bytes());
                field(&mut sample, 13, &counts);
            }
            number(&mut sample, 15, ts.cast_unsigned());
            field(&mut series, 4, &sample);
        }
        field(&mut request, 1, &series);
    }
    snap::raw::Encoder::new().compress_vec(&request).unwrap()
}

#[test]
fn a_prometheus_opens_our_blocks_and_its_log_and_histograms_are_read() {
    if !is_there("prometheus") || !is_there("promtool") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let file = dir.path().join("in.om");
    std::fs::write(&file, input()).unwrap();
    let shown = data.to_str().unwrap().to_owned();
    ours(&["tsdb", "create-blocks-from", "openmetrics", "-q", file.to_str().unwrap(), &shown]);
    let (running, port) = prometheus(&data);
    let query = "GET /api/v1/query?time=1600005000&query=count_over_time(requests_total%7Bjob%3D%22api%22%7D%5B2h%5D)";
    let reply = request(port, query, b"").unwrap();
    assert!(reply.contains("\"167\""), "{reply}");

    let rules = dir.path().join("rules.yml");
    let text = "groups:\n- name: g\n  interval: 30s\n  rules:\n  - record: zone:requests:sum\n    \
                expr: sum by (zone) (requests_total)\n    labels: {kind: sum}\n  - record: api\n    \
                expr: rate(requests_total{job=\"api\"}[5m])\n";
    std::fs::write(&rules, text).unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for (out, is_ours) in [(path("rules-ours"), true), (path("rules-theirs"), false)] {
        let (url, out) = (format!("--url=http://127.0.0.1:{port}"), format!("--output-dir={out}"));
        let times = ["--start=1600000100", "--end=1600018000", rules.to_str().unwrap()];
        let args = [&["tsdb", "create-blocks-from", "rules", &url, &out][..], &times].concat();
        if is_ours {
            ours(&args)
        } else {
            theirs(&args)
        };
    }
    let dump = |name: &str| ours(&["tsdb", "dump", &path(name)]);
    assert!(dump("rules-ours").lines().count() > 1000);
    assert_eq!(dump("rules-ours"), dump("rules-theirs"));

    let now = now_ms();
    let times: Vec<i64> = (0..200).map(|i| now - 300_000 + i * 1000).collect();
    let reply = request(port, "POST /api/v1/write", &write_request(&times)).unwrap();
    assert!(reply.contains(" 204 ") || reply.contains(" 200 "), "{reply}");
    let reply = request(port, "POST /api/v1/admin/tsdb/snapshot", b"").unwrap();
    assert!(reply.contains("success"), "{reply}");
    drop(running);

    // The log, and the block that Prometheus made of the same samples.
    let directory = Directory::open(&data).unwrap();
    let head = directory.read_head().unwrap();
    assert_eq!((head.len(), head.report.damage.len()), (3, 0));
    let mut logged = Vec::new();
    head.for_each(TimeRange::ALL, &mut |s| -> Result<(), interchange::Error> {
        logged.push(s);
        Ok(())
    })
    .unwrap();
    let snapshot = std::fs::read_dir(data.join("snapshots")).unwrap().next().unwrap().unwrap().path();
    let from_head = Directory::open(&snapshot).unwrap();
    let block: &Block = from_head.blocks().last().unwrap();
    let blocked: Vec<_> = block
        .series()
        .map(|s| {
            let s = s.unwrap();
            (s.labels.clone(), block.samples(&s, TimeRange::ALL).unwrap())
        })
        .collect();
    assert_eq!(logged.len(), 3);
    for ((labels, a), (same, b)) in logged.iter().zip(&blocked) {
        assert_eq!(labels, same);
        assert_eq!(a.floats, b.floats);
        assert_eq!(a.len(), times.len());
        for (i, ((ts, a), (ts_b, b))) in a.histograms.iter().zip(&b.histograms).enumerate() {
            let n = (i % 50) as f64;
            assert_eq!((*ts, *ts), (times[i], *ts_b));
            assert!(a.same_layout(b), "{a:?} {b:?}");
            let half = if a.integer { 0.0 } else { 0.5 };
            assert_eq!(
                (a.count, a.sum, a.integer),
                (3.0 * n + 1.0 + half, 0.25 * n, labels.metric_name() == "h")
            );
            assert_eq!((a.count, a.sum, a.zero_count), (b.count, b.sum, b.zero_count));
            assert_eq!(a.positive_buckets, [n, 2.0 * n]);
            assert_eq!(a.positive_buckets, b.positive_buckets);
        }
    }
    let floats = ["tsdb", "dump", "--match=f", &shown];
    assert_eq!(sorted(&ours(&floats)), sorted(&theirs(&floats)));
}
