//! Counters of the network protocols, from `/proc/net/{netstat,snmp,snmp6}`.

use std::path::Path;

use exporters::{Kind, Page};
use regex::Regex;

use crate::collector::Collector;
use crate::fault::Fault;
use crate::filter;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct NetStat {
    fields: Regex,
}

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(NetStat { fields: filter::pattern(flags, "collector.netstat.fields")? }))
}

impl Collector for NetStat {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        for name in ["net/netstat", "net/snmp"] {
            let path = paths.proc(name);
            pairs(&path, &read::text(&path)?, |protocol, field, value| {
                self.write(page, protocol, field, value);
            })?;
        }
        // Without IPv6 there is no such file.
        let path = paths.proc("net/snmp6");
        let Some(text) = read::if_there(read::text(&path))? else { return Ok(()) };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(key), Some(word)) = (words.next(), words.next()) else { continue };
            let Some(six) = key.find('6') else { continue };
            let (protocol, field) = key.split_at(six + 1);
            self.write(page, protocol, field, read::parse(&path, word)?);
        }
        Ok(())
    }
}

impl NetStat {
    fn write(&self, page: &mut Page, protocol: &str, field: &str, value: f64) {
        let key = format!("{protocol}_{field}");
        let valid = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if valid && self.fields.is_match(&key) {
            let name = format!("node_netstat_{key}");
            page.single(&name, &format!("Statistic {protocol}{field}."), Kind::Untyped, value);
        }
    }
}

/// Lines in pairs: `Tcp: name name`, `Tcp: value value`.
fn pairs(path: &Path, text: &str, mut each: impl FnMut(&str, &str, f64)) -> Result<(), Fault> {
    let mut lines = text.lines();
    while let Some(names) = lines.next() {
        let garbage = || Fault::garbage(path, format_args!("line {:?}", read::shortened(names)));
        let (protocol, names) = names.split_once(':').ok_or_else(garbage)?;
        let (again, values) = lines.next().and_then(|l| l.split_once(':')).ok_or_else(garbage)?;
        let (names, values) = (names.split_whitespace(), values.split_whitespace());
        if again != protocol || names.clone().count() != values.clone().count() {
            return Err(Fault::Error(format!(
                "{}: names and values of {:?} are not as many",
                path.display(),
                read::shortened(protocol)
            )));
        }
        for (name, value) in names.zip(values) {
            each(protocol, name, read::parse(path, value)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_come_in_pairs_of_lines() {
        let mut got = Vec::new();
        let text = "Tcp: A B\nTcp: 1 -1\nUdp: C\nUdp: 2\n";
        let path = Path::new("snmp");
        pairs(path, text, |p, n, v| got.push(format!("{p}{n}={v}"))).unwrap();
        assert_eq!(got, ["TcpA=1", "TcpB=-1", "UdpC=2"]);
        for wrong in ["Tcp: A B\nTcp: 1\n", "Tcp: A\n", "Tcp: A\nUdp: 1\n", "x\ny\n", "Tcp: A\nTcp: x\n"] {
            assert!(pairs(path, wrong, |_, _, _| {}).is_err(), "{wrong:?}");
        }
    }
}
