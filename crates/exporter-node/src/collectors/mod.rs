//! One collector a file.

pub(crate) mod loadavg;
