//! The HTTP client block that scrapes, discoveries, Alertmanagers and remote storage share.

use std::collections::BTreeMap;

use crate::values::{ConfigUrl, Secret, text_enum};
use crate::yaml::{Context, Section, SectionMap, section};

section! {
    /// How to speak HTTP to others. Its keys stand among those of the section that has it.
    HttpClientConfig as "config.HTTPClientConfig" {
        /// Name and password.
        basic_auth: Option<BasicAuth> = None, "basic_auth" omit;
        /// An `Authorization` header; `bearer_token` and `bearer_token_file` end up here too.
        authorization: Option<Authorization> = None, "authorization" omit;
        /// A token fetched from a token endpoint.
        oauth2: Option<OAuth2> = None, "oauth2" omit;
        /// Deprecated; moved into `authorization` on loading.
        bearer_token: Secret = Secret::default(), "bearer_token" omit;
        /// Deprecated; moved into `authorization` on loading.
        bearer_token_file: String = String::new(), "bearer_token_file" omit;
        /// TLS to the server.
        tls_config: TlsConfig = TlsConfig::default(), "tls_config" omit;
        /// Whether to follow redirects.
        follow_redirects: bool = true, "follow_redirects" always;
        /// Whether HTTP/2 may be negotiated.
        enable_http2: bool = true, "enable_http2" always;
        /// The way through proxies.
        proxy: ProxyConfig = ProxyConfig::default(), "" inline;
        /// Headers to add, by name.
        http_headers: BTreeMap<String, HeaderValues> = BTreeMap::new(), "http_headers" omit;
    }
}

section! {
    /// HTTP basic authentication. A `*_ref` names an entry of a secret manager, which nothing here has.
    BasicAuth as "config.BasicAuth" unchecked {
        /// The name.
        username: String = String::new(), "username" omit;
        /// File with the name.
        username_file: String = String::new(), "username_file" omit;
        /// Reference of the name.
        username_ref: String = String::new(), "username_ref" omit;
        /// The password.
        password: Secret = Secret::default(), "password" omit;
        /// File with the password.
        password_file: String = String::new(), "password_file" omit;
        /// Reference of the password.
        password_ref: String = String::new(), "password_ref" omit;
    }
}

section! {
    /// An `Authorization` header.
    Authorization as "config.Authorization" unchecked {
        /// The scheme; `Bearer` where credentials are given without one.
        kind: String = String::new(), "type" omit;
        /// The credentials.
        credentials: Secret = Secret::default(), "credentials" omit;
        /// File with the credentials, read at each request.
        credentials_file: String = String::new(), "credentials_file" omit;
        /// Reference of the credentials.
        credentials_ref: String = String::new(), "credentials_ref" omit;
    }
}

section! {
    /// OAuth 2.0, client credentials or JWT bearer grant.
    OAuth2 as "config.OAuth2" unchecked {
        /// The client's id.
        client_id: String = String::new(), "client_id" always;
        /// The client's secret.
        client_secret: Secret = Secret::default(), "client_secret" omit;
        /// File with the secret.
        client_secret_file: String = String::new(), "client_secret_file" omit;
        /// Reference of the secret.
        client_secret_ref: String = String::new(), "client_secret_ref" omit;
        /// Id of the key for the JWT bearer grant.
        client_certificate_key_id: String = String::new(), "client_certificate_key_id" omit;
        /// The key itself.
        client_certificate_key: Secret = Secret::default(), "client_certificate_key" omit;
        /// File with the key.
        client_certificate_key_file: String = String::new(), "client_certificate_key_file" omit;
        /// Reference of the key.
        client_certificate_key_ref: String = String::new(), "client_certificate_key_ref" omit;
        /// The grant type; client credentials where empty.
        grant_type: String = String::new(), "grant_type" omit;
        /// `RS256`, `RS384` or `RS512`.
        signature_algorithm: String = String::new(), "signature_algorithm" omit;
        /// Issuer claim.
        iss: String = String::new(), "iss" omit;
        /// Audience claim.
        audience: String = String::new(), "audience" omit;
        /// More claims.
        claims: BTreeMap<String, String> = BTreeMap::new(), "claims" omit;
        /// Scopes to ask for.
        scopes: Vec<String> = Vec::new(), "scopes" omit;
        /// The token endpoint.
        token_url: String = String::new(), "token_url" always;
        /// More parameters of the token request.
        endpoint_params: BTreeMap<String, String> = BTreeMap::new(), "endpoint_params" omit;
        /// TLS to the token endpoint.
        tls_config: TlsConfig = TlsConfig::default(), "tls_config" omit;
        /// Proxies on the way to the token endpoint.
        proxy: ProxyConfig = ProxyConfig::default(), "" inline;
    }
}

