//! What the exporters share: [`Page`], the families of one gathering as exposition text; [`Exporter`], who makes them; and [`http`],
//! the routes and the process's own metrics around them.
//!
//! A page is text from the start: a collector writes a sample's line once, and neither a label set nor a value is kept. The scraper of
//! the same process takes the same text without a socket, and its row path recognises lines by their bytes.
//!
//! Nothing here knows what is measured.

pub mod http;
mod page;
mod query;

use std::future::Future;
use std::pin::Pin;

pub use page::{Conflict, FamilyWriter, Kind, Page};
pub use query::Query;

/// A page to come.
pub type Gathering<'a> = Pin<Box<dyn Future<Output = Result<Page, Refusal>> + Send + 'a>>;

/// Makes a page each time it is asked.
pub trait Exporter: Send + Sync + 'static {
    /// Gathers a page. What cannot be read is a matter of single collectors and shows in the page; a refusal is for a query
    /// that cannot be answered.
    fn gather<'a>(&'a self, query: &'a Query) -> Gathering<'a>;
}

/// An answer without a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The body, as the original words it.
    pub message: String,
}

impl Refusal {
    /// A query that makes no sense: 400.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into() }
    }
}
