//! What udev knows of a device: `/run/udev/data/bMAJOR:MINOR`.

use std::path::Path;

use crate::read;

/// The file of a device, of which its properties (`E:NAME=value`) are of use.
#[derive(Debug, Default)]
pub(super) struct Properties {
    text: String,
}

impl Properties {
    /// None of them where there is no such file, as on hosts without udev.
    pub(super) fn read(path: &Path) -> Self {
        Self { text: read::text(path).unwrap_or_default() }
    }

    /// A property; empty where it is not there. The last one counts.
    pub(super) fn get(&self, name: &str) -> &str {
        let values = self.text.lines().rev().filter_map(|line| line.strip_prefix("E:")?.split_once('='));
        values.filter(|(n, _)| *n == name).map(|(_, value)| value).next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_the_lines_of_kind_e() {
        let text =
            "S:disk/by-id/x\nI:1\nE:ID_MODEL=QEMU=1\nE:ID_SERIAL=a\nE:ID_SERIAL=b\nE:BROKEN\nG:systemd\n";
        let properties = Properties { text: text.to_owned() };
        assert_eq!(properties.get("ID_MODEL"), "QEMU=1");
        assert_eq!(properties.get("ID_SERIAL"), "b");
        assert_eq!((properties.get("BROKEN"), properties.get("ID_PATH")), ("", ""));
    }
}
