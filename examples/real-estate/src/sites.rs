//! The three listing sites that are scraped, served by the application itself.
//!
//! They behave as such sites do: pages in three mark-ups, stock that changes, now and then a slow
//! answer, a 500 or a page cut in two. The break switch makes the bad days the rule.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::faults::Switch;
use crate::parse::Layout;
use crate::rng::Rng;

/// Name and mark-up of each site.
pub(crate) const SITES: [(&str, Layout); 3] =
    [("immoclair", Layout::Cards), ("logis-central", Layout::Table), ("habitat-nord", Layout::Definitions)];

const CITIES: [(&str, u64); 8] = [
    ("Paris", 10_400),
    ("Lyon", 4_900),
    ("Bordeaux", 4_500),
    ("Nantes", 3_700),
    ("Lille", 3_500),
    ("Rennes", 3_900),
    ("Toulouse", 3_600),
    ("Saint-Étienne", 1_300),
];
const KINDS: [&str; 5] = ["Appartement", "Studio", "Maison", "Loft", "Duplex"];
const TRAITS: [&str; 6] =
    ["lumineux", "avec balcon", "à rénover", "proche gare", "avec jardin & garage", "vue dégagée"];

const PER_PAGE: u64 = 15;
/// Pages a site has at most; a crawler may stop there.
pub(crate) const MAX_PAGES: u64 = 5;

struct Sites {
    seed: u64,
    switch: Switch,
    state: Mutex<Live>,
}

struct Live {
    faults: Rng,
    /// First pages served per site: each makes the stock move on a little.
    revisions: [u64; SITES.len()],
}

/// What befalls one request.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Fine,
    Slow(Duration),
    Refused,
    Mangled,
}

fn draw_fate(rng: &mut Rng, broken: bool) -> Fate {
    let (refused, mangled, slow) = if broken { (0.55, 0.75, 0.85) } else { (0.02, 0.05, 0.09) };
    match rng.unit() {
        roll if roll < refused => Fate::Refused,
        roll if roll < mangled => Fate::Mangled,
        roll if roll < slow => Fate::Slow(Duration::from_millis(rng.between(200, 1200))),
        _ => Fate::Fine,
    }
}

/// The sites under `/SITE`.
pub(crate) fn router(seed: u64, switch: Switch) -> Router {
    let live = Live { faults: Rng::derive(seed, "site faults"), revisions: [0; SITES.len()] };
    let sites = Arc::new(Sites { seed, switch, state: Mutex::new(live) });
    Router::new().route("/{site}", get(page)).with_state(sites)
}

#[derive(Deserialize)]
struct Paging {
    page: Option<u64>,
    offset: Option<u64>,
}

async fn page(
    State(sites): State<Arc<Sites>>,
    Path(site): Path<String>,
    Query(paging): Query<Paging>,
) -> Response {
    let Some(index) = SITES.iter().position(|(name, _)| *name == site) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let number = paging.offset.map(|offset| offset / PER_PAGE + 1).or(paging.page).unwrap_or(1);
    let (fate, revision, cut) = {
        let mut state = sites.state.lock();
        if number == 1 {
            state.revisions[index] += 1;
        }
        (draw_fate(&mut state.faults, sites.switch.is_on()), state.revisions[index], state.faults.unit())
    };
    let html = render(sites.seed, index, revision, number);
    match fate {
        Fate::Fine => Html(html).into_response(),
        Fate::Slow(pause) => {
            tokio::time::sleep(pause).await;
            Html(html).into_response()
        }
        Fate::Refused => (StatusCode::INTERNAL_SERVER_ERROR, "<html><body><h1>500</h1>").into_response(),
        Fate::Mangled => Html(mangle(&html, cut)).into_response(),
    }
}

/// Cuts the page somewhere in its second half or loses its class names, so that nothing is found.
fn mangle(html: &str, cut: f64) -> String {
    if cut < 0.5 {
        return html.replace("data-id", "data-lost").replace("</", "<");
    }
    let wanted = (html.len() as f64 * cut) as usize;
    let end = (0..=wanted.min(html.len())).rev().find(|i| html.is_char_boundary(*i)).unwrap_or(0);
    html[..end].to_owned()
}

struct Offer {
    id: String,
    title: String,
    city: &'static str,
    price: u64,
    surface: u64,
    rooms: u64,
}

/// The offer with this number: a function of the seed, so that it reads the same on every page view.
fn offer(seed: u64, site: usize, number: u64) -> Offer {
    let mut rng = Rng::derive(seed.wrapping_add(number), SITES[site].0);
    let (city, price_per_metre) = *rng.pick(&CITIES);
    let surface = rng.between(18, 160);
    let price = surface * price_per_metre * rng.between(75, 140) / 100;
    Offer {
        id: format!("{number:05}"),
        title: format!("{} {}", rng.pick(&KINDS), rng.pick(&TRAITS)),
        city,
        price: price / 500 * 500,
        surface,
        rooms: 1 + surface / 25,
    }
}

