//! `/proc/loadavg`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct LoadAvg;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(LoadAvg))
}

impl Collector for LoadAvg {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let path = paths.proc("loadavg");
        let text = read::text(&path)?;
        let mut words = text.split_whitespace();
        for (name, help) in [
            ("node_load1", "1m load average."),
            ("node_load5", "5m load average."),
            ("node_load15", "15m load average."),
        ] {
            let word = words.next().unwrap_or_default();
            let value = word.parse().map_err(|_| Fault::garbage(&path, format_args!("{word:?}")))?;
            page.single(name, help, Kind::Gauge, value);
        }
        Ok(())
    }
}
