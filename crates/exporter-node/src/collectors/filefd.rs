//! Open files, from `/proc/sys/fs/file-nr`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct FileFd;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(FileFd))
}

impl Collector for FileFd {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let path = paths.proc("sys/fs/file-nr");
        let text = read::text(&path)?;
        let words: Vec<&str> = text.split_whitespace().collect();
        // The one in between, free handles, is 0 since Linux 2.6.
        let &[allocated, _, maximum] = words.as_slice() else {
            return Err(Fault::garbage(&path, format_args!("{:?}", read::shortened(&text))));
        };
        for (name, help, word) in [
            ("node_filefd_allocated", "File descriptor statistics: allocated.", allocated),
            ("node_filefd_maximum", "File descriptor statistics: maximum.", maximum),
        ] {
            page.single(name, help, Kind::Gauge, read::parse(&path, word)?);
        }
        Ok(())
    }
}
