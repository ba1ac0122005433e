//! GET again and again: the scraper's way to ask.
//!
//! [`Client::send`](crate::Client::send) gives each reply room of its own and hands it from task to task; a [`Fetcher`] asks over connections of
//! its own and reads each reply into one buffer that is used again. Authorisation, proxies, redirects and errors are the same.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, StatusCode, Uri};
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt as _;

use crate::client::{self, IDLE_TIMEOUT, Inner, Limits, MAX_REDIRECTS};
use crate::connect::{Connector, Stream, endpoint};
use crate::error::io_text;
use crate::proxy::Scheme;
use crate::reply::{self, After, Buffer, HeadError};
use crate::{Error, ErrorKind};

/// As many idle connections to one server are kept.
const MAX_IDLE_PER_HOST: usize = 100;

/// A reply to a GET.
#[derive(Debug)]
pub struct Fetched {
    /// The status.
    pub status: StatusCode,
    /// `Content-Type`.
    pub content_type: Option<HeaderValue>,
    /// Holds the body, decompressed.
    pub buffer: Buffer,
}

/// Asks over connections of its own. To be used on one thread: a connection belongs to the runtime it was made in.
#[derive(Debug)]
pub struct Fetcher {
    connector: Connector,
    inner: Arc<Inner>,
    idle: Mutex<Idle>,
}

#[derive(Debug)]
struct Idle {
    by_host: HashMap<(Scheme, String, u16), Vec<(Stream, Instant)>>,
    swept: Instant,
}

impl Fetcher {
    pub(crate) fn new(connector: Connector, inner: Arc<Inner>) -> Self {
        let idle = Idle { by_host: HashMap::new(), swept: Instant::now() };
        Self { connector, inner, idle: Mutex::new(idle) }
    }

    /// Gets `uri` with these headers and reads the whole reply, whatever its status. A gzip body comes decompressed. Dropping
    /// the future abandons the request.
    ///
    /// # Errors
    /// Any [`ErrorKind`]; the text begins as Go's does: `Get "http://…": dial tcp …`.
    pub async fn get(&self, uri: &Uri, headers: &HeaderMap, limits: &Limits) -> Result<Fetched, Error> {
        let result = tokio::time::timeout(limits.timeout, self.follow(uri, headers, limits)).await;
        let what = || format!("Get \"{}\"", client::display_url(uri));
        match result {
            Ok(Err(e)) if e.kind() == ErrorKind::BodyTooLarge => Err(e),
            Ok(result) => result.map_err(|e| e.during(&what())),
            Err(_) => Err(Error::new(ErrorKind::Timeout, format!("{}: context deadline exceeded", what()))),
        }
    }

