//! Memory errors that the hardware corrected or could not, from `/sys/devices/system/edac`.

use std::path::Path;

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, counter};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::sysfs;

const CORRECTED: Family = counter("node_edac_correctable_errors_total", "Total correctable memory errors.");
const UNCORRECTED: Family =
    counter("node_edac_uncorrectable_errors_total", "Total uncorrectable memory errors.");
const ROW_CORRECTED: Family =
    counter("node_edac_csrow_correctable_errors_total", "Total correctable memory errors for this csrow.");
const ROW_UNCORRECTED: Family = counter(
    "node_edac_csrow_uncorrectable_errors_total",
    "Total uncorrectable memory errors for this csrow.",
);
const CHANNEL_CORRECTED: Family = counter(
    "node_edac_channel_correctable_errors_total",
    "Total correctable memory errors for this channel.",
);
const CHANNEL_UNCORRECTED: Family = counter(
    "node_edac_channel_uncorrectable_errors_total",
    "Total uncorrectable memory errors for this channel.",
);

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    for (name, dir) in sysfs::numbered(&paths.sys("devices/system/edac/mc"), "mc") {
        let controller = digits(&name, "mc");
        let own = [("controller", controller)];
        let unknown = [("controller", controller), ("csrow", "unknown")];
        CORRECTED.sample(page, &own, count(&dir.join("ce_count"))?);
        ROW_CORRECTED.sample(page, &unknown, count(&dir.join("ce_noinfo_count"))?);
        UNCORRECTED.sample(page, &own, count(&dir.join("ue_count"))?);
        ROW_UNCORRECTED.sample(page, &unknown, count(&dir.join("ue_noinfo_count"))?);
        for (name, dir) in sysfs::numbered(&dir, "csrow") {
            write_row(controller, digits(&name, "csrow"), &dir, page)?;
        }
    }
    Ok(())
}

fn write_row(controller: &str, row: &str, dir: &Path, page: &mut Page) -> Result<(), Fault> {
    let labels = [("controller", controller), ("csrow", row)];
    ROW_CORRECTED.sample(page, &labels, count(&dir.join("ce_count"))?);
    ROW_UNCORRECTED.sample(page, &labels, count(&dir.join("ue_count"))?);
    for (name, file) in sysfs::matching(dir, |n| n.ends_with("_ce_count")) {
        let Some(channel) = name.strip_prefix("ch").and_then(|n| n.strip_suffix("_ce_count")) else {
            continue;
        };
        if channel.is_empty() || !channel.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let label = dimm_label(&dir.join(format!("ch{channel}_dimm_label")));
        let labels =
            [("channel", channel), ("controller", controller), ("csrow", row), ("dimm_label", &*label)];
        CHANNEL_CORRECTED.sample(page, &labels, count(&file)?);
        if let Ok(value) = count(&dir.join(format!("ch{channel}_ue_count"))) {
            CHANNEL_UNCORRECTED.sample(page, &labels, value);
        }
    }
    Ok(())
}

/// `CPU_SrcID#0_MC#0` without its number signs.
fn dimm_label(path: &Path) -> String {
    match sysfs::attribute(path) {
        Ok(label) => label.replace('#', "").replace("csrow", "_csrow").replace("channel", "_channel"),
        Err(_) => "unknown".to_owned(),
    }
}

/// A counter, which must be there: a controller without one is broken, not absent.
fn count(path: &Path) -> Result<f64, Fault> {
    match sysfs::uint(path) {
        Ok(value) => Ok(value as f64),
        Err(Fault::NoData) => Err(Fault::Error(format!("{}: no such file", path.display()))),
        Err(e) => Err(e),
    }
}

fn digits<'n>(name: &'n str, prefix: &str) -> &'n str {
    let rest = &name[prefix.len()..];
    &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn controllers_rows_and_channels() {
        let mc = "sys/devices/system/edac/mc/mc0/";
        let files = [
            ("ce_count", "1\n"),
            ("ce_noinfo_count", "2\n"),
            ("ue_count", "5\n"),
            ("ue_noinfo_count", "6\n"),
            ("csrow0/ce_count", "3\n"),
            ("csrow0/ue_count", "4\n"),
            ("csrow0/ch0_ce_count", "7\n"),
            ("csrow0/ch0_ue_count", "8\n"),
            ("csrow0/ch0_dimm_label", "mc#0csrow#0channel#0\n"),
            ("csrow0/ch1_ce_count", "9\n"),
        ]
        .map(|(name, value)| (format!("{mc}{name}"), value));
        let files: Vec<_> = files.iter().map(|(p, c)| (p.as_str(), *c)).collect();
        let expect = r#"node_edac_channel_correctable_errors_total{channel="0",controller="0",csrow="0",dimm_label="mc0_csrow0_channel0"} 7
node_edac_channel_correctable_errors_total{channel="1",controller="0",csrow="0",dimm_label="unknown"} 9
node_edac_channel_uncorrectable_errors_total{channel="0",controller="0",csrow="0",dimm_label="mc0_csrow0_channel0"} 8
node_edac_correctable_errors_total{controller="0"} 1
node_edac_csrow_correctable_errors_total{controller="0",csrow="unknown"} 2
node_edac_csrow_correctable_errors_total{controller="0",csrow="0"} 3
node_edac_csrow_uncorrectable_errors_total{controller="0",csrow="unknown"} 6
node_edac_csrow_uncorrectable_errors_total{controller="0",csrow="0"} 4
node_edac_uncorrectable_errors_total{controller="0"} 5
"#;
        assert_eq!(Tree::new(&files).samples(make, &[]), expect);
        assert_eq!(Tree::new(&[]).samples(make, &[]), "", "no controller is no fault");
        assert!(matches!(Tree::new(&files[..3]).collect(make, &[]).1, Err(Fault::Error(_))));
    }
}
