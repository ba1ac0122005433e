//! What a Sentinel says of the primaries it watches.

use model::float::parse_go_float;

use crate::config_values::Redact;
use crate::connect::{Batch, Connection, Fault};
use crate::resp::Value;
use crate::sheet::Sheet;

/// Most primaries that are asked about.
const MAX_MASTERS: usize = 1000;

/// Settings of a Sentinel that are secrets.
const SECRET: [&str; 1] = ["sentinel-pass"];

/// INFO's section: numbers, and `master0:name=m,status=ok,address=10.0.0.1:6379,slaves=1,sentinels=3`.
pub(crate) fn from_info(sheet: &mut Sheet, name: &str, value: &str) {
    let help = match name {
        "sentinel_masters" => "The number of masters this sentinel is watching",
        "sentinel_tilt" => "Sentinel is in TILT mode",
        "sentinel_running_scripts" => "Number of scripts in execution right now",
        "sentinel_scripts_queue_length" => "Queue of user scripts to execute",
        "sentinel_simulate_failure_flags" => "Failures simulations",
        _ => return master(sheet, name, value),
    };
    sheet.gauge(name, help, &[], value.parse::<i64>().unwrap_or(0) as f64);
}

fn master(sheet: &mut Sheet, name: &str, value: &str) {
    if !name.strip_prefix("master").is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit())) {
        return;
    }
    let get = |wanted: &str| {
        value.split(',').filter_map(|p| p.split_once('=')).find(|(n, _)| *n == wanted).map_or("", |(_, v)| v)
    };
    let numbers = (parse_go_float(get("slaves")), parse_go_float(get("sentinels")));
    let (Some(slaves), Some(sentinels)) = numbers else { return };
    let status = get("status");
    let labels =
        [("master_name", get("name")), ("master_address", get("address")), ("master_status", status)];
    let ok = f64::from(u8::from(status == "ok"));
    sheet.gauge("sentinel_master_status", "Master status on Sentinel", &labels, ok);
    sheet.gauge("sentinel_master_slaves", "The number of slaves of the master", &labels[..2], slaves);
    let help = "The number of sentinels monitoring this master";
    sheet.gauge("sentinel_master_sentinels", help, &labels[..2], sentinels);
}

/// Families of a primary's settings: key in its details, family, divisor, help.
const SETTINGS: [(&str, &str, f64, &str); 6] = [
    ("quorum", "sentinel_master_setting_ckquorum", 1.0, "Show the current ckquorum config for each master"),
    (
        "failover-timeout",
        "sentinel_master_setting_failover_timeout",
        1.0,
        "Show the current failover-timeout config for each master",
    ),
    (
        "parallel-syncs",
        "sentinel_master_setting_parallel_syncs",
        1.0,
        "Show the current parallel-syncs config for each master",
    ),
    (
        "down-after-milliseconds",
        "sentinel_master_setting_down_after_milliseconds",
        1.0,
        "Show the current down-after-milliseconds config for each master",
    ),
    (
        "config-epoch",
        "sentinel_master_config_epoch",
        1.0,
        "The configuration epoch of the master (increments on each failover)",
    ),
    (
        "last-ok-ping-reply",
        "sentinel_master_last_ok_ping_reply_seconds",
        1000.0,
        "Elapsed time in seconds since the last successful ping reply from the master",
    ),
];

/// Asks about each primary and writes what it is told.
pub(crate) async fn write(
    sheet: &mut Sheet,
    connection: &mut Connection,
    peers: Peers,
    config: Option<Redact>,
) -> Result<(), Fault> {
    let mut masters: Vec<Details> = details(connection.ask(&["SENTINEL", "MASTERS"]).await?);
    masters.retain(|m| ["name", "ip", "port"].iter().all(|key| m.get(key).is_some()));
    masters.truncate(MAX_MASTERS);
    let mut batch = Batch::default();
    for name in masters.iter().filter_map(|m| m.get("name")) {
        batch.ask(&["SENTINEL", "CKQUORUM", name]);
        batch.ask(&["SENTINEL", "SENTINELS", name]);
        batch.ask(&["SENTINEL", "SLAVES", name]);
    }
    if config.is_some() {
        batch.ask(&["SENTINEL", "CONFIG", "GET", "*"]);
    }
    let mut replies = connection.run(&batch).await?.into_iter();
    for master in &masters {
        let [quorum, sentinels, slaves] = [(); 3].map(|()| replies.next().unwrap_or(Value::Nil));
        write_master(sheet, master, quorum, &details(sentinels), &details(slaves), peers);
    }
    if let (Some(redact), Some(pairs)) = (config, replies.next().and_then(Value::into_pairs)) {
        write_config(sheet, &pairs, redact);
    }
    Ok(())
}

/// Whether each other Sentinel is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peers {
    /// Each.
    Named,
    /// Only their number.
    Counted,
}

/// Names and values of one instance.
struct Details(Vec<(String, String)>);

impl Details {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Whether it has flags, and they do not say that it is down.
    fn is_ok(&self) -> bool {
        self.get("flags").is_some_and(|f| !f.contains("o_down") && !f.contains("s_down"))
    }
}

