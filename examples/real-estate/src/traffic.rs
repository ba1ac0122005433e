//! Visitors: searches, detail pages and health checks at a given rate, swelling and ebbing slowly.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::debug;

use crate::rng::Rng;

const CITIES: [&str; 6] = ["Paris", "Lyon", "Bordeaux", "Nantes", "Lille", "Rennes"];
/// Requests in flight at most; past them the generator waits, as an impatient visitor would not.
const MAX_IN_FLIGHT: usize = 64;
/// One swell of the rate.
const PERIOD_SECONDS: f64 = 180.0;

/// What a visitor asks for next.
fn draw_path(rng: &mut Rng) -> String {
    match rng.unit() {
        roll if roll < 0.62 => {
            // A few popular searches, so that the cache earns its keep.
            let city = *rng.pick(&CITIES);
            let max_price = rng.between(2, 7) * 100_000;
            format!("/api/listings?city={city}&max_price={max_price}")
        }
        roll if roll < 0.72 => {
            format!(
                "/api/listings?max_price={}&min_rooms={}",
                rng.between(90_000, 900_000),
                rng.between(1, 6)
            )
        }
        roll if roll < 0.90 => format!("/api/listings/immoclair-{:05}", rng.between(0, 90)),
        roll if roll < 0.97 => "/health".to_owned(),
        _ => format!("/old-page-{}", rng.between(0, 50)),
    }
}

/// Sends about `rate` requests per second to `base` until told to stop.
pub(crate) async fn run(
    base: String,
    client: reqwest::Client,
    rate: f64,
    mut rng: Rng,
    mut stop: watch::Receiver<bool>,
) {
    let started = Instant::now();
    let mut in_flight = JoinSet::new();
    loop {
        let phase = started.elapsed().as_secs_f64() / PERIOD_SECONDS * std::f64::consts::TAU;
        let now_per_second = rate * (1.0 + 0.5 * phase.sin());
        let pause = Duration::from_secs_f64(rng.exponential(1.0 / now_per_second).min(10.0));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        while in_flight.len() >= MAX_IN_FLIGHT {
            in_flight.join_next().await;
        }
        while in_flight.try_join_next().is_some() {}
        let url = format!("{base}{}", draw_path(&mut rng));
        let client = client.clone();
        in_flight.spawn(async move {
            let sent = client.get(&url).timeout(Duration::from_secs(5)).send().await;
            if let Err(error) = async { sent?.bytes().await }.await {
                debug!(%url, %error, "visitor turned away");
            }
        });
    }
}
