//! Authorisation: headers from names, passwords, tokens and files; OAuth 2.0 client credentials.

use std::time::{Duration, Instant};

use base64::Engine as _;
use bytes::Bytes;
use config::{Authorization, BasicAuth, HttpClientConfig, OAuth2, Secret};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request};
use tokio::sync::Mutex;

use crate::client::{Client, ClientOptions, Limits};
use crate::error::io_text;
use crate::proxy::basic;
use crate::{Error, ErrorKind};

/// A token is fetched anew this long before it ends, as Go's library does.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);
/// A token reply is small.
const MAX_TOKEN_REPLY: u64 = 1 << 20;

/// What identifies us to a server.
#[derive(Debug)]
pub(crate) struct Auth {
    scheme: AuthScheme,
    headers: Vec<(HeaderName, Source)>,
}

#[derive(Debug)]
enum AuthScheme {
    None,
    Basic { username: Source, password: Source },
    Credentials { kind: String, credentials: Source },
    OAuth2(Box<TokenSource>),
}

/// A text from the configuration or from a file that is read at each use.
#[derive(Debug, Clone)]
enum Source {
    Inline(Secret),
    File { what: &'static str, path: String },
}

impl Source {
    fn new(what: &'static str, inline: &str, file: &str, reference: &str) -> Result<Self, Error> {
        if !reference.is_empty() {
            return Err(Error::new(
                ErrorKind::Config,
                format!("{what}_ref is not supported: there is no secret manager"),
            ));
        }
        Ok(if file.is_empty() {
            Self::Inline(Secret(inline.to_owned()))
        } else {
            Self::File { what, path: file.to_owned() }
        })
    }

    /// The text; blanks around a file's content do not count.
    async fn read(&self) -> Result<String, Error> {
        match self {
            Self::Inline(secret) => Ok(secret.expose().to_owned()),
            Self::File { what, path } => match tokio::fs::read_to_string(path).await {
                Ok(text) => Ok(text.trim().to_owned()),
                Err(e) => Err(Error::new(
                    ErrorKind::Auth,
                    format!("unable to read {what} file {path}: {}", io_text(&e)),
                )),
            },
        }
    }
}

impl Auth {
    pub(crate) fn new(config: &HttpClientConfig) -> Result<Self, Error> {
        let scheme = if let Some(BasicAuth {
            username,
            username_file,
            username_ref,
            password,
            password_file,
            password_ref,
        }) = &config.basic_auth
        {
            AuthScheme::Basic {
                username: Source::new("username", username, username_file, username_ref)?,
                password: Source::new("password", password.expose(), password_file, password_ref)?,
            }
        } else if let Some(a) = &config.authorization {
            Self::credentials(a)?
        } else if let Some(oauth2) = &config.oauth2 {
            AuthScheme::OAuth2(Box::new(TokenSource::new(oauth2)?))
        } else if !config.bearer_token.is_empty() || !config.bearer_token_file.is_empty() {
            let credentials =
                Source::new("credentials", config.bearer_token.expose(), &config.bearer_token_file, "")?;
            AuthScheme::Credentials { kind: "Bearer".to_owned(), credentials }
        } else {
            AuthScheme::None
        };
        let mut headers = Vec::new();
        for (name, values) in &config.http_headers {
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                Error::new(ErrorKind::Config, format!("http_headers: {name:?} is no header name"))
            })?;
            for value in values.values.iter().chain(values.secrets.iter().map(|s| &s.0)) {
                headers.push((parsed.clone(), Source::Inline(Secret(value.clone()))));
            }
            for path in &values.files {
                headers.push((parsed.clone(), Source::File { what: "http_headers", path: path.clone() }));
            }
        }
        Ok(Self { scheme, headers })
    }

    fn credentials(a: &Authorization) -> Result<AuthScheme, Error> {
        let kind = if a.kind.is_empty() { "Bearer".to_owned() } else { a.kind.clone() };
        let credentials =
            Source::new("credentials", a.credentials.expose(), &a.credentials_file, &a.credentials_ref)?;
        Ok(AuthScheme::Credentials { kind, credentials })
    }

    /// Adds our headers to those of a request. An authorisation that the request brings itself stays.
    pub(crate) async fn apply(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        for (name, source) in &self.headers {
            headers.append(name.clone(), sensitive(&source.read().await?)?);
        }
        if headers.contains_key(AUTHORIZATION) {
            return Ok(());
        }
        let value = match &self.scheme {
            AuthScheme::None => return Ok(()),
            AuthScheme::Basic { username, password } => {
                basic(&username.read().await?, &password.read().await?)
            }
            AuthScheme::Credentials { kind, credentials } => {
                let credentials = credentials.read().await?;
                if credentials.is_empty() {
                    return Ok(());
                }
                format!("{kind} {credentials}")
            }
            AuthScheme::OAuth2(source) => source.authorization().await?,
        };
        headers.insert(AUTHORIZATION, sensitive(&value)?);
        Ok(())
    }
}

