//! Tasks that the kernel found hanging, from `/proc/sys/kernel/hung_task_detect_count`.

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, counter};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::sysfs;

const TASKS: Family = counter(
    "node_kernel_hung_tasks_total",
    "Total number of tasks that have been detected as hung since the system booted.",
);

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let count = sysfs::uint(&paths.proc("sys/kernel/hung_task_detect_count"))?;
    TASKS.sample(page, &[], count as f64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn a_count_or_nothing() {
        let tree = Tree::new(&[("proc/sys/kernel/hung_task_detect_count", "3\n")]);
        assert_eq!(tree.samples(make, &[]), "node_kernel_hung_tasks_total 3\n");
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
        let bad = Tree::new(&[("proc/sys/kernel/hung_task_detect_count", "-3\n")]);
        assert!(matches!(bad.collect(make, &[]).1, Err(Fault::Error(_))));
    }
}
