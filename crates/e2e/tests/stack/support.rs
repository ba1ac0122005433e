//! The stack and the reference application, started for a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::program::{Program, test_directory};
use e2e::{free_port, http, prometheus, tools, wait_for};

/// Longest wait for something that follows a scrape or a rule evaluation.
pub(crate) const SOON: Duration = Duration::from_secs(40);

/// `127.0.0.1` and a free port.
pub(crate) fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// `vigie run` with its three addresses.
pub(crate) struct Stack {
    pub(crate) program: Program,
    pub(crate) prometheus: String,
    pub(crate) alertmanager: String,
    pub(crate) dashboards: String,
}

impl Stack {
    /// Runs the files in `directory`; ready when all three listen.
    pub(crate) fn start(vigie: &Path, directory: &Path, alertmanager: &str) -> Self {
        Self::start_with(vigie, directory, alertmanager, &[])
    }

    /// The same with more flags.
    pub(crate) fn start_with(vigie: &Path, directory: &Path, alertmanager: &str, flags: &[&str]) -> Self {
        let (prometheus, alertmanager, dashboards) =
            (free_address(), alertmanager.to_owned(), free_address());
        let mut command = Command::new(vigie);
        command.arg("run").arg(directory).args(flags);
        command.args(["--prometheus.listen-address", &prometheus]);
        command.args(["--alertmanager.listen-address", &alertmanager]);
        command.args(["--dashboards.listen-address", &dashboards]);
        command.arg("--storage.path").arg(directory.join("data"));
        let mut program = Program::start("vigie", &mut command, directory);
        for address in [&prometheus, &alertmanager, &dashboards] {
            program.wait_until_listening(address);
        }
        Self { program, prometheus, alertmanager, dashboards }
    }
}

/// The Real Estate Scraper on a free port, with visitors.
pub(crate) struct Application {
    pub(crate) _program: Program,
    pub(crate) address: String,
}

impl Application {
    pub(crate) fn start(binary: &Path, directory: &Path) -> Self {
        let address = free_address();
        let mut command = Command::new(binary);
        command.args(["--listen", &address, "--sites-listen", "127.0.0.1:0"]);
        command.args(["--scrape-interval", "1", "--traffic", "30", "--cache-ttl", "2"]);
        command.arg("--database-url").arg(format!("sqlite:{}", directory.join("listings.db").display()));
        let mut program = Program::start("real-estate", &mut command, directory);
        program.wait_until_listening(&address);
        Self { _program: program, address }
    }

    /// The switch that makes errors rise.
    pub(crate) fn set_broken(&self, on: bool) {
        let answer = http::post(&self.address, &format!("/admin/break?on={on}"), "text/plain", b"").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// The reference user's directory with quick intervals, all ports replaced.
pub(crate) struct Quickened {
    pub(crate) directory: PathBuf,
    pub(crate) application: Application,
    /// Where `alertmanager` is to listen.
    pub(crate) alertmanager: String,
}

impl Quickened {
    /// `alertmanager_edits` go to `alertmanager.yml`.
    pub(crate) fn prepare(name: &str, real_estate: &Path, alertmanager_edits: &[(&str, &str)]) -> Self {
        let directory = test_directory(name);
        let application = Application::start(real_estate, &directory);
        let alertmanager = free_address();
        let prometheus = tools::example_with(
            "prometheus.yml",
            &[("15s", "1s"), ("localhost:8000", &application.address), ("localhost:9093", &alertmanager)],
        );
        let alerts = tools::example_with(
            "alerts.yml",
            &[("interval: 30s", "interval: 1s"), ("for: 5m", "for: 5s"), ("[5m]", "[10s]")],
        );
        let mut edits =
            vec![("group_wait: 10s", "group_wait: 1s"), ("group_interval: 10s", "group_interval: 1s")];
        edits.extend_from_slice(alertmanager_edits);
        fs::write(directory.join("prometheus.yml"), prometheus).unwrap();
        fs::write(directory.join("alerts.yml"), alerts).unwrap();
        fs::write(directory.join("alertmanager.yml"), tools::example_with("alertmanager.yml", &edits))
            .unwrap();
        for part in ["provisioning/dashboards", "provisioning/datasources", "dashboards"] {
            fs::create_dir_all(directory.join(part)).unwrap();
            for entry in fs::read_dir(tools::example(part)).unwrap() {
                let path = entry.unwrap().path();
                fs::copy(&path, directory.join(part).join(path.file_name().unwrap())).unwrap();
            }
        }
        Self { directory, application, alertmanager }
    }
}

/// A Prometheus server, ours or the original: both take the same flags.
pub(crate) struct Server {
    pub(crate) program: Program,
    pub(crate) address: String,
}

impl Server {
    /// `vigie prometheus` with the configuration `DIRECTORY/FILE`.
    pub(crate) fn ours(vigie: &Path, directory: &Path, file: &str) -> Self {
        let mut command = Command::new(vigie);
        command.arg("prometheus");
        Self::start("vigie", command, directory, file)
    }

    /// The same with more flags.
    pub(crate) fn ours_with(vigie: &Path, directory: &Path, file: &str, flags: &[&str]) -> Self {
        let mut command = Command::new(vigie);
        command.arg("prometheus").args(flags);
        Self::start("vigie", command, directory, file)
    }

    /// The original with the same.
    pub(crate) fn original(prometheus: &Path, directory: &Path, file: &str) -> Self {
        Self::start("prometheus", Command::new(prometheus), directory, file)
    }

    /// The original with more flags.
    pub(crate) fn original_with(prometheus: &Path, directory: &Path, file: &str, flags: &[&str]) -> Self {
        let mut command = Command::new(prometheus);
        command.args(flags);
        Self::start("prometheus", command, directory, file)
    }

    fn start(name: &str, mut command: Command, directory: &Path, file: &str) -> Self {
        let address = free_address();
        command.arg("--config.file").arg(directory.join(file));
        command.arg("--storage.tsdb.path").arg(directory.join(format!("{name}-data")));
        command.args(["--web.listen-address", &address, "--web.enable-lifecycle"]);
        let mut program = Program::start(name, &mut command, directory);
        program.wait_until_listening(&address);
        Self { program, address }
    }

    /// Waits until `expression` has at least one series.
    pub(crate) fn wait_for_series(&self, expression: &str) {
        wait_for(&format!("{expression} on {}", self.address), SOON, || {
            let vector = prometheus::vector(&prometheus::query(&self.address, expression, None)?)?;
            anyhow::ensure!(!vector.is_empty(), "no series; log:\n{}", self.program.log());
            Ok(())
        });
    }
}

/// A `prometheus.yml` with one job: every `interval`, `target`, further lines of the job indented by 4.
pub(crate) fn one_job(interval: &str, job: &str, target: &str, more: &str) -> String {
    format!(
        "global:\n  scrape_interval: {interval}\n  scrape_timeout: {interval}\n  evaluation_interval: {interval}\n\
         scrape_configs:\n  - job_name: {job}\n    static_configs:\n      - targets: ['{target}']\n{more}"
    )
}