fn sensitive(value: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Error::new(ErrorKind::Auth, "a secret has characters that no header can hold"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Fetches tokens with client credentials and keeps the last one while it is valid.
#[derive(Debug)]
struct TokenSource {
    client: Client,
    token_url: http::Uri,
    client_id: String,
    secret: Source,
    form: Vec<(String, String)>,
    state: Mutex<Option<Token>>,
}

#[derive(Debug)]
struct Token {
    authorization: Secret,
    secret: Secret,
    expires: Option<Instant>,
}

impl TokenSource {
    fn new(config: &OAuth2) -> Result<Self, Error> {
        let wrong = |text: String| Error::new(ErrorKind::Config, format!("oauth2: {text}"));
        let has_key = [
            &config.client_certificate_key.0,
            &config.client_certificate_key_file,
            &config.client_certificate_key_ref,
        ]
        .iter()
        .any(|s| !s.is_empty());
        if has_key || !matches!(config.grant_type.as_str(), "" | "client_credentials") {
            return Err(wrong("only the grant type client_credentials is supported".to_owned()));
        }
        let http = HttpClientConfig {
            tls_config: config.tls_config.clone(),
            proxy: config.proxy.clone(),
            ..HttpClientConfig::default()
        };
        let mut form = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
        if !config.scopes.is_empty() {
            form.push(("scope".to_owned(), config.scopes.join(" ")));
        }
        form.extend(config.endpoint_params.iter().map(|(k, v)| (k.clone(), v.clone())));
        Ok(Self {
            client: Client::new(&http, ClientOptions::default())?,
            token_url: config.token_url.parse().map_err(|e| wrong(format!("token_url: {e}")))?,
            client_id: config.client_id.clone(),
            secret: Source::new(
                "client_secret",
                config.client_secret.expose(),
                &config.client_secret_file,
                &config.client_secret_ref,
            )?,
            form,
            state: Mutex::new(None),
        })
    }

    async fn authorization(&self) -> Result<String, Error> {
        let secret = self.secret.read().await?;
        // Held over the request, so that many scrapes at once fetch one token.
        let mut state = self.state.lock().await;
        if let Some(token) = &*state
            && token.secret.expose() == secret
            && token.expires.is_none_or(|at| Instant::now() < at)
        {
            return Ok(token.authorization.expose().to_owned());
        }
        let token = self.fetch(&secret).await?;
        let authorization = token.authorization.expose().to_owned();
        *state = Some(token);
        Ok(authorization)
    }

    fn form(&self, secret: Option<&str>) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&self.form);
        if let Some(secret) = secret {
            form.append_pair("client_id", &self.client_id).append_pair("client_secret", secret);
        }
        form.finish()
    }

    /// Asks with the secret in the header, then, if that is refused, in the form: servers differ.
    async fn fetch(&self, secret: &str) -> Result<Token, Error> {
        let mut refused = String::new();
        for in_header in [true, false] {
            let mut request = Request::builder().method(Method::POST).uri(self.token_url.clone());
            if in_header {
                let quote = |s: &str| url::form_urlencoded::byte_serialize(s.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", quote(&self.client_id), quote(secret));
                let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
                request = request.header(AUTHORIZATION, sensitive(&value)?);
            }
            let in_form = (!in_header).then_some(secret);
            let request = request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Bytes::from(self.form(in_form)))
                .map_err(|e| Error::new(ErrorKind::Config, format!("oauth2: {e}")))?;
            let limits = Limits { timeout: Duration::from_secs(30), max_body_bytes: Some(MAX_TOKEN_REPLY) };
            let reply = Box::pin(self.client.send(request, &limits)).await.map_err(|e| e.during("oauth2"))?;
            if reply.status().is_success() {
                return token(reply.body(), secret);
            }
            refused = reply.status().to_string();
        }
        Err(Error::new(ErrorKind::Auth, format!("oauth2: cannot fetch token: {refused}")))
    }
}

fn token(body: &[u8], secret: &str) -> Result<Token, Error> {
    let wrong = |text: &str| Error::new(ErrorKind::Auth, format!("oauth2: {text}"));
    let json: serde_json::Value =
        serde_json::from_slice(body).map_err(|_| wrong("cannot parse the token endpoint's reply"))?;
    let access = json["access_token"].as_str().filter(|t| !t.is_empty());
    let access = access.ok_or_else(|| wrong("server response missing access_token"))?;
    let kind = match json["token_type"].as_str().unwrap_or("") {
        k if k.is_empty() || k.eq_ignore_ascii_case("bearer") => "Bearer",
        k if k.eq_ignore_ascii_case("mac") => "MAC",
        k if k.eq_ignore_ascii_case("basic") => "Basic",
        k => k,
    };
    let lifetime = json["expires_in"].as_u64().or_else(|| json["expires_in"].as_str()?.parse().ok());
    let expires = lifetime
        .filter(|s| *s > 0)
        .and_then(|s| Instant::now().checked_add(Duration::from_secs(s).saturating_sub(EXPIRY_MARGIN)));
    Ok(Token {
        authorization: Secret(format!("{kind} {access}")),
        secret: Secret(secret.to_owned()),
        expires,
    })
}
