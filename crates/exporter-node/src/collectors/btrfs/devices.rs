//! The devices of mounted filesystems, as `ioctl(2)` on a mount point tells them.

#![expect(unsafe_code, reason = "the only way to ask for a device's errors; the rest takes bytes")]

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

use crate::collectors::filesystem::mounts;
use crate::links::string;
use crate::netlink::u64_at;
use crate::paths::Paths;

/// `struct btrfs_ioctl_fs_info_args`, `…dev_info_args`, `…get_dev_stats`: their sizes are part of the commands' numbers.
const FS_INFO_BYTES: usize = 1024;
const DEV_INFO_BYTES: usize = 4096;
const DEV_STATS_BYTES: usize = 1032;

const FS_INFO: u64 = command(READ, 31, FS_INFO_BYTES);
const DEV_INFO: u64 = command(READ | WRITE, 30, DEV_INFO_BYTES);
const DEV_STATS: u64 = command(READ | WRITE, 52, DEV_STATS_BYTES);

const READ: u64 = 2;
const WRITE: u64 = 1;

/// As Linux numbers commands on all machines but a few old ones, on which the kernel refuses these.
const fn command(direction: u64, number: u64, len: usize) -> u64 {
    const BTRFS: u64 = 0x94;
    direction << 30 | (len as u64) << 16 | BTRFS << 8 | number
}

/// The most numbers of devices that are tried; the kernel counts them up and never uses one again.
const MAX_DEVICE_NUMBER: u64 = 1 << 16;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    /// Without its directory.
    pub(super) name: String,
    pub(super) uuid: String,
    pub(super) total_bytes: u64,
    pub(super) used_bytes: u64,
    /// Of writing, reading, flushing, content and generation.
    pub(super) errors: [u64; 5],
}

/// The devices of each mounted filesystem that we may look at, by its UUID without dashes.
pub(super) fn by_filesystem(paths: &Paths) -> HashMap<String, Vec<Device>> {
    let mut filesystems = HashMap::new();
    let mut seen = HashSet::new();
    let mounts = mounts::of_host(paths).unwrap_or_default();
    for mount in mounts.iter().filter(|mount| mount.kind == "btrfs") {
        if seen.contains(&mount.device) {
            continue;
        }
        match filesystem(paths, &mount.point) {
            Ok((uuid, devices)) => {
                filesystems.entry(uuid).or_insert(devices);
                seen.insert(&mount.device);
            }
            // Another mount point of the same may do.
            Err(error) => tracing::debug!(mount = mount.point, %error, "Error querying btrfs filesystem"),
        }
    }
    filesystems
}

fn filesystem(paths: &Paths, point: &str) -> io::Result<(String, Vec<Device>)> {
    let directory = File::open(paths.root(point))?;
    let mut info = [0; FS_INFO_BYTES];
    ask(&directory, FS_INFO, &mut info)?;
    let number = |at| u64_at(&info, at).unwrap_or(0);
    let (last, count) = (number(0), number(8));
    let mut devices = Vec::new();
    for id in 0..=last.min(MAX_DEVICE_NUMBER) {
        if devices.len() as u64 == count {
            break;
        }
        let mut info = [0; DEV_INFO_BYTES];
        info[..8].copy_from_slice(&id.to_ne_bytes());
        match ask(&directory, DEV_INFO, &mut info) {
            // Numbers have gaps.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => continue,
            outcome => outcome?,
        }
        let mut stats = [0; DEV_STATS_BYTES];
        stats[..8].copy_from_slice(&id.to_ne_bytes());
        stats[8..16].copy_from_slice(&5_u64.to_ne_bytes());
        ask(&directory, DEV_STATS, &mut stats)?;
        devices.push(device(&info, &stats));
    }
    Ok((hexadecimal(&info[16..32]), devices))
}

fn device(info: &[u8; DEV_INFO_BYTES], stats: &[u8; DEV_STATS_BYTES]) -> Device {
    const PATH_BYTES: usize = 1024;
    let path = string(&info[DEV_INFO_BYTES - PATH_BYTES..]);
    let id = hexadecimal(&info[8..24]);
    let dashed = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
    Device {
        name: path.rsplit('/').next().unwrap_or_default().to_owned(),
        // The original's word for a device that has none.
        uuid: if info[8..24] == [0; 16] { "<zero>".to_owned() } else { dashed },
        used_bytes: u64_at(info, 24).unwrap_or(0),
        total_bytes: u64_at(info, 32).unwrap_or(0),
        errors: std::array::from_fn(|i| u64_at(stats, 24 + 8 * i).unwrap_or(0)),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Asks; the answer is in the same place.
fn ask<const N: usize>(directory: &File, command: u64, answer: &mut [u8; N]) -> io::Result<()> {
    debug_assert_eq!(command >> 16 & 0x3fff, N as u64);
    // SAFETY: the kernel reads and writes no more bytes than the command's number has, which is the answer's length.
    let outcome = unsafe { libc::ioctl(directory.as_raw_fd(), command as _, answer.as_mut_ptr()) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_of_the_kernels_header() {
        assert_eq!([FS_INFO, DEV_INFO, DEV_STATS], [0x8400_941f, 0xd000_941e, 0xc408_9434]);
    }

    #[test]
    fn answers_are_read_by_place() {
        let mut info = [0; DEV_INFO_BYTES];
        info[8..24].copy_from_slice(&[0x12; 16]);
        info[24] = 40;
        info[32] = 100;
        info[3072..3080].copy_from_slice(b"/dev/sda");
        let mut stats = [0; DEV_STATS_BYTES];
        stats[24 + 8 * 3] = 7;
        let expect = Device {
            name: "sda".to_owned(),
            uuid: "12121212-1212-1212-1212-121212121212".to_owned(),
            total_bytes: 100,
            used_bytes: 40,
            errors: [0, 0, 0, 7, 0],
        };
        assert_eq!(device(&info, &stats), expect);
    }

    #[test]
    fn other_filesystems_refuse() {
        let directory = tempfile::tempdir().unwrap();
        let mut info = [0; FS_INFO_BYTES];
        // On btrfs it answers; elsewhere it is no command.
        if let Err(error) = ask(&File::open(directory.path()).unwrap(), FS_INFO, &mut info) {
            assert_eq!(error.raw_os_error(), Some(libc::ENOTTY), "{error}");
        }
    }
}
