//! All collectors that are on, one after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use exporters::{Exporter, Gathering, Kind, Page, Query, Refusal};

use crate::collector::Collector;
use crate::container::{self, Facts, Namespace, View};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::{Network, Paths};
use crate::read;
use crate::table::{Entry, TABLE};

/// What the program was built from, for `node_exporter_build_info`.
#[derive(Debug, Clone, Default)]
pub struct Build {
    /// The program's version.
    pub version: String,
    /// The commit.
    pub revision: String,
    /// The branch.
    pub branch: String,
    /// The compiler; the label is named after Go's, as dashboards know it.
    pub compiler: String,
}

/// The exporter.
pub struct NodeExporter {
    inner: Arc<Inner>,
}

struct Inner {
    flags: Flags,
    paths: Paths,
    build: Build,
    collectors: Vec<Running>,
    /// Those that are on, but would tell of a container.
    refused: Vec<&'static str>,
}

/// A collector that is on. Each has a lock of its own, so that two scrapes at once wait for a slow one only.
struct Running {
    entry: Entry,
    collector: Mutex<Box<dyn Collector>>,
}

impl std::fmt::Debug for NodeExporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeExporter").finish_non_exhaustive()
    }
}

impl NodeExporter {
    /// With the collectors that `flags` turn on.
    ///
    /// # Errors
    /// When a flag makes no sense; the text names it.
    pub fn new(flags: &Flags, build: Build) -> Result<Self, String> {
        let view = if PATHS.iter().any(|flag| flags.is_given(flag)) {
            View::default()
        } else {
            container::view(&Facts::gather())
        };
        Self::with(flags, build, &view)
    }

    fn with(flags: &Flags, build: Build, view: &View) -> Result<Self, String> {
        let paths = paths(flags, view);
        let mut refused = Vec::new();
        let mut collectors = Vec::new();
        for entry in TABLE.iter().filter(|entry| is_on(flags, entry)) {
            let own = |namespace| match namespace {
                Namespace::Name if paths.host_name.is_some() => false,
                namespace => view.refused.contains(&namespace),
            };
            if entry.namespace.is_some_and(own) {
                refused.push(entry.name);
                continue;
            }
            let collector =
                (entry.make)(flags).map_err(|e| format!("couldn't create collector: {}: {e}", entry.name))?;
            collectors.push(Running { entry: *entry, collector: Mutex::new(collector) });
        }
        // What files hold gives way to what the others have written.
        collectors.sort_by_key(|running| running.entry.name == "textfile");
        tell(view, &refused);
        Ok(Self { inner: Arc::new(Inner { flags: flags.clone(), paths, build, collectors, refused }) })
    }

    /// The names of the collectors that are on, in the order they run.
    pub fn enabled(&self) -> impl Iterator<Item = &'static str> {
        self.inner.collectors.iter().map(|running| running.entry.name)
    }
}

/// The flags that say what to read; one of them given, that is read wherever the process is.
const PATHS: [&str; 4] = ["path.procfs", "path.sysfs", "path.rootfs", "path.udev.data"];

fn paths(flags: &Flags, view: &View) -> Paths {
    let or = |found: &Option<PathBuf>, flag| found.clone().unwrap_or_else(|| flags.get(flag).into());
    let shared = !view.refused.contains(&Namespace::Network);
    let rootfs = or(&view.rootfs, "path.rootfs");
    let host_name = view.rootfs.as_ref().filter(|_| view.refused.contains(&Namespace::Name));
    let host_name = host_name.and_then(|root| read::trimmed(&root.join("etc/hostname")).ok());
    let udev = view.rootfs.as_ref().map(|root| root.join("run/udev/data"));
    Paths {
        procfs: or(&view.procfs, "path.procfs"),
        sysfs: or(&view.sysfs, "path.sysfs"),
        udev: or(&udev, "path.udev.data"),
        network: if view.container && !shared { Network::First } else { Network::Own },
        host_name: host_name.filter(|name| !name.is_empty()),
        rootfs,
    }
}

fn tell(view: &View, refused: &[&str]) {
    for (what, path) in [("root", &view.rootfs), ("/proc", &view.procfs), ("/sys", &view.sysfs)] {
        if let Some(path) = path {
            tracing::info!(path = %path.display(), "In a container: reading the host's {what}");
        }
    }
    if !refused.is_empty() {
        tracing::warn!(
            collectors = %refused.join(","),
            missing = %view.advice.join(", "),
            "In a container, and these collectors would tell of it and not of the host: they are left out. Start the \
             container with what is missing, or give --path.rootfs=/ to publish what is here"
        );
    }
}

