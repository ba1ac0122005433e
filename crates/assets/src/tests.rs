//! Served as built or, on a fresh clone, with the fallback page: these hold for both.

use super::*;

fn header<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn pages_are_the_index() {
    for app in [App::Prometheus, App::Dashboards] {
        for path in ["/", "", "/query?g0.expr=up", "/d/abc/some-slug", "/index.html", "/targets#x"] {
            let response = respond(app, path, None, None);
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8", "{path}");
            assert_eq!(header(&response, "cache-control"), "no-cache");
            assert_eq!(header(&response, "x-frame-options"), "DENY");
            assert_eq!(header(&response, "x-content-type-options"), "nosniff");
            assert!(header(&response, "content-security-policy").contains("default-src 'none'"));
            assert!(!response.body().is_empty());
        }
    }
}

#[test]
fn missing_files_are_not_pages() {
    for path in
        ["/assets/gone-123.js", "/favicon.png", "/index.html.br", "/assets/x", "/../Cargo.toml", "/a/..%2f.x"]
    {
        let response = respond(App::Prometheus, path, Some("br"), None);
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
    }
}

#[test]
fn tags_answer_not_modified() {
    let first = respond(App::Dashboards, "/", None, None);
    let tag = header(&first, "etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'));
    for sent in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let again = respond(App::Dashboards, "/", None, Some(&sent));
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{sent}");
        assert!(again.body().is_empty());
        assert_eq!(header(&again, "etag"), tag);
    }
    assert_eq!(respond(App::Dashboards, "/", None, Some("\"other\"")).status(), StatusCode::OK);
}

#[test]
fn built_assets_are_compressed_and_kept() {
    let Some(script) =
        PrometheusFiles::iter().find(|name| name.starts_with("assets/") && name.ends_with(".js"))
    else {
        eprintln!("SKIPPED: the UI was not built");
        return;
    };
    let path = format!("/{script}");
    let plain = respond(App::Prometheus, &path, None, None);
    assert_eq!(header(&plain, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(header(&plain, "content-type"), "text/javascript; charset=utf-8");
    for (accept, coding) in [("br, gzip", "br"), ("gzip", "gzip")] {
        let packed = respond(App::Prometheus, &path, Some(accept), None);
        if header(&packed, "content-encoding").is_empty() {
            continue; // Too small to be worth a sibling.
        }
        assert_eq!(header(&packed, "content-encoding"), coding);
        assert!(packed.body().len() < plain.body().len());
        assert_ne!(header(&packed, "etag"), header(&plain, "etag"));
        assert_eq!(header(&packed, "vary"), "Accept-Encoding");
    }
}
