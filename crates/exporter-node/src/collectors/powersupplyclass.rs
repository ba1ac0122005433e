//! Batteries and mains, from `/sys/class/power_supply`.

use std::path::Path;

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, gauge};
use crate::fault::Fault;
use crate::filter::Filter;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

const INFO: Family = gauge("node_power_supply_info", "info of /sys/class/power_supply/<power_supply>.");

/// File, and the metric's name where it is another, by what the file's unit is divided by.
const NUMBERS: &[(f64, &[(&str, &str)])] = &[
    (
        1.0,
        &[
            ("authentic", ""),
            ("calibrate", ""),
            ("capacity", ""),
            ("capacity_alert_max", ""),
            ("capacity_alert_min", ""),
            ("cycle_count", "cyclecount"),
            ("online", ""),
            ("present", ""),
            ("time_to_empty_now", "time_to_empty_seconds"),
            ("time_to_full_now", "time_to_full_seconds"),
        ],
    ),
    (
        1e6,
        &[
            ("current_boot", ""),
            ("current_max", ""),
            ("current_now", "current_ampere"),
            ("energy_empty", ""),
            ("energy_empty_design", ""),
            ("energy_full", ""),
            ("energy_full_design", ""),
            ("energy_now", "energy_watthour"),
            ("voltage_boot", ""),
            ("voltage_max", ""),
            ("voltage_max_design", ""),
            ("voltage_min", ""),
            ("voltage_min_design", ""),
            ("voltage_now", "voltage_volt"),
            ("voltage_ocv", ""),
            ("charge_control_limit", ""),
            ("charge_control_limit_max", ""),
            ("charge_counter", ""),
            ("charge_empty", ""),
            ("charge_empty_design", ""),
            ("charge_full", ""),
            ("charge_full_design", ""),
            ("charge_now", "charge_ampere"),
            ("charge_term_current", ""),
            ("constant_charge_current", ""),
            ("constant_charge_current_max", ""),
            ("constant_charge_voltage", ""),
            ("constant_charge_voltage_max", ""),
            ("precharge_current", ""),
            ("input_current_limit", ""),
            ("power_now", "power_watt"),
        ],
    ),
    (
        10.0,
        &[
            ("temp", "temp_celsius"),
            ("temp_alert_max", "temp_alert_max_celsius"),
            ("temp_alert_min", "temp_alert_min_celsius"),
            ("temp_ambient", "temp_ambient_celsius"),
            ("temp_ambient_max", "temp_ambient_max_celsius"),
            ("temp_ambient_min", "temp_ambient_min_celsius"),
            ("temp_max", "temp_max_celsius"),
            ("temp_min", "temp_min_celsius"),
        ],
    ),
];

/// Files that become labels, `power_supply` being the directory; sorted.
const TEXTS: &[&str] = &[
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "power_supply",
    "scope",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
];

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let filter = Filter::of(flags, "collector.powersupply.ignored-supplies", "")?;
    Ok(Box::new(move |paths: &Paths, page: &mut Page| {
        let class = paths.sys("class/power_supply");
        all_or_nothing(page, |page| {
            for supply in read::names(&class)?.into_iter().filter(|s| !filter.ignores(s)) {
                write_supply(&class.join(&supply), &supply, page)?;
            }
            Ok(())
        })
    }))
}

fn write_supply(dir: &Path, supply: &str, page: &mut Page) -> Result<(), Fault> {
    let files = sysfs::files(dir)?;
    let read = |file: &str| {
        if !files.iter().any(|f| f == file) {
            return Ok(None);
        }
        let path = dir.join(file);
        match sysfs::attribute(&path) {
            Ok(value) => Ok(Some(value)),
            Err(e) if sysfs::is_silent(&e) => Ok(None),
            Err(e) => Err(Fault::read(&path, &e)),
        }
    };
    for (divisor, files) in NUMBERS {
        for (file, name) in *files {
            let Some(text) = read(file)? else { continue };
            let value = sysfs::parse_int(&text)
                .ok_or_else(|| Fault::garbage(&dir.join(file), format_args!("{text:?}")))?;
            let name = if name.is_empty() { file } else { name };
            let help = format!("{name} value of /sys/class/power_supply/<power_supply>.");
            page.family(&format!("node_power_supply_{name}"), &help, Kind::Gauge)
                .sample(&[("power_supply", supply)], value as f64 / divisor);
        }
    }
    let mut texts = Vec::new();
    for name in TEXTS {
        let text = if *name == "power_supply" { supply.to_owned() } else { read(name)?.unwrap_or_default() };
        if !text.is_empty() {
            texts.push((*name, text));
        }
    }
    let labels: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
    INFO.sample(page, &labels, 1.0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn a_battery_and_mains() {
        let tree = Tree::new(&[
            ("sys/class/power_supply/AC/online", "0\n"),
            ("sys/class/power_supply/AC/type", "Mains\n"),
            ("sys/class/power_supply/BAT0/capacity", "98\n"),
            ("sys/class/power_supply/BAT0/cycle_count", "7\n"),
            ("sys/class/power_supply/BAT0/voltage_now", "12229000\n"),
            ("sys/class/power_supply/BAT0/temp", "-215\n"),
            ("sys/class/power_supply/BAT0/manufacturer", "LGC\n"),
            ("sys/class/power_supply/BAT0/serial_number", " \n"),
            ("sys/class/power_supply/BAT0/device", "-> ../../x"),
        ]);
        let expect = r#"node_power_supply_capacity{power_supply="BAT0"} 98
node_power_supply_cyclecount{power_supply="BAT0"} 7
node_power_supply_info{power_supply="AC",type="Mains"} 1
node_power_supply_info{manufacturer="LGC",power_supply="BAT0"} 1
node_power_supply_online{power_supply="AC"} 0
node_power_supply_temp_celsius{power_supply="BAT0"} -21.5
node_power_supply_voltage_volt{power_supply="BAT0"} 12.229
"#;
        assert_eq!(tree.samples(make, &[]), expect);
        let flags = [("collector.powersupply.ignored-supplies", "^BAT")];
        assert!(!tree.samples(make, &flags).contains("BAT0"));
    }

    #[test]
    fn an_empty_class_is_fine_and_none_is_not() {
        assert_eq!(Tree::new(&[("sys/class/power_supply/", "")]).samples(make, &[]), "");
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
        let bad =
            Tree::new(&[("sys/class/power_supply/B/online", "1"), ("sys/class/power_supply/B/temp", "x")]);
        let (text, outcome) = bad.collect(make, &[]);
        assert_eq!(text, "");
        assert!(
            matches!(&outcome, Err(Fault::Error(e)) if e.ends_with("temp: unexpected \"x\"")),
            "{outcome:?}"
        );
    }
}
