//! The router: login, the calls of Grafana's API that are served, the viewer's pages.

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post, put};
use axum::{Extension, Json, Router};
use base64::Engine as _;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use parking_lot::{Mutex, RwLock};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Error;
use crate::library::{Dashboard, Library, slugify};
use crate::limiter::Limiter;
use crate::own_api;
use crate::provisioning::{Scanner, Sources};
use crate::proxy::Upstream;
use crate::session::{COOKIE, LIFETIME_S, token_hash};
use crate::users::{Database, MAX_PASSWORD_BYTES, Role, User, check_new_password};

/// The uid under which the built-in data source is listed; every other uid means it too.
const DATASOURCE_UID: &str = "prometheus";

/// How the role runs.
pub struct Options {
    /// Where users and sessions are kept.
    pub storage_path: PathBuf,
    /// Where dashboards come from.
    pub sources: Sources,
    /// Where data comes from.
    pub upstream: Upstream,
    /// The password of `admin` in a new database (Grafana's is `admin`).
    pub admin_password: String,
    /// Whether that password must be changed at the first login.
    pub must_change_password: bool,
    /// Whether everybody may view without logging in.
    pub anonymous: bool,
    /// Milliseconds since the Unix epoch.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

/// The role's state.
pub struct Service {
    db: Database,
    library: RwLock<Arc<Library>>,
    scanner: Mutex<Scanner>,
    sources: Sources,
    upstream: Upstream,
    limiter: Limiter,
    anonymous: bool,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

impl Service {
    /// Opens the database and reads the dashboards.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn open(options: Options) -> Result<Self, Error> {
        let now_s = (options.clock)() / 1000;
        let service = Self {
            db: Database::open(
                &options.storage_path,
                &options.admin_password,
                options.must_change_password,
                now_s,
            )?,
            library: RwLock::default(),
            scanner: Mutex::default(),
            sources: options.sources,
            upstream: options.upstream,
            limiter: Limiter::default(),
            anonymous: options.anonymous,
            clock: options.clock,
        };
        service.rescan();
        Ok(service)
    }

    /// Reads the dashboards again where files changed, and logs problems that are new. Blocks on the disk; called every ten
    /// seconds by the owner.
    pub fn rescan(&self) {
        let next = Arc::new(self.scanner.lock().scan(&self.sources));
        let last = std::mem::replace(&mut *self.library.write(), Arc::clone(&next));
        for problem in next.problems().iter().filter(|p| !last.problems().contains(p)) {
            tracing::warn!(%problem, "dashboard not provisioned");
        }
    }

    /// The dashboards now.
    #[must_use]
    pub fn library(&self) -> Arc<Library> {
        Arc::clone(&self.library.read())
    }

    /// Whether the program's own dashboards and rules are offered.
    pub(crate) fn offers_starters(&self) -> bool {
        self.sources.starters
    }

    fn now_s(&self) -> i64 {
        (self.clock)() / 1000
    }
}

/// Who is asking.
#[derive(Debug, Clone)]
enum Caller {
    User { user: User, token: Option<String> },
    Anonymous,
}

impl Caller {
    fn role(&self) -> Role {
        match self {
            Self::User { user, .. } => user.role,
            Self::Anonymous => Role::Viewer,
        }
    }
}

/// The whole router.
pub fn router(service: Arc<Service>) -> Router {
    let signed_in = Router::new()
        .route("/api/user", get(current_user))
        .route("/api/user/password", put(change_password))
        .route("/api/org", get(|| async { Json(json!({"id": 1, "name": "Main Org."})) }))
        .route("/api/search", get(search))
        .route("/api/dashboards/home", get(home))
        .route("/api/dashboards/tags", get(tags))
        .route("/api/dashboards/uid/{uid}", get(dashboard))
        .route("/api/folders", get(folders))
        .route("/api/datasources", get(datasources))
        .route("/api/datasources/uid/{uid}", get(datasource))
        .route("/api/datasources/name/{name}", get(datasource))
        .route("/api/datasources/uid/{uid}/health", get(datasource_health))
        .route("/api/datasources/proxy/uid/{uid}/{*path}", any(proxy))
        .route("/api/datasources/proxy/{id}/{*path}", any(proxy_by_id))
        .route("/api/admin/provisioning/dashboards/reload", post(reload_dashboards))
        .route("/api/vigie/starter-rules", get(own_api::starter_rules))
        .route("/api/vigie/starter-rules/{file}", get(own_api::starter_rule_file))
        .route("/api/vigie/dashboards/{uid}/file", get(own_api::dashboard_file))
        .route("/api/{*rest}", any(not_yet))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&service), sign_in));
    Router::new()
        .route("/login", post(login).get(page))
        .route("/logout", get(logout).post(logout))
        .route("/api/health", get(health))
        .route("/api/frontend/settings", get(frontend_settings))
        .route("/api/login/ping", get(|| async { Json(json!({"message": "Logged in"})) }))
        .merge(signed_in)
        .fallback(page)
        .layer(axum::middleware::from_fn(same_origin))
        .with_state(service)
}

