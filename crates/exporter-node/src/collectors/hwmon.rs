//! Sensors of `/sys/class/hwmon`: temperatures, voltages, fans, power.
//!
//! A chip's files are named `TYPE NUMBER _PROPERTY`: `temp1_crit`. They are in the chip's directory or, of old drivers, in its device's.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::families::{Family, gauge};
use crate::fault::Fault;
use crate::filter::Filter;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

const CHIP_NAMES: Family = gauge("node_hwmon_chip_names", "Annotation metric for human-readable chip names");
const SENSOR_LABEL: Family = gauge("node_hwmon_sensor_label", "Label for given chip and sensor");
const BEEP: Family = gauge("node_hwmon_beep_enabled", "Hardware beep enabled");
const VRM: Family = gauge("node_hwmon_voltage_regulator_version", "Hardware voltage regulator");
const INTERVAL: Family = gauge("node_hwmon_update_interval_seconds", "Hardware monitor update interval");

const TYPES: &[&str] = &[
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
    "freq",
];

/// The values of each sensor by property.
type Sensors = BTreeMap<String, BTreeMap<String, String>>;

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let chips = Filter::of(flags, "collector.hwmon.chip-exclude", "collector.hwmon.chip-include")?;
    let sensors = Filter::of(flags, "collector.hwmon.sensor-exclude", "collector.hwmon.sensor-include")?;
    Ok(Box::new(move |paths: &Paths, page: &mut Page| update(&chips, &sensors, paths, page)))
}

struct Chip {
    dir: std::path::PathBuf,
    /// From where the device is; the same for several chips of one device.
    base: String,
    name_file: String,
}

fn update(chips: &Filter, sensors: &Filter, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let class = paths.sys("class/hwmon");
    let mut found = Vec::new();
    for name in read::names(&class)? {
        let dir = class.join(name);
        if !dir.is_dir() {
            continue;
        }
        let Some(base) = base_name(&dir) else {
            tracing::debug!(dir = %dir.display(), "failed to derive hwmon chip name");
            continue;
        };
        let name_file = sysfs::attribute(&dir.join("name")).unwrap_or_default();
        found.push(Chip { dir, base, name_file });
    }
    let mut bases: HashMap<&str, usize> = HashMap::new();
    let mut names: HashMap<(&str, &str), usize> = HashMap::new();
    for chip in &found {
        *bases.entry(&chip.base).or_default() += 1;
        *names.entry((&chip.base, &chip.name_file)).or_default() += 1;
    }
    let mut outcome = Ok(());
    for chip in &found {
        let mut name = chip.base.clone();
        if bases[&*chip.base] > 1 {
            let mut suffix = clean(&chip.name_file);
            if suffix.is_empty() || names[&(&*chip.base, &*chip.name_file)] > 1 {
                suffix = clean(&file_name(&chip.dir));
            }
            name = format!("{name}_{suffix}");
        }
        if chips.ignores(&name) {
            continue;
        }
        if let Err(error) = write_chip(&chip.dir, &name, sensors, page) {
            outcome = Err(error);
        }
    }
    outcome
}

fn write_chip(dir: &Path, chip: &str, filter: &Filter, page: &mut Page) -> Result<(), Fault> {
    let mut sensors = Sensors::new();
    read_sensors(dir, &mut sensors)?;
    let device = dir.join("device");
    if device.exists() {
        read_sensors(&device, &mut sensors)?;
    }
    let chip_name = sysfs::attribute(&dir.join("name")).map(|n| clean(&n)).unwrap_or_default();
    if !chip_name.is_empty() {
        CHIP_NAMES.sample(page, &[("chip", chip), ("chip_name", &chip_name)], 1.0);
    }
    for (sensor, properties) in &sensors {
        if !filter.ignores(&format!("{chip};{sensor}")) {
            write_sensor(chip, sensor, properties, page);
        }
    }
    Ok(())
}

fn read_sensors(dir: &Path, sensors: &mut Sensors) -> Result<(), Fault> {
    for name in read::names(dir)? {
        let Some((kind, number, property)) = explode(&name) else { continue };
        if !TYPES.contains(&kind) {
            continue;
        }
        // Broken drivers answer with an error or not at all.
        if let Ok(value) = sysfs::raw(&dir.join(&name)) {
            let properties = sensors.entry(format!("{kind}{number}")).or_default();
            properties.insert(property.to_owned(), value.trim_matches('\n').to_owned());
        }
    }
    Ok(())
}

