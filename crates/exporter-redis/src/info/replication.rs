//! The Replication section: a primary's replicas, a replica's primaries (KeyDB has several).

use model::float::parse_go_float;

use crate::sheet::Sheet;

/// The primary that the fields being read belong to.
#[derive(Debug, Default)]
pub(super) struct Replication<'t> {
    host: &'t str,
    port: &'t str,
}

impl<'t> Replication<'t> {
    /// Writes a field of the section; false where it is none with a grammar of its own.
    pub(super) fn write(&mut self, sheet: &mut Sheet, name: &'t str, value: &'t str) -> bool {
        match of_master(name) {
            Some("host") => self.host = value,
            Some("port") => self.port = value,
            _ => {}
        }
        let primary = [("master_host", self.host), ("master_port", self.port)];
        let number = || value.parse::<i64>().unwrap_or(0) as f64;
        match (of_master(name), name) {
            (Some("link_status"), _) => {
                let up = f64::from(u8::from(value == "up"));
                sheet.gauge("master_link_up", "Master link status on Redis slave", &primary, up);
            }
            (Some("last_io_seconds_ago"), _) => {
                sheet.gauge("master_last_io_seconds_ago", "Master last io seconds ago", &primary, number());
            }
            (Some("sync_in_progress"), _) => {
                sheet.gauge("master_sync_in_progress", "Master sync in progress", &primary, number());
            }
            (_, "slave_repl_offset") => {
                sheet.gauge("slave_repl_offset", "Slave replication offset", &primary, number());
            }
            _ => return replica(sheet, name, value),
        }
        true
    }
}

/// `host` of `master_host` and of KeyDB's `master_1_host`.
fn of_master(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("master_")?;
    let unnumbered = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    if unnumbered.len() < rest.len() { unnumbered.strip_prefix('_') } else { Some(rest) }
}

/// `slave0:ip=10.0.0.1,port=6379,state=online,offset=1751844676,lag=0`; servers before 3.0 have no lag.
fn replica(sheet: &mut Sheet, name: &str, value: &str) -> bool {
    let number = name.strip_prefix("slave").unwrap_or("");
    if !number.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let get = |wanted: &str| {
        value.split(',').filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == wanted).map(|(_, v)| v)
    };
    let Some(offset) = get("offset").and_then(parse_go_float) else { return false };
    let labels = [
        ("slave_ip", get("ip").unwrap_or("")),
        ("slave_port", get("port").unwrap_or("")),
        ("slave_state", get("state").unwrap_or("")),
    ];
    sheet.gauge("connected_slave_offset_bytes", "Offset of connected slave", &labels, offset);
    if let Some(lag) = get("lag").and_then(parse_go_float).filter(|lag| *lag > -1.0) {
        sheet.gauge("connected_slave_lag_seconds", "Lag of connected slave", &labels, lag);
    }
    true
}
