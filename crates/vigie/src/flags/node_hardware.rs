//! The flags of the node exporter's collectors that read hardware, drivers and rarer parts of the kernel.

use super::Flag;

/// Their flags, but for the switches that turn them on and off.
pub(crate) const HARDWARE: &[Flag] = &[];