text_enum! {
    /// A TLS version.
    TlsVersion {
        /// 1.0; treated as the oldest the TLS library speaks.
        Tls10 = "TLS10",
        /// 1.1; as 1.0.
        Tls11 = "TLS11",
        /// 1.2.
        Tls12 = "TLS12",
        /// 1.3.
        Tls13 = "TLS13",
    } error |text| format!("unknown TLS version: {text}")
}

section! {
    /// The client's side of TLS. Certificates are given inline or as files that are read again on use.
    TlsConfig as "config.TLSConfig" {
        /// CA certificates as PEM.
        ca: String = String::new(), "ca" omit;
        /// Client certificate as PEM.
        cert: String = String::new(), "cert" omit;
        /// Client key as PEM.
        key: Secret = Secret::default(), "key" omit;
        /// File with CA certificates.
        ca_file: String = String::new(), "ca_file" omit;
        /// File with the client certificate.
        cert_file: String = String::new(), "cert_file" omit;
        /// File with the client key.
        key_file: String = String::new(), "key_file" omit;
        /// Reference of the CA certificates.
        ca_ref: String = String::new(), "ca_ref" omit;
        /// Reference of the certificate.
        cert_ref: String = String::new(), "cert_ref" omit;
        /// Reference of the key.
        key_ref: String = String::new(), "key_ref" omit;
        /// The name the server's certificate must have; empty: the host of the URL.
        server_name: String = String::new(), "server_name" omit;
        /// Whether to take any certificate.
        insecure_skip_verify: bool = false, "insecure_skip_verify" always;
        /// Lowest version to accept.
        min_version: Option<TlsVersion> = None, "min_version" omit;
        /// Highest version to accept.
        max_version: Option<TlsVersion> = None, "max_version" omit;
    }
}

section! {
    /// The way through proxies.
    ProxyConfig as "config.ProxyConfig" unchecked {
        /// The proxy's URL.
        proxy_url: ConfigUrl = ConfigUrl::default(), "proxy_url" omit;
        /// Hosts to reach without it, separated by commas.
        no_proxy: String = String::new(), "no_proxy" omit;
        /// Whether `HTTP_PROXY` and its kin decide.
        proxy_from_environment: bool = false, "proxy_from_environment" omit;
        /// Headers of `CONNECT` requests.
        proxy_connect_header: BTreeMap<String, Vec<Secret>> = BTreeMap::new(), "proxy_connect_header" omit;
    }
}

section! {
    /// Values of one header; all are sent.
    HeaderValues as "config.Header" unchecked {
        /// Plain values.
        values: Vec<String> = Vec::new(), "values" omit;
        /// Secret values.
        secrets: Vec<Secret> = Vec::new(), "secrets" omit;
        /// Files with values.
        files: Vec<String> = Vec::new(), "files" omit;
    }
}

/// Headers that the client sets itself (`prometheus/common`).
const RESERVED_HEADERS: [&str; 19] = [
    "Authorization",
    "Host",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "User-Agent",
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Www-Authenticate",
    "Accept-Encoding",
    "X-Prometheus-Remote-Write-Version",
    "X-Prometheus-Remote-Read-Version",
    "X-Prometheus-Scrape-Timeout-Seconds",
    "X-Amz-Date",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
    "Accept",
];

