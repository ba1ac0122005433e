//! The Grafana role.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use dashboards::{Service, Sources, Upstream};
use web::server::{ServerOptions, Shutdown};

use super::Clock;
use crate::Failure;
use crate::flags::Parsed;

/// Grafana's default for `updateIntervalSeconds`.
const RESCAN_INTERVAL: Duration = Duration::from_secs(10);

/// The first password of `admin`, to be changed at the first login.
const FIRST_PASSWORD: &str = "admin";

/// How the role runs.
pub(crate) struct Options {
    /// Where users and sessions are kept.
    pub(crate) storage_path: PathBuf,
    /// Where dashboards come from.
    pub(crate) sources: Sources,
    /// Where data comes from.
    pub(crate) upstream: Upstream,
    /// Whether everybody may view.
    pub(crate) anonymous: bool,
    /// The clock.
    pub(crate) clock: Clock,
}

/// `vigie dashboards`
pub(crate) fn main(flags: &Parsed) -> Result<(), Failure> {
    let listen = flags.get("web.listen-address").to_owned();
    let anonymous = flags.is_on("auth.anonymous");
    if anonymous && !is_loopback(&listen) {
        return Err(Failure::new(format!(
            "--auth.anonymous lets everybody in and is only for a loopback address; {listen} is none"
        )));
    }
    let provisioning = PathBuf::from(flags.get("provisioning.path"));
    let plain = provisioning.parent().map(|p| p.join("dashboards"));
    let url = flags.get("prometheus.url").trim_end_matches('/').to_owned();
    let web_config = flags.get("web.config.file").to_owned();
    let starters = flags.is_on("starters");
    super::runtime()?.block_on(async move {
        let client = httpclient::Client::new(
            &config::HttpClientConfig::default(),
            httpclient::ClientOptions::default(),
        )
        .map_err(|e| Failure::new(e.to_string()))?;
        let options = Options {
            storage_path: PathBuf::from(flags.get("storage.path")),
            sources: Sources { provisioning: Some(provisioning), plain, starters },
            upstream: Upstream::Remote { client: Arc::new(client), url },
            anonymous,
            clock: super::system_clock(),
        };
        let shutdown = Shutdown::default();
        let router = start(options, &shutdown)?.0;
        crate::signals::listen(shutdown.clone(), Vec::new())
            .map_err(|e| Failure::new(format!("install signal handlers: {e}")))?;
        let server = ServerOptions {
            web_config: (!web_config.is_empty()).then(|| PathBuf::from(web_config)),
            ..ServerOptions::default()
        };
        super::serve_all(&[listen], router, &server, &shutdown).await
    })
}

/// Opens the role and looks for changed dashboards until `shutdown`.
pub(crate) fn start(options: Options, shutdown: &Shutdown) -> Result<(Router, Arc<Service>), Failure> {
    // Another first password may be given, as Grafana's GF_SECURITY_ADMIN_PASSWORD; it is not asked to be changed.
    let given =
        ["VIGIE_ADMIN_PASSWORD", "GF_SECURITY_ADMIN_PASSWORD"].iter().find_map(|v| std::env::var(v).ok());
    let service = Service::open(dashboards::Options {
        storage_path: options.storage_path,
        sources: options.sources,
        upstream: options.upstream,
        must_change_password: given.is_none(),
        admin_password: given.unwrap_or_else(|| FIRST_PASSWORD.to_owned()),
        anonymous: options.anonymous,
        clock: options.clock,
    })
    .map_err(|e| Failure::new(e.to_string()))?;
    let service = Arc::new(service);
    let (scanned, shutdown) = (Arc::clone(&service), shutdown.clone());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(RESCAN_INTERVAL);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = shutdown.wait() => return,
            }
            let service = Arc::clone(&scanned);
            if let Err(e) = tokio::task::spawn_blocking(move || service.rescan()).await {
                tracing::error!(err = %e, "Looking for dashboards ended abnormally");
            }
        }
    });
    Ok((dashboards::router(Arc::clone(&service)), service))
}

/// Whether only this machine can reach an address.
pub(crate) fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(h, _)| h);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_loopback() {
        for (address, expect) in [
            ("127.0.0.1:3000", true),
            ("localhost:1", true),
            ("[::1]:3000", true),
            (":3000", false),
            ("0.0.0.0:3000", false),
            ("192.168.1.1:3000", false),
        ] {
            assert_eq!(is_loopback(address), expect, "{address}");
        }
    }
}
