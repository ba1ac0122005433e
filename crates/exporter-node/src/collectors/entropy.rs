//! `/proc/sys/kernel/random`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct Entropy;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(Entropy))
}

impl Collector for Entropy {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let available = read::number(&paths.proc("sys/kernel/random/entropy_avail"))?;
        let help = "Bits of available entropy.";
        page.single("node_entropy_available_bits", help, Kind::Gauge, available);
        let size = read::number(&paths.proc("sys/kernel/random/poolsize"))?;
        page.single("node_entropy_pool_size_bits", "Bits of entropy pool.", Kind::Gauge, size);
        Ok(())
    }
}