fn write_sensor(chip: &str, sensor: &str, properties: &BTreeMap<String, String>, page: &mut Page) {
    let kind = explode(sensor).map_or("", |(kind, ..)| kind);
    let labels = [("chip", chip), ("sensor", sensor)];
    let label = properties.get("label");
    if let Some(label) = label {
        SENSOR_LABEL.sample(page, &[("chip", chip), ("label", label), ("sensor", sensor)], 1.0);
    }
    let own = properties.get("").map(String::as_str);
    let number = own.and_then(|v| v.parse::<f64>().ok());
    match kind {
        "beep_enable" => return BEEP.sample(page, &labels, f64::from(u8::from(own == Some("1")))),
        "vrm" => return number.into_iter().for_each(|v| VRM.sample(page, &labels, v)),
        "update_interval" => {
            return number.into_iter().for_each(|v| INTERVAL.sample(page, &labels, v * 0.001));
        }
        _ => {}
    }
    for (element, text) in properties {
        let Ok(value) = text.parse::<f64>() else { continue };
        if element == "label" {
            continue;
        }
        let mut name = format!("node_hwmon_{kind}");
        // The input is the sensor's value, and bears its name unless there is a value without property.
        if !element.is_empty() && (element != "input" || own.is_some()) {
            name.push('_');
            name.push_str(&clean(element));
        }
        let mut labels = labels;
        let sensor_label;
        if (kind, element.as_str()) == ("freq", "input") {
            let Some(label) = label else { continue };
            sensor_label = clean(label);
            labels[1].1 = &sensor_label;
        }
        let reading = Reading::of(kind, element, value);
        name.push_str(reading.suffix);
        page.family(&name, &reading.help, reading.kind).sample(&labels, reading.value);
    }
}

/// A value in base units.
struct Reading {
    suffix: &'static str,
    help: String,
    kind: Kind,
    value: f64,
}

impl Reading {
    fn of(kind: &str, element: &str, value: f64) -> Self {
        let gauge = |suffix, help: String, value| Self { suffix, help, kind: Kind::Gauge, value };
        match (kind, element) {
            (_, "fault" | "alarm") => gauge("", format!("Hardware sensor {element} status ({kind})"), value),
            (_, "beep") => gauge("_enabled", "Hardware monitor sensor has beeping enabled".to_owned(), value),
            ("in" | "cpu", _) => {
                gauge("_volts", format!("Hardware monitor for voltage ({element})"), value * 0.001)
            }
            ("temp", e) if e != "type" => {
                let element = if e.is_empty() { "input" } else { e };
                gauge("_celsius", format!("Hardware monitor for temperature ({element})"), value * 0.001)
            }
            ("curr", _) => gauge("_amps", format!("Hardware monitor for current ({element})"), value * 0.001),
            ("energy", _) => Self {
                suffix: "_joule_total",
                help: format!("Hardware monitor for joules used so far ({element})"),
                kind: Kind::Counter,
                value: value / 1e6,
            },
            ("power", "accuracy") => {
                gauge("", "Hardware monitor power meter accuracy, as a ratio".to_owned(), value / 1e6)
            }
            ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
                let help = format!("Hardware monitor power usage update interval ({element})");
                gauge("_seconds", help, value * 0.001)
            }
            ("power", _) => {
                gauge("_watt", format!("Hardware monitor for power usage in watts ({element})"), value / 1e6)
            }
            ("humidity", _) => {
                let how = "as a ratio (multiply with 100.0 to get the humidity as a percentage)";
                gauge("", format!("Hardware monitor for humidity, {how} ({element})"), value / 1e6)
            }
            ("fan", "input" | "min" | "max" | "target") => {
                gauge("_rpm", format!("Hardware monitor for fan revolutions per minute ({element})"), value)
            }
            ("freq", "input") => {
                gauge("_freq_mhz", "Hardware monitor for GPU frequency in MHz".to_owned(), value / 1e6)
            }
            _ => gauge("", format!("Hardware monitor {kind} element {element}"), value),
        }
    }
}

/// `temp1_crit` as type, number and property; no number is 0.
fn explode(name: &str) -> Option<(&str, u64, &str)> {
    let Some(start) = name.find(|c: char| c.is_ascii_digit()) else {
        return (!name.is_empty()).then_some((name, 0, ""));
    };
    let (kind, rest) = name.split_at(start);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(end);
    let property = match rest.strip_prefix('_') {
        Some(property) if !property.is_empty() => property,
        None if rest.is_empty() => "",
        _ => return None,
    };
    if kind.is_empty() {
        return None;
    }
    Some((kind, number.parse().ok()?, property))
}

