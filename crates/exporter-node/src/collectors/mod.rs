//! One collector a file.

pub(crate) mod bcache;
pub(crate) mod bcachefs;
pub(crate) mod bonding;
pub(crate) mod btrfs;
pub(crate) mod dmi;
pub(crate) mod dmmultipath;
pub(crate) mod edac;
pub(crate) mod fibrechannel;
pub(crate) mod hwmon;
pub(crate) mod infiniband;
pub(crate) mod ipvs;
pub(crate) mod kernel_hung;
pub(crate) mod loadavg;
pub(crate) mod mdadm;
pub(crate) mod nfs;
pub(crate) mod nfsd;
pub(crate) mod nvme;
pub(crate) mod powersupplyclass;
pub(crate) mod rapl;
pub(crate) mod tapestats;
pub(crate) mod watchdog;
pub(crate) mod xfs;
pub(crate) mod zfs;