fn thousands(value: u64, separator: &str) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push_str(separator);
        }
        text.push(digit);
    }
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// One page of a site; past the last page an empty one.
fn render(seed: u64, site: usize, revision: u64, number: u64) -> String {
    let (name, layout) = SITES[site];
    let pages = 3 + Rng::derive(seed, name).between(0, MAX_PAGES - 2);
    // Two offers leave and two come at each revision.
    let first = 2 * revision + (number - 1).min(MAX_PAGES) * PER_PAGE;
    let offers = (number >= 1 && number <= pages).then_some(first..first + PER_PAGE).into_iter().flatten();
    let mut items = String::new();
    for offer in offers.map(|n| offer(seed, site, n)) {
        let Offer { id, city, price, surface, rooms, .. } = &offer;
        let title = escape(&offer.title);
        let written = match layout {
            Layout::Cards => {
                let price = thousands(*price, "&nbsp;");
                writeln!(
                    items,
                    "<article class=\"card\" data-id=\"{id}\"><h2>{title}</h2><p class=\"city\">{city}</p>\
                     <p class=\"price\">{price} €</p><p class=\"surface\">{surface} m²</p>\
                     <p class=\"rooms\">{rooms} pièces</p></article>"
                )
            }
            Layout::Table => {
                let price = thousands(*price, ".");
                writeln!(
                    items,
                    "<tr data-id=\"{id}\"><td class=name>{title}<td class=town>{city}\
                     <td class=amount>{price} EUR<td class=size>{surface} m2<td class=rooms>{rooms}"
                )
            }
            Layout::Definitions => {
                let price = thousands(*price, ",");
                writeln!(
                    items,
                    "<dl class=\"offer\" data-id=\"{id}\"><dt>{title}\
                     <dd itemprop=\"addressLocality\">{city}<dd itemprop=\"price\">€{price}\
                     <dd itemprop=\"floorSize\">{surface} sqm<dd itemprop=\"numberOfRooms\">{rooms}</dl>"
                )
            }
        };
        written.expect("a String takes all that is written to it");
    }
    let following = (number < pages).then_some(number + 1);
    let head = format!(
        "<!doctype html>\n<html lang=\"fr\"><head><meta charset=\"utf-8\"><title>{name}</title></head>"
    );
    match layout {
        Layout::Cards => {
            let next =
                following.map_or_else(String::new, |n| format!("<a rel=\"next\" href=\"?page={n}\">»</a>"));
            format!("{head}<body><main>{items}</main><nav>{next}</nav></body></html>")
        }
        Layout::Table => {
            let next =
                following.map_or_else(String::new, |n| format!("<li><a href=\"/{name}?page={n}\">{n}</a>"));
            format!(
                "{head}<body><table class=\"offers\"><tr><th>Bien<th>Ville<th>Prix<th>Surface<th>Pièces\n{items}</table>\
                 <ul class=\"pages\"><li class=\"current\">{number}{next}</ul></body></html>"
            )
        }
        Layout::Definitions => {
            let next =
                following.map_or_else(String::new, |n| format!(" data-next=\"{}\"", (n - 1) * PER_PAGE));
            format!("{head}<body><main{next}>{items}</main></body></html>")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse_page;

    #[test]
    fn every_page_reads_back() {
        for (site, (name, layout)) in SITES.into_iter().enumerate() {
            let (mut number, mut seen) = (1, 0);
            loop {
                let page = parse_page(name, layout, &render(42, site, 3, number));
                assert_eq!(page.rejected, Vec::<String>::new(), "{name} page {number}");
                assert_eq!(page.listings.len() as u64, PER_PAGE, "{name} page {number}");
                for (n, listing) in (6 + seen..).zip(&page.listings) {
                    let offer = offer(42, site, n);
                    assert_eq!(listing.id, format!("{name}-{}", offer.id));
                    assert_eq!(listing.title, offer.title);
                    assert_eq!(listing.city, offer.city);
                    assert_eq!(
                        (listing.price, listing.surface, listing.rooms),
                        (offer.price as i64, offer.surface as i64, offer.rooms as i64)
                    );
                }
                seen += PER_PAGE;
                if page.next.is_none() {
                    break;
                }
                number += 1;
            }
            assert!((3..=MAX_PAGES).contains(&number), "{name} has {number} pages");
            assert!(parse_page(name, layout, &render(42, site, 3, number + 1)).listings.is_empty());
        }
    }

    #[test]
    fn mangled_pages_never_panic_and_lose_something() {
        let html = render(1, 0, 0, 1);
        let whole = parse_page("immoclair", Layout::Cards, &html).listings.len();
        for step in 0..100 {
            let page = parse_page("immoclair", Layout::Cards, &mangle(&html, f64::from(step) / 100.0));
            assert!(page.listings.len() <= whole);
        }
        assert!(parse_page("immoclair", Layout::Cards, &mangle(&html, 0.1)).listings.is_empty());
    }

    #[test]
    fn breaking_makes_failure_the_rule() {
        let bad = |broken| {
            let mut rng = Rng::new(5);
            let fates = (0..1000).map(|_| draw_fate(&mut rng, broken));
            fates.filter(|fate| matches!(fate, Fate::Refused | Fate::Mangled)).count()
        };
        assert!(bad(false) < 100, "{}", bad(false));
        assert!(bad(true) > 650, "{}", bad(true));
    }
}
