//! HTML of the three listing sites to listings.
//!
//! Each site has its own mark-up (cards, a table, a description list) and its own way to page. Pages
//! come damaged now and then: what can be read is kept, each unreadable item is named, and a page
//! without any readable item is the caller's to treat as failed.

use std::sync::LazyLock;

use scraper::{ElementRef, Html, Selector};

use crate::listing::Listing;

/// Which mark-up a page is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `<article class="card">`, next page by `<a rel="next">`.
    Cards,
    /// `<tr data-ref>`, next page by the link after the current one.
    Table,
    /// `<dl class="offer">`, next page by a `data-next` offset.
    Definitions,
}

/// What one page yielded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub listings: Vec<Listing>,
    /// One reason for each item that could not be read.
    pub rejected: Vec<String>,
    /// Path and query of the following page on the same site.
    pub next: Option<String>,
}

struct Selectors {
    item: Selector,
    title: Selector,
    city: Selector,
    price: Selector,
    surface: Selector,
    rooms: Selector,
    next: Selector,
}

fn selector(css: &str) -> Selector {
    Selector::parse(css).expect("the selectors below are constants, each used by a test")
}

static CARDS: LazyLock<Selectors> = LazyLock::new(|| Selectors {
    item: selector("article.card[data-id]"),
    title: selector("h2"),
    city: selector(".city"),
    price: selector(".price"),
    surface: selector(".surface"),
    rooms: selector(".rooms"),
    next: selector("nav a[rel=next][href]"),
});

static TABLE: LazyLock<Selectors> = LazyLock::new(|| Selectors {
    item: selector("table.offers tr[data-id]"),
    title: selector("td.name"),
    city: selector("td.town"),
    price: selector("td.amount"),
    surface: selector("td.size"),
    rooms: selector("td.rooms"),
    next: selector("ul.pages li.current + li a[href]"),
});

static DEFINITIONS: LazyLock<Selectors> = LazyLock::new(|| Selectors {
    item: selector("dl.offer[data-id]"),
    title: selector("dt"),
    city: selector("dd[itemprop=addressLocality]"),
    price: selector("dd[itemprop=price]"),
    surface: selector("dd[itemprop=floorSize]"),
    rooms: selector("dd[itemprop=numberOfRooms]"),
    next: selector("main[data-next]"),
});

/// Reads one page of `source`. Never fails: damage shows in [`Page::rejected`].
pub(crate) fn parse_page(source: &str, layout: Layout, html: &str) -> Page {
    let document = Html::parse_document(html);
    let selectors = match layout {
        Layout::Cards => &*CARDS,
        Layout::Table => &*TABLE,
        Layout::Definitions => &*DEFINITIONS,
    };
    let mut page = Page::default();
    for item in document.select(&selectors.item) {
        match parse_item(source, selectors, item) {
            Ok(listing) => page.listings.push(listing),
            Err(reason) => page.rejected.push(reason),
        }
    }
    page.next = document.select(&selectors.next).next().and_then(|element| {
        let element = element.value();
        match layout {
            Layout::Cards | Layout::Table => element.attr("href").map(str::to_owned),
            Layout::Definitions => element.attr("data-next").map(|offset| format!("?offset={offset}")),
        }
    });
    page
}

fn parse_item(source: &str, selectors: &Selectors, item: ElementRef<'_>) -> Result<Listing, String> {
    let id = item.value().attr("data-id").unwrap_or_default().trim();
    if id.is_empty() {
        return Err("an item without reference".to_owned());
    }
    let text = |what: &str, selector: &Selector| {
        let text = item
            .select(selector)
            .next()
            .map(|element| element.text().flat_map(str::split_whitespace).collect::<Vec<_>>().join(" "));
        text.filter(|text| !text.is_empty()).ok_or_else(|| format!("{id}: no {what}"))
    };
    let number = |what: &str, selector: &Selector| {
        let text = text(what, selector)?;
        parse_amount(&text).ok_or_else(|| format!("{id}: {what} `{text}` is not a number"))
    };
    Ok(Listing {
        id: format!("{source}-{id}"),
        source: source.to_owned(),
        title: text("title", &selectors.title)?,
        city: text("city", &selectors.city)?,
        price: number("price", &selectors.price)?,
        surface: number("surface", &selectors.surface)?,
        rooms: number("rooms", &selectors.rooms)?,
    })
}

