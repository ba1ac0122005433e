//! The host's metrics under node_exporter's names.
//!
//! A [`Collector`] reads one part of `/proc` or `/sys` and writes its families to a page; [`TABLE`] lists them all. What one cannot read
//! costs that collector only, and shows in `node_scrape_collector_success`. Collectors keep their file handles' buffers and what does not
//! change between scrapes, never values: each page is read anew.

mod collector;
mod collectors;
mod exporter;
mod fault;
mod flags;
mod paths;
mod read;

pub use collector::{Entry, TABLE};
pub use exporter::NodeExporter;
pub use flags::Flags;
