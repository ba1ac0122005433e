//! Measure `exporters`: what a scrape costs, of each exporter beside the original that it replaces.
//!
//! Both run at the same time, on the same host and the same servers, and are scraped in turn, so that both see the same state. What the
//! watched server spends on being asked is counted for each of them too, in a second pass.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::http::Connection;
use super::peers::{Kind, free_address};
use super::report::{Row, Section, Unit};
use super::scrape::column;
use super::{Bench, usage};
use crate::paths;
use crate::process::{self, Output, Running, command};

/// How often each is scraped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Before anything is measured.
    pub(crate) warm_up: u32,
    /// In the measured window.
    pub(crate) scrapes: u32,
}

/// Pause between scrapes, so that the kernel's accounting by ticks is met at different moments.
const PAUSE: Duration = Duration::from_millis(3);
/// An exporter that takes longer for a page has failed.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An exporter, its original, and what both watch.
struct Subject {
    title: &'static str,
    originals: &'static [&'static str],
    role: &'static str,
    /// Arguments of ours alone.
    own_arguments: &'static [&'static str],
    /// Arguments and environment of both.
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    /// The watched server.
    server: Option<Running>,
    /// Its data; goes after it.
    _data: Option<Scratch>,
}

/// A directory that is removed when dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            println!("xtask: {} is left behind: {error}", self.0.display());
        }
    }
}

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<Section> {
    let load_average = usage::load_average();
    let vigie = bench
        .programs
        .iter()
        .find(|program| program.kind == Kind::Vigie)
        .context("`exporters` measures Vigie beside the originals; `--vigie none` leaves nothing")?
        .clone();
    let home = bench.directory.join("exporters");
    let mut rows = vec![];
    for make in [node, postgres, redis] {
        super::peers::fresh(&home)?;
        match make(&home).and_then(|subject| beside(bench, &subject, vigie.path(), &home)) {
            Ok(found) => rows.extend(found),
            Err(error) if process::interrupted() => return Err(error),
            Err(error) => {
                println!("FAILED: exporters: {error:#}");
                bench.failures.push(format!("exporters: {error:#}"));
            }
        }
    }
    let sizes = bench.sizes.exporters;
    Ok(Section {
        name: "exporters",
        title: "Exporters",
        text: format!(
            "Each exporter beside the original that Debian has, default collectors, both watching the same host, PostgreSQL (three databases, 200 \
             tables) or Redis (1,000 keys); {} scrapes of each in turn over kept connections after {} to warm up, without compression. CPU is \
             of the exporter per scrape; of the server: what the watched server spends on a scrape. {}",
            sizes.scrapes,
            sizes.warm_up,
            bench.built()
        ),
        columns: vec![
            column("cpu", "CPU per scrape", Unit::Fraction),
            column("median", "median answer", Unit::Fraction),
            column("server_cpu", "CPU of the server", Unit::Fraction),
            column("resident", "resident memory", Unit::Mebibytes),
            column("anonymous", "of it anonymous", Unit::Mebibytes),
            column("peak", "peak", Unit::Mebibytes),
            column("series", "series", Unit::Count),
        ],
        rows,
        figures: vec![],
        printed: vec![],
        load_average,
    })
}

/// One of the two, running.
struct Scraped {
    label: String,
    kind: Kind,
    running: Running,
    connection: Connection,
    durations: Vec<Duration>,
    series: usize,
}

impl Scraped {
    fn scrape(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        let body = self.connection.get("/metrics")?.success()?;
        self.durations.push(begin.elapsed());
        self.series = body.split(|b| *b == b'\n').filter(|l| !l.is_empty() && l[0] != b'#').count();
        ensure!(self.series > 10, "{}: a page of {} series", self.label, self.series);
        Ok(())
    }