impl HttpClientConfig {
    /// The defaults of `remote_write`, which does not negotiate HTTP/2.
    #[must_use]
    pub fn without_http2() -> Self {
        Self { enable_http2: false, ..Self::default() }
    }

    /// Checks what single keys cannot, and moves the deprecated bearer keys into `authorization`.
    pub fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        let mut errors: Vec<(&str, String)> = Vec::new();
        let mut fail = |key: &'static str, text: &str| errors.push((key, text.to_owned()));
        if !self.bearer_token.is_empty() && !self.bearer_token_file.is_empty() {
            fail("bearer_token_file", "at most one of bearer_token & bearer_token_file must be configured");
        }
        if (self.basic_auth.is_some() || self.oauth2.is_some())
            && (!self.bearer_token.is_empty() || !self.bearer_token_file.is_empty())
        {
            fail(
                "bearer_token",
                "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
            );
        }
        if let Some(b) = &self.basic_auth {
            if at_most_one(&[&b.username, &b.username_file, &b.username_ref]) {
                fail(
                    "basic_auth",
                    "at most one of basic_auth username, username_file & username_ref must be configured",
                );
            }
            if at_most_one(&[&b.password.0, &b.password_file, &b.password_ref]) {
                fail(
                    "basic_auth",
                    "at most one of basic_auth password, password_file & password_ref must be configured",
                );
            }
        }
        if let Some(a) = &mut self.authorization {
            if !self.bearer_token.is_empty() || !self.bearer_token_file.is_empty() {
                fail(
                    "authorization",
                    "authorization is not compatible with bearer_token & bearer_token_file",
                );
            }
            if at_most_one(&[&a.credentials.0, &a.credentials_file, &a.credentials_ref]) {
                fail(
                    "authorization",
                    "at most one of authorization credentials & credentials_file must be configured",
                );
            }
            a.kind = a.kind.trim().to_owned();
            if a.kind.is_empty() {
                "Bearer".clone_into(&mut a.kind);
            }
            if a.kind.eq_ignore_ascii_case("basic") {
                fail(
                    "authorization",
                    "authorization type cannot be set to \"basic\", use \"basic_auth\" instead",
                );
            }
            if self.basic_auth.is_some() || self.oauth2.is_some() {
                fail("authorization", "at most one of basic_auth, oauth2 & authorization must be configured");
            }
        } else {
            if !self.bearer_token.is_empty() {
                self.authorization = Some(Authorization {
                    kind: "Bearer".to_owned(),
                    credentials: std::mem::take(&mut self.bearer_token),
                    ..Authorization::default()
                });
            }
            if !self.bearer_token_file.is_empty() {
                self.authorization = Some(Authorization {
                    kind: "Bearer".to_owned(),
                    credentials_file: std::mem::take(&mut self.bearer_token_file),
                    ..Authorization::default()
                });
            }
        }
        if let Some(o) = &self.oauth2 {
            if self.basic_auth.is_some() {
                fail("oauth2", "at most one of basic_auth, oauth2 & authorization must be configured");
            }
            if o.client_id.is_empty() {
                fail("oauth2", "oauth2 client_id must be configured");
            }
            if o.token_url.is_empty() {
                fail("oauth2", "oauth2 token_url must be configured");
            }
            if at_most_one(&[&o.client_secret.0, &o.client_secret_file, &o.client_secret_ref]) {
                fail(
                    "oauth2",
                    "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured",
                );
            }
            if let Some(text) = o.proxy.problem() {
                fail("oauth2", text);
            }
        }
        if let Some(text) = self.proxy.problem() {
            fail("proxy_url", text);
        }
        for (name, values) in &self.http_headers {
            if RESERVED_HEADERS.iter().any(|h| h.eq_ignore_ascii_case(name)) {
                fail("http_headers", &format!("setting header {name:?} is not allowed"));
            }
            if values.values.iter().chain(&values.files).any(|v| v.contains(['\r', '\n'])) {
                fail("http_headers", &format!("header {name:?} has a value with a line feed"));
            }
        }
        for (key, text) in errors {
            cx.error(map.place_of(key), text);
        }
    }

    /// The names of this block's keys.
    #[must_use]
    pub fn key_names() -> Vec<&'static str> {
        let mut out = Vec::new();
        Self::keys(&mut out);
        out
    }

    /// Joins relative file names with `dir`.
    pub fn set_directory(&mut self, dir: &std::path::Path) {
        let join = |file: &mut String| crate::load::join_dir(dir, file);
        if let Some(b) = &mut self.basic_auth {
            join(&mut b.username_file);
            join(&mut b.password_file);
        }
        if let Some(a) = &mut self.authorization {
            join(&mut a.credentials_file);
        }
        if let Some(o) = &mut self.oauth2 {
            join(&mut o.client_secret_file);
            join(&mut o.client_certificate_key_file);
            o.tls_config.set_directory(dir);
        }
        join(&mut self.bearer_token_file);
        self.tls_config.set_directory(dir);
        for header in self.http_headers.values_mut() {
            header.files.iter_mut().for_each(join);
        }
    }
}

