//! The client: sends a request, follows redirects, reads the reply.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::HttpClientConfig;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderValue, LOCATION,
    PROXY_AUTHORIZATION, USER_AGENT,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use url::Url;

use crate::auth::Auth;
use crate::body::{self, Gzip};
use crate::connect::{Connector, endpoint};
use crate::fetch::Fetcher;
use crate::proxy::{Rules, Scheme};
use crate::tls::Tls;
use crate::{Error, ErrorKind};

pub(crate) const MAX_REDIRECTS: usize = 10;
/// As long as Go's client keeps an idle connection for scrapes.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// What a client is beyond its configuration block.
#[derive(Debug, Clone, Default)]
pub struct ClientOptions {
    /// `User-Agent` where a request brings none; none is sent when empty.
    pub user_agent: String,
}

/// Bounds of one request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time for everything: connecting, redirects, the body's last byte.
    pub timeout: Duration,
    /// Largest body after decompression; `None`: no limit.
    pub max_body_bytes: Option<u64>,
}

/// An HTTP client with its pool of connections. Cheap to clone; clones share the pool.
#[derive(Debug, Clone)]
pub struct Client {
    pool: legacy::Client<Connector, Full<Bytes>>,
    connector: Connector,
    inner: Arc<Inner>,
}

/// What is the same for all requests.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) auth: Auth,
    pub(crate) proxies: Arc<Rules>,
    pub(crate) user_agent: Option<HeaderValue>,
    follow_redirects: bool,
}

impl Client {
    /// Builds a client.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the block asks for what is not supported or its certificates cannot be used.
    pub fn new(config: &HttpClientConfig, options: ClientOptions) -> Result<Self, Error> {
        let proxies = Arc::new(Rules::new(&config.proxy)?);
        let connector =
            Connector { tls: Arc::new(Tls::new(&config.tls_config)?), proxies: Arc::clone(&proxies) };
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(4)
            .build(connector.clone());
        let ClientOptions { user_agent } = options;
        let user_agent = (!user_agent.is_empty()).then(|| HeaderValue::from_str(&user_agent)).transpose();
        let user_agent = user_agent.map_err(|e| Error::new(ErrorKind::Config, format!("user agent: {e}")))?;
        let inner = Inner {
            auth: Auth::new(config)?,
            proxies,
            user_agent,
            follow_redirects: config.follow_redirects,
        };
        Ok(Self { pool, connector, inner: Arc::new(inner) })
    }

    /// For many GETs from one thread, over connections of its own.
    #[must_use]
    pub fn fetcher(&self) -> Fetcher {
        Fetcher::new(self.connector.clone(), Arc::clone(&self.inner))
    }

    /// Sends a request and reads the whole reply, whatever its status. A gzip body comes decompressed. Dropping the future
    /// abandons the request.
    ///
    /// # Errors
    /// Any [`ErrorKind`]; the text begins as Go's does: `Get "http://…": dial tcp …`.
    pub async fn send(&self, request: Request<Bytes>, limits: &Limits) -> Result<Response<Bytes>, Error> {
        let url = display_url(request.uri());
        let what = format!("{} \"{url}\"", title(request.method()));
        match tokio::time::timeout(limits.timeout, self.follow(request, limits)).await {
            Ok(Err(e)) if e.kind() == ErrorKind::BodyTooLarge => Err(e),
            Ok(result) => result.map_err(|e| e.during(&what)),
            Err(_) => Err(Error::new(ErrorKind::Timeout, format!("{what}: context deadline exceeded"))),
        }
    }

    async fn follow(&self, request: Request<Bytes>, limits: &Limits) -> Result<Response<Bytes>, Error> {
        let (mut parts, mut body) = request.into_parts();
        parts.headers.remove(HOST);
        let first = parts.uri.clone();
        for _ in 0..=MAX_REDIRECTS {
            let reply = self.once(&parts, &body, trusted(&first, &parts.uri), limits).await?;
            let status = reply.status();
            let location = reply.headers().get(LOCATION);
            let Some(target) = self.inner.redirect(&parts.uri, status, location)? else { return Ok(reply) };
            let rewrite = match status {
                StatusCode::SEE_OTHER => parts.method != Method::HEAD,
                StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => parts.method == Method::POST,
                _ => false,
            };
            if rewrite {
                parts.method = Method::GET;
                body = Bytes::new();
                for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING] {
                    parts.headers.remove(name);
                }
            }
            if !trusted(&first, &target) {
                for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
                    parts.headers.remove(name);
                }
            }
            parts.uri = target;
        }
        Err(Error::new(ErrorKind::Redirect, "stopped after 10 redirects"))
    }

    /// One request and its reply.
    async fn once(
        &self,
        parts: &http::request::Parts,
        body: &Bytes,
        trusted: bool,
        limits: &Limits,
    ) -> Result<Response<Bytes>, Error> {
        let (scheme, host, port) = endpoint(&parts.uri)?;
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = without_userinfo(&parts.uri)?;
        let mut headers: HeaderMap = parts.headers.clone();
        if let Some((name, password)) = userinfo(&parts.uri)
            && !headers.contains_key(AUTHORIZATION)
            && let Ok(value) = HeaderValue::from_str(&crate::proxy::basic(&name, &password))
        {
            headers.insert(AUTHORIZATION, value);
        }
        if trusted {
            self.inner.auth.apply(&mut headers).await?;
        }
        if let Some(agent) = &self.inner.user_agent {
            headers.entry(USER_AGENT).or_insert_with(|| agent.clone());
        }
        if scheme == Scheme::Http
            && let Some(proxy) = self.inner.proxies.proxy_for(scheme, host, port)
            && let Some(value) = &proxy.authorization
            && let Ok(mut value) = HeaderValue::from_str(value)
        {
            value.set_sensitive(true);
            headers.insert(PROXY_AUTHORIZATION, value);
        }
        *request.headers_mut() = headers;
        let reply = self.pool.request(request).await.map_err(|e| failure(&e))?;
        let (mut head, incoming) = reply.into_parts();
        let gzip =
            head.headers.get(CONTENT_ENCODING).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"gzip"));
        let gzip = if gzip && parts.method != Method::HEAD { Gzip::Compressed } else { Gzip::Plain };
        let body = body::read(incoming, gzip, limits.max_body_bytes).await?;
        if gzip == Gzip::Compressed {
            head.headers.remove(CONTENT_ENCODING);
            head.headers.remove(CONTENT_LENGTH);
        }
        Ok(Response::from_parts(head, body))
    }
}

