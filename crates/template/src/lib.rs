//! Go's `text/template` language, written anew, with what Prometheus and Alertmanager add to it.

mod error;
pub mod prometheus;

pub use error::{Error, ErrorKind};
