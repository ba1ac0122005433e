//! `pci.ids`: names of vendors, devices, subsystems and classes.

use std::collections::HashMap;
use std::path::Path;

use crate::read;

/// Where distributions have the list.
const PLACES: &[&str] = &["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"];

/// Names by their numbers in hexadecimal without prefix, those of each level after that of the one above.
#[derive(Debug, Default)]
pub(super) struct Ids {
    devices: HashMap<String, String>,
    classes: HashMap<String, String>,
}

impl Ids {
    /// Of a file, else of the first of the usual places; without any all names are numbers.
    pub(super) fn load(file: Option<&Path>) -> Self {
        let places = file.map_or_else(|| PLACES.iter().map(Path::new).collect(), |file| vec![file]);
        for place in places {
            match read::text(place) {
                Ok(text) => return Self::parse(&text),
                Err(error) => tracing::debug!(file = %place.display(), %error, "Failed to open PCI IDs file"),
            }
        }
        Self::default()
    }

    /// Of a list in which tabs indent: vendor, device, subsystem; or `C class`, subclass, interface.
    fn parse(text: &str) -> Self {
        let mut ids = Self::default();
        let mut of_classes = false;
        let mut above: [Option<String>; 2] = [None, None];
        for line in text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
            let level = line.bytes().take_while(|b| *b == b'\t').count();
            let Some((id, name)) = line[level..].split_once("  ") else { continue };
            let (id, name) = (id.trim(), name.trim().to_owned());
            match level {
                0 => {
                    of_classes = id.starts_with("C ");
                    let id = id.trim_start_matches("C ").trim().to_owned();
                    ids.of(of_classes).insert(id.clone(), name);
                    above = [Some(id), None];
                }
                1 => {
                    let Some(parent) = &above[0] else { continue };
                    let id = format!("{parent}{id}");
                    ids.of(of_classes).insert(id.clone(), name);
                    above[1] = Some(id);
                }
                2 => {
                    let Some(parent) = &above[1] else { continue };
                    // A subsystem has a vendor of its own before its number.
                    let id = format!("{parent}{}", id.replace(' ', ""));
                    ids.of(of_classes).insert(id, name);
                }
                _ => {}
            }
        }
        ids
    }

    fn of(&mut self, classes: bool) -> &mut HashMap<String, String> {
        if classes { &mut self.classes } else { &mut self.devices }
    }

    fn named(&self, key: &str, otherwise: &str) -> String {
        self.devices.get(key).map_or_else(|| otherwise.to_owned(), Clone::clone)
    }

    pub(super) fn vendor(&self, vendor: &str) -> String {
        self.named(vendor, vendor)
    }

    pub(super) fn device(&self, vendor: &str, device: &str) -> String {
        self.named(&format!("{vendor}{device}"), device)
    }

    pub(super) fn subsystem(&self, vendor: &str, device: &str, by: &str, subsystem: &str) -> String {
        self.named(&format!("{vendor}{device}{by}{subsystem}"), subsystem)
    }

    /// The name of the interface, else the subclass, else the class.
    pub(super) fn class(&self, class: &str) -> String {
        let names = [6, 4, 2].iter().filter_map(|len| self.classes.get(class.get(..*len)?)).next();
        names.map_or_else(|| format!("Unknown class ({class})"), Clone::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_each_level() {
        let ids = Ids::parse(
            "# a comment\n1022  AMD\n\t1634  Renoir\n\t\t17aa 5095  T540\n\nC 01  Storage\n\t08  NVM\n\t\t02  NVM Express\n\
             8086  Intel\n\t1521  I350\n\n\t\t\tdeep  ignored\nno name\n",
        );
        assert_eq!(ids.vendor("1022"), "AMD");
        assert_eq!(ids.vendor("ffff"), "ffff");
        assert_eq!(ids.device("8086", "1521"), "I350");
        assert_eq!(ids.device("1022", "1521"), "1521");
        assert_eq!(ids.subsystem("1022", "1634", "17aa", "5095"), "T540");
        assert_eq!(ids.class("010802"), "NVM Express");
        assert_eq!(ids.class("010801"), "NVM");
        assert_eq!(ids.class("01ff00"), "Storage");
        assert_eq!(ids.class("060400"), "Unknown class (060400)");
        assert_eq!(Ids::load(Some(Path::new("/no/such/file"))).vendor("1022"), "1022");
    }
}