pub(crate) fn message(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"message": text}))).into_response()
}

fn internal(e: &Error) -> Response {
    tracing::error!(err = %e, "request failed");
    message(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error; the log says more")
}

/// Whether the request comes from a page of another origin.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin.split_once("://").is_none_or(|(_, o)| o != host),
        _ => false,
    }
}

/// Refuses writes that another site's page sends with our cookie.
async fn same_origin(req: Request, next: Next) -> Response {
    if is_foreign(req.headers()) && !matches!(*req.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return message(StatusCode::FORBIDDEN, "origin not allowed");
    }
    next.run(req).await
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get(header::COOKIE)?.to_str().ok()?;
    all.split(';')
        .filter_map(|c| c.trim().split_once('='))
        .find(|(n, _)| *n == COOKIE)
        .map(|(_, v)| v.to_owned())
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let (login, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((login.to_owned(), password.to_owned()))
}

/// Finds out who is asking; whoever must change a password first can do nothing else.
async fn sign_in(State(service): State<Arc<Service>>, mut req: Request, next: Next) -> Response {
    let unauthorized = || message(StatusCode::UNAUTHORIZED, "Unauthorized");
    let caller = if let Some((login, password)) = basic(req.headers()) {
        match check_password(&service, login, password).await {
            Ok(user) => Caller::User { user, token: None },
            Err(refusal) => return refusal,
        }
    } else {
        let session = match cookie(req.headers()) {
            Some(token) => match service.db.session_user(&token, service.now_s()) {
                Ok(user) => user.map(|user| Caller::User { user, token: Some(token) }),
                Err(e) => return internal(&e),
            },
            None => None,
        };
        match session {
            Some(caller) => caller,
            None if service.anonymous => Caller::Anonymous,
            None => return unauthorized(),
        }
    };
    let path = req.uri().path();
    let must_change = matches!(&caller, Caller::User { user, .. } if user.must_change_password);
    if must_change && !matches!(path, "/api/user" | "/api/user/password") {
        return message(StatusCode::FORBIDDEN, "the password must be changed first: PUT /api/user/password");
    }
    req.extensions_mut().insert(caller);
    next.run(req).await
}

async fn check_password(service: &Arc<Service>, login: String, password: String) -> Result<User, Response> {
    if !service.limiter.allows(&login, service.now_s()) {
        return Err(message(
            StatusCode::TOO_MANY_REQUESTS,
            "too many consecutive incorrect login attempts; try again in five minutes",
        ));
    }
    let worker = Arc::clone(service);
    let who = login.clone();
    let found = tokio::task::spawn_blocking(move || {
        if password.len() > MAX_PASSWORD_BYTES { Ok(None) } else { worker.db.authenticate(&who, &password) }
    })
    .await;
    match found {
        Ok(Ok(Some(user))) => {
            service.limiter.succeeded(&login);
            Ok(user)
        }
        Ok(Ok(None)) => {
            service.limiter.failed(&login, service.now_s());
            tracing::warn!(%login, "login failed");
            Err(message(StatusCode::UNAUTHORIZED, "Invalid username or password"))
        }
        Ok(Err(e)) => Err(internal(&e)),
        Err(_) => Err(message(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")),
    }
}

#[derive(Deserialize)]
struct Credentials {
    user: String,
    password: String,
}

async fn login(State(service): State<Arc<Service>>, Json(given): Json<Credentials>) -> Response {
    let user = match check_password(&service, given.user, given.password).await {
        Ok(user) => user,
        Err(refusal) => return refusal,
    };
    match service.db.start_session(&user, service.now_s()) {
        Ok(token) => {
            let cookie = format!("{COOKIE}={token}; Path=/; Max-Age={LIFETIME_S}; HttpOnly; SameSite=Lax");
            let body = json!({"message": "Logged in", "redirectUrl": "/", "mustChangePassword": user.must_change_password});
            ([(header::SET_COOKIE, cookie)], Json(body)).into_response()
        }
        Err(e) => internal(&e),
    }
}

async fn logout(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    if let Some(token) = cookie(&headers)
        && let Err(e) = service.db.end_session(&token)
    {
        return internal(&e);
    }
    let expired = format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    (StatusCode::FOUND, [(header::SET_COOKIE, expired), (header::LOCATION, "/login".to_owned())])
        .into_response()
}

async fn current_user(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
) -> Json<Value> {
    let mut user = match &caller {
        Caller::User { user, .. } => json!({
            "id": user.id, "uid": format!("u{}", user.id), "login": user.login, "name": user.login, "email": "",
            "orgId": 1, "orgRole": user.role.as_str(), "isGrafanaAdmin": user.role == Role::Admin,
            "mustChangePassword": user.must_change_password, "isAnonymous": false,
        }),
        Caller::Anonymous => json!({
            "id": 0, "uid": "", "login": "", "name": "Anonymous", "email": "", "orgId": 1,
            "orgRole": caller.role().as_str(), "isGrafanaAdmin": false, "mustChangePassword": false, "isAnonymous": true,
        }),
    };
    // Whether the page of the starter rules has anything to show.
    user["starters"] = service.offers_starters().into();
    Json(user)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PasswordChange {
    old_password: String,
    new_password: String,
    #[serde(default)]
    confirm_new: Option<String>,
}

async fn change_password(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Json(change): Json<PasswordChange>,
) -> Response {
    let Caller::User { user, token } = caller else {
        return message(StatusCode::UNAUTHORIZED, "Unauthorized");
    };
    if change.confirm_new.as_ref().is_some_and(|c| *c != change.new_password) {
        return message(StatusCode::BAD_REQUEST, "New password and its confirmation differ");
    }
    if let Err(reason) = check_new_password(&change.new_password, &change.old_password) {
        return message(StatusCode::BAD_REQUEST, reason);
    }
    if let Err(refusal) = check_password(&service, user.login.clone(), change.old_password).await {
        return refusal;
    }
    let keep = token.map(|t| token_hash(&t));
    let worker = Arc::clone(&service);
    let changed = tokio::task::spawn_blocking(move || {
        worker.db.change_password(&user, &change.new_password, keep.as_ref().map(<[u8; 32]>::as_slice))
    });
    match changed.await {
        Ok(Ok(())) => message(StatusCode::OK, "User password changed"),
        Ok(Err(e)) => internal(&e),
        Err(_) => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error"),
    }
}

async fn health(State(service): State<Arc<Service>>) -> Response {
    let alive = service.db.0.lock().query_row("SELECT 1", [], |r| r.get::<_, i64>(0)).is_ok();
    let body = json!({"database": if alive { "ok" } else { "failing" }, "version": env!("CARGO_PKG_VERSION"), "commit": ""});
    let status = if alive { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

async fn frontend_settings(State(service): State<Arc<Service>>) -> Json<Value> {
    Json(json!({
        "buildInfo": {"version": env!("CARGO_PKG_VERSION"), "edition": "Vigie", "env": "production"},
        "anonymousEnabled": service.anonymous,
        "defaultDatasource": "Prometheus",
        "datasources": {"Prometheus": datasource_json()},
    }))
}

fn datasource_json() -> Value {
    json!({
        "id": 1, "uid": DATASOURCE_UID, "orgId": 1, "name": "Prometheus", "type": "prometheus", "typeName": "Prometheus",
        "access": "proxy", "url": "", "isDefault": true, "readOnly": true, "basicAuth": false,
        "jsonData": {"httpMethod": "POST"},
    })
}

async fn datasources() -> Json<Value> {
    Json(json!([datasource_json()]))
}

/// Any uid or name: dashboards written elsewhere name data sources this place never had.
async fn datasource(Path(_): Path<String>) -> Json<Value> {
    Json(datasource_json())
}

async fn datasource_health(State(service): State<Arc<Service>>, Path(_): Path<String>) -> Response {
    let probe = Request::builder().uri("/?query=1%2B1").body(Body::empty()).expect("a constant request");
    let answer = service.upstream.forward("api/v1/query", probe).await;
    if answer.status().is_success() {
        Json(json!({"status": "OK", "message": "Successfully queried the Prometheus API."})).into_response()
    } else {
        let text = format!("the data source answered {}", answer.status());
        (StatusCode::BAD_REQUEST, Json(json!({"status": "ERROR", "message": text}))).into_response()
    }
}

async fn proxy(
    State(service): State<Arc<Service>>,
    Path((_, path)): Path<(String, String)>,
    req: Request,
) -> Response {
    service.upstream.forward(&path, req).await
}

async fn proxy_by_id(
    State(service): State<Arc<Service>>,
    Path((_, path)): Path<(String, String)>,
    req: Request,
) -> Response {
    service.upstream.forward(&path, req).await
}

fn folder_uid(folder: &str) -> String {
    slugify(folder)
}

fn hit(index: usize, d: &Dashboard) -> Value {
    let mut hit = json!({
        "id": index + 1, "uid": d.uid, "orgId": 1, "title": d.title, "uri": format!("db/{}", d.slug), "url": d.url(),
        "slug": "", "type": "dash-db", "tags": d.tags, "isStarred": false, "sortMeta": 0, "isStarter": d.starter,
    });
    if !d.folder.is_empty() {
        hit["folderUid"] = folder_uid(&d.folder).into();
        hit["folderTitle"] = d.folder.clone().into();
        hit["folderUrl"] =
            format!("/dashboards/f/{}/{}", folder_uid(&d.folder), folder_uid(&d.folder)).into();
    }
    hit
}

async fn search(
    State(service): State<Arc<Service>>,
    Query(params): Query<Vec<(String, String)>>,
) -> Json<Value> {
    let first = |name: &str| params.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
    let all =
        |name: &str| params.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect::<Vec<_>>();
    let words = first("query").to_lowercase();
    let (tags, uids, folder_uids) = (all("tag"), all("dashboardUIDs"), all("folderUIDs"));
    let limit = first("limit").parse().unwrap_or(1000_usize).clamp(1, 5000);
    let page = first("page").parse().unwrap_or(1_usize).max(1);
    let library = service.library();
    let mut hits: Vec<Value> = Vec::new();
    if first("type") != "dash-db" {
        hits.extend(folder_titles(&library).into_iter().enumerate().filter(|(_, t)| t.to_lowercase().contains(&words)).map(|(i, t)| {
            json!({"id": 100_000 + i, "uid": folder_uid(&t), "orgId": 1, "title": t, "uri": format!("db/{}", slugify(&t)),
                   "url": format!("/dashboards/f/{}/{}", folder_uid(&t), slugify(&t)), "type": "dash-folder", "tags": [], "isStarred": false})
        }));
    }
    if first("type") != "dash-folder" {
        let matching = library.sorted().into_iter().enumerate().filter(|(_, d)| {
            d.title.to_lowercase().contains(&words)
                && tags.iter().all(|t| d.tags.iter().any(|have| have == t))
                && (uids.is_empty() || uids.contains(&d.uid.as_str()))
                && (folder_uids.is_empty() || folder_uids.contains(&folder_uid(&d.folder).as_str()))
        });
        hits.extend(matching.map(|(i, d)| hit(i, d)));
    }
    Json(hits.into_iter().skip((page - 1) * limit).take(limit).collect())
}

fn folder_titles(library: &Library) -> Vec<String> {
    let mut titles: Vec<String> =
        library.sorted().iter().map(|d| d.folder.clone()).filter(|f| !f.is_empty()).collect();
    titles.dedup();
    titles
}

async fn folders(State(service): State<Arc<Service>>) -> Json<Value> {
    let titles = folder_titles(&service.library());
    let entries =
        titles.iter().enumerate().map(|(i, t)| json!({"id": 100_000 + i, "uid": folder_uid(t), "title": t}));
    Json(entries.collect())
}

async fn tags(State(service): State<Arc<Service>>) -> Json<Value> {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for d in service.library().sorted() {
        for tag in &d.tags {
            *counts.entry(tag.clone()).or_default() += 1;
        }
    }
    Json(counts.into_iter().map(|(term, count)| json!({"term": term, "count": count})).collect())
}

/// The list of dashboards is the home page; there is no home dashboard.
async fn home() -> Json<Value> {
    Json(json!({"redirectUri": "/dashboards"}))
}

async fn dashboard(State(service): State<Arc<Service>>, Path(uid): Path<String>) -> Response {
    let Some(d) = service.library().get(&uid).cloned() else {
        return message(StatusCode::NOT_FOUND, "Dashboard not found");
    };
    let meta = json!({
        "type": "db", "url": d.url(), "slug": d.slug, "version": d.version, "isFolder": false, "isStarred": false,
        "canSave": false, "canEdit": false, "canAdmin": false, "canStar": false, "canDelete": false, "hasAcl": false,
        "folderUid": folder_uid(&d.folder), "folderTitle": if d.folder.is_empty() { "General" } else { &d.folder },
        "provisioned": true, "provisionedExternalId": d.file.file_name().map(|f| f.to_string_lossy().into_owned()),
    });
    // The dashboard's own JSON is passed on byte for byte.
    let body = format!("{{\"meta\":{meta},\"dashboard\":{}}}", d.json.get());
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn reload_dashboards(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
) -> Response {
    if caller.role() != Role::Admin {
        return message(StatusCode::FORBIDDEN, "Permission denied");
    }
    match tokio::task::spawn_blocking(move || service.rescan()).await {
        Ok(()) => message(StatusCode::OK, "Dashboards config reloaded"),
        Err(_) => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error"),
    }
}

/// Calls of Grafana's API that are not served yet say so.
async fn not_yet(req: Request) -> Response {
    let text = format!("{} {} is not implemented by this version", req.method(), req.uri().path());
    message(StatusCode::NOT_IMPLEMENTED, &text)
}

async fn page(req: Request) -> Response {
    if !matches!(*req.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let text = |name| req.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let (encoding, etag) = (text(header::ACCEPT_ENCODING), text(header::IF_NONE_MATCH));
    assets::respond(assets::App::Dashboards, req.uri().path(), encoding, etag).map(Body::from)
}
