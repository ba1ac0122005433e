//! INFO: sections of `field:value`, most of them a family by [`table`], some with a grammar of their own.

mod replication;
mod stats;
pub(crate) mod table;

use std::collections::HashSet;

use exporters::Kind;
use model::float::parse_go_float;

use crate::sheet::Sheet;

pub(crate) use stats::CommandTimes;

/// A reply to INFO, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Info<'t> {
    fields: Vec<Field<'t>>,
    sections: HashSet<&'t str>,
}

#[derive(Debug, Clone, Copy)]
struct Field<'t> {
    section: &'t str,
    name: &'t str,
    value: &'t str,
}

/// What decides which families INFO gives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Databases the server has.
    pub(crate) db_count: u32,
    /// Whether those without keys are told.
    pub(crate) empty_databases: bool,
    /// Whether the host's memory is told.
    pub(crate) system: bool,
    /// Seconds since the Unix epoch.
    pub(crate) now_s: i64,
}

impl<'t> Info<'t> {
    /// Takes a reply apart. What is no field is passed over.
    pub(crate) fn parse(text: &'t str) -> Self {
        let mut info = Self::default();
        let mut section = "";
        for line in text.lines().map(str::trim) {
            if let Some(title) = line.strip_prefix("# ") {
                section = title;
                info.sections.insert(title);
            } else if let Some((name, value)) = line.split_once(':') {
                info.fields.push(Field { section, name, value });
            }
        }
        info
    }

    /// The last value of a field; empty where there is none.
    pub(crate) fn get(&self, name: &str) -> Option<&'t str> {
        self.fields.iter().rev().find(|f| f.name == name).map(|f| f.value)
    }

    /// Whether there is a section of this title.
    pub(crate) fn has_section(&self, title: &str) -> bool {
        self.sections.contains(title)
    }

    /// `master` or `slave`.
    pub(crate) fn role(&self) -> &'t str {
        self.get("role").unwrap_or("")
    }

    /// Whether the server is part of a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        self.get("cluster_enabled") == Some("1")
    }

    /// The server's version of a field such as `redis_version`: major and minor; 0.0 where it says nothing.
    pub(crate) fn version(&self, field: &str) -> (u32, u32) {
        let mut parts = self.get(field).unwrap_or("").split('.').map(|p| p.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    }

    /// Which databases have keys.
    pub(crate) fn databases(&self) -> Vec<u32> {
        let keyspace = self.fields.iter().filter(|f| f.section == "Keyspace");
        keyspace.filter_map(|f| f.name.strip_prefix("db")?.parse().ok()).collect()
    }

    /// Writes all families; gives the times spent per command, for histograms.
    pub(crate) fn write(&self, sheet: &mut Sheet, wanted: &Wanted) -> CommandTimes {
        let mut stats = stats::Stats::default();
        let mut replication = replication::Replication::default();
        let mut databases = HashSet::new();
        for Field { section, name, value } in self.fields.iter().copied() {
            match section {
                "Replication" if replication.write(sheet, name, value) => continue,
                "Server" => server(sheet, name, value, wanted.now_s),
                "Commandstats" => {
                    stats.command(sheet, name, value);
                    continue;
                }
                "Latencystats" => {
                    stats.percentiles(name, value);
                    continue;
                }
                "Errorstats" => {
                    stats::error(sheet, name, value);
                    continue;
                }
                "Keyspace" if keyspace(sheet, name, value) => {
                    databases.insert(name);
                    continue;
                }
                "Sentinel" => crate::sentinel::from_info(sheet, name, value),
                _ => {}
            }
            plain(sheet, name, value, wanted.system);
        }
        let times = stats.finish(sheet);
        if wanted.empty_databases {
            for n in 0..wanted.db_count {
                let name = format!("db{n}");
                if !databases.contains(name.as_str()) {
                    keys_of(sheet, &name, 0.0, 0.0);
                }
            }
        }
        self.instance(sheet);
        times
    }

    fn instance(&self, sheet: &mut Sheet) {
        let field = |name| (name, self.get(name).unwrap_or(""));
        let mut labels = vec![
            field("role"),
            field("redis_version"),
            field("redis_build_id"),
            field("redis_mode"),
            field("os"),
            field("maxmemory_policy"),
            field("tcp_port"),
            field("run_id"),
            field("process_id"),
            field("master_replid"),
        ];
        for name in ["valkey_version", "valkey_release_stage"] {
            labels.extend(self.get(name).map(|value| (name, value)));
        }
        sheet.gauge("instance_info", "Information about the Redis instance", &labels, 1.0);
        if self.role() == "slave" {
            let labels = [
                ("master_host", self.get("master_host").unwrap_or("")),
                ("master_port", self.get("master_port").unwrap_or("")),
                ("read_only", self.get("slave_read_only").unwrap_or("")),
            ];
            sheet.gauge("slave_info", "Information about the Redis slave", &labels, 1.0);
        }
    }
}