/// A name that stays the same whatever order modules load in: from the device's place, else the chip's own.
fn base_name(dir: &Path) -> Option<String> {
    if let Ok(device) = fs::canonicalize(dir.join("device")) {
        let name = clean(&file_name(&device));
        let bus = clean(&device.parent().map(file_name).unwrap_or_default());
        if !name.is_empty() {
            return Some(if bus.is_empty() { name } else { format!("{bus}_{name}") });
        }
    }
    let name = clean(&sysfs::raw(&dir.join("name")).unwrap_or_default());
    if !name.is_empty() {
        return Some(name);
    }
    let name = clean(&file_name(&fs::canonicalize(dir).ok()?));
    (!name.is_empty()).then_some(name)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Lower case, with an underscore for what may not be in a metric's name.
fn clean(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == ':' || c == '_';
    let replaced: String = name.to_lowercase().chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    replaced.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn names_explode() {
        for (name, expect) in [
            ("temp1_crit", Some(("temp", 1, "crit"))),
            ("in0", Some(("in", 0, ""))),
            ("pwm1_auto_point1_pwm", Some(("pwm", 1, "auto_point1_pwm"))),
            ("beep_enable", Some(("beep_enable", 0, ""))),
            ("temp1x", None),
            ("temp1_", None),
            ("1", None),
            ("", None),
            ("in99999999999999999999", None),
        ] {
            assert_eq!(explode(name), expect, "{name}");
        }
    }

    #[test]
    fn values_get_their_units() {
        let tree = Tree::new(&[
            ("sys/devices/platform/coretemp.0/hwmon/hwmon0/name", "coretemp\n"),
            ("sys/devices/platform/coretemp.0/hwmon/hwmon0/device", "-> ../../../coretemp.0"),
            ("sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_input", "55000\n"),
            ("sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_label", "Core 0\n"),
            ("sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_alarm", "0\n"),
            ("sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_type", "2\n"),
            ("sys/devices/platform/coretemp.0/hwmon/hwmon0/temp2_input", "no number\n"),
            ("sys/class/hwmon/hwmon0", "-> ../../devices/platform/coretemp.0/hwmon/hwmon0"),
            ("sys/class/hwmon/hwmon1/name", "Power Meter\n"),
            ("sys/class/hwmon/hwmon1/power1_average", "213000000\n"),
            ("sys/class/hwmon/hwmon1/power1_average_interval", "1000\n"),
            ("sys/class/hwmon/hwmon1/energy1_input", "5000000\n"),
            ("sys/class/hwmon/hwmon1/fan1_input", "1200\n"),
            ("sys/class/hwmon/hwmon1/in1_input", "12000\n"),
            ("sys/class/hwmon/hwmon1/freq1_input", "214000000\n"),
            ("sys/class/hwmon/hwmon1/freq1_label", "sclk\n"),
            ("sys/class/hwmon/hwmon1/beep_enable", "1\n"),
            ("sys/class/hwmon/hwmon1/update_interval", "500\n"),
        ]);
        let expect = r#"node_hwmon_beep_enabled{chip="power_meter",sensor="beep_enable0"} 1
node_hwmon_chip_names{chip="platform_coretemp_0",chip_name="coretemp"} 1
node_hwmon_chip_names{chip="power_meter",chip_name="power_meter"} 1
node_hwmon_energy_joule_total{chip="power_meter",sensor="energy1"} 5
node_hwmon_fan_rpm{chip="power_meter",sensor="fan1"} 1200
node_hwmon_freq_freq_mhz{chip="power_meter",sensor="sclk"} 214
node_hwmon_in_volts{chip="power_meter",sensor="in1"} 12
node_hwmon_power_average_interval_seconds{chip="power_meter",sensor="power1"} 1
node_hwmon_power_average_watt{chip="power_meter",sensor="power1"} 213
node_hwmon_sensor_label{chip="platform_coretemp_0",label="Core 0",sensor="temp1"} 1
node_hwmon_sensor_label{chip="power_meter",label="sclk",sensor="freq1"} 1
node_hwmon_temp_alarm{chip="platform_coretemp_0",sensor="temp1"} 0
node_hwmon_temp_celsius{chip="platform_coretemp_0",sensor="temp1"} 55
node_hwmon_temp_type{chip="platform_coretemp_0",sensor="temp1"} 2
node_hwmon_update_interval_seconds{chip="power_meter",sensor="update_interval0"} 0.5
"#;
        assert_eq!(tree.samples(make, &[]), expect);
        let flags =
            [("collector.hwmon.chip-include", "coretemp"), ("collector.hwmon.sensor-exclude", ";temp1$")];
        let expect = "node_hwmon_chip_names{chip=\"platform_coretemp_0\",chip_name=\"coretemp\"} 1\n";
        assert_eq!(tree.samples(make, &flags), expect);
    }

    #[test]
    fn chips_of_one_device_differ_by_name_or_number() {
        let mut files = vec![("sys/class/hwmon/other", "a file")];
        let chips = [("hwmon0", "a\n"), ("hwmon1", "b\n"), ("hwmon2", "b\n")];
        let names: Vec<_> = chips
            .iter()
            .flat_map(|(dir, name)| {
                let dir = format!("sys/class/hwmon/{dir}");
                [(format!("{dir}/name"), *name), (format!("{dir}/device"), "-> ../../../devices/pci/x")]
            })
            .collect();
        files.extend(names.iter().map(|(p, c)| (p.as_str(), *c)));
        files.push(("sys/devices/pci/x/", ""));
        let expect = r#"node_hwmon_chip_names{chip="pci_x_a",chip_name="a"} 1
node_hwmon_chip_names{chip="pci_x_hwmon1",chip_name="b"} 1
node_hwmon_chip_names{chip="pci_x_hwmon2",chip_name="b"} 1
"#;
        assert_eq!(Tree::new(&files).samples(make, &[]), expect);
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
    }
}