/// Whether more than one of the texts is set.
fn at_most_one(texts: &[&str]) -> bool {
    texts.iter().filter(|t| !t.is_empty()).count() > 1
}

impl TlsConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        let mut fail = |key: &str, text: &str| cx.error(map.place_of(key), text);
        if at_most_one(&[&self.ca, &self.ca_file, &self.ca_ref]) {
            fail("ca_file", "at most one of ca, ca_file & ca_ref must be configured");
        }
        if at_most_one(&[&self.cert, &self.cert_file, &self.cert_ref]) {
            fail("cert_file", "at most one of cert, cert_file & cert_ref must be configured");
        }
        if at_most_one(&[&self.key.0, &self.key_file, &self.key_ref]) {
            fail("key_file", "at most one of key, key_file & key_ref must be configured");
        }
        let cert = [&self.cert, &self.cert_file, &self.cert_ref].iter().any(|s| !s.is_empty());
        let key = [&self.key.0, &self.key_file, &self.key_ref].iter().any(|s| !s.is_empty());
        if cert && !key {
            fail(
                "cert_file",
                "exactly one of key or key_file must be configured when a client certificate is configured",
            );
        } else if key && !cert {
            fail(
                "key_file",
                "exactly one of cert or cert_file must be configured when a client key is configured",
            );
        }
        if let (Some(min), Some(max)) = (self.min_version, self.max_version)
            && min > max
        {
            fail(
                "max_version",
                "tls_config.max_version must be greater than or equal to tls_config.min_version if both are specified",
            );
        }
    }

    /// Joins relative file names with `dir`.
    pub fn set_directory(&mut self, dir: &std::path::Path) {
        for file in [&mut self.ca_file, &mut self.cert_file, &mut self.key_file] {
            crate::load::join_dir(dir, file);
        }
    }
}

impl ProxyConfig {
    fn problem(&self) -> Option<&'static str> {
        let url = !self.proxy_url.0.is_empty();
        if !self.proxy_connect_header.is_empty() && !self.proxy_from_environment && !url {
            return Some(
                "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured",
            );
        }
        if self.proxy_from_environment && url {
            return Some("if proxy_from_environment is configured, proxy_url must not be configured");
        }
        if self.proxy_from_environment && !self.no_proxy.is_empty() {
            return Some("if proxy_from_environment is configured, no_proxy must not be configured");
        }
        if !url && !self.no_proxy.is_empty() {
            return Some("if no_proxy is configured, proxy_url must also be configured");
        }
        None
    }
}
