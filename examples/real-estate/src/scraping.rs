//! Reads the sites on a schedule: fetch, parse, follow the pages, store.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, info, warn};

use crate::listing::Listing;
use crate::metrics::Metrics;
use crate::parse::{Page, parse_page};
use crate::sites::{MAX_PAGES, SITES};
use crate::store::Store;

const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_PAGE_BYTES: usize = 4 << 20;
/// A page is given up, and counted as an error, after this many tries.
const TRIES: u32 = 3;

pub(crate) struct Scraper<'a> {
    /// `http://HOST:PORT` of the sites.
    pub base: String,
    pub client: reqwest::Client,
    pub store: &'a Store,
    pub metrics: Metrics,
    /// Between two rounds; also bounds the pause before a retry.
    pub interval: Duration,
}

impl Scraper<'_> {
    /// One round over all sites at each interval, until told to stop. A round that overruns delays the
    /// next, it never doubles it.
    pub(crate) async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            tokio::select! {
                () = self.round() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn round(&self) {
        for (site, _) in SITES {
            let started = Instant::now();
            let listings = self.read_site(site).await;
            self.metrics.site_done(started.elapsed());
            self.metrics.scraped(site, listings.len() as u64);
            info!(
                site,
                listings = listings.len(),
                took_ms = started.elapsed().as_millis() as u64,
                "site read"
            );
            if listings.is_empty() {
                continue;
            }
            if let Err(error) = self.store.upsert(listings).await {
                self.metrics.error();
                warn!(site, error = %format!("{error:#}"), "cannot store listings");
            }
        }
    }

    /// All that could be read: a page that fails ends the site's round.
    async fn read_site(&self, site: &str) -> Vec<Listing> {
        let mut listings = Vec::new();
        let mut path = format!("/{site}");
        for _ in 0..MAX_PAGES {
            let Some(page) = self.read_page(site, &path).await else { break };
            listings.extend(page.listings);
            match page.next {
                Some(next) if next.starts_with('?') => path = format!("/{site}{next}"),
                Some(next) if next.starts_with('/') => path = next,
                _ => break,
            }
        }
        listings
    }

    async fn read_page(&self, site: &str, path: &str) -> Option<Page> {
        for attempt in 1..=TRIES {
            match self.try_page(site, path).await {
                Ok(page) => return Some(page),
                Err(error) if attempt < TRIES => debug!(site, path, attempt, "{error:#}"),
                Err(error) => warn!(site, path, error = %format!("{error:#}"), "page given up"),
            }
            if attempt < TRIES {
                tokio::time::sleep(Duration::from_millis(50).min(self.interval / 10)).await;
            }
        }
        self.metrics.error();
        None
    }

    async fn try_page(&self, site: &str, path: &str) -> anyhow::Result<Page> {
        let layout = SITES.iter().find(|(name, _)| *name == site).map(|(_, layout)| *layout);
        let layout = layout.context("unknown site")?;
        let url = format!("{}{path}", self.base);
        let response = self.client.get(&url).timeout(FETCH_TIMEOUT).send().await?.error_for_status()?;
        let body = read_bounded(response).await?;
        let page = parse_page(site, layout, &String::from_utf8_lossy(&body));
        for reason in &page.rejected {
            debug!(site, path, reason, "item not read");
        }
        ensure!(!page.listings.is_empty(), "no listing found on the page");
        Ok(page)
    }
}

async fn read_bounded(mut response: reqwest::Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        ensure!(body.len() + chunk.len() <= MAX_PAGE_BYTES, "the page is larger than {MAX_PAGE_BYTES} bytes");
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
