//! The host's metrics under node_exporter's names.
//!
//! A collector reads one part of `/proc` or `/sys` and writes its families to a page; [`TABLE`] lists them all. What one cannot read
//! costs that collector only, and shows in `node_scrape_collector_success`. Collectors keep their file handles' buffers and what does not
//! change between scrapes, never values: each page is read anew.

mod adjtimex;
mod collector;
mod collectors;
mod container;
mod dbus;
mod exporter;
mod families;
mod fault;
mod filter;
mod flags;
mod links;
mod netlink;
mod paths;
mod read;
mod rpc;
mod sysfs;
mod table;
#[cfg(test)]
mod test;
#[cfg(test)]
mod tree;

pub use container::Namespace;
pub use exporter::{Build, NodeExporter};
pub use flags::Flags;
pub use table::{Entry, TABLE};
