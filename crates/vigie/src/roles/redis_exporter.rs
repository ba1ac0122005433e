//! The role of `redis_exporter`.

use axum::Router;

use super::exporter;
use crate::Failure;
use crate::flags::Parsed;

/// `vigie redis-exporter`
pub(crate) fn main(flags: &Parsed) -> Result<(), Failure> {
    exporter::serve(flags, flags.all("web.listen-address"), "web.config.file", || router(flags))
}

/// All routes of the role. Within a runtime.
pub(crate) fn router(_flags: &Parsed) -> Result<Router, Failure> {
    Err(Failure::usage("this role is not part of this version"))
}
