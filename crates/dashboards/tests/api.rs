//! The router from outside: who gets in, what they see, what passes to the data source.
#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use dashboards::{Options, Service, Sources, Upstream, router};
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

struct Site {
    router: Router,
    _dir: tempfile::TempDir,
}

fn site(anonymous: bool) -> Site {
    site_with(anonymous, Sources::default())
}

/// `sources` with two plain dashboards.
fn site_with(anonymous: bool, sources: Sources) -> Site {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("dashboards");
    std::fs::create_dir_all(plain.join("Team")).unwrap();
    std::fs::write(plain.join("Team/api.json"), r#"{"title":"API","uid":"api","tags":["x"],"panels":[]}"#)
        .unwrap();
    std::fs::write(plain.join("sys.json"), r#"{"title":"System","uid":"sys"}"#).unwrap();
    let prometheus = Router::new().route(
        "/api/v1/{*rest}",
        any(|req: Request<Body>| async move {
            assert!(req.headers().get(header::COOKIE).is_none(), "the cookie stays here");
            format!("{} {}", req.method(), req.uri())
        }),
    );
    let service = Service::open(Options {
        storage_path: dir.path().join("state"),
        sources: Sources { plain: Some(plain), ..sources },
        upstream: Upstream::Local(prometheus),
        admin_password: "admin".to_owned(),
        must_change_password: true,
        anonymous,
        clock: Arc::new(|| 1_000_000),
    })
    .unwrap();
    Site { router: router(Arc::new(service)), _dir: dir }
}

impl Site {
    async fn call(
        &self,
        method: Method,
        path: &str,
        cookie: Option<&str>,
        body: Option<Value>,
    ) -> (StatusCode, String, Option<String>) {
        let mut req = Request::builder().method(method).uri(path).header(header::HOST, "localhost:3000");
        if let Some(cookie) = cookie {
            req = req.header(header::COOKIE, format!("other=1; {cookie}"));
        }
        let req = match body {
            Some(json) => {
                req.header(header::CONTENT_TYPE, "application/json").body(Body::from(json.to_string()))
            }
            None => req.body(Body::empty()),
        };
        let response = self.router.clone().oneshot(req.unwrap()).await.unwrap();
        let set = response.headers().get(header::SET_COOKIE).map(|v| v.to_str().unwrap().to_owned());
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap(), set)
    }

    async fn login(&self, password: &str) -> (StatusCode, Option<String>) {
        let body = json!({"user": "admin", "password": password});
        let (status, _, set) = self.call(Method::POST, "/login", None, Some(body)).await;
        (status, set.and_then(|c| c.split(';').next().map(str::to_owned)))
    }
}

#[tokio::test]
async fn the_first_password_must_be_changed_before_anything_else() {
    let site = site(false);
    assert_eq!(site.call(Method::GET, "/api/search", None, None).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(site.login("wrong").await, (StatusCode::UNAUTHORIZED, None));
    let (status, cookie) = site.login("admin").await;
    assert_eq!(status, StatusCode::OK);
    let cookie = cookie.as_deref();
    assert_eq!(site.call(Method::GET, "/api/search", cookie, None).await.0, StatusCode::FORBIDDEN);
    let (_, user, _) = site.call(Method::GET, "/api/user", cookie, None).await;
    assert!(user.contains(r#""mustChangePassword":true"#), "{user}");
    for (old, new, status) in [
        ("admin", "abc", StatusCode::BAD_REQUEST),
        ("admin", "admin", StatusCode::BAD_REQUEST),
        ("nope", "secret", StatusCode::UNAUTHORIZED),
        ("admin", "secret", StatusCode::OK),
    ] {
        let body = json!({"oldPassword": old, "newPassword": new, "confirmNew": new});
        assert_eq!(site.call(Method::PUT, "/api/user/password", cookie, Some(body)).await.0, status, "{new}");
    }
    let (status, found, _) = site.call(Method::GET, "/api/search?type=dash-db&query=ap", cookie, None).await;
    assert_eq!(status, StatusCode::OK);
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(
        (found.as_array().unwrap().len(), &found[0]["url"], &found[0]["folderTitle"]),
        (1, &json!("/d/api/api"), &json!("Team"))
    );
    assert_eq!(site.call(Method::GET, "/logout", cookie, None).await.0, StatusCode::FOUND);
    assert_eq!(site.call(Method::GET, "/api/user", cookie, None).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(site.login("admin").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(site.login("secret").await.0, StatusCode::OK);
}

#[tokio::test]
async fn anonymous_viewers_read_and_change_nothing() {
    let site = site(true);
    let (status, body, _) = site.call(Method::GET, "/api/dashboards/uid/api", None, None).await;
    assert_eq!(status, StatusCode::OK);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["dashboard"]["title"], &body["meta"]["canSave"]), (&json!("API"), &json!(false)));
    for (method, path, status) in [
        (Method::GET, "/api/dashboards/uid/none", StatusCode::NOT_FOUND),
        (Method::POST, "/api/admin/provisioning/dashboards/reload", StatusCode::FORBIDDEN),
        (Method::POST, "/api/dashboards/db", StatusCode::NOT_IMPLEMENTED),
        (Method::GET, "/api/health", StatusCode::OK),
        (Method::GET, "/login", StatusCode::OK),
        (Method::POST, "/api/datasources/proxy/uid/any/-/quit", StatusCode::FORBIDDEN),
        (Method::GET, "/api/datasources/uid/whatever/health", StatusCode::OK),
    ] {
        assert_eq!(site.call(method.clone(), path, None, None).await.0, status, "{method} {path}");
    }
    let path = "/api/datasources/proxy/uid/whatever/api/v1/query?query=up";
    let (_, body, _) = site.call(Method::GET, path, Some("grafana_session=x"), None).await;
    assert_eq!(body, "GET /api/v1/query?query=up");
}

#[tokio::test]
async fn starters_are_listed_read_and_downloaded() {
    let site = site_with(true, Sources { starters: true, ..Sources::default() });
    let get = async |path: &str| site.call(Method::GET, path, None, None).await;
    let found: Value = serde_json::from_str(&get("/api/search?query=host&type=dash-db").await.1).unwrap();
    assert_eq!(
        (&found[0]["uid"], &found[0]["folderTitle"], &found[0]["isStarter"]),
        (&json!("vigie-host"), &json!("Starters"), &json!(true))
    );
    let (_, dashboard, _) = get("/api/dashboards/uid/vigie-host").await;
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    assert_eq!(dashboard["meta"]["canSave"], json!(false));
    for (uid, title) in [("vigie-host", "Host"), ("api", "API")] {
        let (status, file, _) = get(&format!("/api/vigie/dashboards/{uid}/file")).await;
        let file: Value = serde_json::from_str(&file).unwrap();
        assert_eq!((status, &file["title"], &file["uid"]), (StatusCode::OK, &json!(title), &json!(uid)));
    }
    let rules: Value = serde_json::from_str(&get("/api/vigie/starter-rules").await.1).unwrap();
    let subjects: Vec<_> =
        rules["subjects"].as_array().unwrap().iter().map(|s| s["file"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["host.yml", "postgresql.yml", "redis.yml", "vigie.yml"]);
    let rule = &rules["subjects"][2]["groups"][0]["rules"][0];
    assert_eq!(
        (&rule["name"], &rule["query"], &rule["duration"], &rule["labels"]["severity"]),
        (&json!("RedisDown"), &json!("redis_up == 0"), &json!(60.0), &json!("critical"))
    );
    let (status, text, _) = get("/api/vigie/starter-rules/redis.yml").await;
    assert_eq!((status, text.as_str()), (StatusCode::OK, dashboards::starters::ALL[2].rules));
    for missing in [
        "/api/vigie/starter-rules/../api.rs",
        "/api/vigie/starter-rules/x.yml",
        "/api/vigie/dashboards/x/file",
    ] {
        assert_ne!(get(missing).await.0, StatusCode::OK, "{missing}");
    }
}

#[tokio::test]
async fn starters_can_be_left_out_and_need_a_login() {
    let site = site(true);
    let get = async |path: &str| site.call(Method::GET, path, None, None).await;
    assert_eq!(get("/api/vigie/starter-rules").await.1, r#"{"enabled":false,"subjects":[]}"#);
    assert_eq!(get("/api/vigie/starter-rules/redis.yml").await.0, StatusCode::NOT_FOUND);
    assert_eq!(get("/api/dashboards/uid/vigie-host").await.0, StatusCode::NOT_FOUND);
    assert!(get("/api/user").await.1.contains(r#""starters":false"#));
    let closed = site_with(false, Sources { starters: true, ..Sources::default() });
    let (status, ..) = closed.call(Method::GET, "/api/vigie/starter-rules", None, None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn another_origin_cannot_write() {
    let site = site(true);
    let req = Request::post("/login")
        .header(header::HOST, "localhost:3000")
        .header(header::ORIGIN, "http://evil.example")
        .body(Body::empty())
        .unwrap();
    assert_eq!(site.router.clone().oneshot(req).await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn guessing_is_stopped() {
    let site = site(false);
    for _ in 0..5 {
        assert_eq!(site.login("wrong").await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(site.login("admin").await.0, StatusCode::TOO_MANY_REQUESTS);
}
