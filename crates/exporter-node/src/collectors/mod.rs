//! One collector a file.

#[cfg(test)]
mod garbage;

pub(crate) mod bcache;
pub(crate) mod bcachefs;
pub(crate) mod bonding;
pub(crate) mod btrfs;
pub(crate) mod buddyinfo;
pub(crate) mod cgroups;
pub(crate) mod cpu_vulnerabilities;
pub(crate) mod dmi;
pub(crate) mod dmmultipath;
pub(crate) mod drbd;
pub(crate) mod drm;
pub(crate) mod edac;
pub(crate) mod ethtool;
pub(crate) mod fibrechannel;
pub(crate) mod hwmon;
pub(crate) mod infiniband;
pub(crate) mod ipvs;
pub(crate) mod kernel_hung;
pub(crate) mod ksmd;
pub(crate) mod lnstat;
pub(crate) mod loadavg;
pub(crate) mod mdadm;
pub(crate) mod meminfo_numa;
pub(crate) mod mountstats;
pub(crate) mod network_route;
pub(crate) mod nfs;
pub(crate) mod nfsd;
pub(crate) mod nvme;
pub(crate) mod nvmesubsystem;
pub(crate) mod pcidevice;
pub(crate) mod powersupplyclass;
pub(crate) mod qdisc;
pub(crate) mod rapl;
pub(crate) mod slabinfo;
pub(crate) mod sysctl;
pub(crate) mod tapestats;
pub(crate) mod watchdog;
pub(crate) mod xfrm;
pub(crate) mod xfs;
pub(crate) mod zfs;
pub(crate) mod zoneinfo;
