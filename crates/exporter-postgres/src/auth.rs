//! Credentials for `/probe`: the file of `--config.file`.
//!
//! ```yaml
//! auth_modules:
//!   first:
//!     type: userpass
//!     userpass: {username: monitor, password: secret}
//!     options: {sslmode: disable}
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use config::Secret;
use exporters::{Kind, Page};
use serde::Deserialize;

use crate::dsn::Dsn;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    auth_modules: BTreeMap<String, Module>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Module {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    userpass: Credentials,
    #[serde(default)]
    options: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    #[serde(default)]
    username: String,
    #[serde(default, deserialize_with = "secret")]
    password: Secret,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret)
}

/// The file, read again for each probe that names a module.
#[derive(Debug)]
pub(crate) struct AuthFile {
    path: PathBuf,
    /// Whether it was good when last read, and when it last was.
    state: Mutex<(bool, Option<SystemTime>)>,
}

impl AuthFile {
    /// Of this path. A file that is wrong is worth a warning; one that is not there is only needed by probes that name a module.
    pub(crate) fn new(path: PathBuf) -> Self {
        let file = Self { path, state: Mutex::new((false, None)) };
        match file.read() {
            Err(error) if file.path.exists() => tracing::warn!(err = error, "Error loading config"),
            Err(error) => tracing::debug!(err = error, "No file with auth modules"),
            Ok(_) => {}
        }
        file
    }

    fn read(&self) -> Result<File, String> {
        let outcome = load(&self.path);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = outcome.is_ok();
        if outcome.is_ok() {
            state.1 = Some(SystemTime::now());
        }
        outcome
    }

    /// The target as a module's user; without a module, as it is.
    ///
    /// # Errors
    /// What the caller of `/probe` should know.
    pub(crate) fn apply(&self, target: Dsn, module: Option<&str>) -> Result<Dsn, String> {
        let Some(name) = module.filter(|name| !name.is_empty()) else { return Ok(target) };
        let file = self.read().inspect_err(|error| tracing::warn!(err = error, "Error loading config"));
        let module = file.ok().and_then(|mut file| file.auth_modules.remove(name));
        let Some(module) = module else { return Err(format!("auth_module {name} not found")) };
        let Credentials { username, password } = &module.userpass;
        if username.is_empty() || password.is_empty() {
            return Err(format!("auth_module {name} has no username or password"));
        }
        let with_user = if module.r#type == "userpass" {
            target.with_credentials(username, password.expose())
        } else {
            target
        };
        let dsn = module.options.iter().fold(with_user, |dsn, (name, value)| dsn.with(name, value));
        dsn.ssl_mode().map_err(|e| format!("auth_module {name}: {e}"))?;
        dsn.connect_timeout().map_err(|e| format!("auth_module {name}: {e}"))?;
        Ok(dsn)
    }

    /// Writes whether the file was good.
    pub(crate) fn write(&self, page: &mut Page) {
        let (is_good, when) = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let help = "Postgres exporter config loaded successfully.";
        let name = "postgres_exporter_config_last_reload_successful";
        page.single(name, help, Kind::Gauge, f64::from(u8::from(is_good)));
        let help = "Timestamp of the last successful configuration reload.";
        let name = "postgres_exporter_config_last_reload_success_timestamp_seconds";
        let seconds = when.and_then(|w| w.duration_since(UNIX_EPOCH).ok()).map_or(0.0, |d| d.as_secs_f64());
        page.single(name, help, Kind::Gauge, seconds);
    }
}

fn load(path: &Path) -> Result<File, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("open {}: {e}", path.display()))?;
    config::yaml::from_str(&text, path).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(text: &str, module: &str) -> Result<Dsn, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.yml");
        std::fs::write(&path, text).unwrap();
        AuthFile::new(path).apply(Dsn::parse_target("db:1/app").unwrap(), Some(module))
    }

    #[test]
    fn a_module_gives_user_and_options() {
        let text = "auth_modules:\n  first:\n    type: userpass\n    userpass:\n      username: u\n      password: 123\n    options:\n      sslmode: disable\n";
        let dsn = apply(text, "first").unwrap();
        assert_eq!(
            (dsn.get("user"), dsn.password(), dsn.get("sslmode")),
            (Some("u"), "123", Some("disable"))
        );
        assert_eq!(apply(text, "second").unwrap_err(), "auth_module second not found");
        assert_eq!(apply(text, "").unwrap().get("user"), None);
        let bare = "auth_modules:\n  first: {type: userpass}\n";
        assert_eq!(apply(bare, "first").unwrap_err(), "auth_module first has no username or password");
        let unknown = "auth_modules:\n  first: {userpass: {username: u, password: p}, doesNotExist: x}\n";
        assert_eq!(apply(unknown, "first").unwrap_err(), "auth_module first not found");
    }

    #[test]
    fn whether_the_file_is_good_is_exposed() {
        let mut page = Page::new();
        AuthFile::new("/nowhere/auth.yml".into()).write(&mut page);
        assert!(page.render().contains("config_last_reload_successful 0\n"));
        assert!(load(Path::new("/nowhere/auth.yml")).unwrap_err().starts_with("open /nowhere/auth.yml: "));
    }
}
