//! The client against scripted servers on loopback.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use config::{Authorization, BasicAuth, ConfigUrl, HeaderValues, HttpClientConfig, OAuth2, Secret};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use httpclient::{Client, ClientOptions, ErrorKind, Limits};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const LIMITS: Limits = Limits { timeout: Duration::from_secs(5), max_body_bytes: Some(1000) };

/// A server; its address. The script gets the request with its body as text.
async fn serve(script: impl Fn(Request<String>) -> Response<Full<Bytes>> + Send + Sync + 'static) -> String {
    let script = Arc::new(script);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let script = Arc::clone(&script);
            let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                let script = Arc::clone(&script);
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let body = String::from_utf8(body.to_vec()).unwrap();
                    Ok::<_, Infallible>(script(Request::from_parts(head, body)))
                }
            });
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// Answers with what was asked: method, path, authorisation, one header, body.
fn echo(request: &Request<String>) -> Response<Full<Bytes>> {
    let header = |name: &str| {
        let values = request.headers().get_all(name).iter().filter_map(|v| v.to_str().ok());
        values.collect::<Vec<_>>().join("+")
    };
    let text = format!(
        "{} {} auth={} x={} {}",
        request.method(),
        request.uri(),
        header("authorization"),
        header("x-key"),
        request.body()
    );
    Response::new(Full::from(text.trim_end().to_owned()))
}

async fn send(config: &HttpClientConfig, method: Method, url: &str) -> Result<String, httpclient::Error> {
    let client = Client::new(config, ClientOptions::default())?;
    let body = if method == Method::POST { "data" } else { "" };
    let request = Request::builder().method(method).uri(url).body(Bytes::from(body)).unwrap();
    let reply = client.send(request, &LIMITS).await?;
    Ok(format!("{} {}", reply.status().as_u16(), String::from_utf8_lossy(reply.body())))
}

fn bearer(credentials: &str) -> HttpClientConfig {
    let authorization = Authorization {
        kind: "Bearer".to_owned(),
        credentials: Secret(credentials.to_owned()),
        ..Authorization::default()
    };
    HttpClientConfig { authorization: Some(authorization), ..HttpClientConfig::default() }
}

#[tokio::test]
async fn authorisation_and_headers() {
    let address = serve(|r| echo(&r)).await;
    let url = format!("http://{address}/p");
    let mut config = bearer("t0p");
    config.http_headers.insert(
        "X-Key".to_owned(),
        HeaderValues {
            values: vec!["a".into()],
            secrets: vec![Secret("b".into())],
            ..HeaderValues::default()
        },
    );
    assert_eq!(send(&config, Method::GET, &url).await.unwrap(), "200 GET /p auth=Bearer t0p x=a+b");
    // A file is read at each request.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    let basic = BasicAuth {
        username: "me".to_owned(),
        password_file: file.to_string_lossy().into_owned(),
        ..BasicAuth::default()
    };
    let config = HttpClientConfig { basic_auth: Some(basic), ..HttpClientConfig::default() };
    let client = Client::new(&config, ClientOptions::default()).unwrap();
    let get = || Request::builder().uri(&url).body(Bytes::new()).unwrap();
    let error = client.send(get(), &LIMITS).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    for (password, encoded) in [("one\n", "bWU6b25l"), ("two", "bWU6dHdv")] {
        std::fs::write(&file, password).unwrap();
        let reply = client.send(get(), &LIMITS).await.unwrap();
        assert_eq!(reply.body(), &format!("GET /p auth=Basic {encoded} x="));
    }
    // A password in the URL is used and not shown.
    let with_info = format!("http://u:p%40@{address}/p");
    let plain = HttpClientConfig::default();
    assert_eq!(send(&plain, Method::GET, &with_info).await.unwrap(), "200 GET /p auth=Basic dTpwQA== x=");
    let error = send(&plain, Method::GET, "http://u:hidden@127.0.0.1:1/").await.unwrap_err();
    assert!(!error.to_string().contains("hidden") && error.to_string().contains("xxxxx"), "{error}");
}

#[tokio::test]
async fn redirects() {
    let other = serve(|r| echo(&r)).await;
    let elsewhere = other.replace("127.0.0.1", "localhost");
    let address = serve(move |r| {
        let to = |code: u16, location: &str| {
            Response::builder().status(code).header("Location", location).body(Full::default()).unwrap()
        };
        match r.uri().path() {
            "/307" => to(307, "/end"),
            "/302" => to(302, "end"),
            "/away" => to(307, &format!("http://{elsewhere}/away")),
            "/loop" => to(308, "/loop"),
            _ => echo(&r),
        }
    })
    .await;
    let config = bearer("t0p");
    let get = |path: &str, method| {
        let (config, url) = (config.clone(), format!("http://{address}{path}"));
        async move { send(&config, method, &url).await }
    };
    assert_eq!(get("/307", Method::POST).await.unwrap(), "200 POST /end auth=Bearer t0p x= data");
    assert_eq!(get("/302", Method::POST).await.unwrap(), "200 GET /end auth=Bearer t0p x=");
    assert_eq!(
        get("/away", Method::GET).await.unwrap(),
        "200 GET /away auth= x=",
        "no secrets to another host"
    );
    let error = get("/loop", Method::GET).await.unwrap_err();
    assert!(error.to_string().ends_with("stopped after 10 redirects"), "{error}");
    let stay = HttpClientConfig { follow_redirects: false, ..config.clone() };
    assert_eq!(send(&stay, Method::GET, &format!("http://{address}/307")).await.unwrap(), "307 ");
}

