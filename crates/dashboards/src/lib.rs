//! The Grafana role: dashboards from provisioning files and of the program's own, users and sessions, the part of Grafana's HTTP API that its
//! viewers and tools call, and the viewer itself.
//!
//! Dashboards are Grafana's JSON, passed on as they are: the viewer in the browser interprets them. A panel's data comes from the
//! one Prometheus this role stands on ([`Upstream`]), whatever data source the JSON names. Not here yet: saving and
//! deleting dashboards, folders and data sources over HTTP, annotations, Grafana's own alerting, `/api/ds/query`; those calls
//! answer 501 and say so.

mod api;
mod error;
mod library;
mod limiter;
mod own_api;
mod provisioning;
mod proxy;
mod session;
pub mod starters;
mod users;

pub use api::{Options, Service, router};
pub use error::{Error, ErrorKind};
pub use library::{Dashboard, Library};
pub use provisioning::{Problem, Provider, Sources};
pub use proxy::Upstream;
