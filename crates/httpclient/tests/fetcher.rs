//! The fetcher against scripted servers on loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::io::Write as _;
use std::time::Duration;

use config::{BasicAuth, ConfigUrl, HttpClientConfig, Secret};
use http::HeaderMap;
use http::header::{ACCEPT, HeaderValue};
use httpclient::{Client, ClientOptions, Error, ErrorKind, Fetcher, Limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const LIMITS: Limits = Limits { timeout: Duration::from_secs(5), max_body_bytes: Some(1000) };

/// A server that gives these pieces of bytes, one reply after the other, each connection `per_connection` replies. Its address, and
/// the heads of requests as they come.
async fn serve(
    replies: Vec<Vec<Vec<u8>>>,
    per_connection: usize,
) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (seen, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut replies = replies.into_iter();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            for _ in 0..per_connection {
                let Some(head) = request(&mut stream).await else { break };
                seen.send(head).unwrap();
                for piece in replies.next().unwrap_or_default() {
                    stream.write_all(&piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    (address, requests)
}

async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

fn whole(text: &str) -> Vec<Vec<u8>> {
    vec![text.as_bytes().to_vec()]
}

fn ok(body: &str) -> Vec<Vec<u8>> {
    whole(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

fn fetcher(config: &HttpClientConfig) -> Fetcher {
    Client::new(config, ClientOptions { user_agent: "us".to_owned() }).unwrap().fetcher()
}

async fn get(fetcher: &Fetcher, url: &str) -> Result<String, Error> {
    let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("text/plain"))]);
    let fetched = fetcher.get(&url.parse().unwrap(), &headers, &LIMITS).await?;
    let text = format!("{} {}", fetched.status.as_u16(), String::from_utf8_lossy(fetched.buffer.body()));
    fetched.buffer.recycle();
    Ok(text)
}

#[tokio::test]
async fn bodies_of_all_framings_whole_and_byte_by_byte() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"a 1\nb 2\n").unwrap();
    let gzip = gzip.finish().unwrap();
    let mut chunked =
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for part in gzip.chunks(7) {
        chunked.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        chunked.extend_from_slice(part);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let mut zipped =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", gzip.len())
            .into_bytes();
    zipped.extend_from_slice(&gzip);
    let plain = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\na 1\nb 2\n".to_vec();
    let plain_chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n4;x\r\nb 2\n\r\n0\r\nT: x\r\n\r\n";
    let interim =
        b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\na 1\nb 2\n";
    let wires = [chunked, zipped, plain, plain_chunked.to_vec(), interim.to_vec()];
    for cut in [usize::MAX, 1, 5] {
        let replies: Vec<Vec<Vec<u8>>> =
            wires.iter().map(|w| w.chunks(cut.min(w.len())).map(<[u8]>::to_vec).collect()).collect();
        let (address, mut requests) = serve(replies, usize::MAX).await;
        let fetcher = fetcher(&HttpClientConfig::default());
        for _ in &wires {
            assert_eq!(get(&fetcher, &format!("http://{address}/m?x=1")).await.unwrap(), "200 a 1\nb 2\n");
            let expect = format!(
                "GET /m?x=1 HTTP/1.1\r\nhost: {address}\r\naccept: text/plain\r\nuser-agent: us\r\n\r\n"
            );
            assert_eq!(requests.recv().await.unwrap(), expect);
        }
    }
    // Up to the connection's end, at last.
    let (address, _requests) = serve(vec![whole("HTTP/1.0 200 OK\r\n\r\nto the end")], 1).await;
    assert_eq!(
        get(&fetcher(&HttpClientConfig::default()), &format!("http://{address}")).await.unwrap(),
        "200 to the end"
    );
}

#[tokio::test]
async fn connections_are_kept_and_replaced_when_the_server_hangs_up() {
    let (address, mut requests) = serve((0..7).map(|i| ok(&i.to_string())).collect(), 3).await;
    let fetcher = fetcher(&HttpClientConfig::default());
    for i in 0..7 {
        assert_eq!(get(&fetcher, &format!("http://{address}/")).await.unwrap(), format!("200 {i}"));
    }
    // A request on a connection that turned out to be closed was never seen.
    let mut n = 0;
    while requests.try_recv().is_ok() {
        n += 1;
    }
    assert_eq!(n, 7);
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let big = format!("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n{}", "x".repeat(1001));
    let streamed = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1001));
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    bomb.write_all(&[b'x'; 5_000_000]).unwrap();
    let mut zipped = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n".to_vec();
    zipped.extend_from_slice(&bomb.finish().unwrap());
    for (reply, kind, text) in [
        (big.into_bytes(), ErrorKind::BodyTooLarge, "body size limit exceeded"),
        (streamed.into_bytes(), ErrorKind::BodyTooLarge, "body size limit exceeded"),
        (zipped, ErrorKind::BodyTooLarge, "body size limit exceeded"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc".to_vec(), ErrorKind::Protocol, "unexpected EOF"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc".to_vec(),
            ErrorKind::Protocol,
            "unexpected EOF",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz".to_vec(),
            ErrorKind::Protocol,
            "malformed chunked encoding",
        ),
        (b"HTTP/1.1 200 OK\r\nConte".to_vec(), ErrorKind::Protocol, "EOF"),
        (b"".to_vec(), ErrorKind::Protocol, "EOF"),
        (
            b"220 mail.example.com ESMTP\r\n".to_vec(),
            ErrorKind::Protocol,
            "malformed HTTP response: invalid HTTP version",
        ),
        (
            format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(80_000)).into_bytes(),
            ErrorKind::Protocol,
            "server response headers exceeded 65536 bytes; aborted",
        ),
    ] {
        let (address, _requests) = serve(vec![vec![reply]], 1).await;
        let url = format!("http://{address}/");
        let error = get(&fetcher(&HttpClientConfig::default()), &url).await.unwrap_err();
        let expect =
            if kind == ErrorKind::BodyTooLarge { text.to_owned() } else { format!("Get \"{url}\": {text}") };
        assert_eq!((error.kind(), error.to_string()), (kind, expect));
    }
    let fetcher = fetcher(&HttpClientConfig::default());
    let error = get(&fetcher, "http://u:hidden@127.0.0.1:1/").await.unwrap_err();
    let expect = "Get \"http://u:xxxxx@127.0.0.1:1/\": dial tcp 127.0.0.1:1: connect: connection refused";
    assert_eq!(error.to_string(), expect);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let limits = Limits { timeout: Duration::from_millis(20), ..LIMITS };
    let error = fetcher.get(&url.parse().unwrap(), &HeaderMap::new(), &limits).await.unwrap_err();
    assert_eq!(error.to_string(), format!("Get \"{url}\": context deadline exceeded"));
}

