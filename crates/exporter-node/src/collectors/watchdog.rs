//! Watchdog timers, from `/sys/class/watchdog`.

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

#[rustfmt::skip]
const NUMBERS: &[(&str, Family)] = &[
    ("bootstatus", gauge("node_watchdog_bootstatus", "Value of /sys/class/watchdog/<watchdog>/bootstatus")),
    ("fw_version", gauge("node_watchdog_fw_version", "Value of /sys/class/watchdog/<watchdog>/fw_version")),
    ("nowayout", gauge("node_watchdog_nowayout", "Value of /sys/class/watchdog/<watchdog>/nowayout")),
    ("timeleft", gauge("node_watchdog_timeleft_seconds", "Value of /sys/class/watchdog/<watchdog>/timeleft")),
    ("timeout", gauge("node_watchdog_timeout_seconds", "Value of /sys/class/watchdog/<watchdog>/timeout")),
    ("pretimeout", gauge("node_watchdog_pretimeout_seconds", "Value of /sys/class/watchdog/<watchdog>/pretimeout")),
    ("access_cs0", gauge("node_watchdog_access_cs0", "Value of /sys/class/watchdog/<watchdog>/access_cs0")),
];

const INFO: Family = gauge("node_watchdog_info", "Info of /sys/class/watchdog/<watchdog>");

/// Files that become labels, of which `name` is the directory; sorted.
const TEXTS: &[&str] = &["identity", "name", "options", "pretimeout_governor", "state", "status"];

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let class = paths.sys("class/watchdog");
    all_or_nothing(page, |page| {
        for name in read::names(&class)? {
            let dir = class.join(&name);
            for (file, family) in NUMBERS {
                let path = dir.join(file);
                let Some(text) = sysfs::optional(&path)? else { continue };
                let value =
                    sysfs::parse_int(&text).ok_or_else(|| Fault::garbage(&path, format_args!("{text:?}")))?;
                family.sample(page, &[("name", &name)], value as f64);
            }
            let mut texts = Vec::new();
            for text in TEXTS {
                texts.push(match *text {
                    "name" => name.clone(),
                    file => sysfs::optional(&dir.join(file))?.unwrap_or_default(),
                });
            }
            let labels: Vec<(&str, &str)> =
                TEXTS.iter().zip(&texts).map(|(name, text)| (*name, text.as_str())).collect();
            INFO.sample(page, &labels, 1.0);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn timers() {
        let tree = Tree::new(&[
            ("sys/class/watchdog/watchdog0/bootstatus", "1\n"),
            ("sys/class/watchdog/watchdog0/options", "0x8380\n"),
            ("sys/class/watchdog/watchdog0/identity", "Software Watchdog\n"),
            ("sys/class/watchdog/watchdog0/access_cs0", "0x10\n"),
            ("sys/class/watchdog/watchdog1/", ""),
        ]);
        let expect = r#"node_watchdog_access_cs0{name="watchdog0"} 16
node_watchdog_bootstatus{name="watchdog0"} 1
node_watchdog_info{identity="Software Watchdog",name="watchdog0",options="0x8380",pretimeout_governor="",state="",status=""} 1
node_watchdog_info{identity="",name="watchdog1",options="",pretimeout_governor="",state="",status=""} 1
"#;
        assert_eq!(tree.samples(make, &[]), expect);
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
    }
}
