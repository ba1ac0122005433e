//! `cargo xtask bench`: Vigie's scraping beside the original Prometheus, same load, same machine.
//!
//! One generator serves all targets on loopback. Both servers scrape them, together or one after the
//! other; CPU time and memory are what the kernel accounts to each process.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::paths;
use crate::process::{self, Output, Running, cargo, command, existing, run as run_command};

pub(crate) struct Options {
    pub(crate) series: u64,
    pub(crate) targets: u64,
    /// Seconds between scrapes of one target.
    pub(crate) interval: u64,
    /// Seconds before the measured window.
    pub(crate) warm_up: u64,
    /// Seconds of the measured window.
    pub(crate) duration: u64,
    pub(crate) one_by_one: bool,
    pub(crate) write: bool,
    /// The profile `quick` instead of `release`.
    pub(crate) quick: bool,
}

/// One server over the measured window.
struct Measured {
    name: String,
    cpu_seconds: f64,
    samples: u64,
    resident_bytes: u64,
    anonymous_bytes: u64,
    peak_bytes: u64,
    disk_bytes: u64,
    targets_up: f64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(options.targets > 0 && options.series >= options.targets, "at least one series per target");
    ensure!(options.interval > 0 && options.duration > 0, "interval and duration are positive");
    let prometheus = paths::installed(&["prometheus"]).context("prometheus is not installed")?;
    let profile = if options.quick { "quick" } else { "release" };
    // The second package goes along, so that quick builds share their features and are not made twice.
    run_command(cargo().args(["build", "--profile", profile, "-p", "vigie", "-p", "real-estate"]))?;
    run_command(cargo().args(["build", "--profile", profile, "-p", "e2e", "--bin", "load-target"]))?;
    let vigie = existing(paths::target().join(profile).join("vigie"))?;
    let generator = existing(paths::target().join(profile).join("load-target"))?;
    let directory = paths::target().join("bench");
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    fs::create_dir_all(&directory)?;
    process::catch_interrupts();

    let load = free_address()?;
    let mut generator = command(generator);
    let per_target = options.series / options.targets;
    generator.args([
        &load,
        &options.targets.to_string(),
        &per_target.to_string(),
        &options.interval.to_string(),
    ]);
    let mut generator =
        Running::start("load-target", &mut generator, &Output::File(&directory.join("load.log")))?;
    generator.wait_until_listening(&load)?;

    let rivals: [(&str, &Path, &[&str]); 2] =
        [("vigie", &vigie, &["prometheus"]), ("prometheus", &prometheus, &[])];
    let start = |(name, program, role): (&str, &Path, &[&str])| {
        Rival::start(name, program, role, &directory, &load, options)
    };
    let mut measured = Vec::new();
    if options.one_by_one {
        for rival in rivals {
            measured.extend(measure(vec![start(rival)?], &load, options)?);
        }
    } else {
        let both = rivals.into_iter().map(start).collect::<anyhow::Result<Vec<_>>>()?;
        measured = measure(both, &load, options)?;
    }
    let page = page(&measured, options)?;
    println!("{page}");
    if options.write {
        let path = paths::root().join("docs/benchmarks.md");
        fs::create_dir_all(paths::root().join("docs"))?;
        fs::write(&path, page).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

struct Rival {
    name: String,
    label: String,
    running: Running,
    address: String,
    data: PathBuf,
}

impl Rival {
    fn start(
        name: &str,
        program: &Path,
        role: &[&str],
        directory: &Path,
        load: &str,
        options: &Options,
    ) -> anyhow::Result<Self> {
        let label = version(program, role).unwrap_or_else(|| name.to_owned());
        let home = directory.join(name);
        fs::create_dir_all(&home)?;
        let config = home.join("prometheus.yml");
        fs::write(&config, configuration(name, load, options))?;
        let (address, data) = (free_address()?, home.join("data"));
        let mut command = command(program);
        command.args(role).arg("--config.file").arg(&config).arg("--storage.tsdb.path").arg(&data);
        command.args(["--web.listen-address", &address]);
        let log = home.join("log");
        let mut running = Running::start(name, &mut command, &Output::File(&log))?;
        running.wait_until_listening(&address).with_context(|| format!("see {}", log.display()))?;
        Ok(Self { name: name.to_owned(), label, running, address, data })
    }
}

/// One static config per target: they differ by path, and by the label `instance`.
fn configuration(client: &str, load: &str, options: &Options) -> String {
    let mut yaml = format!(
        "global:\n  scrape_interval: {0}s\n  scrape_timeout: {0}s\nscrape_configs:\n  - job_name: load\n    static_configs:\n",
        options.interval
    );
    for target in 0..options.targets {
        write!(
            yaml,
            "      - targets: ['{load}']\n        labels:\n          __metrics_path__: /{client}/{target}\n          instance: host-{target:04}\n"
        )
        .expect("a String takes all that is written to it");
    }
    yaml
}

fn measure(mut rivals: Vec<Rival>, load: &str, options: &Options) -> anyhow::Result<Vec<Measured>> {
    let names: Vec<&str> = rivals.iter().map(|rival| rival.name.as_str()).collect();
    println!(
        "{}: warming up for {} s, measuring for {} s",
        names.join(" and "),
        options.warm_up,
        options.duration
    );
    wait(&mut rivals, options.warm_up)?;
    let read = |rivals: &[Rival]| -> anyhow::Result<Vec<(f64, u64)>> {
        let served: Value = serde_json::from_str(&http_get(load, "/stats")?)?;
        let read = rivals
            .iter()
            .map(|rival| Ok((cpu_seconds(rival.running.id())?, served[&rival.name].as_u64().unwrap_or(0))));
        read.collect()
    };
    let before = read(&rivals)?;
    wait(&mut rivals, options.duration)?;
    let after = read(&rivals)?;
    let mut measured = Vec::new();
    for (rival, (before, after)) in rivals.iter().zip(before.into_iter().zip(after)) {
        let status = fs::read_to_string(format!("/proc/{}/status", rival.running.id()))?;
        let bytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
        };
        measured.push(Measured {
            name: rival.label.clone(),
            cpu_seconds: after.0 - before.0,
            samples: after.1 - before.1,
            resident_bytes: bytes("VmRSS"),
            anonymous_bytes: bytes("RssAnon"),
            peak_bytes: bytes("VmHWM"),
            disk_bytes: directory_bytes(&rival.data)?,
            targets_up: targets_up(&rival.address)?,
        });
    }
    Ok(measured)
}

fn wait(rivals: &mut [Rival], seconds: u64) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        if process::interrupted() {
            bail!("interrupted");
        }
        for rival in &mut *rivals {
            rival.running.check()?;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// User and system time of a process, from `/proc/PID/stat`.
fn cpu_seconds(id: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let fields = stat.rsplit_once(')').context("no command name in stat")?.1;
    let ticks = fields.split_ascii_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
    // Linux reports these in hundredths of a second on all platforms.
    Ok(ticks as f64 / 100.0)
}

fn directory_bytes(path: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        sum += match entry.metadata() {
            Ok(meta) if meta.is_dir() => directory_bytes(&entry.path())?,
            // Blocks, not length: logs are preallocated and sparse.
            Ok(meta) => std::os::unix::fs::MetadataExt::blocks(&meta) * 512,
            // Segments come and go.
            Err(_) => 0,
        };
    }
    Ok(sum)
}

fn http_get(address: &str, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut chunk = [0; 64 << 10];
    loop {
        let read = stream.read(&mut chunk)?;
        answer.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&answer);
        // The generator keeps its connections: its length says when the answer is whole.
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if read == 0 || length.is_some_and(|length| body.len() >= length) {
                return Ok(body.to_owned());
            }
        }
        ensure!(read > 0, "{address} hung up");
    }
}

