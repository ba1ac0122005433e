//! Fibre Channel host adapters, from `/sys/class/fc_host`.

use std::path::Path;

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, counter, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

const INFO: Family =
    gauge("node_fibrechannel_info", "Non-numeric data from /sys/class/fc_host/<host>, value is always 1.");

/// Files that become labels, of which `fc_host` is the directory; sorted.
const TEXTS: &[&str] = &[
    "dev_loss_tmo",
    "fabric_name",
    "fc_host",
    "port_id",
    "port_name",
    "port_state",
    "port_type",
    "speed",
    "supported_classes",
    "supported_speeds",
    "symbolic_name",
];

/// Those that begin with `0x`, which is left out.
const HEXADECIMAL: &[&str] = &["fabric_name", "port_id", "port_name"];

/// A file of `statistics` and its family.
#[rustfmt::skip]
const STATISTICS: &[(&str, Family)] = &[
    ("dumped_frames", counter("node_fibrechannel_dumped_frames_total", "Number of dumped frames")),
    ("error_frames", counter("node_fibrechannel_error_frames_total", "Number of errors in frames")),
    ("invalid_crc_count", counter("node_fibrechannel_invalid_crc_total", "Invalid Cyclic Redundancy Check count")),
    ("rx_frames", counter("node_fibrechannel_rx_frames_total", "Number of frames received")),
    ("rx_words", counter("node_fibrechannel_rx_words_total", "Number of words received by host port")),
    ("tx_frames", counter("node_fibrechannel_tx_frames_total", "Number of frames transmitted by host port")),
    ("tx_words", counter("node_fibrechannel_tx_words_total", "Number of words transmitted by host port")),
    ("seconds_since_last_reset", counter("node_fibrechannel_seconds_since_last_reset_total", "Number of seconds since last host port reset")),
    ("invalid_tx_word_count", counter("node_fibrechannel_invalid_tx_words_total", "Number of invalid words transmitted by host port")),
    ("link_failure_count", counter("node_fibrechannel_link_failure_total", "Number of times the host port link has failed")),
    ("loss_of_sync_count", counter("node_fibrechannel_loss_of_sync_total", "Number of failures on either bit or transmission word boundaries")),
    ("loss_of_signal_count", counter("node_fibrechannel_loss_of_signal_total", "Number of times signal has been lost")),
    ("nos_count", counter("node_fibrechannel_nos_total", "Number Not_Operational Primitive Sequence received by host port")),
    ("fcp_packet_aborts", counter("node_fibrechannel_fcp_packet_aborts_total", "Number of aborted packets")),
];

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let class = paths.sys("class/fc_host");
    all_or_nothing(page, |page| {
        for host in read::names(&class)? {
            write_host(&class.join(&host), &host, page)?;
        }
        Ok(())
    })
}

fn write_host(dir: &Path, host: &str, page: &mut Page) -> Result<(), Fault> {
    let mut texts = Vec::new();
    for name in TEXTS {
        let text = match *name {
            "fc_host" => host.to_owned(),
            _ => sysfs::optional(&dir.join(name))?.unwrap_or_default(),
        };
        let cut = HEXADECIMAL.contains(name) && text.len() > 2 && text.is_char_boundary(2);
        texts.push((*name, if cut { text[2..].to_owned() } else { text }));
    }
    let labels: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
    INFO.sample(page, &labels, 1.0);
    let state = labels.iter().find(|(name, _)| *name == "port_state").map_or("", |(_, state)| state);
    // What a port without a state counts means nothing.
    let known = !state.is_empty() && state != "Unknown";
    for (file, family) in STATISTICS {
        let value = if known { statistic(&dir.join("statistics").join(file))? } else { Some(0) };
        // All ones: the adapter does not count this.
        if let Some(value) = value.filter(|v| *v != u64::MAX) {
            family.sample(page, &[("fc_host", host)], value as f64);
        }
    }
    Ok(())
}

fn statistic(path: &Path) -> Result<Option<u64>, Fault> {
    match sysfs::attribute(path) {
        Ok(text) => match sysfs::parse_uint(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(Fault::garbage(path, format_args!("{text:?}"))),
        },
        Err(e) if sysfs::is_silent(&e) => Ok(None),
        Err(e) => Err(Fault::read(path, &e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn hosts_with_and_without_a_state() {
        let tree = Tree::new(&[
            ("sys/class/fc_host/host0/port_state", "Online\n"),
            ("sys/class/fc_host/host0/port_id", "0x000002\n"),
            ("sys/class/fc_host/host0/speed", "16 Gbit\n"),
            ("sys/class/fc_host/host0/statistics/rx_frames", "0x3\n"),
            ("sys/class/fc_host/host0/statistics/nos_count", "0xffffffffffffffff\n"),
            ("sys/class/fc_host/host1/port_state", "Unknown\n"),
        ]);
        let text = tree.samples(make, &[]);
        let info = r#"node_fibrechannel_info{dev_loss_tmo="",fabric_name="",fc_host="host0",port_id="000002",port_name="",port_state="Online",port_type="",speed="16 Gbit",supported_classes="",supported_speeds="",symbolic_name=""} 1"#;
        assert!(text.lines().any(|l| l == info), "{text}");
        let of_host0: Vec<_> = text.lines().filter(|l| l.contains("host0") && *l != info).collect();
        assert_eq!(of_host0, ["node_fibrechannel_rx_frames_total{fc_host=\"host0\"} 3"]);
        assert!(text.contains("node_fibrechannel_nos_total{fc_host=\"host1\"} 0\n"), "{text}");
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
    }
}
