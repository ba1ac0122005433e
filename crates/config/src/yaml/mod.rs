//! Reading and writing YAML with positions, for every configuration file of the program.
//!
//! [`parse`] gives a tree of [`Node`]s that keep each scalar's text and place. From there two ways lead on:
//! [`Decode`] with the `section!` macro, which this crate uses for `prometheus.yml` (typed, all findings at once, defaults and
//! upstream's error texts); and [`from_node`] / [`from_str`] for types that derive `serde::Deserialize`, with errors placed at
//! the node that caused them. [`Out`] is the way back to text.
//!
//! Go's habits are kept: a key without value (`rule_files:`) leaves the default, a null in a list of strings is the empty
//! string, `yes` and `on` are booleans, any scalar is good for a string field and keeps its spelling there, merge keys work.

mod de;
mod decode;
mod emit;
mod node;

pub use de::{from_node, from_str};
pub use decode::{Context, Decode, Encode, Section, SectionMap};
pub(crate) use decode::{decode_section, section, section_empty, section_keys, section_read, section_write};
pub use emit::Out;
pub use node::{Node, Place, Scalar, Value, parse};