fn details(reply: Value) -> Vec<Details> {
    let list = reply.into_list().unwrap_or_default();
    list.into_iter().filter_map(|v| v.into_pairs().map(Details)).collect()
}

fn write_master(
    sheet: &mut Sheet,
    master: &Details,
    quorum: Value,
    sentinels: &[Details],
    slaves: &[Details],
    peers: Peers,
) {
    let get = |key| master.get(key).unwrap_or("");
    let (name, address) = (get("name"), format!("{}:{}", get("ip"), get("port")));
    let reached = f64::from(u8::from(quorum.error().is_none()));
    let message = quorum.error().map(str::to_owned).or_else(|| quorum.into_text()).unwrap_or_default();
    let labels = [("master_name", name), ("message", message.as_str())];
    sheet.gauge("sentinel_master_ckquorum_status", "Master ckquorum status", &labels, reached);
    let labels = [("master_name", name), ("master_address", address.as_str())];
    for (key, family, divisor, help) in SETTINGS {
        sheet.gauge(family, help, &labels, parse_go_float(get(key)).unwrap_or(0.0) / divisor);
    }
    if peers == Peers::Named {
        for peer in sentinels {
            let mut all = labels.to_vec();
            all.extend(["name", "ip", "port", "runid", "flags"].map(|k| (k, peer.get(k).unwrap_or(""))));
            let help =
                "Other Sentinel peers discovered via SENTINEL SENTINELS (one scrape from one Sentinel)";
            sheet.gauge("sentinel_peer_info", help, &all, 1.0);
        }
    }
    // The Sentinel that answers is one of those that are fine.
    let fine = 1 + sentinels.iter().filter(|s| s.is_ok()).count();
    let help = "The number of okay sentinels monitoring this master";
    sheet.gauge("sentinel_master_ok_sentinels", help, &labels, fine as f64);
    let fine = slaves.iter().filter(|s| s.is_ok()).count();
    sheet.gauge("sentinel_master_ok_slaves", "The number of okay slaves of the master", &labels, fine as f64);
}

fn write_config(sheet: &mut Sheet, pairs: &[(String, String)], redact: Redact) {
    for (key, value) in pairs {
        if redact == Redact::Secrets && SECRET.contains(&key.as_str()) {
            continue;
        }
        let labels = [("key", key.as_str()), ("value", value.as_str())];
        sheet.gauge("sentinel_config_key_value", "Sentinel global config key and value", &labels, 1.0);
        if let Some(number) = parse_go_float(value) {
            let help = "Sentinel global config key and value as metric";
            sheet.gauge("sentinel_config_value", help, &labels[..1], number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::tests::lines;

    #[test]
    fn a_master_of_info() {
        let mut sheet = Sheet::new("redis");
        from_info(&mut sheet, "sentinel_tilt", "0");
        from_info(&mut sheet, "master0", "name=m,status=sdown,address=h:1,slaves=1,sentinels=3");
        from_info(&mut sheet, "master1", "name=m,status=ok");
        assert_eq!(
            lines(sheet),
            [
                "redis_sentinel_master_sentinels{master_address=\"h:1\",master_name=\"m\"} 3",
                "redis_sentinel_master_slaves{master_address=\"h:1\",master_name=\"m\"} 1",
                "redis_sentinel_master_status{master_address=\"h:1\",master_name=\"m\",master_status=\"sdown\"} 0",
                "redis_sentinel_tilt 0",
            ]
        );
    }

    #[test]
    fn peers_that_are_down_do_not_count_and_passwords_are_kept_back() {
        let of = |pairs: &[(&str, &str)]| {
            Details(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        let master = of(&[("name", "m"), ("ip", "h"), ("port", "1"), ("last-ok-ping-reply", "250")]);
        let sentinels = vec![of(&[("flags", "sentinel")]), of(&[("flags", "s_down,sentinel")]), of(&[])];
        let mut sheet = Sheet::new("redis");
        let quorum = Value::Error("NOQUORUM 1 usable".to_owned());
        write_master(&mut sheet, &master, quorum, &sentinels, &[of(&[("flags", "slave")])], Peers::Named);
        let pairs = [("sentinel-pass", "hidden"), ("announce-port", "7")];
        write_config(&mut sheet, &pairs.map(|(k, v)| (k.to_owned(), v.to_owned())), Redact::Secrets);
        let found = lines(sheet);
        for expect in [
            "redis_sentinel_master_ckquorum_status{master_name=\"m\",message=\"NOQUORUM 1 usable\"} 0",
            "redis_sentinel_master_ok_sentinels{master_address=\"h:1\",master_name=\"m\"} 2",
            "redis_sentinel_master_ok_slaves{master_address=\"h:1\",master_name=\"m\"} 1",
            "redis_sentinel_master_last_ok_ping_reply_seconds{master_address=\"h:1\",master_name=\"m\"} 0.25",
            "redis_sentinel_config_value{key=\"announce-port\"} 7",
        ] {
            assert!(found.contains(&expect.to_owned()), "{expect} in {found:#?}");
        }
        assert!(!found.iter().any(|l| l.contains("hidden")), "{found:#?}");
    }
}
