//! The web configuration file: TLS, passwords and headers of our own HTTP servers.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::diagnostic::{Diagnostics, Loaded};
use crate::load::{directory_of, join_dir, read_text};
use crate::values::{Secret, text_enum};
use crate::yaml::{Context, Decode as _, SectionMap, parse, section};

section! {
    /// A web configuration.
    WebConfig as "web.Config" {
        /// TLS; `None`: plain HTTP.
        tls_server_config: Option<TlsServerConfig> = None, "tls_server_config" omit;
        /// HTTP.
        http_server_config: HttpServerConfig = HttpServerConfig::default(), "http_server_config" omit;
        /// bcrypt hashes by user name; empty: no password is asked for.
        basic_auth_users: BTreeMap<String, Secret> = BTreeMap::new(), "basic_auth_users" omit;
        /// Bound on requests; `None`: no bound.
        rate_limit: Option<RateLimit> = None, "rate_limit" omit;
    }
}

section! {
    /// TLS of the server.
    TlsServerConfig as "web.TLSConfig" {
        /// Certificate as PEM.
        cert: String = String::new(), "cert" omit;
        /// Key as PEM.
        key: Secret = Secret::default(), "key" omit;
        /// CA of clients as PEM.
        client_ca: String = String::new(), "client_ca" omit;
        /// File with the certificate.
        cert_file: String = String::new(), "cert_file" omit;
        /// File with the key.
        key_file: String = String::new(), "key_file" omit;
        /// What is asked of clients.
        client_auth_type: ClientAuth = ClientAuth::NoClientCert, "client_auth_type" omit;
        /// File with the CA of clients.
        client_ca_file: String = String::new(), "client_ca_file" omit;
        /// Go names of cipher suites.
        cipher_suites: Vec<String> = Vec::new(), "cipher_suites" omit;
        /// Go names of curves.
        curve_preferences: Vec<String> = Vec::new(), "curve_preferences" omit;
        /// Lowest version.
        min_version: crate::TlsVersion = crate::TlsVersion::Tls12, "min_version" omit;
        /// Highest version.
        max_version: crate::TlsVersion = crate::TlsVersion::Tls13, "max_version" omit;
        /// Whether the server's order of suites counts.
        prefer_server_cipher_suites: bool = true, "prefer_server_cipher_suites" omit;
        /// Names one of which a client's certificate must have; empty: any.
        client_allowed_sans: Vec<String> = Vec::new(), "client_allowed_sans" omit;
    }
}

text_enum! {
    /// What is asked of clients.
    ClientAuth {
        /// Nothing.
        NoClientCert = "NoClientCert",
        /// A certificate, if they like.
        RequestClientCert = "RequestClientCert",
        /// A certificate, any.
        RequireAnyClientCert = "RequireAnyClientCert",
        /// A certificate is checked where given.
        VerifyClientCertIfGiven = "VerifyClientCertIfGiven",
        /// A certificate of the CA.
        RequireAndVerifyClientCert = "RequireAndVerifyClientCert",
    } error |text| format!("invalid ClientAuth: {text}")
}

section! {
    /// HTTP of the server.
    HttpServerConfig as "web.HTTPConfig" {
        /// Whether HTTP/2 is spoken over TLS.
        http2: bool = true, "http2" always;
        /// Headers of every answer.
        headers: BTreeMap<String, String> = BTreeMap::new(), "headers" omit;
    }
}

section! {
    /// Bound on requests.
    RateLimit as "web.RateLimiterConfig" unchecked {
        /// Requests at once.
        burst: u64 = 1, "burst" omit;
        /// Time after which one more is allowed; 0: no bound.
        interval: Duration = Duration::ZERO, "interval" omit;
    }
}

/// Headers that may be set, with the values that are allowed (none: any).
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("Content-Security-Policy", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

impl WebConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        let users = map.peek("basic_auth_users").and_then(|n| n.as_map()).unwrap_or(&[]);
        for (name, hash) in users {
            let text = hash.as_str().unwrap_or("");
            let bcrypt =
                ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|p| text.starts_with(p)) && text.len() == 60;
            if !bcrypt {
                cx.error_hint(
                    hash.place,
                    format!(
                        "basic_auth_users: the password of {:?} is no bcrypt hash",
                        name.as_str().unwrap_or("")
                    ),
                    "make one with `htpasswd -nBC 10 \"\" | tr -d ':'`",
                );
            }
        }
    }
}

impl TlsServerConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        let mut fail = |key: &str, text: &str| cx.error(map.place_of(key), text);
        match (self.cert.is_empty(), self.cert_file.is_empty()) {
            (true, true) => fail("cert_file", "missing one of cert or cert_file"),
            (false, false) => fail("cert_file", "only one of cert or cert_file can be provided"),
            _ => {}
        }
        match (self.key.is_empty(), self.key_file.is_empty()) {
            (true, true) => fail("key_file", "missing one of key or key_file"),
            (false, false) => fail("key_file", "only one of key or key_file can be provided"),
            _ => {}
        }
        let ca = !self.client_ca.is_empty() || !self.client_ca_file.is_empty();
        if !self.client_ca.is_empty() && !self.client_ca_file.is_empty() {
            fail("client_ca_file", "only one of client_ca or client_ca_file can be provided");
        }
        if ca && self.client_auth_type == ClientAuth::NoClientCert {
            fail("client_auth_type", "client CA's have been configured without a Client Auth Policy");
        }
        if self.client_auth_type == ClientAuth::RequireAndVerifyClientCert && !ca {
            fail(
                "client_auth_type",
                "client CA's are required by the Client Auth Policy RequireAndVerifyClientCert",
            );
        }
        if self.min_version > self.max_version {
            fail("max_version", "max_version must not be less than min_version");
        }
    }
}

impl HttpServerConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        for (name, value) in &self.headers {
            match HEADERS.iter().find(|(h, _)| h.eq_ignore_ascii_case(name)) {
                None => {
                    cx.error(map.place_of("headers"), format!("HTTP header {name:?} can not be configured"));
                }
                Some((_, allowed)) => {
                    let fits = allowed.is_empty()
                        || value.is_empty()
                        || allowed.iter().any(|a| a.eq_ignore_ascii_case(value));
                    if !fits {
                        let text =
                            format!("invalid value for {name}. Expected one of: {}", allowed.join(", "));
                        cx.error(map.place_of("headers"), text);
                    }
                }
            }
        }
    }
}

/// Reads a web configuration; relative paths are joined with the file's directory.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn load_file(path: &Path) -> Result<Loaded<WebConfig>, Diagnostics> {
    load_str(&read_text(path)?, path)
}

/// As [`load_file`], from a text; `origin` is the file it stands for.
///
/// # Errors
/// As [`load_file`].
pub fn load_str(text: &str, origin: &Path) -> Result<Loaded<WebConfig>, Diagnostics> {
    let root = parse(text, origin)?;
    let mut cx = Context::new(origin, text);
    let mut config = WebConfig::decode(&root, &mut cx);
    if let Some(tls) = config.as_mut().and_then(|c| c.tls_server_config.as_mut()) {
        for file in [&mut tls.cert_file, &mut tls.key_file, &mut tls.client_ca_file] {
            join_dir(directory_of(origin), file);
        }
    }
    let (value, warnings) = cx.finish(config)?;
    Ok(Loaded { value, warnings, text: text.to_owned() })
}
