//! NVMe subsystems and the controllers that lead to them, from `/sys/class/nvme-subsystem`.

use std::path::Path;

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

const INFO: Family = gauge("node_nvmesubsystem_info", "Non-numeric information about an NVMe subsystem.");
const NAMESPACE: Family =
    gauge("node_nvmesubsystem_namespace_info", "Maps an NVMe namespace block device to its subsystem.");
const PATHS: Family = gauge("node_nvmesubsystem_paths", "Number of controller paths for an NVMe subsystem.");
const PATHS_LIVE: Family =
    gauge("node_nvmesubsystem_paths_live", "Number of controller paths in live state for an NVMe subsystem.");
const PATH_STATE: Family = gauge(
    "node_nvmesubsystem_path_state",
    "Current NVMe controller path state (1 for the current state, 0 for all others).",
);

const STATES: &[&str] = &["connecting", "dead", "deleting", "live", "new", "resetting", "unknown"];

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let class = paths.sys("class/nvme-subsystem");
    all_or_nothing(page, |page| {
        for name in read::names(&class)?.into_iter().filter(|n| n.starts_with("nvme-subsys")) {
            write_subsystem(&class.join(&name), &name, page)?;
        }
        Ok(())
    })
}

fn write_subsystem(dir: &Path, name: &str, page: &mut Page) -> Result<(), Fault> {
    let text = |file: &str| sysfs::value(&dir.join(file));
    let subsystem = ("subsystem", name);
    let labels = [
        ("iopolicy", &*text("iopolicy")?),
        ("model", &*text("model")?),
        ("nqn", &*text("subsysnqn")?),
        ("serial", &*text("serial")?),
        subsystem,
    ];
    INFO.sample(page, &labels, 1.0);
    let (mut paths, mut live) = (0.0, 0.0);
    for name in read::names(dir)? {
        match numbers(&name) {
            Some((_, None)) => {
                let dir = dir.join(&name);
                let transport = sysfs::value(&dir.join("transport"))?;
                let state = state(&sysfs::value(&dir.join("state"))?);
                paths += 1.0;
                if state == "live" {
                    live += 1.0;
                }
                for known in STATES {
                    let labels =
                        [("controller", &*name), ("state", known), subsystem, ("transport", &*transport)];
                    PATH_STATE.sample(page, &labels, f64::from(u8::from(state == *known)));
                }
            }
            Some((_, Some(_))) => NAMESPACE.sample(page, &[("device", &name), subsystem], 1.0),
            None => {}
        }
    }
    PATHS.sample(page, &[subsystem], paths);
    PATHS_LIVE.sample(page, &[subsystem], live);
    Ok(())
}

fn state(text: &str) -> &'static str {
    let text = if text == "deleting (no IO)" { "deleting" } else { text };
    STATES.iter().find(|state| **state == text).copied().unwrap_or("unknown")
}

/// Of a controller, `nvme0`, or a namespace, `nvme0n1`.
fn numbers(name: &str) -> Option<(&str, Option<&str>)> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let rest = name.strip_prefix("nvme")?;
    match rest.split_once('n') {
        None if number(rest) => Some((rest, None)),
        Some((controller, namespace)) if number(controller) && number(namespace) => {
            Some((controller, Some(namespace)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn names_and_states() {
        assert_eq!(numbers("nvme0"), Some(("0", None)));
        assert_eq!(numbers("nvme0n12"), Some(("0", Some("12"))));
        assert_eq!([numbers("nvme0c1n1"), numbers("nvme"), numbers("nvme0n"), numbers("x")], [None; 4]);
        assert_eq!([state("live"), state("deleting (no IO)"), state("odd")], ["live", "deleting", "unknown"]);
    }

    #[test]
    fn a_subsystem_with_two_paths() {
        let files = [
            ("subsysnqn", "nqn.2014-08.org:x\n"),
            ("model", "M\n"),
            ("serial", "S\n"),
            ("iopolicy", "numa\n"),
            ("nvme0/state", "live\n"),
            ("nvme0/transport", "fc\n"),
            ("nvme0n1/size", "1\n"),
            ("nvme1/state", "dead\n"),
            ("nvme1/transport", "fc\n"),
        ]
        .map(|(name, content)| (format!("sys/class/nvme-subsystem/nvme-subsys0/{name}"), content));
        let files: Vec<_> = files.iter().map(|(p, c)| (p.as_str(), *c)).collect();
        let text = Tree::new(&files).samples(make, &[]);
        for line in [
            r#"node_nvmesubsystem_info{iopolicy="numa",model="M",nqn="nqn.2014-08.org:x",serial="S",subsystem="nvme-subsys0"} 1"#,
            r#"node_nvmesubsystem_namespace_info{device="nvme0n1",subsystem="nvme-subsys0"} 1"#,
            r#"node_nvmesubsystem_path_state{controller="nvme1",state="dead",subsystem="nvme-subsys0",transport="fc"} 1"#,
            r#"node_nvmesubsystem_path_state{controller="nvme1",state="live",subsystem="nvme-subsys0",transport="fc"} 0"#,
            r#"node_nvmesubsystem_paths{subsystem="nvme-subsys0"} 2"#,
            r#"node_nvmesubsystem_paths_live{subsystem="nvme-subsys0"} 1"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
    }
}
