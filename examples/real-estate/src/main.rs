//! The Real Estate Scraper: the reference application that Vigie watches.
//!
//! It reads three listing sites on a schedule, keeps what it finds, answers searches, and exposes
//! `/metrics`. The sites, their faults and the visitors are its own, so that it runs anywhere:
//! see `options.rs` for the flags. `real-estate sink` is the mail and Slack end of the demonstration.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::info;
use tracing_subscriber::EnvFilter;

use crate::cache::{Cache, LocalCache, RedisCache};
use crate::metrics::Metrics;
use crate::options::{Command, Options};
use crate::rng::Rng;
use crate::scraping::Scraper;
use crate::store::Store;

mod api;
mod cache;
mod faults;
mod listing;
mod metrics;
mod options;
mod parse;
mod process;
mod rng;
mod scraping;
mod sink;
mod sites;
mod store;
mod traffic;

/// Searches kept by the in-process cache.
const CACHED_SEARCHES: usize = 512;

fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_env("LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr).init();
    let command = options::parse(std::env::args().skip(1), |name| std::env::var(name).ok())
        .context("see `real-estate --help`")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match command {
        Command::Help => {
            use std::io::Write as _;
            Ok(std::io::stdout().write_all(options::USAGE.as_bytes())?)
        }
        Command::Serve(options) => runtime.block_on(serve(options)),
        Command::Sink { smtp, slack } => runtime.block_on(async {
            let stop = stop_on_signal()?;
            sink::run(smtp, slack, stop).await
        }),
    }
}

/// Turns true at SIGTERM or SIGINT.
fn stop_on_signal() -> anyhow::Result<watch::Receiver<bool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("stopping");
        sender.send_replace(true);
    });
    Ok(receiver)
}

async fn bind(address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

async fn serve(options: Options) -> anyhow::Result<()> {
    // Only plain HTTP is spoken, but the client's constructor asks for a TLS provider all the same.
    drop(rustls::crypto::ring::default_provider().install_default());
    let stop = stop_on_signal()?;
    let names: Vec<&str> = sites::SITES.iter().map(|(name, _)| *name).collect();
    let metrics = Metrics::new(&names);
    let switch = faults::Switch::new(options.broken);
    let store = Arc::new(Store::new(options.database.clone(), metrics.clone()));
    store.prepare().await?;
    let cache = match &options.redis_url {
        Some(url) => Cache::Redis(RedisCache::new(url, options.cache_ttl)?),
        None => Cache::Local(LocalCache::new(options.cache_ttl, CACHED_SEARCHES)),
    };
    let (api_listener, api_address) = bind(options.listen).await?;
    let (sites_listener, sites_address) = bind(options.sites_listen).await?;
    info!(api = %format!("http://{api_address}"), sites = %format!("http://{sites_address}"), "listening");

    let api = Arc::new(api::Api {
        store: Arc::clone(&store),
        cache,
        metrics: metrics.clone(),
        switch: switch.clone(),
        lookup: options.lookup,
        rng: Mutex::new(Rng::derive(options.seed, "api")),
    });
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve_until(api_listener, api::router(api), stop.clone()));
    tasks.spawn(serve_until(sites_listener, sites::router(options.seed, switch), stop.clone()));
    if options.traffic > 0.0 {
        let base = format!("http://{api_address}");
        let rng = Rng::derive(options.seed, "traffic");
        let visitors = traffic::run(base, client.clone(), options.traffic, rng, stop.clone());
        tasks.spawn(async move {
            visitors.await;
            Ok(())
        });
    }
    tasks.spawn(async move {
        let base = format!("http://{sites_address}");
        let scraper = Scraper { base, client, store: &store, metrics, interval: options.scrape_interval };
        scraper.run(stop).await;
        Ok(())
    });
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Serves until told to stop, then finishes what is being answered.
async fn serve_until(
    listener: TcpListener,
    router: axum::Router,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let stopped = async move {
        // An error means that the sender is gone: stop as well.
        drop(stop.wait_for(|stop| *stop).await);
    };
    Ok(axum::serve(listener, router).with_graceful_shutdown(stopped).await?)
}
