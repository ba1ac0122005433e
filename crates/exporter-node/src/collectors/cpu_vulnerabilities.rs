//! The CPU's known weaknesses and what is done about them, from `/sys/devices/system/cpu/vulnerabilities`.

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

const INFO: Family = gauge(
    "node_cpu_vulnerabilities_info",
    "Details of each CPU vulnerability reported by sysfs. The value of the series is an int encoded state of \
     the vulnerability. The same state is stored as a string in the label",
);

/// How texts begin, whatever the case.
const STATES: &[&str] = &["not affected", "vulnerable", "mitigation", "unknown"];

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    all_or_nothing(page, |page| {
        for (name, path) in sysfs::matching(&paths.sys("devices/system/cpu/vulnerabilities"), |_| true) {
            let text = read::trimmed(&path)?;
            let (state, mitigation) = state(&text);
            INFO.sample(page, &[("codename", &name), ("mitigation", &mitigation), ("state", state)], 1.0);
        }
        Ok(())
    })
}

/// `Mitigation: PTE Inversion` as state and the rest.
fn state(text: &str) -> (&'static str, String) {
    let lower = text.to_lowercase();
    match STATES.iter().find(|state| lower.starts_with(**state)) {
        None => ("unknown", text.to_owned()),
        Some(state) if *state == STATES[0] => (state, String::new()),
        Some(state) => (state, text.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn states_and_mitigations() {
        for (text, expect) in [
            ("Not affected", ("not affected", "")),
            ("Vulnerable", ("vulnerable", "")),
            (
                "Vulnerable: Clear CPU buffers attempted, no microcode",
                ("vulnerable", "Clear CPU buffers attempted, no microcode"),
            ),
            ("Mitigation:  PTI", ("mitigation", "PTI")),
            ("Unknown: Dependent on hypervisor status", ("unknown", "Dependent on hypervisor status")),
            ("KVM: new", ("unknown", "KVM: new")),
            ("", ("unknown", "")),
        ] {
            let (state, mitigation) = state(text);
            assert_eq!((state, mitigation.as_str()), expect, "{text}");
        }
    }

    #[test]
    fn the_page() {
        let tree = Tree::new(&[("sys/devices/system/cpu/vulnerabilities/mds", "Mitigation: PTI\n")]);
        let expect =
            "node_cpu_vulnerabilities_info{codename=\"mds\",mitigation=\"PTI\",state=\"mitigation\"} 1\n";
        assert_eq!(tree.samples(make, &[]), expect);
        assert_eq!(Tree::new(&[]).samples(make, &[]), "");
    }
}
