//! `cargo xtask demo`: the reference user's files with shorter intervals, everything running, and a
//! sink that shows the mail and the Slack message arrive.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::process::{self, Output, Running, command, existing};
use crate::{build, paths};

pub(crate) struct Options {
    /// Stop after this many; otherwise at Ctrl-C.
    pub(crate) seconds: Option<u64>,
    /// Prometheus, Alertmanager, dashboards, application.
    pub(crate) ports: Option<String>,
}

struct Ports {
    prometheus: u16,
    alertmanager: u16,
    dashboards: u16,
    application: u16,
    sites: u16,
    smtp: u16,
    slack: u16,
}

impl Ports {
    fn parse(given: Option<&str>) -> anyhow::Result<Self> {
        let numbers: Vec<u16> = given
            .unwrap_or("9090,9093,3000,8000")
            .split(',')
            .map(|port| port.trim().parse().with_context(|| format!("--ports: `{port}` is no port")))
            .collect::<anyhow::Result<_>>()?;
        let [prometheus, alertmanager, dashboards, application] = numbers[..] else {
            anyhow::bail!("--ports wants four: Prometheus, Alertmanager, dashboards, application");
        };
        for port in &numbers {
            // Otherwise we would take another program's port for ours, and break that one.
            std::net::TcpListener::bind(("127.0.0.1", *port))
                .with_context(|| format!("port {port} is taken; choose others with --ports"))?;
        }
        let free = || anyhow::Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
        Ok(Self {
            prometheus,
            alertmanager,
            dashboards,
            application,
            sites: free()?,
            smtp: free()?,
            slack: free()?,
        })
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let ports = Ports::parse(options.ports.as_deref())?;
    build::ui()?;
    build::quick()?;
    let vigie = existing(paths::quick("vigie"))?;
    let real_estate = existing(paths::quick("real-estate"))?;
    let directory = prepare(&ports)?;
    process::catch_interrupts();

    let local = |port: u16| format!("127.0.0.1:{port}");
    let mut sink = command(&real_estate);
    sink.args(["sink", "--smtp-listen", &local(ports.smtp), "--slack-listen", &local(ports.slack)]);
    let mut sink = Running::start("sink", &mut sink, &Output::Terminal)?;
    sink.wait_until_listening(&local(ports.smtp))?;

    let mut application = command(&real_estate);
    application.args(["--listen", &local(ports.application), "--sites-listen", &local(ports.sites)]);
    application.args(["--scrape-interval", "3", "--traffic", "25"]);
    application.arg("--database-url").arg(format!("sqlite:{}", directory.join("real-estate.db").display()));
    let log = directory.join("real-estate.log");
    let mut application = Running::start("real-estate", &mut application, &Output::File(&log))?;
    application.wait_until_listening(&local(ports.application))?;

    let mut stack = command(&vigie);
    stack.arg("run").arg(&directory).arg("--storage.path").arg(directory.join("data"));
    stack.args(["--prometheus.listen-address", &local(ports.prometheus)]);
    stack.args(["--alertmanager.listen-address", &local(ports.alertmanager)]);
    stack.args(["--dashboards.listen-address", &local(ports.dashboards)]);
    let mut stack = Running::start("vigie", &mut stack, &Output::Terminal)?;
    for port in [ports.prometheus, ports.alertmanager, ports.dashboards] {
        stack.wait_until_listening(&local(port))?;
    }
    println!("{}", summary(&ports, &directory));

    let end = options.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    while !process::interrupted() && end.is_none_or(|end| Instant::now() < end) {
        for program in [&mut sink, &mut application, &mut stack] {
            program.check()?;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("stopping");
    // The stack first, so that it does not see its peers go.
    drop(stack);
    Ok(())
}

fn summary(ports: &Ports, directory: &Path) -> String {
    format!(
        "
  dashboards     http://localhost:{}
  queries        http://localhost:{}
  alerts         http://localhost:{}
  application    http://localhost:{}
  files          {}

  break it:      curl -X POST 'http://localhost:{}/admin/break?on=true'
                 pending after a few seconds, firing after ten more; mail and Slack message show here
  repair it:     curl -X POST 'http://localhost:{}/admin/break?on=false'
  stop:          Ctrl-C
",
        ports.dashboards,
        ports.prometheus,
        ports.alertmanager,
        ports.application,
        directory.display(),
        ports.application,
        ports.application,
    )
}

/// `.demo/`, anew: the example's files with other intervals and addresses. Fails where the example no
/// longer has what is to be replaced.
fn prepare(ports: &Ports) -> anyhow::Result<PathBuf> {
    let directory = paths::root().join(".demo");
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let example = paths::root().join("examples/real-estate");
    for part in ["provisioning/datasources", "provisioning/dashboards", "dashboards"] {
        fs::create_dir_all(directory.join(part))?;
        for entry in fs::read_dir(example.join(part))? {
            let path = entry?.path();
            fs::copy(&path, directory.join(part).join(path.file_name().unwrap_or_default()))?;
        }
    }
    let application = format!("localhost:{}", ports.application);
    let alertmanager = format!("localhost:{}", ports.alertmanager);
    let prometheus = format!("localhost:{}", ports.prometheus);
    let sink = format!("localhost:{}", ports.smtp);
    let slack = format!("http://localhost:{}/demo", ports.slack);
    let files: [(&str, &[(&str, &str)]); 4] = [
        (
            "prometheus.yml",
            &[
                ("scrape_interval: 15s", "scrape_interval: 2s"),
                ("evaluation_interval: 15s", "evaluation_interval: 2s"),
                ("localhost:9093", &alertmanager),
                ("localhost:8000", &application),
            ],
        ),
        (
            "alerts.yml",
            &[
                ("interval: 30s", "interval: 2s"),
                ("for: 5m", "for: 10s"),
                ("[5m]", "[20s]"),
                ("5 minutes", "20 seconds"),
            ],
        ),
        (
            "alertmanager.yml",
            &[
                ("smtp.example.com:587", &sink),
                ("smtp_require_tls: true", "smtp_require_tls: false"),
                ("group_wait: 10s", "group_wait: 1s"),
                ("group_interval: 10s", "group_interval: 2s"),
                ("https://hooks.slack.com/services/YOUR/WEBHOOK/URL", &slack),
            ],
        ),
        ("provisioning/datasources/prometheus.yaml", &[("localhost:9090", &prometheus), ("15s", "2s")]),
    ];
    for (name, edits) in files {
        let mut text = fs::read_to_string(example.join(name)).with_context(|| name.to_owned())?;
        for (from, to) in edits {
            ensure!(text.contains(from), "examples/real-estate/{name} has no `{from}`");
            text = text.replace(from, to);
        }
        fs::write(directory.join(name), text)?;
    }
    Ok(directory)
}
