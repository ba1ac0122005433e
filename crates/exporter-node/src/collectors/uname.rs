//! `uname(2)`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;

struct Uname;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(Uname))
}

impl Collector for Uname {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let uname = rustix::system::uname();
        let own_name = uname.nodename().to_string_lossy();
        let name = paths.host_name.as_deref().unwrap_or(&own_name);
        let help = "Labeled system information as provided by the uname system call.";
        page.family("node_uname_info", help, Kind::Gauge).sample(
            &[
                ("domainname", &uname.domainname().to_string_lossy()),
                ("machine", &uname.machine().to_string_lossy()),
                ("nodename", name),
                ("release", &uname.release().to_string_lossy()),
                ("sysname", &uname.sysname().to_string_lossy()),
                ("version", &uname.version().to_string_lossy()),
            ],
            1.0,
        );
        Ok(())
    }
}