fn targets_up(address: &str) -> anyhow::Result<f64> {
    let body = http_get(address, "/api/v1/query?query=sum(up)")?;
    // Chunked or not, the JSON is the part in braces.
    let json = body.find('{').zip(body.rfind('}')).map_or("", |(start, end)| &body[start..=end]);
    let json: Value = serde_json::from_str(json).with_context(|| format!("from {address}: {body}"))?;
    json["data"]["result"][0]["value"][1].as_str().context("no value of sum(up)")?.parse().context("sum(up)")
}

fn version(program: &Path, role: &[&str]) -> Option<String> {
    let output = command(program).args(role).arg("--version").output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let words: Vec<String> = String::from_utf8_lossy(&text)
        .split_whitespace()
        .take(3)
        .map(|word| word.trim_end_matches(',').to_owned())
        .collect();
    let [name, _, version] = &words[..] else { return None };
    Some(format!("{} {version}", if role.is_empty() { name.as_str() } else { "vigie" }))
}

fn page(measured: &[Measured], options: &Options) -> anyhow::Result<String> {
    let mut page = format!(
        "# Benchmarks\n\nWritten by `cargo xtask bench`.\n\n## Scraping\n\n{} series in {} targets, each scraped every {} s over \
         loopback; 70 % of the values constant. {} s after a warm-up of {} s, {}; Vigie built in profile `{}`.\nMachine: {}.\n\n",
        options.series / options.targets * options.targets,
        options.targets,
        options.interval,
        options.duration,
        options.warm_up,
        if options.one_by_one { "one server after the other" } else { "both servers at the same time" },
        if options.quick { "quick" } else { "release" },
        machine(),
    );
    page.push_str("| | CPU s per million samples | resident memory | of it anonymous | peak | on disk | samples scraped | targets up |\n");
    page.push_str("|---|---|---|---|---|---|---|---|\n");
    let mib = |bytes: u64| format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20));
    for m in measured {
        ensure!(m.samples > 0, "{} scraped nothing", m.name);
        writeln!(
            page,
            "| {} | {:.2} | {} | {} | {} | {} | {:.1} M | {} |",
            m.name,
            per_million(m),
            mib(m.resident_bytes),
            mib(m.anonymous_bytes),
            mib(m.peak_bytes),
            mib(m.disk_bytes),
            m.samples as f64 / 1e6,
            m.targets_up
        )?;
    }
    if let [ours, theirs] = measured {
        writeln!(
            page,
            "\nVigie needs 1/{:.1} of the CPU and 1/{:.1} of the memory.",
            per_million(theirs) / per_million(ours).max(1e-9),
            theirs.resident_bytes as f64 / ours.resident_bytes.max(1) as f64
        )?;
    }
    Ok(page)
}

fn per_million(measured: &Measured) -> f64 {
    measured.cpu_seconds / (measured.samples as f64 / 1e6)
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("", |(_, m)| m);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {model}")
}
