//! `/probe`: any server, named in the request.
//!
//! A server that is probed again within a while finds its connection still there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use exporters::{Page, Query, Refusal, http};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::auth::AuthFile;
use crate::dsn::Dsn;
use crate::exporter::{Queries, deadline, gather};
use crate::options::Options;
use crate::server::Server;

/// Servers whose connections are kept.
const MAX_KEPT: usize = 100;
/// How long one that nobody probes is kept.
const KEPT: Duration = Duration::from_secs(5 * 60);

/// What a probe makes a connection from: who asks for the same gets the same.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    target: String,
    module: String,
}

struct Probed {
    dsn: Dsn,
    state: Mutex<State>,
}

struct State {
    server: Server,
    queries: Queries,
    scrapes: u64,
}

/// The probes' side of the exporter.
pub(crate) struct Prober {
    options: Arc<Options>,
    auth: Arc<AuthFile>,
    kept: std::sync::Mutex<HashMap<Key, (Instant, Arc<Probed>)>>,
}

impl Prober {
    pub(crate) fn new(options: Arc<Options>, auth: Arc<AuthFile>) -> Self {
        Self { options, auth, kept: std::sync::Mutex::default() }
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, query: &Query) -> Response {
        match self.page(query).await {
            Ok(page) => http::page(&page),
            Err(refusal) => refusal.into_response(),
        }
    }

    async fn page(&self, query: &Query) -> Result<Page, Refusal> {
        let begin = Instant::now();
        let target = query.get("target").unwrap_or_default();
        if target.is_empty() {
            return Err(Refusal::bad_request("target is required"));
        }
        let module = query.get("auth_module").unwrap_or_default();
        let dsn = Dsn::parse_target(target)
            .map_err(|e| Refusal::bad_request(format!("could not configure dsn for target: {e}")))?;
        let dsn = self.auth.apply(dsn, Some(module)).map_err(Refusal::bad_request)?;
        let probed = self.probed(Key { target: target.to_owned(), module: module.to_owned() }, dsn);
        let deadline = deadline(begin, self.options.collection_timeout, query.timeout);
        let mut state = timeout_at(deadline, probed.state.lock()).await.map_err(|_| Refusal {
            status: 503,
            message: "another probe of this target is still under way".to_owned(),
        })?;
        let State { server, queries, scrapes } = &mut *state;
        if queries.refresh(self.options.queries_file.as_deref()) {
            server.queries_changed();
        }
        *scrapes += 1;
        Ok(gather(&self.options, std::slice::from_mut(server), queries, deadline, begin, *scrapes).await)
    }

    /// The server of a key, as it was left or new.
    fn probed(&self, key: Key, dsn: Dsn) -> Arc<Probed> {
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.retain(|_, (used, _)| now.duration_since(*used) < KEPT);
        if let Some((used, probed)) = kept.get_mut(&key)
            // The module's user or password may have changed.
            && probed.dsn == dsn
        {
            *used = now;
            return Arc::clone(probed);
        }
        let server = Server::new(dsn.clone(), &self.options, 1);
        let state = Mutex::new(State { server, queries: Queries::default(), scrapes: 0 });
        let probed = Arc::new(Probed { dsn, state });
        if kept.len() < MAX_KEPT || kept.contains_key(&key) {
            kept.insert(key, (now, Arc::clone(&probed)));
        }
        probed
    }
}