    fn row(&mut self, cpu: f64, server_cpu: Option<f64>, scrapes: u32) -> anyhow::Result<Row> {
        self.durations.sort_unstable();
        let median = self.durations[self.durations.len() / 2].as_secs_f64();
        let memory = usage::memory(self.running.id())?;
        let mut values = vec![
            ("cpu", cpu / f64::from(scrapes)),
            ("median", median),
            ("resident", memory.resident as f64),
            ("anonymous", memory.anonymous as f64),
            ("peak", memory.peak as f64),
            ("series", self.series as f64),
        ];
        values.extend(server_cpu.map(|cpu| ("server_cpu", cpu / f64::from(scrapes))));
        Ok(Row { kind: self.kind, label: self.label.clone(), values, note: String::new() })
    }
}

fn beside(bench: &Bench, subject: &Subject, vigie: &Path, home: &Path) -> anyhow::Result<[Row; 2]> {
    let original = paths::installed(subject.originals)
        .with_context(|| format!("{} is not installed", subject.originals[0]))?;
    let sizes = bench.sizes.exporters;
    let start = |kind: Kind, label: String, program: &Path, role: Option<&str>| -> anyhow::Result<Scraped> {
        let address = free_address()?;
        let mut command = command(program);
        command.args(role).args(&subject.arguments);
        if role.is_some() {
            command.args(subject.own_arguments);
        }
        command.arg(format!("--web.listen-address={address}"));
        command.envs(subject.environment.iter().map(|(name, value)| (name, value)));
        let log = home.join(format!("{}.log", kind.name()));
        let mut running = Running::start(kind.name(), &mut command, &Output::File(&log))?;
        running.wait_until_listening(&address).with_context(|| format!("see {}", log.display()))?;
        let connection = Connection::open(&address, TIMEOUT)?;
        Ok(Scraped { label, kind, running, connection, durations: vec![], series: 0 })
    };
    let label = format!("{} {}", subject.title, super::peers::installed_version(&original, &[]));
    let own = [&["Vigie", subject.role], subject.own_arguments].concat().join(" ");
    let mut both = [
        start(Kind::Prometheus, label, &original, None)?,
        start(Kind::Vigie, own, vigie, Some(subject.role))?,
    ];
    for _ in 0..sizes.warm_up {
        both.iter_mut().try_for_each(Scraped::scrape)?;
    }
    let before = both.each_ref().map(|one| usage::cpu_seconds(one.running.id()));
    both.iter_mut().for_each(|one| one.durations.clear());
    for _ in 0..sizes.scrapes {
        for one in &mut both {
            one.scrape()?;
            std::thread::sleep(PAUSE);
        }
        if process::interrupted() {
            bail!("interrupted");
        }
    }
    let mut rows = vec![];
    let servers_share = server_cpu(subject, &mut both, sizes.scrapes)?;
    for ((one, before), server) in both.iter_mut().zip(before).zip(servers_share) {
        // The second pass scraped as often again.
        let scrapes = if server.is_some() { 2 * sizes.scrapes } else { sizes.scrapes };
        let cpu = usage::cpu_seconds(one.running.id())? - before?;
        let row = one.row(cpu * f64::from(sizes.scrapes) / f64::from(scrapes), server, sizes.scrapes)?;
        println!(
            "{}: {:.2} ms CPU a scrape, {} series",
            one.label,
            1e3 * row.get("cpu").unwrap_or(0.0),
            one.series
        );
        rows.push(row);
    }
    rows.try_into().map_err(|_| anyhow::anyhow!("two rows"))
}

/// CPU of the watched server while each alone scrapes it.
fn server_cpu(subject: &Subject, both: &mut [Scraped; 2], scrapes: u32) -> anyhow::Result<[Option<f64>; 2]> {
    let Some(server) = &subject.server else { return Ok([None, None]) };
    let mut found = [None, None];
    for (one, found) in both.iter_mut().zip(&mut found) {
        let before = usage::family_cpu_seconds(server.id())?;
        for _ in 0..scrapes {
            one.scrape()?;
            std::thread::sleep(PAUSE);
        }
        *found = Some(usage::family_cpu_seconds(server.id())? - before);
    }
    Ok(found)
}

