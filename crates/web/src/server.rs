//! The server every role shares: listeners, TLS, passwords, a bound on connections, a graceful end.
//!
//! [`serve`] runs until its [`Shutdown`] is told, then stops accepting, lets requests in flight finish for
//! [`GRACE`], and returns.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use config::web::WebConfig;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt as _;

use crate::auth::Guard;
use crate::tls;

/// How long requests in flight may take after the signal to stop.
pub const GRACE: Duration = Duration::from_secs(10);

/// How a role listens.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The web-config file (TLS, passwords, headers), read again when it changes.
    pub web_config: Option<PathBuf>,
    /// The same from elsewhere, for a role whose flags say it. A file goes before it.
    pub web: Arc<WebConfig>,
    /// Connections open at once (`--web.max-connections`); more wait to be accepted.
    pub max_connections: usize,
    /// How long a client may take to send a request's head (`--web.read-timeout`).
    pub read_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            web_config: None,
            web: Arc::default(),
            max_connections: 512,
            read_timeout: Duration::from_secs(300),
        }
    }
}

/// A signal to stop, given once and heard by all who hold a clone.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Sender<bool>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Shutdown {
    /// Tells everyone to stop.
    pub fn signal(&self) {
        self.0.send_replace(true);
    }

    /// Whether the signal was given.
    #[must_use]
    pub fn is_signalled(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the signal is given. Cancel safe.
    pub async fn wait(&self) {
        let mut heard = self.0.subscribe();
        // The sender lives in self, so the channel cannot be closed.
        let _ = heard.wait_for(|&stop| stop).await;
    }
}

/// The peer of a connection, for handlers that want it.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddr(pub SocketAddr);

/// Binds an address written as Go writes it: `:9090` is all interfaces, `localhost:9090` the loopback.
///
/// # Errors
/// When the address does not resolve or is taken; the message names it.
pub async fn bind(address: &str) -> io::Result<TcpListener> {
    let full = if address.starts_with(':') { format!("0.0.0.0{address}") } else { address.to_owned() };
    TcpListener::bind(&full).await.map_err(|e| io::Error::new(e.kind(), format!("listen on {address}: {e}")))
}

/// Serves `router` on `listener` until `shutdown`.
///
/// # Errors
/// When the web-config file cannot be read or is wrong at start. Later faults of it answer requests with 500.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: &ServerOptions,
    shutdown: Shutdown,
) -> Result<(), String> {
    let guard = Arc::new(Guard::new(options.web_config.clone(), Arc::clone(&options.web))?);
    let permits = Arc::new(Semaphore::new(options.max_connections));
    let graceful = hyper_util::server::graceful::GracefulShutdown::new();
    loop {
        let permit = tokio::select! {
            () = shutdown.wait() => break,
            permit = Arc::clone(&permits).acquire_owned() => permit.expect("the semaphore is never closed"),
        };
        let (stream, peer) = tokio::select! {
            () = shutdown.wait() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    // Out of file descriptors, or a connection that was gone at once: wait a little, go on.
                    tracing::warn!(err = %e, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let service = guarded(router.clone(), Arc::clone(&guard), peer);
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(options.read_timeout);
        let (watcher, guard) = (graceful.watcher(), Arc::clone(&guard));
        tokio::spawn(async move {
            let _permit = permit;
            let served = match tls::accept(stream, &guard).await {
                Ok(tls::Stream::Plain(stream)) => {
                    watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await
                }
                Ok(tls::Stream::Tls(stream)) => {
                    watcher.watch(http.serve_connection(TokioIo::new(*stream), service)).await
                }
                Err(e) => {
                    tracing::debug!(%peer, err = %e, "TLS handshake failed");
                    return;
                }
            };
            if let Err(e) = served {
                tracing::debug!(%peer, err = %e, "connection ended");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests still running after {} s are cut off", GRACE.as_secs());
    }
    Ok(())
}

type GuardedService = TowerToHyperService<
    tower::util::BoxCloneService<
        hyper::Request<hyper::body::Incoming>,
        axum::response::Response,
        std::convert::Infallible,
    >,
>;

/// The router behind the password check and the configured headers.
fn guarded(router: Router, guard: Arc<Guard>, peer: SocketAddr) -> GuardedService {
    let service = tower::service_fn(move |req: hyper::Request<hyper::body::Incoming>| {
        let (router, guard) = (router.clone(), Arc::clone(&guard));
        async move {
            let mut req: Request = req.map(axum::body::Body::new);
            req.extensions_mut().insert(PeerAddr(peer));
            let mut response = match guard.check(req.headers()).await {
                Ok(()) => router.oneshot(req).await?,
                Err(refusal) => refusal,
            };
            guard.add_headers(response.headers_mut());
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    TowerToHyperService::new(tower::util::BoxCloneService::new(service))
}

/// For [`tls::accept`].
pub(crate) type Tcp = TcpStream;
