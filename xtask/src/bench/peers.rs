//! The servers compared: how each is started, stopped, and brought to what it keeps on disk in the long run.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::{http, usage};
use crate::paths;
use crate::process::{self, Output, Running, command};

/// How long a server may take to end after SIGTERM: a full head is written out meanwhile.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Prometheus,
    Victoria,
    Vigie,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Victoria => "victoria",
            Self::Vigie => "vigie",
        }
    }

    /// How it is called in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::Victoria => "VictoriaMetrics",
            Self::Vigie => "Vigie",
        }
    }

    /// Names under which it may be installed.
    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Prometheus => &["prometheus"],
            Self::Victoria => &["victoria-metrics", "victoria-metrics-prod"],
            Self::Vigie => &["vigie"],
        }
    }

    fn role(self) -> &'static [&'static str] {
        if self == Self::Vigie { &["prometheus"] } else { &[] }
    }
}

/// A server that can be started.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) kind: Kind,
    path: PathBuf,
    /// Name and version.
    pub(crate) label: String,
}

impl Program {
    pub(crate) fn new(kind: Kind, path: PathBuf) -> Self {
        let label = version(kind, &path);
        Self { kind, path, label }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The peer on the `PATH`.
    pub(crate) fn installed(kind: Kind) -> anyhow::Result<Self> {
        let path = paths::installed(kind.programs());
        let path = path.with_context(|| {
            format!("{} is not installed; `--peers none` does without peers", kind.programs()[0])
        })?;
        Ok(Self::new(kind, path))
    }
}

fn version(kind: Kind, path: &Path) -> String {
    format!("{} {}", kind.title(), installed_version(path, kind.role())).trim_end().to_owned()
}

/// The version that a program, called with `role`, tells, or else Debian's package of its name; empty where neither does.
pub(crate) fn installed_version(path: &Path, role: &[&str]) -> String {
    let ask = |command: &mut Command| {
        let output = command.output().map(|output| [output.stdout, output.stderr].concat());
        first_version(&String::from_utf8_lossy(&output.unwrap_or_default()))
    };
    let name = path.file_name().unwrap_or_default();
    // Debian builds VictoriaMetrics without a version.
    ask(command(path).args(role).arg("--version"))
        .or_else(|| ask(command("dpkg-query").args(["-f", "${Version}", "-W"]).arg(name)))
        .unwrap_or_default()
}

/// The first word made of numbers and dots.
fn first_version(text: &str) -> Option<String> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split([' ', '-', ',', '+', '\n']).find_map(|word| {
        let word = word.trim_start_matches('v');
        (word.contains('.') && word.split('.').all(digits)).then(|| word.to_owned())
    })
}

/// A server and its directory.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) label: String,
    pub(crate) address: String,
    program: PathBuf,
    home: PathBuf,
    config: PathBuf,
    scrapes: bool,
    running: Option<Running>,
}

impl Server {
    /// Starts it in the empty directory `home`, with the scrape configuration given or none.
    pub(crate) fn start(
        program: &Program,
        home: PathBuf,
        configuration: Option<&str>,
    ) -> anyhow::Result<Self> {
        fresh(&home)?;
        let config = home.join("prometheus.yml");
        fs::write(&config, configuration.unwrap_or("global:\n  scrape_interval: 15s\n"))?;
        let mut server = Self {
            kind: program.kind,
            label: program.label.clone(),
            address: free_address()?,
            program: program.path.clone(),
            home,
            config,
            scrapes: configuration.is_some(),
            running: None,
        };
        server.spawn()?;
        server.listening()?;
        Ok(server)
    }

    /// Starts the process, without waiting for anything.
    pub(crate) fn spawn(&mut self) -> anyhow::Result<()> {
        ensure!(self.running.is_none(), "{} is running", self.label);
        let mut command = command(&self.program);
        command.args(self.kind.role());
        let data = self.data();
        match self.kind {
            Kind::Victoria => {
                command.arg("-storageDataPath").arg(&data).args(["-httpListenAddr", &self.address]);
                // Answers shall have the newest samples, and old samples shall be taken.
                command.args(["-search.latencyOffset=0s", "-search.disableCache", "-retentionPeriod=100y"]);
                if self.scrapes {
                    command.arg("-promscrape.config").arg(&self.config);
                }
            }
            Kind::Prometheus | Kind::Vigie => {
                command.arg("--config.file").arg(&self.config).arg("--storage.tsdb.path").arg(&data);
                command.args(["--web.listen-address", &self.address]);
                command.args(["--web.enable-remote-write-receiver", "--web.enable-admin-api"]);
            }
        }
        let log = (0..).map(|n| self.home.join(format!("log.{n}"))).find(|path| !path.exists());
        let log = log.expect("there is always a next number");
        self.running = Some(Running::start(self.kind.name(), &mut command, &Output::File(&log))?);
        Ok(())
    }

    fn listening(&mut self) -> anyhow::Result<()> {
        let home = self.home.display().to_string();
        let address = self.address.clone();
        self.running()?.wait_until_listening(&address).with_context(|| format!("see the logs in {home}"))?;
        // Listening is not being ready.
        let deadline = Instant::now() + Duration::from_secs(60);
        while http::get(&address, "/api/v1/query?query=1").is_err() {
            ensure!(Instant::now() < deadline, "not ready after a minute; see the logs in {home}");
            self.wait(Duration::from_millis(50))?;
        }
        Ok(())
    }

    fn running(&mut self) -> anyhow::Result<&mut Running> {
        self.running.as_mut().context("the server is not running")
    }

