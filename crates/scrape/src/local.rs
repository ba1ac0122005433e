//! Pages of this process: scraped by a call, under the address that a scrape over HTTP would name.
//!
//! Everything but the socket is as for any target: labels, relabelling, `up`, limits, the time-out, staleness.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use parking_lot::RwLock;

/// An answer to come.
pub type LocalReplyFuture<'a> = Pin<Box<dyn Future<Output = LocalReply> + Send + 'a>>;

/// Answers for a server of this process.
pub trait LocalPages: Send + Sync {
    /// The answer to `GET uri` with these headers. Dropping the future abandons the request.
    fn get<'a>(&'a self, uri: &'a Uri, headers: &'a HeaderMap) -> LocalReplyFuture<'a>;
}

/// An answer.
#[derive(Debug)]
pub struct LocalReply {
    /// The status.
    pub status: StatusCode,
    /// `Content-Type`.
    pub content_type: Option<HeaderValue>,
    /// The body, not compressed.
    pub body: Vec<u8>,
}

/// Which addresses are this process's own. Cloning shares.
#[derive(Clone, Default)]
pub(crate) struct LocalAddresses(Arc<RwLock<BTreeMap<String, Arc<dyn LocalPages>>>>);

impl LocalAddresses {
    pub(crate) fn add(&self, addresses: impl IntoIterator<Item = String>, pages: &Arc<dyn LocalPages>) {
        self.0.write().extend(addresses.into_iter().map(|address| (address, Arc::clone(pages))));
    }

    /// Who answers for this address, if it is our own.
    pub(crate) fn find(&self, uri: &Uri) -> Option<Arc<dyn LocalPages>> {
        self.0.read().get(uri.authority()?.as_str()).cloned()
    }
}

impl std::fmt::Debug for LocalAddresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.read().keys()).finish()
    }
}
