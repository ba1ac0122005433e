//! systemd's units, asked over the message bus.

mod units;

use std::io;
use std::path::PathBuf;

use exporters::{Kind, Page};
use regex::Regex;

use self::units::Unit;
use crate::collector::Collector;
use crate::dbus::{Call, Connection, Peer, Value};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;

struct Systemd {
    include: Regex,
    exclude: Regex,
    private: bool,
    tasks: bool,
    restarts: bool,
    start_times: bool,
}

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let include = "collector.systemd.unit-include";
    let exclude = "collector.systemd.unit-exclude";
    let flags = flags.with_former("collector.systemd.unit-blacklist", exclude)?;
    let flags = flags.with_former("collector.systemd.unit-whitelist", include)?;
    let whole = |name| {
        let text = flags.get(name);
        Regex::new(&format!("^(?:{text})$"))
            .map_err(|e| format!("--{name}: {text:?} is no regular expression: {e}"))
    };
    Ok(Box::new(Systemd {
        include: whole(include)?,
        exclude: whole(exclude)?,
        private: flags.is_on("collector.systemd.private"),
        tasks: flags.is_on("collector.systemd.enable-task-metrics"),
        restarts: flags.is_on("collector.systemd.enable-restarts-metrics"),
        start_times: flags.is_on("collector.systemd.enable-start-time-metrics"),
    }))
}

const SERVICE: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// What tells the state of the whole, since this version.
const SYSTEM_STATE_SINCE: f64 = 212.0;

impl Collector for Systemd {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let (socket, peer) = self.socket(paths);
        let fault = |e: io::Error| Fault::Error(format!("systemd over {}: {e}", socket.display()));
        let mut bus = Connection::open(&socket, peer).map_err(fault)?;

        let text = text(property(&mut bus, "Version"));
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        let version: f64 = digits.parse().unwrap_or(0.0);
        page.family("node_systemd_version", "Detected systemd version", Kind::Gauge)
            .sample(&[("version", &text)], version);
        let virtualization = match property(&mut bus, "Virtualization") {
            Ok(Value::Text(text)) if text.is_empty() => "none".to_owned(),
            Ok(Value::Text(text)) => text,
            _ => "unknown".to_owned(),
        };
        let help = "Detected virtualization technology";
        page.family("node_systemd_virtualization_info", help, Kind::Gauge)
            .sample(&[("virtualization_type", &virtualization)], 1.0);

        let all = units::list(&mut bus).map_err(fault)?;
        units::write_summary(&all, page);
        let kept: Vec<&Unit> = all
            .iter()
            .filter(|u| {
                u.load == "loaded" && self.include.is_match(&u.name) && !self.exclude.is_match(&u.name)
            })
            .collect();
        units::write_states(&mut bus, &kept, page).map_err(fault)?;
        self.write_properties(&mut bus, &kept, version, page).map_err(fault)?;
        if version >= SYSTEM_STATE_SINCE {
            let state = property(&mut bus, "SystemState").map_err(fault)?;
            let running = f64::from(u8::from(state == Value::Text("running".to_owned())));
            let help = "Whether the system is operational (see 'systemctl is-system-running')";
            page.single("node_systemd_system_running", help, Kind::Gauge, running);
        }
        Ok(())
    }
}

/// A property of units of one kind as a family.
struct Shown {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    suffix: &'static str,
    interface: &'static str,
    property: &'static str,
    divisor: f64,
}

/// What a unit says where it has no such number.
const NO_NUMBER: u64 = u64::MAX;

impl Systemd {
    fn socket(&self, paths: &Paths) -> (PathBuf, Peer) {
        if self.private {
            return (paths.root("/run/systemd/private"), Peer::Service);
        }
        let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or_default();
        let given = address.split(';').find_map(|a| a.strip_prefix("unix:path=")?.split(',').next());
        let usual = || {
            let below = paths.root("/run/dbus/system_bus_socket");
            if below.exists() { below } else { "/var/run/dbus/system_bus_socket".into() }
        };
        (given.map_or_else(usual, PathBuf::from), Peer::Bus)
    }

