//! Content negotiation: what to offer a target, what its reply is in, what to give a client of ours.

use crate::encode::Escaping;
use crate::{Format, go_quote_bytes};

/// An exposition protocol under its name in `scrape_protocols`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `PrometheusProto`; can be named, but is neither offered nor parsed.
    PrometheusProto,
    /// `OpenMetricsText1.0.0`
    OpenMetricsText1_0_0,
    /// `OpenMetricsText0.0.1`
    OpenMetricsText0_0_1,
    /// `PrometheusText1.0.0`
    PrometheusText1_0_0,
    /// `PrometheusText0.0.4`
    PrometheusText0_0_4,
}

impl Protocol {
    /// The order Prometheus offers them in unless told otherwise.
    pub const DEFAULT: [Self; 4] = [
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    /// The protocol with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "PrometheusProto" => Self::PrometheusProto,
            "OpenMetricsText1.0.0" => Self::OpenMetricsText1_0_0,
            "OpenMetricsText0.0.1" => Self::OpenMetricsText0_0_1,
            "PrometheusText1.0.0" => Self::PrometheusText1_0_0,
            "PrometheusText0.0.4" => Self::PrometheusText0_0_4,
            _ => return None,
        })
    }

    /// The media type, without parameters.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::PrometheusProto => PROTOBUF,
            Self::OpenMetricsText1_0_0 | Self::OpenMetricsText0_0_1 => OPENMETRICS,
            Self::PrometheusText1_0_0 | Self::PrometheusText0_0_4 => TEXT,
        }
    }

    fn offer(self) -> &'static str {
        match self {
            Self::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Self::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0",
            Self::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
            Self::PrometheusText1_0_0 => "text/plain;version=1.0.0",
            Self::PrometheusText0_0_4 => "text/plain;version=0.0.4",
        }
    }
}

const PROTOBUF: &str = "application/vnd.google.protobuf";
const OPENMETRICS: &str = "application/openmetrics-text";
const TEXT: &str = "text/plain";

/// The `Accept` header of a scrape. `escaping` is the scheme's name, such as `allow-utf-8`.
#[must_use]
pub fn accept_header(protocols: &[Protocol], escaping: &str) -> String {
    // Upstream counts down from the number of protocols it knows, plus one.
    let mut weight = 6;
    let mut out = String::new();
    for protocol in protocols.iter().filter(|p| **p != Protocol::PrometheusProto) {
        out.push_str(protocol.offer());
        if matches!(protocol, Protocol::OpenMetricsText1_0_0 | Protocol::PrometheusText1_0_0) {
            out.push_str(&format!(";escaping={escaping}"));
        }
        out.push_str(&format!(";q=0.{weight},"));
        weight -= 1;
    }
    out.push_str(&format!("*/*;q=0.{weight}"));
    out
}

/// The format of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// How to parse it.
    pub format: Format,
    /// Why the fallback was taken although the target sent a content type; worth a log line.
    pub warning: Option<String>,
}

/// Decides how to parse a reply with this `Content-Type` (empty if there was none).
///
/// # Errors
/// Upstream's text when the content type is missing or unknown and there is no fallback; ours for protobuf.
pub fn decide(content_type: &str, fallback: Option<Protocol>) -> Result<Decision, String> {
    let fallback = fallback.map(Protocol::media_type);
    let quoted = || go_quote_bytes(content_type.as_bytes());
    let (media, warning) = if content_type.is_empty() {
        let media = fallback.ok_or(
            "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target",
        )?;
        (media, None)
    } else {
        match (media_type(content_type), fallback) {
            (Some(known), _) if [PROTOBUF, OPENMETRICS, TEXT].contains(&&*known) => {
                let media = [PROTOBUF, OPENMETRICS, TEXT].into_iter().find(|m| *m == known).unwrap_or(TEXT);
                (media, None)
            }
            (Some(_), None) => {
                return Err(format!(
                    "received unsupported Content-Type {} and no fallback_scrape_protocol specified for target",
                    quoted()
                ));
            }
            (Some(_), Some(media)) => {
                let why = format!(
                    "received unsupported Content-Type {}, using fallback_scrape_protocol \"{media}\"",
                    quoted()
                );
                (media, Some(why))
            }
            (None, None) => {
                return Err(format!(
                    "cannot parse Content-Type {} and no fallback_scrape_protocol specified for target",
                    quoted()
                ));
            }
            (None, Some(media)) => {
                let why = format!(
                    "could not parse received Content-Type {}, using fallback_scrape_protocol \"{media}\"",
                    quoted()
                );
                (media, Some(why))
            }
        }
    };
    let format = match media {
        OPENMETRICS => Format::OpenMetrics,
        TEXT => Format::Text,
        _ => return Err("protobuf exposition is not supported, offer a text format".to_owned()),
    };
    Ok(Decision { format, warning })
}

