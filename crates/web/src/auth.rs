//! Passwords and headers of the web-config file (Prometheus' exporter-toolkit format).
//!
//! The file is looked at for each request and read again when it changed, as upstream, so that a password can be
//! withdrawn without a restart. A file that has become wrong locks everybody out (500) rather than letting anyone in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use config::web::WebConfig;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use parking_lot::Mutex;

/// A bcrypt hash of nothing anyone knows, so that unknown users take as long as known ones.
const DECOY_HASH: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

/// Verified passwords remembered, as upstream: bcrypt at each request would cost tens of milliseconds.
const CACHE_ENTRIES: usize = 100;

/// Checks requests against the file.
pub(crate) struct Guard {
    path: Option<PathBuf>,
    current: Mutex<Current>,
    verified: Mutex<HashMap<(String, String, String), bool>>,
}

struct Current {
    stamp: Option<(SystemTime, u64)>,
    loaded: Result<Arc<WebConfig>, String>,
}

impl Guard {
    /// Reads the file, if one is given; else `given` counts.
    ///
    /// # Errors
    /// When it cannot be read or is wrong.
    pub(crate) fn new(path: Option<PathBuf>, given: Arc<WebConfig>) -> Result<Self, String> {
        let (stamp, loaded) = match &path {
            Some(p) => (stamp(p), Ok(load(p)?)),
            None => (None, Ok(given)),
        };
        Ok(Self { path, current: Mutex::new(Current { stamp, loaded }), verified: Mutex::default() })
    }

    /// The file's content now.
    ///
    /// # Errors
    /// When it has become wrong.
    pub(crate) fn config(&self) -> Result<Arc<WebConfig>, String> {
        let mut current = self.current.lock();
        if let Some(path) = &self.path {
            let now = stamp(path);
            if now != current.stamp || now.is_none() {
                current.stamp = now;
                current.loaded =
                    load(path).inspect_err(|e| tracing::error!(err = %e, "web configuration refused"));
            }
        }
        current.loaded.clone()
    }

    /// Whether a request with these headers may pass; the answer to give otherwise.
    pub(crate) async fn check(&self, headers: &HeaderMap) -> Result<(), Response> {
        let config = self
            .config()
            .map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error\n").into_response())?;
        if config.basic_auth_users.is_empty() {
            return Ok(());
        }
        let unauthorized = || {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic")];
            (StatusCode::UNAUTHORIZED, challenge, "Unauthorized\n").into_response()
        };
        let (user, password) = credentials(headers).ok_or_else(unauthorized)?;
        let known = config.basic_auth_users.get(&user);
        let hash = known.map_or(DECOY_HASH, |h| h.expose()).to_owned();
        let key = (user, hash.clone(), password.clone());
        let remembered = self.verified.lock().get(&key).copied();
        let correct = match remembered {
            Some(correct) => correct,
            None => {
                let correct =
                    tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false))
                        .await
                        .unwrap_or(false);
                let mut verified = self.verified.lock();
                if verified.len() >= CACHE_ENTRIES {
                    verified.clear();
                }
                verified.insert(key, correct);
                correct
            }
        };
        if correct && known.is_some() { Ok(()) } else { Err(unauthorized()) }
    }

    /// Adds the file's response headers.
    pub(crate) fn add_headers(&self, headers: &mut HeaderMap) {
        let Ok(config) = self.config() else { return };
        for (name, value) in &config.http_server_config.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()))
            {
                headers.insert(name, value);
            }
        }
    }
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

fn load(path: &Path) -> Result<Arc<WebConfig>, String> {
    config::web::load_file(path).map(|l| Arc::new(l.value)).map_err(|e| e.to_string())
}
