//! SELinux's state, from its file system and `/etc/selinux/config`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct SeLinux;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(SeLinux))
}

/// No mode: neither enforcing nor permissive.
const DISABLED: f64 = -1.0;

impl Collector for SeLinux {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let enabled = is_enabled(paths)?;
        let help = "SELinux is enabled, 1 is true, 0 is false";
        page.single("node_selinux_enabled", help, Kind::Gauge, f64::from(u8::from(enabled)));
        if !enabled {
            return Ok(());
        }
        let config = read::if_there(read::text(&paths.root("/etc/selinux/config")))?;
        let mode = config.as_deref().map_or(DISABLED, configured);
        page.single("node_selinux_config_mode", "Configured SELinux enforcement mode", Kind::Gauge, mode);
        let mode = read::if_there(read::number(&paths.sys("fs/selinux/enforce")))?.unwrap_or(DISABLED);
        page.single("node_selinux_current_mode", "Current SELinux enforcement mode", Kind::Gauge, mode);
        Ok(())
    }
}

/// Its file system is mounted, and a policy is loaded: before, everything runs as `kernel`.
fn is_enabled(paths: &Paths) -> Result<bool, Fault> {
    if !paths.sys("fs/selinux/enforce").exists() {
        return Ok(false);
    }
    let context = read::if_there(read::text(&paths.proc("self/attr/current")))?;
    Ok(context.is_some_and(|c| !matches!(c.trim_end_matches(['\n', '\0']), "" | "kernel")))
}

fn configured(config: &str) -> f64 {
    let values = config.lines().filter_map(|line| line.trim().split_once('='));
    let mode = values.filter(|(key, _)| key.trim() == "SELINUX").map(|(_, value)| value.trim()).next_back();
    match mode.map(str::to_ascii_lowercase).as_deref() {
        Some("enforcing") => 1.0,
        Some("permissive") => 0.0,
        _ => DISABLED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configured_mode() {
        for (config, expect) in [
            ("# SELINUX=permissive\nSELINUX=enforcing\nSELINUXTYPE=targeted\n", 1.0),
            ("SELINUX = permissive", 0.0),
            ("SELINUX=disabled", -1.0),
            ("", -1.0),
        ] {
            assert_eq!(configured(config), expect, "{config}");
        }
    }
}