/// The media type in lower case; `None` where it or its parameters are malformed.
fn media_type(content_type: &str) -> Option<String> {
    let token = |s: &str| {
        !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let (media, params) = content_type.split_once(';').unwrap_or((content_type, ""));
    let media = media.trim().to_ascii_lowercase();
    let well_formed = match media.split_once('/') {
        Some((kind, sub)) => token(kind) && token(sub),
        None => token(&media),
    };
    if !well_formed {
        return None;
    }
    for param in params.split(';').map(str::trim).filter(|p| !p.is_empty()) {
        let (name, value) = param.split_once('=')?;
        let quoted = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
        if !token(name.trim_end()) || !(quoted || token(value)) {
            return None;
        }
    }
    Some(media)
}

/// What a client of ours gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    /// The syntax.
    pub format: Format,
    /// What becomes of names outside the legacy character set.
    pub escaping: Escaping,
    version: &'static str,
}

impl Encoding {
    /// Text 0.0.4 with escaped names: what everyone understands.
    pub const TEXT: Self = Self { format: Format::Text, escaping: Escaping::Underscores, version: "0.0.4" };

    /// The value of the `Content-Type` header.
    #[must_use]
    pub fn content_type(&self) -> String {
        let media = if self.format == Format::Text { TEXT } else { OPENMETRICS };
        let escaping = match (self.version, self.escaping) {
            ("1.0.0", Escaping::None) => "; escaping=allow-utf-8",
            ("1.0.0", Escaping::Underscores) => "; escaping=underscores",
            _ => "",
        };
        format!("{media}; version={}; charset=utf-8{escaping}", self.version)
    }
}

/// Chooses the encoding that a client's `Accept` header prefers; text 0.0.4 where it asks for nothing we have.
#[must_use]
pub fn negotiate(accept: &str) -> Encoding {
    let mut best: Option<(f64, Encoding)> = None;
    for offer in accept.split(',') {
        let mut parts = offer.split(';').map(str::trim);
        let media = parts.next().unwrap_or("").to_ascii_lowercase();
        let (mut version, mut quality, mut escaping) = ("", 1.0_f64, Escaping::Underscores);
        for (name, value) in parts.filter_map(|p| p.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "version" => version = value.trim(),
                "q" => quality = value.trim().parse().unwrap_or(0.0),
                "escaping" if value.trim() == "allow-utf-8" => escaping = Escaping::None,
                _ => {}
            }
        }
        let encoding = match (media.as_str(), version) {
            (OPENMETRICS, "1.0.0") => Encoding { format: Format::OpenMetrics, escaping, version: "1.0.0" },
            (OPENMETRICS, "" | "0.0.1") => {
                Encoding { format: Format::OpenMetrics, escaping: Escaping::Underscores, version: "0.0.1" }
            }
            (TEXT, "1.0.0") => Encoding { format: Format::Text, escaping, version: "1.0.0" },
            (TEXT, "" | "0.0.4") | ("*/*" | "text/*", _) => Encoding::TEXT,
            _ => continue,
        };
        if quality > 0.0 && best.is_none_or(|(q, _)| quality > q) {
            best = Some((quality, encoding));
        }
    }
    best.map_or(Encoding::TEXT, |(_, e)| e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_as_upstream() {
        assert_eq!(
            accept_header(&Protocol::DEFAULT, "allow-utf-8"),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
    }

    #[test]
    fn decides_by_content_type_and_fallback() {
        let fallback = Some(Protocol::PrometheusText0_0_4);
        let format = |content_type, fallback| decide(content_type, fallback).map(|d| d.format);
        for (content_type, expect) in [
            ("text/plain; version=0.0.4; charset=utf-8", Format::Text),
            ("Text/Plain", Format::Text),
            ("text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8", Format::Text),
            ("application/openmetrics-text; version=2.0.0; charset=utf-8", Format::OpenMetrics),
        ] {
            assert_eq!(format(content_type, None), Ok(expect), "{content_type}");
        }
        for (content_type, error) in [
            (
                "",
                "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target",
            ),
            (
                "text/html; charset=utf-8",
                "received unsupported Content-Type \"text/html; charset=utf-8\" and no fallback_scrape_protocol specified for target",
            ),
            (
                "text/plain; a=\"",
                "cannot parse Content-Type \"text/plain; a=\\\"\" and no fallback_scrape_protocol specified for target",
            ),
        ] {
            assert_eq!(format(content_type, None), Err(error.to_owned()), "{content_type}");
            assert_eq!(format(content_type, fallback), Ok(Format::Text), "{content_type}");
        }
        assert!(decide("text/html", fallback).unwrap().warning.is_some());
        assert!(decide(PROTOBUF, None).is_err());
    }

    #[test]
    fn negotiates_what_a_client_prefers() {
        for (accept, content_type) in [
            ("", "text/plain; version=0.0.4; charset=utf-8"),
            ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
            ("text/html,application/xhtml+xml,*/*;q=0.8", "text/plain; version=0.0.4; charset=utf-8"),
            ("application/openmetrics-text", "application/openmetrics-text; version=0.0.1; charset=utf-8"),
            (
                &accept_header(&Protocol::DEFAULT, "allow-utf-8"),
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            ),
            (
                "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4",
                "text/plain; version=0.0.4; charset=utf-8",
            ),
        ] {
            assert_eq!(negotiate(accept).content_type(), content_type, "{accept}");
        }
    }
}
