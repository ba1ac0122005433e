//! All collectors that are on, one after the other.

use std::sync::Arc;
use std::time::Instant;

use exporters::{Exporter, Gathering, Kind, Page, Query, Refusal};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::table::TABLE;

/// The exporter.
pub struct NodeExporter {
    inner: Arc<Inner>,
}

struct Inner {
    paths: Paths,
    collectors: std::sync::Mutex<Vec<(&'static str, Box<dyn Collector>)>>,
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
    pub fn new(flags: &Flags) -> Result<Self, String> {
        let paths = Paths {
            procfs: flags.get("path.procfs").into(),
            sysfs: flags.get("path.sysfs").into(),
            rootfs: flags.get("path.rootfs").into(),
            udev: flags.get("path.udev.data").into(),
        };
        let mut collectors = Vec::new();
        for entry in TABLE.iter().filter(|e| flags.is_on(&format!("collector.{}", e.name))) {
            collectors.push((entry.name, (entry.make)(flags)?));
        }
        Ok(Self { inner: Arc::new(Inner { paths, collectors: std::sync::Mutex::new(collectors) }) })
    }
}

impl Exporter for NodeExporter {
    fn gather<'a>(&'a self, _query: &'a Query) -> Gathering<'a> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            tokio::task::spawn_blocking(move || inner.page())
                .await
                .map_err(|e| Refusal { status: 500, message: e.to_string() })
        })
    }
}

impl Inner {
    fn page(&self) -> Page {
        let mut page = Page::new();
        let mut collectors = self.collectors.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (name, collector) in collectors.iter_mut() {
            let begin = Instant::now();
            let outcome = collector.update(&self.paths, &mut page);
            let duration = begin.elapsed().as_secs_f64();
            match &outcome {
                Err(Fault::NoData) => {
                    tracing::debug!(name, duration_seconds = duration, "collector returned no data")
                }
                Err(error) => {
                    tracing::error!(name, duration_seconds = duration, err = %error, "collector failed")
                }
                Ok(()) => {}
            }
            let labels = [("collector", *name)];
            let help = "node_exporter: Duration of a collector scrape.";
            page.family("node_scrape_collector_duration_seconds", help, Kind::Gauge)
                .sample(&labels, duration);
            let help = "node_exporter: Whether a collector succeeded.";
            let success = f64::from(u8::from(outcome.is_ok()));
            page.family("node_scrape_collector_success", help, Kind::Gauge).sample(&labels, success);
        }
        page
    }
}
