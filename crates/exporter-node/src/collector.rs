//! What a collector is, and the table of them.

use exporters::Page;

use crate::collectors;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;

/// Reads one part of the host. Called by one thread at a time.
pub(crate) trait Collector: Send {
    /// Writes the families; what was written before a fault stays.
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault>;
}

/// Makes a collector; a flag of it that makes no sense is an error.
pub(crate) type Make = fn(&Flags) -> Result<Box<dyn Collector>, String>;

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// As in `--collector.NAME`.
    pub name: &'static str,
    /// Whether it runs unless told otherwise.
    pub on: bool,
    /// Whether what it reads belongs to a namespace, so that a container's is not the host's.
    pub namespaced: bool,
    pub(crate) make: Make,
}

const fn on(name: &'static str, make: Make) -> Entry {
    Entry { name, on: true, namespaced: false, make }
}

/// All collectors, sorted by name.
pub const TABLE: &[Entry] = &[on("loadavg", collectors::loadavg::make)];