fn is_on(flags: &Flags, entry: &Entry) -> bool {
    let all = !flags.is_on("collector.disable-defaults");
    flags.is_on(entry.flag) && (all || flags.is_given(entry.flag))
}

impl Exporter for NodeExporter {
    fn gather<'a>(&'a self, query: &'a Query) -> Gathering<'a> {
        Box::pin(async move {
            let chosen = self.inner.choose(query)?;
            let inner = Arc::clone(&self.inner);
            tokio::task::spawn_blocking(move || inner.page(&chosen))
                .await
                .map_err(|e| Refusal { status: 500, message: e.to_string() })
        })
    }
}

impl Inner {
    /// The places of the collectors that a query wants.
    fn choose(&self, query: &Query) -> Result<Vec<usize>, Refusal> {
        let wanted: Vec<&str> = query.all("collect[]").collect();
        let unwanted: Vec<&str> = query.all("exclude[]").collect();
        if !wanted.is_empty() && !unwanted.is_empty() {
            return Err(Refusal::bad_request("Combined collect and exclude queries are not allowed."));
        }
        for name in &wanted {
            let what = if !TABLE.iter().any(|e| e.name == *name) {
                "missing"
            } else if !self.collectors.iter().any(|r| r.entry.name == *name) && !self.refused.contains(name) {
                "disabled"
            } else {
                continue;
            };
            return Err(Refusal::bad_request(format!(
                "Couldn't create filtered metrics handler: couldn't create collector: {what} collector: {name}"
            )));
        }
        let kept = |name| (wanted.is_empty() || wanted.contains(&name)) && !unwanted.contains(&name);
        let places = self.collectors.iter().enumerate().filter(|(_, r)| kept(r.entry.name));
        Ok(places.map(|(place, _)| place).collect())
    }

    fn page(&self, chosen: &[usize]) -> Page {
        let mut page = Page::new();
        self.build_info(&mut page);
        let help = "Collectors that are left out because they would tell of the exporter's container, not of the host.";
        for name in &self.refused {
            page.family("vigie_node_collector_refused", help, Kind::Gauge)
                .sample(&[("collector", name)], 1.0);
        }
        for running in chosen.iter().filter_map(|&place| self.collectors.get(place)) {
            let name = running.entry.name;
            let begin = Instant::now();
            let outcome = self.run(running, &mut page);
            let duration = begin.elapsed().as_secs_f64();
            match &outcome {
                Err(Fault::NoData) => {
                    tracing::debug!(name, duration_seconds = duration, "collector returned no data");
                }
                Err(error) => {
                    tracing::error!(name, duration_seconds = duration, err = %error, "collector failed");
                }
                Ok(()) => {}
            }
            let labels = [("collector", name)];
            let help = "node_exporter: Duration of a collector scrape.";
            page.family("node_scrape_collector_duration_seconds", help, Kind::Gauge)
                .sample(&labels, duration);
            let help = "node_exporter: Whether a collector succeeded.";
            let success = f64::from(u8::from(outcome.is_ok()));
            page.family("node_scrape_collector_success", help, Kind::Gauge).sample(&labels, success);
        }
        page
    }

    /// Runs a collector. A panic costs what it writes; the next scrape meets a fresh one.
    fn run(&self, running: &Running, page: &mut Page) -> Result<(), Fault> {
        let mut collector = running.collector.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = catch_unwind(AssertUnwindSafe(|| collector.update(&self.paths, page)));
        outcome.unwrap_or_else(|panic| {
            if let Ok(fresh) = (running.entry.make)(&self.flags) {
                *collector = fresh;
            }
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(Fault::Error(format!("panicked: {text}")))
        })
    }

