//! The built web applications (`ui/dist`), embedded in the program, and the rules by which they are served.
//!
//! There are two: the query pages on the Prometheus port and the dashboards on the Grafana port. A server hands every
//! GET or HEAD that is not an API call to [`respond`] and sends what it returns. Nothing here opens a file or a
//! socket in a release build; a debug build reads `ui/dist` from disk, so that a rebuilt UI shows without compiling.
//!
//! What [`respond`] decides:
//! - a file that exists is sent, as `br` or `gzip` when the client takes it and the build wrote that sibling;
//! - any other path without a file extension is the app's `index.html` (its own router reads the path);
//! - a missing path *with* an extension, or below `/assets/`, is 404: a stale script must not get a page of HTML.

mod encoding;

use bytes::Bytes;
use encoding::Coding;
use http::{HeaderValue, Response, StatusCode, header};
use rust_embed::{Embed, EmbeddedFile};

/// Which of the two applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum App {
    /// Query, targets, alerts, rules and status pages, on the Prometheus port.
    Prometheus,
    /// Login, dashboard list and viewer, on the Grafana port.
    Dashboards,
}

#[derive(Embed)]
#[folder = "../../ui/dist/prometheus"]
#[allow_missing = true]
struct PrometheusFiles;

#[derive(Embed)]
#[folder = "../../ui/dist/dashboards"]
#[allow_missing = true]
struct DashboardsFiles;

/// Scripts, fonts and connections from the same origin only. `style-src` allows inline styles because the layout of a
/// dashboard is set element by element; scripts stay strict, and the theme is set by the first script, not inline.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'";

/// The answer for `path` (as in the request line, with or without a query string).
///
/// `accept_encoding` and `if_none_match` are the values of these request headers. The status is 200, 304 (the tag
/// matched) or 404. Content-Length is left to the server; for HEAD it drops the body.
pub fn respond(
    app: App,
    path: &str,
    accept_encoding: Option<&str>,
    if_none_match: Option<&str>,
) -> Response<Bytes> {
    let path = path.split(['?', '#']).next().unwrap_or("");
    let name = path.trim_start_matches('/');
    if name.is_empty() || name == "index.html" || (get(app, name).is_none() && is_page(name)) {
        return file(app, "index.html", accept_encoding, if_none_match);
    }
    file(app, name, accept_encoding, if_none_match)
}

fn get(app: App, name: &str) -> Option<EmbeddedFile> {
    // The compressed siblings are representations, not resources of their own.
    if name.ends_with(".br") || name.ends_with(".gz") {
        return None;
    }
    get_raw(app, name)
}

fn get_raw(app: App, name: &str) -> Option<EmbeddedFile> {
    match app {
        App::Prometheus => PrometheusFiles::get(name),
        App::Dashboards => DashboardsFiles::get(name),
    }
}

/// Whether a path that is no file is one of the app's own pages.
fn is_page(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or("");
    !name.starts_with("assets/") && !last.contains('.')
}

fn file(app: App, name: &str, accept_encoding: Option<&str>, if_none_match: Option<&str>) -> Response<Bytes> {
    let Some(plain) = get(app, name) else {
        return finish(Response::new(Bytes::from_static(b"404 page not found\n")), |response| {
            *response.status_mut() = StatusCode::NOT_FOUND;
            set(response, header::CONTENT_TYPE, "text/plain; charset=utf-8");
        });
    };
    let (coding, body) = encoding::preferences(accept_encoding)
        .into_iter()
        .find_map(|coding| {
            let suffix = coding.suffix()?;
            get_raw(app, &format!("{name}.{suffix}")).map(|file| (coding, file))
        })
        .map_or((Coding::Identity, plain), |found| found);
    let tag = etag(&body, coding);
    let immutable = name.starts_with("assets/");
    let cache = if immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let fresh = if_none_match.is_some_and(|header| matches_tag(header, &tag));
    let bytes = if fresh {
        Bytes::new()
    } else {
        match body.data {
            std::borrow::Cow::Borrowed(data) => Bytes::from_static(data),
            std::borrow::Cow::Owned(data) => Bytes::from(data),
        }
    };
    finish(Response::new(bytes), |response| {
        if fresh {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            set(response, header::CONTENT_TYPE, content_type(name));
            if let Some(value) = coding.header() {
                set(response, header::CONTENT_ENCODING, value);
            }
        }
        if let Ok(value) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(header::ETAG, value);
        }
        set(response, header::CACHE_CONTROL, cache);
        set(response, header::VARY, "Accept-Encoding");
    })
}

fn finish(mut response: Response<Bytes>, fill: impl FnOnce(&mut Response<Bytes>)) -> Response<Bytes> {
    fill(&mut response);
    set(&mut response, header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(&mut response, header::X_FRAME_OPTIONS, "DENY");
    set(&mut response, header::REFERRER_POLICY, "same-origin");
    response
}

fn set(response: &mut Response<Bytes>, name: header::HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}

/// The content's hash, with the coding: representations of one resource need tags of their own.
fn etag(file: &EmbeddedFile, coding: Coding) -> String {
    let hash = file.metadata.sha256_hash();
    let hex: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    match coding.suffix() {
        Some(suffix) => format!("\"{hex}-{suffix}\""),
        None => format!("\"{hex}\""),
    }
}

/// Weak comparison, as RFC 9110 asks for `If-None-Match`.
fn matches_tag(header: &str, tag: &str) -> bool {
    header.split(',').map(str::trim).any(|item| item == "*" || item.strip_prefix("W/").unwrap_or(item) == tag)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
