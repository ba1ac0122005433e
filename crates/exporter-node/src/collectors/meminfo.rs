//! `/proc/meminfo`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct MemInfo;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(MemInfo))
}

impl Collector for MemInfo {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let path = paths.proc("meminfo");
        let text = read::text(&path)?;
        let mut found = false;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (key, word, factor, unit) = match words.as_slice() {
                [] => continue,
                [key, word] => (key, word, 1.0, ""),
                [key, word, "kB"] => (key, word, 1024.0, "_bytes"),
                _ => return Err(Fault::garbage(&path, format_args!("line {:?}", read::shortened(line)))),
            };
            let value: f64 = read::parse(&path, word)?;
            let Some(key) = key.strip_suffix(':').and_then(field) else {
                return Err(Fault::garbage(&path, format_args!("line {:?}", read::shortened(line))));
            };
            let name = format!("node_memory_{key}{unit}");
            let help = format!("Memory information field {key}{unit}.");
            page.single(&name, &help, Kind::Gauge, value * factor);
            found = true;
        }
        if found { Ok(()) } else { Err(Fault::garbage(&path, "end of file")) }
    }
}

/// `Active(anon)` as `Active_anon`; nothing where it cannot be part of a name.
fn field(key: &str) -> Option<String> {
    let key = key.replace('(', "_").replace(')', "");
    let valid = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    valid.then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_parts_of_names() {
        for (key, expect) in [
            ("MemTotal", Some("MemTotal")),
            ("Active(anon)", Some("Active_anon")),
            ("HugePages_Rsvd", Some("HugePages_Rsvd")),
            ("", None),
            ("a b", None),
            ("é", None),
        ] {
            assert_eq!(field(key).as_deref(), expect, "{key}");
        }
    }
}