#[tokio::test]
async fn redirects_authorisation_and_proxies() {
    let config = HttpClientConfig {
        basic_auth: Some(BasicAuth {
            username: "me".to_owned(),
            password: Secret("pw".to_owned()),
            ..BasicAuth::default()
        }),
        ..HttpClientConfig::default()
    };
    let (other, mut at_other) = serve(vec![ok("there")], 1).await;
    let elsewhere = other.replace("127.0.0.1", "localhost");
    let to = |l: &str| whole(&format!("HTTP/1.1 302 Found\r\nLocation: {l}\r\nContent-Length: 0\r\n\r\n"));
    let (address, mut requests) =
        serve(vec![to("/b?c"), ok("here"), to(&format!("http://{elsewhere}/away"))], usize::MAX).await;
    let f = fetcher(&config);
    assert_eq!(get(&f, &format!("http://{address}/a")).await.unwrap(), "200 here");
    for path in ["/a", "/b?c"] {
        let head = requests.recv().await.unwrap();
        assert!(head.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{head}");
        assert!(head.contains("authorization: Basic bWU6cHc=\r\n"), "{head}");
    }
    assert_eq!(get(&f, &format!("http://{address}/a")).await.unwrap(), "200 there");
    let head = at_other.recv().await.unwrap();
    assert!(!head.contains("authorization"), "no secrets to another host: {head}");
    let (address, _requests) = serve((0..20).map(|_| to("/loop")).collect(), usize::MAX).await;
    let error = get(&f, &format!("http://{address}/loop")).await.unwrap_err();
    assert!(error.to_string().ends_with("stopped after 10 redirects"), "{error}");
    let stay = HttpClientConfig { follow_redirects: false, ..HttpClientConfig::default() };
    let (address, _requests) = serve(vec![to("/x")], 1).await;
    assert_eq!(get(&fetcher(&stay), &format!("http://{address}/")).await.unwrap(), "302 ");
    // Credentials in the URL.
    let (address, mut requests) = serve(vec![ok("")], 1).await;
    get(&fetcher(&stay), &format!("http://u:p%40@{address}/")).await.unwrap();
    let head = requests.recv().await.unwrap();
    assert!(
        head.contains("authorization: Basic dTpwQA==\r\n") && head.contains(&format!("host: {address}\r\n")),
        "{head}"
    );
    // A plain request to a proxy names the whole URL.
    let (proxy, mut requests) = serve(vec![ok("proxied")], 1).await;
    let mut config = HttpClientConfig::default();
    config.proxy.proxy_url = ConfigUrl(format!("http://u:p@{proxy}"));
    assert_eq!(get(&fetcher(&config), "http://target.invalid/m?x=1").await.unwrap(), "200 proxied");
    let head = requests.recv().await.unwrap();
    assert!(
        head.starts_with("GET http://target.invalid/m?x=1 HTTP/1.1\r\nhost: target.invalid\r\n"),
        "{head}"
    );
    assert!(head.contains("proxy-authorization: Basic dTpw\r\n"), "{head}");
}
