//! Which proxy a request takes, by Go's rules.

use std::net::IpAddr;

use base64::Engine as _;
use config::ProxyConfig;
use url::Url;

use crate::{Error, ErrorKind};

/// A proxy to go through.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `Proxy-Authorization`, from name and password in the proxy's URL.
    pub(crate) authorization: Option<String>,
    /// Headers of `CONNECT` requests.
    pub(crate) connect_headers: Vec<(String, String)>,
}

/// The choice of proxies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    for_http: Option<Proxy>,
    for_https: Option<Proxy>,
    exceptions: Vec<String>,
    /// With a list of exceptions, or settings from the environment, Go never sends loopback hosts through a proxy.
    spare_loopback: bool,
}

impl Rules {
    pub(crate) fn new(config: &ProxyConfig) -> Result<Self, Error> {
        let connect_headers: Vec<_> = config
            .proxy_connect_header
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |v| (name.clone(), v.expose().to_owned())))
            .collect();
        if config.proxy_from_environment {
            let get = |upper: &str| {
                [upper.to_owned(), upper.to_lowercase()]
                    .iter()
                    .find_map(|name| std::env::var(name).ok())
                    .filter(|v| !v.is_empty())
            };
            let proxy = |url: Option<String>| url.map(|u| parse(&u, &connect_headers)).transpose();
            return Ok(Self {
                for_http: proxy(get("HTTP_PROXY"))?,
                for_https: proxy(get("HTTPS_PROXY"))?,
                exceptions: exceptions(&get("NO_PROXY").unwrap_or_default()),
                spare_loopback: true,
            });
        }
        let url = config.proxy_url.as_str();
        if url.is_empty() {
            return Ok(Self::default());
        }
        let proxy = parse(url, &connect_headers)?;
        Ok(Self {
            for_http: Some(proxy.clone()),
            for_https: Some(proxy),
            exceptions: exceptions(&config.no_proxy),
            spare_loopback: !config.no_proxy.is_empty(),
        })
    }

    /// The proxy for a host, if it takes one.
    pub(crate) fn proxy_for(&self, https: Scheme, host: &str, port: u16) -> Option<&Proxy> {
        let proxy = match https {
            Scheme::Http => self.for_http.as_ref()?,
            Scheme::Https => self.for_https.as_ref()?,
        };
        let host =
            host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        let ip: Option<IpAddr> = host.parse().ok();
        if self.spare_loopback && (host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())) {
            return None;
        }
        let excepted = self.exceptions.iter().any(|rule| matches(rule, &host, ip, port));
        (!excepted).then_some(proxy)
    }
}

/// What the request speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Http,
    Https,
}

fn exceptions(list: &str) -> Vec<String> {
    list.split(',').map(|s| s.trim().to_ascii_lowercase()).filter(|s| !s.is_empty()).collect()
}

fn parse(text: &str, connect_headers: &[(String, String)]) -> Result<Proxy, Error> {
    let wrong = |why: &str| Error::new(ErrorKind::Config, format!("proxy_url: {why}"));
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&with_scheme).map_err(|e| wrong(&e.to_string()))?;
    if url.scheme() != "http" {
        return Err(wrong(&format!("a proxy by {} is not supported, use http", url.scheme())));
    }
    let host = url.host_str().ok_or_else(|| wrong("no host"))?.to_owned();
    let authorization = (!url.username().is_empty()).then(|| {
        let decode = |s: &str| {
            url::form_urlencoded::parse(format!("x={}", s.replace('+', "%2B")).as_bytes())
                .next()
                .map_or(String::new(), |(_, v)| v.into_owned())
        };
        basic(&decode(url.username()), &decode(url.password().unwrap_or("")))
    });
    let port = url.port_or_known_default().unwrap_or(80);
    Ok(Proxy { host, port, authorization, connect_headers: connect_headers.to_vec() })
}

/// The value of a basic authorisation header.
pub(crate) fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}")))
}

/// One entry of `no_proxy`: `*`, a host, `.suffix`, an address or a network, each with an optional port.
fn matches(rule: &str, host: &str, ip: Option<IpAddr>, port: u16) -> bool {
    if rule == "*" {
        return true;
    }
    if let Some((network, bits)) = rule.split_once('/') {
        let (Ok(network), Ok(bits), Some(ip)) = (network.parse::<IpAddr>(), bits.parse::<u32>(), ip) else {
            return false;
        };
        return in_network(ip, network, bits);
    }
    let (name, rule_port) = match rule.rsplit_once(':') {
        Some((name, p)) if !name.contains(':') || name.ends_with(']') => (name, p.parse::<u16>().ok()),
        _ => (rule, None),
    };
    if rule_port.is_some_and(|p| p != port) {
        return false;
    }
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if let (Ok(rule_ip), Some(ip)) = (name.parse::<IpAddr>(), ip) {
        return rule_ip == ip;
    }
    let name = name.strip_prefix('*').unwrap_or(name);
    match name.strip_prefix('.') {
        Some(suffix) => host.strip_suffix(suffix).is_some_and(|h| h.ends_with('.')),
        None => host == name || host.strip_suffix(name).is_some_and(|h| h.ends_with('.')),
    }
}

fn in_network(ip: IpAddr, network: IpAddr, bits: u32) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        bits <= width && (bits == 0 || a >> (width - bits) == b >> (width - bits))
    };
    match (ip, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_match_as_in_go() {
        for (rule, host, port, expect) in [
            ("*", "a", 80, true),
            ("example.com", "example.com", 80, true),
            ("example.com", "a.example.com", 80, true),
            ("example.com", "notexample.com", 80, false),
            (".example.com", "example.com", 80, false),
            (".example.com", "a.example.com", 80, true),
            ("*.example.com", "a.example.com", 80, true),
            ("example.com:8080", "example.com", 80, false),
            ("example.com:8080", "example.com", 8080, true),
            ("10.0.0.0/8", "10.1.2.3", 80, true),
            ("10.0.0.0/8", "11.1.2.3", 80, false),
            ("fd00::/8", "fd12::1", 80, true),
            ("10.0.0.1", "10.0.0.1", 80, true),
            ("[::1]:80", "::1", 80, true),
            ("0.0.0.0/0", "9.9.9.9", 1, true),
            ("10.0.0.0/99", "10.0.0.0", 1, false),
        ] {
            assert_eq!(matches(rule, host, host.parse().ok(), port), expect, "{rule} {host}:{port}");
        }
    }
}
