//! Reading single keys with upstream's rules and texts.

use std::collections::BTreeMap;

use ::config::yaml::{Context, Decode as _, Node, SectionMap};
use ::config::{HttpClientConfig, Secret};

/// A key's text, empty where it is absent.
pub(super) fn text(map: &mut SectionMap<'_>, key: &str, cx: &mut Context<'_>) -> String {
    map.take(key).and_then(|n| String::decode(n, cx)).unwrap_or_default()
}

/// As [`text`], with a default for an absent key.
pub(super) fn text_or(map: &mut SectionMap<'_>, key: &str, default: &str, cx: &mut Context<'_>) -> String {
    map.take(key).and_then(|n| String::decode(n, cx)).unwrap_or_else(|| default.to_owned())
}

pub(super) fn secret(map: &mut SectionMap<'_>, key: &str, cx: &mut Context<'_>) -> Secret {
    Secret(text(map, key, cx))
}

pub(super) fn flag(map: &mut SectionMap<'_>, key: &str, cx: &mut Context<'_>) -> Option<bool> {
    map.take(key).and_then(|n| bool::decode(n, cx))
}

pub(super) fn strings(map: &mut SectionMap<'_>, key: &str, cx: &mut Context<'_>) -> Vec<String> {
    list(map, key, cx, String::decode)
}

/// The items of a list, read one by one; a null item is given to `read` as it is.
pub(super) fn list<T>(
    map: &mut SectionMap<'_>,
    key: &str,
    cx: &mut Context<'_>,
    mut read: impl FnMut(&Node, &mut Context<'_>) -> Option<T>,
) -> Vec<T> {
    let Some(node) = map.take(key) else { return Vec::new() };
    match node.as_seq() {
        Some(items) => items.iter().filter_map(|n| read(n, cx)).collect(),
        None => {
            cx.wrong_kind(node, "a list");
            Vec::new()
        }
    }
}

pub(super) fn string_map(
    map: &mut SectionMap<'_>,
    key: &str,
    cx: &mut Context<'_>,
) -> Vec<(String, String, ::config::yaml::Place)> {
    let Some(node) = map.take(key) else { return Vec::new() };
    let Some(entries) = node.as_map() else {
        cx.wrong_kind(node, "map[string]string");
        return Vec::new();
    };
    entries
        .iter()
        .filter_map(|(k, v)| Some((k.as_str()?.to_owned(), String::decode(v, cx)?, k.place)))
        .collect()
}

pub(super) fn pairs(entries: Vec<(String, String, ::config::yaml::Place)>) -> BTreeMap<String, String> {
    entries.into_iter().map(|(k, v, _)| (k, v)).collect()
}

/// An absolute http(s) URL.
pub(super) fn url(map: &mut SectionMap<'_>, key: &str, cx: &mut Context<'_>) -> Option<String> {
    let node = map.take(key)?;
    let text = String::decode(node, cx)?;
    match check_url(&text) {
        Ok(()) => Some(text),
        Err(e) => {
            cx.error(node.place, e);
            None
        }
    }
}

/// Upstream's demands on a URL.
pub(crate) fn check_url(text: &str) -> Result<(), String> {
    if text == "<secret>" {
        return Ok(());
    }
    match url::Url::parse(text) {
        Ok(u) if !matches!(u.scheme(), "http" | "https") => {
            Err(format!("unsupported scheme {:?} for URL", u.scheme()))
        }
        Ok(u) if u.host().is_none() => Err("missing host for URL".to_owned()),
        Ok(_) => Ok(()),
        Err(url::ParseError::RelativeUrlWithoutBase) => Err("unsupported scheme \"\" for URL".to_owned()),
        Err(url::ParseError::EmptyHost) => Err("missing host for URL".to_owned()),
        Err(e) => Err(format!("parse {}: {e}", model::float::go_quote(text))),
    }
}

/// Go's `time.Duration`: `1h30m`, `1.5s`, `100ms`, `0`.
pub(super) fn go_duration(map: &mut SectionMap<'_>, key: &str, cx: &mut Context<'_>) -> std::time::Duration {
    let Some(node) = map.take(key) else { return std::time::Duration::ZERO };
    let Some(text) = String::decode(node, cx) else { return std::time::Duration::ZERO };
    parse_go_duration(&text).unwrap_or_else(|| {
        cx.error(node.place, format!("time: invalid duration {}", model::float::go_quote(&text)));
        std::time::Duration::ZERO
    })
}

fn parse_go_duration(text: &str) -> Option<std::time::Duration> {
    if text == "0" {
        return Some(std::time::Duration::ZERO);
    }
    let (mut rest, mut seconds) = (text.strip_prefix('+').unwrap_or(text), 0.0_f64);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_len = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let scale = match &rest[..unit_len] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number * scale;
        rest = &rest[unit_len..];
    }
    std::time::Duration::try_from_secs_f64(seconds).ok()
}

/// A Prometheus duration, in milliseconds.
pub(super) fn duration_ms(map: &mut SectionMap<'_>, key: &str, cx: &mut Context<'_>) -> Option<i64> {
    let node = map.take(key)?;
    let duration = std::time::Duration::decode(node, cx)?;
    i64::try_from(duration.as_millis()).ok()
}

/// An `http_config` block of its own.
pub(super) fn http_config(map: &mut SectionMap<'_>, cx: &mut Context<'_>) -> Option<HttpClientConfig> {
    let node = map.take("http_config")?;
    let mut inner = SectionMap::open(node, "config.HTTPClientConfig", cx)?;
    let mut http = HttpClientConfig::default();
    ::config::yaml::Section::read(&mut http, &mut inner, cx);
    inner.finish(&HttpClientConfig::key_names(), cx);
    http.check(&inner, cx);
    Some(http)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_durations_and_urls() {
        for (text, ms) in [("10s", 10_000), ("1m30s", 90_000), ("1.5h", 5_400_000), ("0", 0), ("100ms", 100)]
        {
            assert_eq!(parse_go_duration(text).map(|d| d.as_millis()), Some(ms), "{text}");
        }
        assert_eq!(parse_go_duration("10"), None);
        assert_eq!(parse_go_duration("1d"), None);
        assert!(check_url("http://a/b").is_ok());
        assert_eq!(check_url("ftp://a").unwrap_err(), "unsupported scheme \"ftp\" for URL");
        assert!(check_url("foo").is_err());
    }
}