    fn write_properties(
        &self,
        bus: &mut Connection,
        kept: &[&Unit],
        version: f64,
        page: &mut Page,
    ) -> io::Result<()> {
        for shown in SHOWN {
            let wanted = match shown.property {
                "TasksCurrent" | "TasksMax" => self.tasks,
                "NRestarts" => self.restarts,
                "LastTriggerUSec" => version >= SYSTEM_STATE_SINCE,
                _ => true,
            };
            if !wanted {
                continue;
            }
            let units: Vec<&Unit> = kept.iter().copied().filter(|u| u.name.ends_with(shown.suffix)).collect();
            let values = units::properties(bus, &units, shown.interface, shown.property)?;
            let mut family = page.family(shown.name, shown.help, shown.kind);
            for (unit, value) in units.iter().zip(values) {
                if let Some(Value::Number(number)) = value.filter(|v| *v != Value::Number(NO_NUMBER)) {
                    family.sample(&[("name", &unit.name)], number as f64 / shown.divisor);
                }
            }
        }
        if self.start_times {
            let interface = "org.freedesktop.systemd1.Unit";
            let values = units::properties(bus, kept, interface, "ActiveEnterTimestamp")?;
            let help = "Start time of the unit since unix epoch in seconds.";
            let mut family = page.family("node_systemd_unit_start_time_seconds", help, Kind::Gauge);
            for (unit, value) in kept.iter().zip(values) {
                let micros = match value {
                    _ if unit.active != "active" => 0,
                    Some(Value::Number(micros)) => micros,
                    _ => continue,
                };
                family.sample(&[("name", &unit.name)], micros as f64 / 1e6);
            }
        }
        Ok(())
    }
}

const SHOWN: [Shown; 7] = [
    Shown {
        name: "node_systemd_unit_tasks_current",
        help: "Current number of tasks per Systemd unit",
        kind: Kind::Gauge,
        suffix: ".service",
        interface: "org.freedesktop.systemd1.Service",
        property: "TasksCurrent",
        divisor: 1.0,
    },
    Shown {
        name: "node_systemd_unit_tasks_max",
        help: "Maximum number of tasks per Systemd unit",
        kind: Kind::Gauge,
        suffix: ".service",
        interface: "org.freedesktop.systemd1.Service",
        property: "TasksMax",
        divisor: 1.0,
    },
    Shown {
        name: "node_systemd_service_restart_total",
        help: "Service unit count of Restart triggers",
        kind: Kind::Counter,
        suffix: ".service",
        interface: "org.freedesktop.systemd1.Service",
        property: "NRestarts",
        divisor: 1.0,
    },
    Shown {
        name: "node_systemd_timer_last_trigger_seconds",
        help: "Seconds since epoch of last trigger.",
        kind: Kind::Gauge,
        suffix: ".timer",
        interface: "org.freedesktop.systemd1.Timer",
        property: "LastTriggerUSec",
        divisor: 1e6,
    },
    Shown {
        name: "node_systemd_socket_accepted_connections_total",
        help: "Total number of accepted socket connections",
        kind: Kind::Counter,
        suffix: ".socket",
        interface: "org.freedesktop.systemd1.Socket",
        property: "NAccepted",
        divisor: 1.0,
    },
    Shown {
        name: "node_systemd_socket_current_connections",
        help: "Current number of socket connections",
        kind: Kind::Gauge,
        suffix: ".socket",
        interface: "org.freedesktop.systemd1.Socket",
        property: "NConnections",
        divisor: 1.0,
    },
    Shown {
        name: "node_systemd_socket_refused_connections_total",
        help: "Total number of refused socket connections",
        kind: Kind::Gauge,
        suffix: ".socket",
        interface: "org.freedesktop.systemd1.Socket",
        property: "NRefused",
        divisor: 1.0,
    },
];

/// A property of the manager.
fn property(bus: &mut Connection, name: &str) -> io::Result<Value> {
    let call = Call {
        destination: SERVICE,
        path: MANAGER_PATH,
        interface: "org.freedesktop.DBus.Properties",
        member: "Get",
        arguments: &[MANAGER, name],
    };
    bus.call(&call)?.variant()
}

fn text(value: io::Result<Value>) -> String {
    if let Ok(Value::Text(text)) = value { text } else { String::new() }
}