fn node(_: &Path) -> anyhow::Result<Subject> {
    Ok(Subject {
        title: "node_exporter",
        originals: &["prometheus-node-exporter", "node_exporter"],
        role: "node-exporter",
        own_arguments: &[],
        // Debian's default differs from upstream's; both get the same.
        arguments: vec!["--no-collector.systemd".to_owned()],
        environment: vec![],
        server: None,
        _data: None,
    })
}

fn redis(home: &Path) -> anyhow::Result<Subject> {
    let server = paths::installed(&["redis-server"]).context("redis-server is not installed")?;
    let address = free_address()?;
    let port = address.rsplit_once(':').context("a port")?.1.to_owned();
    let mut start = command(server);
    start
        .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
        .arg(home);
    let mut running = Running::start("redis", &mut start, &Output::File(&home.join("redis.log")))?;
    running.wait_until_listening(&address)?;
    let mut fill = Connection::open(&address, TIMEOUT)?;
    for key in 0..1000 {
        let command = format!("SET key:{key} value:{key}\r\n");
        fill.send_line(command.as_bytes())?;
    }
    Ok(Subject {
        title: "redis_exporter",
        originals: &["prometheus-redis-exporter", "redis_exporter"],
        role: "redis-exporter",
        own_arguments: &[],
        arguments: vec![],
        environment: vec![("REDIS_ADDR", format!("redis://{address}"))],
        server: Some(running),
        _data: None,
    })
}

/// A server of three databases; PostgreSQL refuses to run as root, so it runs as another user then.
fn postgres(home: &Path) -> anyhow::Result<Subject> {
    let bin = postgres_bin().context("no PostgreSQL server is installed")?;
    let address = free_address()?;
    let port = address.rsplit_once(':').context("a port")?.1.to_owned();
    let data = Scratch(std::env::temp_dir().join(format!("bench-postgres-{port}")));
    let as_user = |program: &Path| -> Command {
        if is_root() {
            let mut command = command("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
            command.current_dir("/");
            command
        } else {
            command(program)
        }
    };
    let quiet = |mut command: Command| -> anyhow::Result<()> {
        let output = command.output().with_context(|| process::shown(&command))?;
        ensure!(
            output.status.success(),
            "{}: {}",
            process::shown(&command),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    };
    let mut initdb = as_user(&bin.join("initdb"));
    initdb.args(["--no-sync", "--auth=trust", "--username=postgres", "-D"]).arg(&data.0);
    quiet(initdb)?;
    let mut start = as_user(&bin.join("postgres"));
    start.arg("-D").arg(&data.0).args(["-p", &port, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
    start.args(["-c", "shared_buffers=64MB", "-c", "unix_socket_directories="]);
    let mut running = Running::start("postgres", &mut start, &Output::File(&home.join("postgres.log")))?;
    running.wait_until_listening(&address)?;
    let sql = |database: &str, text: &str| -> anyhow::Result<()> {
        let mut psql = command(bin.join("psql"));
        psql.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-d", database, "-q", "-c", text]);
        quiet(psql)
    };
    let deadline = Instant::now() + TIMEOUT;
    while let Err(error) = sql("postgres", "SELECT 1") {
        ensure!(Instant::now() < deadline, "{error:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let tables: String = (0..200)
        .map(|n| format!("CREATE TABLE t{n} (id int PRIMARY KEY, v text); INSERT INTO t{n} SELECT g, 'x' FROM generate_series(1,100) g;"))
        .collect();
    sql("postgres", &tables)?;
    sql("postgres", "CREATE DATABASE one")?;
    sql("postgres", "CREATE DATABASE two")?;
    Ok(Subject {
        title: "postgres_exporter",
        originals: &["prometheus-postgres-exporter", "postgres_exporter"],
        role: "postgres-exporter",
        // The current exporter's families of each table are ten times as many series; the comparison is of the same ones.
        own_arguments: &["--names=0.11"],
        arguments: vec![],
        environment: vec![(
            "DATA_SOURCE_NAME",
            format!("postgresql://postgres@{address}/postgres?sslmode=disable"),
        )],
        server: Some(running),
        _data: Some(data),
    })
}

fn postgres_bin() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").is_file()).max()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}