    fn build_info(&self, page: &mut Page) {
        let help = "A metric with a constant '1' value labeled by version, revision, branch, goversion from which \
                    node_exporter was built, and the goos and goarch for the build.";
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let build = &self.build;
        page.family("node_exporter_build_info", help, Kind::Gauge).sample(
            &[
                ("branch", &build.branch),
                ("goarch", arch),
                ("goos", std::env::consts::OS),
                ("goversion", &build.compiler),
                ("revision", &build.revision),
                ("tags", ""),
                ("version", &build.version),
            ],
            1.0,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exporter(given: &[&str]) -> NodeExporter {
        exporter_in(given, &View::default())
    }

    fn exporter_in(given: &[&str], view: &View) -> NodeExporter {
        let mut values: Vec<(String, Vec<String>)> = TABLE
            .iter()
            .map(|e| (e.flag.to_owned(), vec![(e.on && e.name != "uname").to_string()]))
            .collect();
        for (name, value) in [
            ("path.procfs", "/proc"),
            ("collector.netstat.fields", "."),
            ("collector.vmstat.fields", "."),
            ("collector.netclass.ignored-devices", "^$"),
            ("collector.filesystem.mount-timeout", "5s"),
            ("collector.filesystem.stat-workers", "4"),
        ] {
            values.push((name.to_owned(), vec![value.to_owned()]));
        }
        values.extend(given.iter().map(|g| ((*g).to_owned(), vec!["true".to_owned()])));
        let given = given.iter().map(|g| (*g).to_owned()).collect();
        NodeExporter::with(&Flags::new(values, given), Build::default(), view).unwrap()
    }

    #[test]
    fn a_query_chooses_among_those_that_are_on() {
        let exporter = exporter(&[]);
        let all = exporter.inner.collectors.len();
        let prefix = "Couldn't create filtered metrics handler: couldn't create collector: ";
        let count = |query: &str| exporter.inner.choose(&Query::parse(query)).map(|places| places.len());
        assert_eq!(count(""), Ok(all));
        assert_eq!(count("collect[]=loadavg&collect[]=loadavg"), Ok(1));
        assert_eq!(count("exclude[]=loadavg&exclude[]=nope"), Ok(all - 1));
        for (query, message) in [
            ("collect[]=nope", format!("{prefix}missing collector: nope")),
            ("collect[]=uname", format!("{prefix}disabled collector: uname")),
            ("collect[]=a&exclude[]=b", "Combined collect and exclude queries are not allowed.".to_owned()),
        ] {
            assert_eq!(count(query), Err(Refusal { status: 400, message }), "{query}");
        }
    }

    #[test]
    fn without_defaults_only_those_given_are_on() {
        let exporter = exporter(&["collector.disable-defaults", "collector.uname"]);
        assert_eq!(exporter.enabled().collect::<Vec<_>>(), ["uname"]);
    }

    #[test]
    fn what_would_tell_of_a_container_is_left_out_and_said() {
        let refused = vec![Namespace::Mount, Namespace::NetworkFiles, Namespace::Network, Namespace::Name];
        let view = View { container: true, refused, ..View::default() };
        let exporter = exporter_in(&["collector.uname"], &view);
        assert!(!exporter.enabled().any(|name| name == "filesystem" || name == "netdev"));
        let places = exporter.inner.choose(&Query::parse("collect[]=filesystem")).unwrap();
        let text = exporter.inner.page(&places).render();
        assert!(text.contains("vigie_node_collector_refused{collector=\"filesystem\"} 1\n"), "{text}");
        assert!(!text.contains("node_filesystem"), "{text}");
        // With the host's root there is its name.
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/hostname"), "the-host\n").unwrap();
        let view = View { rootfs: Some(root.path().into()), ..view };
        let exporter = exporter_in(&["collector.uname"], &view);
        let places = exporter.inner.choose(&Query::parse("collect[]=uname")).unwrap();
        let text = exporter.inner.page(&places).render();
        assert!(text.contains("nodename=\"the-host\""), "{text}");
    }

    struct Broken;

    impl Collector for Broken {
        fn update(&mut self, _: &Paths, page: &mut Page) -> Result<(), Fault> {
            page.single("node_before", "", Kind::Gauge, 1.0);
            panic!("out of range");
        }
    }

    #[test]
    fn a_panic_costs_that_collector_only() {
        let mut exporter = exporter(&[]);
        let inner = Arc::get_mut(&mut exporter.inner).unwrap();
        let place = inner.collectors.iter().position(|r| r.entry.name == "loadavg").unwrap();
        inner.collectors[place].collector = Mutex::new(Box::new(Broken));
        let text = inner.page(&[place]).render();
        assert!(text.contains("node_scrape_collector_success{collector=\"loadavg\"} 0\n"), "{text}");
        assert!(text.contains("node_before 1\n"), "{text}");
        // The collector is made anew.
        let text = inner.page(&[place]).render();
        assert!(text.contains("node_scrape_collector_success{collector=\"loadavg\"} 1\n"), "{text}");
    }
}
