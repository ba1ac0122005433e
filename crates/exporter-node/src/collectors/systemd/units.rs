//! Units, their states and properties.

use std::io;

use exporters::{Kind, Page};

use super::{MANAGER, MANAGER_PATH, SERVICE};
use crate::dbus::{Call, Connection, Reader, Value};

/// A unit that systemd has loaded, as `ListUnits` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) load: String,
    pub(super) active: String,
    path: String,
}

const STATES: [&str; 5] = ["active", "activating", "deactivating", "inactive", "failed"];

/// All units, sorted by name.
pub(super) fn list(bus: &mut Connection) -> io::Result<Vec<Unit>> {
    let call = Call {
        destination: SERVICE,
        path: MANAGER_PATH,
        interface: MANAGER,
        member: "ListUnits",
        arguments: &[],
    };
    let reply = bus.call(&call)?;
    let mut units = reply.reader().array(8, unit)?;
    units.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(units)
}

/// Name, description, load state, active state, substate, followed unit, path, job's number, job's type, job's path.
fn unit(reader: &mut Reader<'_>) -> io::Result<Unit> {
    let name = reader.string()?;
    reader.string()?;
    let load = reader.string()?;
    let active = reader.string()?;
    reader.string()?;
    reader.string()?;
    let path = reader.string()?;
    reader.u32()?;
    reader.string()?;
    reader.string()?;
    Ok(Unit { name, load, active, path })
}

/// How many units are in each state.
pub(super) fn write_summary(units: &[Unit], page: &mut Page) {
    let mut family = page.family("node_systemd_units", "Summary of systemd unit states", Kind::Gauge);
    for state in STATES {
        let count = units.iter().filter(|unit| unit.active == state).count();
        family.sample(&[("state", state)], count as f64);
    }
}

/// Each unit's state, with the type of services and mounts.
pub(super) fn write_states(bus: &mut Connection, units: &[&Unit], page: &mut Page) -> io::Result<()> {
    let mut types = vec![String::new(); units.len()];
    for (suffix, interface) in
        [(".service", "org.freedesktop.systemd1.Service"), (".mount", "org.freedesktop.systemd1.Mount")]
    {
        let places: Vec<usize> = (0..units.len()).filter(|&i| units[i].name.ends_with(suffix)).collect();
        let some: Vec<&Unit> = places.iter().map(|&i| units[i]).collect();
        for (place, value) in places.into_iter().zip(properties(bus, &some, interface, "Type")?) {
            if let Some(Value::Text(text)) = value {
                types[place] = text;
            }
        }
    }
    let mut family = page.family("node_systemd_unit_state", "Systemd unit", Kind::Gauge);
    for (unit, kind) in units.iter().zip(&types) {
        for state in STATES {
            let is_it = f64::from(u8::from(unit.active == state));
            family.sample(&[("name", &unit.name), ("state", state), ("type", kind)], is_it);
        }
    }
    Ok(())
}

/// A property of each unit; nothing where a unit does not have it, or is gone.
pub(super) fn properties(
    bus: &mut Connection,
    units: &[&Unit],
    interface: &str,
    property: &str,
) -> io::Result<Vec<Option<Value>>> {
    let arguments = [interface, property];
    let calls: Vec<Call<'_>> = units
        .iter()
        .map(|unit| Call {
            destination: SERVICE,
            path: &unit.path,
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
            arguments: &arguments,
        })
        .collect();
    let answers = bus.calls(&calls)?;
    Ok(answers.into_iter().map(|answer| answer.ok()?.variant().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_units_of_an_answer() {
        let mut body = vec![0; 8];
        for unit in ["b.service", "a.timer"] {
            body.resize(body.len().next_multiple_of(8), 0);
            for text in [unit, "What", "loaded", "active", "running", "", "/org/x"] {
                push(&mut body, text);
            }
            body.resize(body.len().next_multiple_of(4), 0);
            body.extend_from_slice(&0_u32.to_le_bytes());
            push(&mut body, "");
            push(&mut body, "/");
        }
        let length = u32::try_from(body.len() - 8).unwrap();
        body[..4].copy_from_slice(&length.to_le_bytes());
        let units = Reader::new(&body).array(8, unit).unwrap();
        let names: Vec<&str> = units.iter().map(|u| u.name.as_str()).collect();
        assert_eq!(names, ["b.service", "a.timer"]);
        assert_eq!((units[1].load.as_str(), units[1].path.as_str()), ("loaded", "/org/x"));
        for length in 0..body.len() {
            assert!(Reader::new(&body[..length]).array(8, unit).is_err(), "{length}");
        }
        let mut page = Page::new();
        write_summary(&units, &mut page);
        assert!(page.render().contains("node_systemd_units{state=\"active\"} 2\n"));
    }

    fn push(body: &mut Vec<u8>, text: &str) {
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend_from_slice(&u32::try_from(text.len()).unwrap().to_le_bytes());
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
}
