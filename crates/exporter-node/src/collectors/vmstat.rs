//! `/proc/vmstat`.

use exporters::{Kind, Page};
use regex::Regex;

use crate::collector::Collector;
use crate::fault::Fault;
use crate::filter;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct VmStat {
    fields: Regex,
}

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(VmStat { fields: filter::pattern(flags, "collector.vmstat.fields")? }))
}

impl Collector for VmStat {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let path = paths.proc("vmstat");
        let text = read::text(&path)?;
        for line in text.lines() {
            let garbage = || Fault::garbage(&path, format_args!("line {:?}", read::shortened(line)));
            let (field, word) = line.split_once(' ').ok_or_else(garbage)?;
            let value: f64 = read::parse(&path, word)?;
            if !field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(garbage());
            }
            if self.fields.is_match(field) {
                let help = format!("/proc/vmstat information field {field}.");
                page.single(&format!("node_vmstat_{field}"), &help, Kind::Untyped, value);
            }
        }
        Ok(())
    }
}