/// The leading amount of a text such as `1 250 000 €`, `€1,250,000.00`, `1.250.000 EUR` or `85,5 m²`;
/// cents and decimals are dropped. `None` where there is none, or one past 10¹² (damage, not a price).
pub(crate) fn parse_amount(text: &str) -> Option<i64> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    if text[..start].contains('-') {
        return None;
    }
    let mut value: i64 = 0;
    let mut rest = text[start..].chars().peekable();
    loop {
        while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
            value = value * 10 + i64::from(digit);
            if value > 1_000_000_000_000 {
                return None;
            }
            rest.next();
        }
        // A separator goes on with the number only where exactly three digits follow it.
        let separator = matches!(rest.peek(), Some(' ' | '\u{a0}' | '\u{202f}' | ',' | '.' | '\''));
        let digits = rest.clone().skip(1).take_while(char::is_ascii_digit).count();
        if !separator || digits != 3 {
            return Some(value);
        }
        rest.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = r#"<article class="card" data-id="A1"><h2>Loft <b>clair</b></h2><p class="city">Lyon</p>
        <p class="price">1&nbsp;250&nbsp;000 €</p><p class="surface">85,5 m²</p><p class="rooms">3 pièces</p></article>"#;

    fn listing(id: &str) -> Listing {
        Listing {
            id: format!("test-{id}"),
            source: "test".into(),
            title: "Loft clair".into(),
            city: "Lyon".into(),
            price: 1_250_000,
            surface: 85,
            rooms: 3,
        }
    }

    #[test]
    fn amounts() {
        for (text, expect) in [
            ("1 250 000 €", Some(1_250_000)),
            ("1\u{202f}250\u{202f}000\u{a0}€", Some(1_250_000)),
            ("€1,250,000.00", Some(1_250_000)),
            ("1.250.000 EUR", Some(1_250_000)),
            ("85,5 m²", Some(85)),
            ("3 pièces", Some(3)),
            ("12 34", Some(12)),
            ("prix : 990", Some(990)),
            ("sur demande", None),
            ("-5 €", None),
            ("", None),
            ("99999999999999999999999999", None),
        ] {
            assert_eq!(parse_amount(text), expect, "{text:?}");
        }
    }

    #[test]
    fn a_card() {
        let page = parse_page("test", Layout::Cards, CARD);
        assert_eq!(page, Page { listings: vec![listing("A1")], ..Page::default() });
    }

    #[test]
    fn a_table_row_and_a_definition_list() {
        let row = r#"<table class="offers"><tr><th>x</th></tr><tr data-id="A1"><td class=name>Loft clair<td class=town>Lyon
            <td class=amount>1.250.000 EUR<td class=size>85 m2<td class=rooms>3</table>"#;
        assert_eq!(parse_page("test", Layout::Table, row).listings, [listing("A1")]);
        let list = r#"<dl class="offer" data-id="A1"><dt>Loft clair<dd itemprop="addressLocality">Lyon
            <dd itemprop="price">€1,250,000<dd itemprop="floorSize">85 sqm<dd itemprop="numberOfRooms">3</dl>"#;
        assert_eq!(parse_page("test", Layout::Definitions, list).listings, [listing("A1")]);
    }

    #[test]
    fn pagination() {
        for (layout, html, expect) in [
            (
                Layout::Cards,
                r#"<nav><a rel="prev" href="?page=1">«</a><a rel="next" href="?page=3">»</a></nav>"#,
                Some("?page=3"),
            ),
            (Layout::Cards, r#"<nav><a rel="prev" href="?page=1">«</a></nav>"#, None),
            (Layout::Cards, r#"<nav><a rel="next">»</a></nav>"#, None),
            (
                Layout::Table,
                r#"<ul class="pages"><li><a href="/1">1</a><li class="current">2<li><a href="/3">3</a><li><a href="/4">4</a></ul>"#,
                Some("/3"),
            ),
            (Layout::Table, r#"<ul class="pages"><li><a href="/1">1</a><li class="current">2</ul>"#, None),
            (Layout::Definitions, r#"<main data-next="40"></main>"#, Some("?offset=40")),
            (Layout::Definitions, "<main></main>", None),
        ] {
            assert_eq!(parse_page("test", layout, html).next.as_deref(), expect, "{html}");
        }
    }

    #[test]
    fn broken_markup_costs_only_what_it_breaks() {
        let unclosed = CARD.replace("</p>", "").replace("</article>", "</artic").replace("A1", "A2");
        let cut = &CARD.replace("A1", "A3")[..100];
        let unpriced = CARD.replace("1&nbsp;250&nbsp;000 €", "nous consulter").replace("A1", "A4");
        let nameless = CARD.replace("A1", "  ");
        let html = format!("<html><body>{CARD}{unpriced}{nameless}{cut}");
        let page = parse_page("test", Layout::Cards, &html);
        assert_eq!(page.listings, [listing("A1")]);
        assert_eq!(
            page.rejected,
            ["A4: price `nous consulter` is not a number", "an item without reference", "A3: no price"]
        );
        // Unclosed paragraphs are mended by the HTML5 tree builder.
        assert_eq!(parse_page("test", Layout::Cards, &unclosed).listings.len(), 1);
    }

    #[test]
    fn rubbish_is_an_empty_page() {
        for html in ["", "\0\0\0", "<<<<>>>>", "<html><body><h1>503", "{\"json\": true}"] {
            for layout in [Layout::Cards, Layout::Table, Layout::Definitions] {
                assert_eq!(parse_page("test", layout, html), Page::default(), "{html:?}");
            }
        }
    }
}