#[tokio::test]
async fn bodies_are_bounded_after_decompression() {
    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }
    let address = serve(|r| {
        let gzip =
            |bytes| Response::builder().header("Content-Encoding", "gzip").body(Full::from(bytes)).unwrap();
        match r.uri().path() {
            "/fits" => gzip(zipped(&[b'x'; 1000])),
            "/bomb" => gzip(zipped(&vec![b'x'; 50_000_000])),
            "/cut" => gzip(zipped(&[b'x'; 900])[..12].to_vec()),
            "/junk" => gzip(b"not gzip at all".to_vec()),
            _ => Response::new(Full::from(vec![b'x'; 1001])),
        }
    })
    .await;
    let config = HttpClientConfig::default();
    let get = |path: &str| {
        let (config, url) = (config.clone(), format!("http://{address}{path}"));
        async move { send(&config, Method::GET, &url).await }
    };
    assert_eq!(get("/fits").await.unwrap().len(), 1004);
    for path in ["/bomb", "/plain"] {
        assert_eq!(get(path).await.unwrap_err().kind(), ErrorKind::BodyTooLarge, "{path}");
    }
    for path in ["/cut", "/junk"] {
        assert_eq!(get(path).await.unwrap_err().kind(), ErrorKind::Protocol, "{path}");
    }
}

#[tokio::test]
async fn tokens_are_fetched_once_and_shown_to_the_server() {
    let fetched = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fetched);
    let address = serve(move |r| {
        if r.uri().path() != "/token" {
            return echo(&r);
        }
        // This server wants the secret in the form.
        if !r.body().contains("client_secret=s%26") {
            return Response::builder().status(401).body(Full::default()).unwrap();
        }
        assert!(r.body().starts_with("grant_type=client_credentials&scope=a+b&"), "{}", r.body());
        count.fetch_add(1, Ordering::SeqCst);
        Response::new(Full::from(r#"{"access_token":"abc","token_type":"bearer","expires_in":3600}"#))
    })
    .await;
    let oauth2 = OAuth2 {
        client_id: "me".to_owned(),
        client_secret: Secret("s&".to_owned()),
        token_url: format!("http://{address}/token"),
        scopes: vec!["a".to_owned(), "b".to_owned()],
        ..OAuth2::default()
    };
    let config = HttpClientConfig { oauth2: Some(oauth2), ..HttpClientConfig::default() };
    let client = Client::new(&config, ClientOptions::default()).unwrap();
    for _ in 0..3 {
        let request = Request::builder().uri(format!("http://{address}/x")).body(Bytes::new()).unwrap();
        let reply = client.send(request, &LIMITS).await.unwrap();
        assert_eq!(reply.body(), "GET /x auth=Bearer abc x=");
    }
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn proxies() {
    // A plain request names the whole URL, with the proxy's own authorisation.
    let proxy = serve(|r| {
        let authorization =
            r.headers().get("proxy-authorization").and_then(|v| v.to_str().ok()).unwrap_or("");
        Response::new(Full::from(format!("{} {authorization}", r.uri())))
    })
    .await;
    let through = |url: String, no_proxy: &str| {
        let mut config = HttpClientConfig::default();
        config.proxy.proxy_url = ConfigUrl(url);
        no_proxy.clone_into(&mut config.proxy.no_proxy);
        config
    };
    let config = through(format!("http://u:p@{proxy}"), "");
    let reply = send(&config, Method::GET, "http://target.invalid:99/m?x=1").await.unwrap();
    assert_eq!(reply, "200 http://target.invalid:99/m?x=1 Basic dTpw");
    let direct = serve(|r| echo(&r)).await;
    let config = through(format!("http://{proxy}"), "10.0.0.0/8");
    assert!(
        send(&config, Method::GET, &format!("http://{direct}/m")).await.unwrap().starts_with("200 GET /m")
    );
    // TLS asks for a tunnel first.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 1000];
        let n = stream.read(&mut buffer).await.unwrap();
        stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    });
    let config = through(format!("http://{address}"), "");
    let error = send(&config, Method::GET, "https://target.invalid/m").await.unwrap_err();
    assert!(error.to_string().contains("proxyconnect tcp: 407 Proxy Authentication Required"), "{error}");
    assert!(
        asked
            .await
            .unwrap()
            .starts_with("CONNECT target.invalid:443 HTTP/1.1\r\nHost: target.invalid:443\r\n")
    );
    let config = through("socks5://127.0.0.1:1".to_owned(), "");
    assert_eq!(send(&config, Method::GET, "http://h/").await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn time_is_bounded_and_wrong_tls_settings_are_told_at_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let client = Client::new(&HttpClientConfig::default(), ClientOptions::default()).unwrap();
    let limits = Limits { timeout: Duration::from_millis(20), max_body_bytes: None };
    let request = Request::builder().uri(&url).body(Bytes::new()).unwrap();
    let error = client.send(request, &limits).await.unwrap_err();
    assert_eq!(error.to_string(), format!("Get \"{url}\": context deadline exceeded"));
    let mut config = HttpClientConfig::default();
    config.tls_config.ca_file = "/nonexistent/ca.pem".to_owned();
    let error = Client::new(&config, ClientOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "tls_config: ca_file: open /nonexistent/ca.pem: no such file or directory");
    let mut config = HttpClientConfig::default();
    config.tls_config.ca = "no certificate".to_owned();
    assert_eq!(Client::new(&config, ClientOptions::default()).unwrap_err().kind(), ErrorKind::Config);
}
