//! What a collector is.

use exporters::Page;

use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;

/// Reads one part of the host. Called by one thread at a time.
pub(crate) trait Collector: Send {
    /// Writes the families; what was written before a fault stays.
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault>;
}

/// Most collectors keep nothing, or only their flags.
impl<F: FnMut(&Paths, &mut Page) -> Result<(), Fault> + Send> Collector for F {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        self(paths, page)
    }
}

/// Makes a collector; a flag of it that makes no sense is an error.
pub(crate) type Make = fn(&Flags) -> Result<Box<dyn Collector>, String>;