impl Inner {
    /// Where a reply sends us, if it does and we follow.
    pub(crate) fn redirect(
        &self,
        from: &Uri,
        status: StatusCode,
        location: Option<&HeaderValue>,
    ) -> Result<Option<Uri>, Error> {
        let is_redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let (true, true, Some(location)) = (self.follow_redirects, is_redirect, location) else {
            return Ok(None);
        };
        let wrong =
            |e: String| Error::new(ErrorKind::Redirect, format!("failed to parse Location header: {e}"));
        let location = std::str::from_utf8(location.as_bytes()).map_err(|e| wrong(e.to_string()))?;
        let base = Url::parse(&from.to_string()).map_err(|e| wrong(e.to_string()))?;
        let target = base.join(location).map_err(|e| wrong(e.to_string()))?;
        target.as_str().parse().map(Some).map_err(|e: http::uri::InvalidUri| wrong(e.to_string()))
    }
}

/// Whether credentials for `first` may go to `target`: the same host, and no step down from TLS.
pub(crate) fn trusted(first: &Uri, target: &Uri) -> bool {
    let same_host = match (first.host(), target.host()) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        _ => false,
    };
    same_host && !(first.scheme_str() == Some("https") && target.scheme_str() != Some("https"))
}

pub(crate) fn userinfo(uri: &Uri) -> Option<(String, String)> {
    let (info, _) = uri.authority()?.as_str().rsplit_once('@')?;
    let (name, password) = info.split_once(':').unwrap_or((info, ""));
    let decode = |s: &str| {
        url::form_urlencoded::parse(format!("x={}", s.replace('+', "%2B")).as_bytes())
            .next()
            .map_or(String::new(), |(_, v)| v.into_owned())
    };
    Some((decode(name), decode(password)))
}

fn without_userinfo(uri: &Uri) -> Result<Uri, Error> {
    let Some((_, host)) = uri.authority().and_then(|a| a.as_str().rsplit_once('@')) else {
        return Ok(uri.clone());
    };
    let mut parts = uri.clone().into_parts();
    let wrong = |e: String| Error::new(ErrorKind::Connect, e);
    parts.authority = Some(host.parse().map_err(|e: http::uri::InvalidUri| wrong(e.to_string()))?);
    Uri::from_parts(parts).map_err(|e| wrong(e.to_string()))
}

/// The URL without a password.
pub(crate) fn display_url(uri: &Uri) -> String {
    match Url::parse(&uri.to_string()) {
        Ok(mut url) if url.password().is_some() => {
            // Fails only for URLs that cannot have a password.
            let _ = url.set_password(Some("xxxxx"));
            url.to_string()
        }
        _ => uri.to_string(),
    }
}

/// `Get` for `GET`, as Go's errors begin.
fn title(method: &Method) -> String {
    let (first, rest) = method.as_str().split_at(1);
    format!("{first}{}", rest.to_ascii_lowercase())
}

/// The deepest cause that says something.
fn failure(error: &legacy::Error) -> Error {
    let mut source = std::error::Error::source(error);
    let mut text = error.to_string();
    while let Some(e) = source {
        if let Some(ours) = e.downcast_ref::<Error>() {
            return ours.clone();
        }
        if let Some(hyper) = e.downcast_ref::<hyper::Error>()
            && hyper.is_incomplete_message()
        {
            return Error::new(ErrorKind::Protocol, "EOF");
        }
        text = e.downcast_ref::<std::io::Error>().map_or_else(|| e.to_string(), crate::error::io_text);
        source = e.source();
    }
    Error::new(ErrorKind::Protocol, text)
}
