//! New connections: TCP, a proxy's `CONNECT`, TLS.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::io_text;
use crate::proxy::{Proxy, Rules, Scheme};
use crate::tls::Tls;
use crate::{Error, ErrorKind};

/// A proxy's reply to `CONNECT` is not longer.
const MAX_CONNECT_REPLY: usize = 8 << 10;

/// Makes connections for the pooling client.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) tls: Arc<Tls>,
    pub(crate) proxies: Arc<Rules>,
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.connect(&uri).await.map(TokioIo::new) })
    }
}

impl Connector {
    /// Connects to where `uri` or its proxy lies.
    pub(crate) async fn connect(&self, uri: &Uri) -> Result<Stream, Error> {
        let (scheme, host, port) = endpoint(uri)?;
        let proxy = self.proxies.proxy_for(scheme, host, port);
        let tcp = match proxy {
            Some(proxy) => tcp(&proxy.host, proxy.port).await.map_err(|e| e.during("proxyconnect tcp"))?,
            None => tcp(host, port).await?,
        };
        match scheme {
            Scheme::Http => Ok(Stream::Plain { tcp, proxied: proxy.is_some() }),
            Scheme::Https => {
                let mut tcp = tcp;
                if let Some(proxy) = proxy {
                    tunnel(&mut tcp, proxy, host, port).await?;
                }
                let name = self.tls.server_name(host)?;
                let connector = TlsConnector::from(self.tls.client_config()?);
                let stream = connector
                    .connect(name, tcp)
                    .await
                    .map_err(|e| Error::new(ErrorKind::Connect, format!("tls: {}", io_text(&e))))?;
                Ok(Stream::Tls(Box::new(stream)))
            }
        }
    }
}

/// Scheme, host and port of a URI.
pub(crate) fn endpoint(uri: &Uri) -> Result<(Scheme, &str, u16), Error> {
    let scheme = match uri.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        other => {
            let other = other.unwrap_or("");
            return Err(Error::new(ErrorKind::Connect, format!("unsupported protocol scheme {other:?}")));
        }
    };
    let host = uri.host().filter(|h| !h.is_empty());
    let host = host.ok_or_else(|| Error::new(ErrorKind::Connect, "http: no Host in request URL"))?;
    let default = if scheme == Scheme::Https { 443 } else { 80 };
    Ok((scheme, host, uri.port_u16().unwrap_or(default)))
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, Error> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let failed = |text: String| Error::new(ErrorKind::Connect, format!("dial tcp {text}"));
    let addresses: Vec<_> = tokio::net::lookup_host((bare, port))
        .await
        .map_err(|e| {
            let text = e.to_string();
            let text = if text.contains("failed to lookup") { "no such host".to_owned() } else { text };
            failed(format!(": lookup {bare}: {text}").trim_start_matches(": ").to_owned())
        })?
        .collect();
    let mut last = failed(format!("lookup {bare}: no such host"));
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Requests are written whole; waiting for more would only delay them.
                stream.set_nodelay(true).ok();
                return Ok(stream);
            }
            Err(e) => last = failed(format!("{address}: connect: {}", io_text(&e))),
        }
    }
    Err(last)
}

/// Asks a proxy for a tunnel.
async fn tunnel(tcp: &mut TcpStream, proxy: &Proxy, host: &str, port: u16) -> Result<(), Error> {
    let failed = |text: &str| Error::new(ErrorKind::Connect, format!("proxyconnect tcp: {text}"));
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
    if let Some(authorization) = &proxy.authorization {
        request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
    }
    for (name, value) in &proxy.connect_headers {
        if name.contains(['\r', '\n', ':']) || value.contains(['\r', '\n']) {
            return Err(failed("a proxy_connect_header has a line feed"));
        }
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    tcp.write_all(request.as_bytes()).await.map_err(|e| failed(&io_text(&e)))?;
    // Byte by byte, so that nothing of what follows the reply's head is taken; the kernel buffers.
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        if reply.len() > MAX_CONNECT_REPLY {
            return Err(failed("reply too long"));
        }
        reply.push(tcp.read_u8().await.map_err(|e| failed(&io_text(&e)))?);
    }
    let status = std::str::from_utf8(&reply).ok().and_then(|r| r.lines().next()).unwrap_or("");
    let (_, status) = status.split_once(' ').unwrap_or(("", "malformed reply"));
    if status.starts_with('2') { Ok(()) } else { Err(failed(status)) }
}

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain { tcp: TcpStream, proxied: bool },
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain { tcp, .. } => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Waits until there is something to read, be it the end.
    pub(crate) async fn readable(&self) {
        // An error is found by the read that follows.
        let _ = self.tcp().readable().await;
    }

    /// Whether nothing came, not even the end, on a connection where nothing is expected.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.tcp().try_read(&mut [0]), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        // A proxied plain request names the whole URL in its first line.
        Connected::new().proxy(matches!(self, Self::Plain { proxied: true, .. }))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { tcp, .. } => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain { tcp, .. } => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { tcp, .. } => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { tcp, .. } => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
