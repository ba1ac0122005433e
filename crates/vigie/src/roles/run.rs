//! `vigie run DIR`: all roles in one process, from the files found in a directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dashboards::{Sources, Upstream};
use web::server::{ServerOptions, Shutdown};

use super::built_in::{self, BuiltIn};
use super::configuration::Configuration;
use super::prometheus::{WaysIn, port_of};
use super::store::StoreFlags;
use super::{alertmanager as am, dashboards as panels, prometheus as prom};
use crate::Failure;
use crate::flags::Parsed;

/// What was found in the directory.
struct Found {
    prometheus: Option<PathBuf>,
    alertmanager: Option<PathBuf>,
    provisioning: Option<PathBuf>,
    plain_dashboards: Option<PathBuf>,
    web_config: Option<PathBuf>,
}

impl Found {
    fn in_dir(dir: &Path) -> Self {
        let first = |names: &[&str]| names.iter().map(|n| dir.join(n)).find(|p| p.exists());
        Self {
            prometheus: first(&["prometheus.yml", "prometheus.yaml"]),
            alertmanager: first(&["alertmanager.yml", "alertmanager.yaml"]),
            provisioning: first(&["provisioning", "grafana/provisioning"]),
            plain_dashboards: first(&["dashboards", "grafana/dashboards"]),
            web_config: first(&["web.yml", "web.yaml"]),
        }
    }
}