    fn id(&mut self) -> anyhow::Result<u32> {
        Ok(self.running()?.id())
    }

    pub(crate) fn cpu_seconds(&mut self) -> anyhow::Result<f64> {
        usage::cpu_seconds(self.id()?)
    }

    pub(crate) fn memory(&mut self) -> anyhow::Result<usage::Memory> {
        usage::memory(self.id()?)
    }

    /// Lets the peak of memory begin anew.
    pub(crate) fn forget_peak(&mut self) -> anyhow::Result<()> {
        usage::forget_peak(self.id()?)
    }

    /// Waits; fails as soon as the server ends, or someone asks us to stop.
    pub(crate) fn wait(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        loop {
            if process::interrupted() {
                bail!("interrupted");
            }
            let home = self.home.display().to_string();
            self.running()?.check().with_context(|| format!("see the logs in {home}"))?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(200)));
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.running.take().context("the server is not running")?.kill()
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        self.running.take().context("the server is not running")?.stop(PATIENCE)
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Bytes its data take now. VictoriaMetrics' caches, which it can do without, are not counted.
    pub(crate) fn disk_bytes(&self) -> anyhow::Result<u64> {
        usage::disk_bytes(&self.data(), &["cache", "tmp"])
    }

    /// Stops it and brings its data to the form that it keeps them in; bytes on disk then, and what was done.
    /// `patience` bounds the wait for merging in the background.
    pub(crate) fn compact(&mut self, patience: Duration) -> anyhow::Result<(u64, &'static str)> {
        match self.kind {
            Kind::Prometheus => self.compact_prometheus(patience),
            Kind::Victoria => self.compact_victoria(patience),
            Kind::Vigie => self.compact_vigie(),
        }
    }

    /// A snapshot has the head as a block; opened by a second process without a load its blocks are merged.
    fn compact_prometheus(&mut self, patience: Duration) -> anyhow::Result<(u64, &'static str)> {
        http::post(&self.address, "/api/v1/admin/tsdb/snapshot")?;
        self.stop()?;
        let snapshots = self.data().join("snapshots");
        let mut entries = fs::read_dir(&snapshots)?;
        let snapshot = entries.next().context("no snapshot was made")??.path();
        let kept = self.home.join("snapshot");
        fs::rename(snapshot, &kept)?;
        fs::remove_dir_all(self.data())?;
        fs::rename(kept, self.data())?;
        self.spawn()?;
        self.listening()?;
        // It looks for work once a minute, and after each merge at once.
        self.until_quiet(Duration::from_secs(75).min(patience), patience)?;
        self.stop()?;
        Ok((usage::disk_bytes(&self.data(), &["wal", "chunks_head"])?, "snapshot, merged"))
    }

    fn compact_victoria(&mut self, patience: Duration) -> anyhow::Result<(u64, &'static str)> {
        http::get(&self.address, "/internal/force_flush")?;
        http::get(&self.address, "/internal/force_merge")?;
        let deadline = Instant::now() + patience;
        loop {
            self.wait(Duration::from_millis(300))?;
            let metrics = http::get(&self.address, "/metrics")?;
            let metrics = String::from_utf8_lossy(&metrics).into_owned();
            let merging = metrics.lines().filter(|line| {
                line.starts_with("vm_active_force_merges")
                    || line.starts_with("vm_active_merges{type=\"storage/")
            });
            if merging.filter_map(|line| line.rsplit_once(' ')).all(|(_, value)| value == "0") {
                break;
            }
            ensure!(Instant::now() < deadline, "a forced merge takes longer than {} s", patience.as_secs());
        }
        self.stop()?;
        Ok((self.disk_bytes()?, "forced merge, stopped"))
    }

    fn compact_vigie(&mut self) -> anyhow::Result<(u64, &'static str)> {
        self.stop()?;
        let mut compact = command(&self.program);
        compact.args(["promtool", "tsdb", "compact"]).arg(self.data());
        let output = compact.output()?;
        fs::write(self.home.join("compact.log"), [&output.stdout[..], &output.stderr].concat())?;
        if output.status.success() {
            return Ok((self.disk_bytes()?, "stopped, `promtool tsdb compact`"));
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        println!("vigie: `promtool tsdb compact` failed ({said}); what the stopped server left is counted");
        Ok((self.disk_bytes()?, "stopped, not compacted"))
    }

    /// Waits until it has used next to no CPU for some seconds, `least` in any case and `most` at most.
    pub(crate) fn until_quiet(&mut self, least: Duration, most: Duration) -> anyhow::Result<()> {
        let started = Instant::now();
        self.wait(least)?;
        let mut quiet = 0;
        while quiet < 3 && started.elapsed() < most {
            let before = self.cpu_seconds()?;
            self.wait(Duration::from_secs(1))?;
            quiet = if self.cpu_seconds()? - before <= 0.05 { quiet + 1 } else { 0 };
        }
        Ok(())
    }
}

/// Makes an empty directory.
pub(crate) fn fresh(directory: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| directory.display().to_string());
        }
        _ => {}
    }
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())
}

pub(crate) fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, expect) in [
            ("prometheus, version 2.42.0+ds (branch: debian/sid)", Some("2.42.0")),
            ("vigie, version 0.1.0", Some("0.1.0")),
            ("victoria-metrics-20220810-tags-v1.79.5-0-g1", Some("1.79.5")),
            ("1.79.5+ds1-2+b5", Some("1.79.5")),
            ("", None),
        ] {
            assert_eq!(first_version(text).as_deref(), expect, "{text}");
        }
    }
}
