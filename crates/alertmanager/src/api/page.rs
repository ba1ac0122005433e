//! The page at `/`: alerts by group, silences, and forms to create and end them. It speaks to `/api/v2`.

use axum::http::header;
use axum::response::{Html, IntoResponse as _, Response};

pub(super) async fn page() -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; form-action 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("page.html"))).into_response()
}