/// Where each role listens.
struct Addresses {
    prometheus: String,
    alertmanager: String,
    dashboards: String,
    /// By job, those that are on.
    exporters: Vec<(&'static str, String)>,
}

/// `vigie run`
pub(crate) fn main(flags: &Parsed) -> Result<(), Failure> {
    let dir = match flags.positional.as_slice() {
        [] => PathBuf::from("."),
        [dir] => PathBuf::from(dir),
        [_, surplus, ..] => {
            return Err(Failure::usage(format!("vigie run: error: unexpected {surplus}, try --help")));
        }
    };
    if !dir.is_dir() {
        return Err(Failure::new(format!(
            "{} is no directory; expected one with prometheus.yml, alertmanager.yml, dashboards/ (each may be missing)",
            dir.display()
        )));
    }
    let found = Found::in_dir(&dir);
    let addresses = Addresses::new(flags);
    addresses.check(flags, &found)?;
    let storage = match flags.get("storage.path") {
        "" => dir.join("data"),
        given => PathBuf::from(given),
    };
    super::runtime()?.block_on(serve(flags, &found, &addresses, &storage))
}

impl Addresses {
    fn new(flags: &Parsed) -> Self {
        let host = flags.get("listen");
        let address = |name: &str, port: u16| match flags.get(name) {
            "" => format!("{host}:{port}"),
            given => given.to_owned(),
        };
        Self {
            prometheus: address("prometheus.listen-address", 9090),
            alertmanager: address("alertmanager.listen-address", 9093),
            dashboards: address("dashboards.listen-address", 3000),
            exporters: built_in::on(flags).map(|(job, flag, port)| (job, address(flag, port))).collect(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        let exporters = self.exporters.iter().map(|(_, address)| address);
        [&self.prometheus, &self.alertmanager, &self.dashboards].into_iter().chain(exporters)
    }

    /// Beyond loopback nothing is served without passwords.
    fn check(&self, flags: &Parsed, found: &Found) -> Result<(), Failure> {
        for address in self.all() {
            if !panels::is_loopback(address) && found.web_config.is_none() {
                return Err(Failure::new(format!(
                    "{address} can be reached from other machines and nothing asks for a password; put a web.yml with \
                     basic_auth_users into the directory, or listen on 127.0.0.1"
                )));
            }
        }
        if flags.is_on("auth.anonymous") && !panels::is_loopback(&self.dashboards) {
            return Err(Failure::new(format!(
                "--auth.anonymous lets everybody in and is only for a loopback address; {} is none",
                self.dashboards
            )));
        }
        Ok(())
    }
}

async fn serve(flags: &Parsed, found: &Found, addresses: &Addresses, storage: &Path) -> Result<(), Failure> {
    let shutdown = Shutdown::default();
    let clock = super::system_clock();
    let alertmanager = match &found.alertmanager {
        Some(file) => Some(am::start(am::Options {
            config_file: file.clone(),
            storage_path: storage.join("alertmanager"),
            external_url: local_url(&addresses.alertmanager)?,
            retention: Duration::from_secs(120 * 3600),
            maintenance_interval: Duration::from_secs(15 * 60),
            max_silences: 0,
            clock: Arc::clone(&clock),
        })?),
        None => None,
    };
    let local = alertmanager
        .as_ref()
        .map(|role| (am::local(Arc::clone(&role.service)), names_of(&addresses.alertmanager)));
    let own_pages = alertmanager
        .iter()
        .map(|role| (names_of(&addresses.alertmanager), built_in::pages(role.router.clone())))
        .collect();
    let (mut built_in, mut exporter_ports) = (Vec::new(), Vec::new());
    for (job, address) in &addresses.exporters {
        let (exporter, listener) = BuiltIn::new(job, address, built_in::router(job, flags)?).await?;
        exporter_ports.extend(listener.map(|listener| (listener, exporter.router.clone())));
        built_in.push(Arc::new(exporter));
    }
    let own_rule_files = starter_rules(flags, found, storage)?;
    let has_rules = !own_rule_files.is_empty();
    let external_url = local_url(&addresses.prometheus)?;
    let engine = prom::engine_options(flags)?;
    let rules = rules::ManagerOptions {
        external_url: external_url.to_string(),
        parser: engine.parser,
        max_concurrent_evals: 4,
        ..rules::ManagerOptions::default()
    };
    let prometheus = prom::start(
        prom::Options {
            configuration: Configuration {
                file: found.prometheus.clone(),
                default_text: default_config(
                    &addresses.prometheus,
                    alertmanager.is_some().then_some(&addresses.alertmanager),
                ),
                own_rule_files,
                built_in: built_in.iter().map(|exporter| exporter.job.clone()).collect(),
            },
            storage_path: storage.join("prometheus"),
            store: StoreFlags::read(flags)?,
            external_url,
            listen_port: port_of(&addresses.prometheus),
            enable_lifecycle: flags.is_on("web.enable-lifecycle"),
            ways_in: WaysIn::read(flags)?,
            cors_origin: ".*".to_owned(),
            engine,
            rules,
            notifier: notifier::ManagerOptions::default(),
            local_alertmanager: local,
            built_in: built_in.clone(),
            own_pages,
            own_names: names_of(&addresses.prometheus),
            flags: flags.in_force(),
            clock: Arc::clone(&clock),
        },
        &shutdown,
    )
    .await?;
    let (panels_router, panels) = panels::start(
        panels::Options {
            storage_path: storage.join("dashboards"),
            sources: Sources {
                provisioning: found.provisioning.clone(),
                plain: found.plain_dashboards.clone(),
                starters: flags.is_on("starters"),
            },
            upstream: Upstream::Local(prometheus.router.clone()),
            anonymous: flags.is_on("auth.anonymous"),
            clock,
        },
        &shutdown,
    )?;
    let mut reloads = vec![prometheus.reloads.clone()];
    reloads.extend(alertmanager.as_ref().map(|role| role.reloads.clone()));
    crate::signals::listen(shutdown.clone(), reloads)
        .map_err(|e| Failure::new(format!("install signal handlers: {e}")))?;
    summarise(found, addresses, &panels, has_rules);

    let server = ServerOptions { web_config: found.web_config.clone(), ..ServerOptions::default() };
    let serve = |address: &str, router| {
        let (address, server, shutdown) = ([address.to_owned()], server.clone(), shutdown.clone());
        async move {
            let served = super::serve_all(&address, router, &server, &shutdown).await;
            // A role that cannot listen takes the others with it: half a stack would look whole.
            shutdown.signal();
            served
        }
    };
    let exporters = exporter_ports.into_iter().map(|(listener, router)| {
        let (server, shutdown) = (server.clone(), shutdown.clone());
        async move { super::serve_listeners(vec![listener], router, &server, &shutdown).await }
    });
    let exporters: Vec<_> = exporters.map(tokio::spawn).collect();
    let (a, b, c) = tokio::join!(
        serve(&addresses.prometheus, prometheus.router.clone()),
        serve(&addresses.dashboards, panels_router),
        async {
            match &alertmanager {
                Some(role) => serve(&addresses.alertmanager, role.router.clone()).await,
                None => Ok(()),
            }
        },
    );
    for exporter in exporters {
        if let Ok(Err(failure)) = exporter.await {
            tracing::error!(err = failure.message, "Serving a built-in exporter's page ended");
        }
    }
    prometheus.stop().await;
    if let Some(role) = &alertmanager {
        role.stop().await;
    }
    a.and(b).and(c)
}

fn local_url(address: &str) -> Result<url::Url, Failure> {
    let shown = address.replace("0.0.0.0", "localhost").replace("127.0.0.1", "localhost");
    url::Url::parse(&format!("http://{shown}/"))
        .map_err(|e| Failure::new(format!("{address:?} is no HOST:PORT: {e}")))
}

/// The forms in which a configuration may name an address of this process.
pub(crate) fn names_of(address: &str) -> Vec<String> {
    let port = port_of(address);
    let mut names = vec![address.to_owned()];
    if panels::is_loopback(address) || address.starts_with("0.0.0.0") || address.starts_with(':') {
        names.extend(["localhost", "127.0.0.1", "[::1]"].map(|h| format!("{h}:{port}")));
    }
    names
}

/// The starter rules, written where the rule loader reads them, if they are wanted.
fn starter_rules(flags: &Parsed, found: &Found, storage: &Path) -> Result<Vec<PathBuf>, Failure> {
    let by_default = found.prometheus.is_none() && flags.is_on("starters");
    if !by_default && !flags.is_on("starter-rules") {
        return Ok(Vec::new());
    }
    dashboards::starters::write_rules(&storage.join("starters/rules"))
        .map_err(|e| Failure::new(format!("write the starter rules: {e}")))
}

/// Without a `prometheus.yml` the stack watches itself.
fn default_config(prometheus: &str, alertmanager: Option<&String>) -> String {
    let own = |address: &str| address.replace("0.0.0.0", "127.0.0.1");
    let mut text = format!(
        "global:\n  scrape_interval: 15s\n  evaluation_interval: 15s\nscrape_configs:\n- job_name: prometheus\n  static_configs:\n  - targets: ['{}']\n",
        own(prometheus)
    );
    if let Some(address) = alertmanager {
        let address = own(address);
        text.push_str(&format!(
            "- job_name: alertmanager\n  static_configs:\n  - targets: ['{address}']\nalerting:\n  alertmanagers:\n  - static_configs:\n    - targets: ['{address}']\n"
        ));
    }
    text
}

/// What was found, what is served where, what to do next: once, for a person.
#[expect(clippy::print_stdout, reason = "the summary is for the person who started the program")]
fn summarise(found: &Found, addresses: &Addresses, panels: &dashboards::Service, has_starter_rules: bool) {
    let shown = |p: &Option<PathBuf>, without: &str| {
        p.as_ref().map_or_else(|| without.to_owned(), |p| p.display().to_string())
    };
    let library = panels.library();
    println!("Vigie watches.");
    println!(
        "  found   prometheus.yml    {}",
        shown(&found.prometheus, "none: watching itself and what follows")
    );
    println!(
        "          alertmanager.yml  {}",
        shown(&found.alertmanager, "none: alerts are shown, nobody is notified")
    );
    println!(
        "          dashboards        {}, and {} built in ({} with problems)",
        library.len() - library.starters(),
        library.starters(),
        library.problems().len()
    );
    println!("          web.yml           {}", shown(&found.web_config, "none: no TLS, loopback only"));
    if has_starter_rules {
        println!("          alert rules       the built-in ones too, listed under Starter rules");
    }
    for (job, address) in &addresses.exporters {
        println!("  watches {:<17} job {job}, target localhost:{}", built_in::subject(job), port_of(address));
    }
    println!(
        "  serves  dashboards        http://{}/  (user admin; a new installation's password is admin unless VIGIE_ADMIN_PASSWORD gave another)",
        addresses.dashboards
    );
    println!("          queries, targets  http://{}/", addresses.prometheus);
    if found.alertmanager.is_some() {
        println!("          Alertmanager      http://{}/", addresses.alertmanager);
    }
    println!("  next    edit the files and send SIGHUP to reload; Ctrl-C stops");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_configuration_is_a_right_one() {
        for alertmanager in [None, Some(&"0.0.0.0:9093".to_owned())] {
            let text = default_config("0.0.0.0:9090", alertmanager);
            let loaded = config::load_str(&text, Path::new("(built in)")).unwrap();
            assert_eq!(loaded.value.scrape_configs.len(), 1 + usize::from(alertmanager.is_some()));
        }
    }

    #[test]
    fn an_address_has_several_names() {
        assert!(names_of("127.0.0.1:9093").contains(&"localhost:9093".to_owned()));
        assert_eq!(names_of("192.168.0.1:1"), ["192.168.0.1:1"]);
    }
}