/// Fields that are families by their name alone: of INFO, CLUSTER INFO, INFO MODULES, Tile38's SERVER.
pub(crate) fn plain(sheet: &mut Sheet, name: &str, value: &str, system: bool) {
    let number = match value {
        "ok" | "true" => Some(1.0),
        "err" | "fail" | "false" => Some(0.0),
        other => parse_go_float(other),
    };
    if let Some(thread) = name.strip_prefix("used_active_time_io_thread_")
        && !thread.is_empty()
        && thread.bytes().all(|b| b.is_ascii_digit())
    {
        if let Some(value) = number {
            let name = "active_time_io_thread_seconds_total";
            sheet.counter(name, &format!("{name} metric"), &[("thread", thread)], value);
        }
        return;
    }
    let (family, kind) = match table::family(name) {
        Some(known) => known,
        None if system && name == table::SYSTEM_MEMORY.0 => (table::SYSTEM_MEMORY.1, Kind::Gauge),
        None if name.starts_with("cluster_") || name.starts_with("db") => (name, Kind::Gauge),
        None => return,
    };
    let scale = if name == "latest_fork_usec" { 1e6 } else { 1.0 };
    if let Some(number) = number {
        sheet.plain(family, kind, number / scale);
    }
}

/// CLUSTER INFO.
pub(crate) fn write_cluster(sheet: &mut Sheet, text: &str) {
    for (name, value) in text.lines().filter_map(|line| line.trim().split_once(':')) {
        plain(sheet, name, value, false);
    }
}

fn server(sheet: &mut Sheet, name: &str, value: &str, now_s: i64) {
    match name {
        "uptime_in_seconds" => {
            if let Some(uptime) = parse_go_float(value) {
                let help = "Start time of the Redis instance since unix epoch in seconds.";
                sheet.gauge("start_time_seconds", help, &[], now_s as f64 - uptime);
            }
        }
        "hz" | "configured_hz" => {
            if let Ok(hz) = value.parse::<i64>() {
                sheet.plain(name, Kind::Gauge, hz as f64);
            }
        }
        _ => {}
    }
}

/// `db0:keys=1,expires=0,avg_ttl=0`, in KeyDB with `cached_keys`. Redis 7.4 has `subexpiry` there, which the original takes for cached
/// keys; we go by the name.
fn keyspace(sheet: &mut Sheet, db: &str, value: &str) -> bool {
    if !db.starts_with("db") {
        return false;
    }
    let (mut keys, mut expires, mut ttl, mut cached) = (None, None, None, None);
    for (name, text) in value.split(',').filter_map(|pair| pair.split_once('=')) {
        let Some(number) = parse_go_float(text) else { return false };
        match name {
            "keys" => keys = Some(number),
            "expires" => expires = Some(number),
            "avg_ttl" => ttl = Some(number / 1000.0),
            "cached_keys" => cached = Some(number),
            _ => {}
        }
    }
    let (Some(keys), Some(expires)) = (keys, expires) else { return false };
    keys_of(sheet, db, keys, expires);
    if let Some(cached) = cached {
        sheet.gauge("db_keys_cached", "Total number of cached keys by DB", &[("db", db)], cached);
    }
    if let Some(ttl) = ttl {
        sheet.gauge("db_avg_ttl_seconds", "Avg TTL in seconds", &[("db", db)], ttl);
    }
    true
}

fn keys_of(sheet: &mut Sheet, db: &str, keys: f64, expires: f64) {
    sheet.gauge("db_keys", "Total number of keys by DB", &[("db", db)], keys);
    sheet.gauge("db_keys_expiring", "Total number of expiring keys by DB", &[("db", db)], expires);
}

#[cfg(test)]
mod tests;