    async fn follow(&self, first: &Uri, headers: &HeaderMap, limits: &Limits) -> Result<Fetched, Error> {
        let mut moved: Option<(Uri, HeaderMap)> = None;
        for _ in 0..=MAX_REDIRECTS {
            let (uri, headers) = moved.as_ref().map_or((first, headers), |(uri, headers)| (uri, headers));
            let (fetched, location) = self.once(uri, headers, client::trusted(first, uri), limits).await?;
            let Some(target) = self.inner.redirect(uri, fetched.status, location.as_ref())? else {
                return Ok(fetched);
            };
            fetched.buffer.recycle();
            let mut headers = headers.clone();
            if !client::trusted(first, &target) {
                for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
                    headers.remove(name);
                }
            }
            moved = Some((target, headers));
        }
        Err(Error::new(ErrorKind::Redirect, "stopped after 10 redirects"))
    }

    /// One request and its reply, with where that sends us.
    async fn once(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        trusted: bool,
        limits: &Limits,
    ) -> Result<(Fetched, Option<HeaderValue>), Error> {
        let (scheme, host, port) = endpoint(uri)?;
        let key = (scheme, host.to_owned(), port);
        let request = self.request(uri, headers, trusted).await?;
        loop {
            let (mut stream, reused) = match self.take(&key) {
                Some(stream) => (stream, true),
                None => (self.connector.connect(uri).await?, false),
            };
            let asked = async {
                stream.write_all(&request).await?;
                stream.flush().await
            };
            let answer = match asked.await {
                Ok(()) => {
                    // Room is taken only when there is something to read: most of the time goes by waiting.
                    stream.readable().await;
                    let mut buffer = Buffer::take();
                    reply::head(&mut stream, &mut buffer).await.map(|head| (head, buffer))
                }
                Err(e) => Err(HeadError::Unanswered(Error::new(ErrorKind::Protocol, io_text(&e)))),
            };
            let (mut head, mut buffer) = match answer {
                Ok(answer) => answer,
                Err(HeadError::Unanswered(_)) if reused => continue,
                Err(HeadError::Unanswered(e) | HeadError::Other(e)) => return Err(e),
            };
            let after = reply::body(&mut stream, &head, limits.max_body_bytes, &mut buffer).await?;
            if after == After::Reuse {
                self.keep(key, stream);
            }
            let location = head.location.take();
            let fetched = Fetched { status: head.status, content_type: head.content_type, buffer };
            return Ok((fetched, location));
        }
    }

    /// The request's bytes.
    async fn request(&self, uri: &Uri, headers: &HeaderMap, trusted: bool) -> Result<Vec<u8>, Error> {
        let (scheme, host, port) = endpoint(uri)?;
        let mut ours = HeaderMap::new();
        if let Some(value) = headers.get(AUTHORIZATION) {
            ours.insert(AUTHORIZATION, value.clone());
        } else if let Some((name, password)) = client::userinfo(uri)
            && let Ok(value) = HeaderValue::from_str(&crate::proxy::basic(&name, &password))
        {
            ours.insert(AUTHORIZATION, value);
        }
        if trusted {
            self.inner.auth.apply(&mut ours).await?;
        }
        let proxy = self.inner.proxies.proxy_for(scheme, host, port).filter(|_| scheme == Scheme::Http);
        if let Some(value) = proxy.and_then(|p| p.authorization.as_ref())
            && let Ok(value) = HeaderValue::from_str(value)
        {
            ours.insert(PROXY_AUTHORIZATION, value);
        }
        let mut out = Vec::with_capacity(1024);
        let path = uri.path_and_query().map_or("/", |p| p.as_str());
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        let is_default = port == if scheme == Scheme::Https { 443 } else { 80 };
        let host = if is_default { host.to_owned() } else { format!("{host}:{port}") };
        // A proxied plain request names the whole URL.
        let origin = if proxy.is_some() { format!("http://{host}") } else { String::new() };
        write!(out, "GET {origin}{path} HTTP/1.1\r\nhost: {host}\r\n").expect("a Vec takes all");
        let mut put = |name: &str, value: &HeaderValue| {
            for part in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                out.extend_from_slice(part);
            }
        };
        let sent = headers.iter().filter(|(name, _)| **name != HOST && **name != AUTHORIZATION);
        for (name, value) in sent.chain(ours.iter()) {
            put(name.as_str(), value);
        }
        if let Some(agent) = &self.inner.user_agent
            && !headers.contains_key(USER_AGENT)
            && !ours.contains_key(USER_AGENT)
        {
            put(USER_AGENT.as_str(), agent);
        }
        out.extend_from_slice(b"\r\n");
        Ok(out)
    }

    /// The connection used last that is still open.
    fn take(&self, key: &(Scheme, String, u16)) -> Option<Stream> {
        let mut idle = self.idle.lock();
        let streams = idle.by_host.get_mut(key)?;
        while let Some((stream, since)) = streams.pop() {
            if since.elapsed() < IDLE_TIMEOUT && stream.is_silent() {
                return Some(stream);
            }
        }
        None
    }

    fn keep(&self, key: (Scheme, String, u16), stream: Stream) {
        let now = Instant::now();
        let mut idle = self.idle.lock();
        if now.duration_since(idle.swept) > IDLE_TIMEOUT / 5 {
            idle.swept = now;
            idle.by_host.retain(|_, streams| {
                streams.retain(|(stream, since)| {
                    now.duration_since(*since) < IDLE_TIMEOUT && stream.is_silent()
                });
                !streams.is_empty()
            });
        }
        let streams = idle.by_host.entry(key).or_default();
        if streams.len() < MAX_IDLE_PER_HOST {
            streams.push((stream, now));
        }
    }
}
