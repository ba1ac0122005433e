//! What the exporters' roles share: a router on the addresses that the flags name.

use std::path::PathBuf;

use axum::Router;
use tower_http::compression::CompressionLayer;
use web::server::{ServerOptions, Shutdown};

use crate::Failure;
use crate::flags::Parsed;

/// Serves what `router` makes on all `addresses` until told to stop. `web_config` is the name of the flag with the web-config file.
pub(crate) fn serve(
    flags: &Parsed,
    addresses: &[String],
    web_config: &str,
    router: impl FnOnce() -> Result<Router, Failure>,
) -> Result<(), Failure> {
    let web_config = flags.get(web_config);
    let server = ServerOptions {
        web_config: (!web_config.is_empty()).then(|| PathBuf::from(web_config)),
        ..ServerOptions::default()
    };
    serve_with(&server, addresses, router)
}

/// The same for a role that has made its server's options itself.
pub(crate) fn serve_with(
    server: &ServerOptions,
    addresses: &[String],
    router: impl FnOnce() -> Result<Router, Failure>,
) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let router = router()?.layer(CompressionLayer::new());
        let shutdown = Shutdown::default();
        crate::signals::listen(shutdown.clone(), Vec::new())
            .map_err(|e| Failure::new(format!("install signal handlers: {e}")))?;
        crate::own_pages::release();
        super::serve_all(addresses, router, server, &shutdown).await
    })
}

/// One thread: a scrape every few seconds needs no second one, whose stack and wake-ups cost more than they bring. What blocks has threads
/// of its own.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // Both TLS libraries' users in the tree share one provider, installed once.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format!("start the runtime: {e}")))
}
