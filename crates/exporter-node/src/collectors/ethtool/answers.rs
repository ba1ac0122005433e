//! What drivers answer.

use std::io;

use super::kernel::{ROOM_BYTES, Room};
use crate::links::string;
use crate::netlink::{u32_at, u64_at};

const GET_SETTINGS: u32 = 0x01;
const GET_DRIVER: u32 = 0x03;
const GET_STRINGS: u32 = 0x1b;
const GET_STATS: u32 = 0x1d;
const SET_OF_STATS: u32 = 1;

/// Length of a counter's name.
const NAME_BYTES: usize = 32;

/// The most counters of a device; the largest drivers have some ten thousand.
const MAX_STATS: usize = (ROOM_BYTES - 16) / NAME_BYTES / 2;

/// `struct ethtool_drvinfo`
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Driver {
    pub(super) driver: String,
    pub(super) version: String,
    pub(super) firmware_version: String,
    pub(super) bus_info: String,
    pub(super) expansion_rom_version: String,
    stats: usize,
}

/// `struct ethtool_cmd`: modes as bits.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) supported: u32,
    pub(super) advertised: u32,
    pub(super) autonegotiation: u8,
}

fn short() -> io::Error {
    io::Error::other("an answer that is too short")
}

/// What a device can and does negotiate.
pub(super) fn settings(room: &mut Room, device: &str) -> io::Result<Settings> {
    parse_settings(room.ask(device, &[GET_SETTINGS])?).ok_or_else(short)
}

fn parse_settings(answer: &[u8]) -> Option<Settings> {
    Some(Settings {
        supported: u32_at(answer, 4)?,
        advertised: u32_at(answer, 8)?,
        autonegotiation: *answer.get(18)?,
    })
}

/// Which driver a device has.
pub(super) fn driver(room: &mut Room, device: &str) -> io::Result<Driver> {
    parse_driver(room.ask(device, &[GET_DRIVER])?).ok_or_else(short)
}

fn parse_driver(answer: &[u8]) -> Option<Driver> {
    let text = |at: usize| answer.get(at..at + 32).map(string);
    Some(Driver {
        driver: text(4)?,
        version: text(36)?,
        firmware_version: text(68)?,
        bus_info: text(100)?,
        expansion_rom_version: text(132)?,
        stats: u32_at(answer, 180)? as usize,
    })
}

/// A device's counters by name, as many as its driver says it has.
pub(super) fn stats(room: &mut Room, device: &str) -> io::Result<Vec<(String, u64)>> {
    let count = driver(room, device)?.stats;
    if count > MAX_STATS {
        return Err(io::Error::other(format!("{count} counters")));
    }
    let names = room.ask(device, &[GET_STRINGS, SET_OF_STATS, count as u32])?;
    let named = (u32_at(names, 8).unwrap_or(0) as usize).min(count);
    let names: Vec<String> = (0..named)
        .filter_map(|i| names.get(12 + i * NAME_BYTES..12 + (i + 1) * NAME_BYTES))
        .map(string)
        .collect();
    let numbers = room.ask(device, &[GET_STATS, count as u32])?;
    let counted = u32_at(numbers, 4).unwrap_or(0) as usize;
    let numbers = (0..counted.min(MAX_STATS)).filter_map(|i| u64_at(numbers, 8 + i * 8));
    Ok(names.into_iter().zip(numbers).filter(|(name, _)| !name.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_by_place() {
        let mut answer = vec![0; 196];
        answer[4..8].copy_from_slice(b"veth");
        answer[100..107].copy_from_slice(b"0000:00");
        answer[180..184].copy_from_slice(&7_u32.to_ne_bytes());
        let driver = parse_driver(&answer).unwrap();
        assert_eq!((driver.driver.as_str(), driver.bus_info.as_str(), driver.stats), ("veth", "0000:00", 7));
        let mut answer = vec![0; 44];
        answer[4..8].copy_from_slice(&0x2ef_u32.to_ne_bytes());
        answer[18] = 1;
        assert_eq!(
            parse_settings(&answer),
            Some(Settings { supported: 0x2ef, advertised: 0, autonegotiation: 1 })
        );
        assert_eq!(parse_settings(&answer[..18]), None);
        assert_eq!(parse_driver(&answer), None);
    }
}
