//! One collector a file.

pub(crate) mod bonding;
pub(crate) mod btrfs;
pub(crate) mod edac;
pub(crate) mod hwmon;
pub(crate) mod ipvs;
pub(crate) mod loadavg;
pub(crate) mod mdadm;
pub(crate) mod nfs;
pub(crate) mod nfsd;
pub(crate) mod nvme;
pub(crate) mod powersupplyclass;
pub(crate) mod rapl;
pub(crate) mod xfs;
pub(crate) mod zfs;
