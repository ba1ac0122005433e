//! A server and how to connect to it: address, credentials, TLS, patience.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use httpclient::Tls;
use tokio::time::Instant;

use crate::address::Address;
use crate::connect::{Connection, Credentials, Fault, Patience};

/// Largest password file.
const MAX_PASSWORD_FILE: u64 = 16 << 20;

/// A server that can be connected to.
#[derive(Clone)]
pub(crate) struct Server {
    /// Where it is.
    pub(crate) address: Address,
    /// As whom to speak.
    pub(crate) credentials: Credentials,
    /// Set-up of TLS.
    pub(crate) tls: Arc<Tls>,
    /// How long a connection and a batch may take.
    pub(crate) timeout: Duration,
}

impl Server {
    /// A new connection.
    pub(crate) async fn connect(&self, deadline: Option<Instant>) -> Result<Connection, Fault> {
        let patience = Patience { step: self.timeout, deadline };
        Connection::open(&self.address, &self.credentials, &self.tls, patience).await
    }

    /// Another server of the same cluster.
    pub(crate) fn at(&self, address: Address) -> Self {
        Self { address, ..self.clone() }
    }
}

/// Passwords by address, as a password file has them.
#[derive(Clone, Default)]
pub(crate) struct Passwords(HashMap<String, String>);

impl Passwords {
    /// Reads a file: a JSON object of addresses and passwords.
    ///
    /// # Errors
    /// When it cannot be read or is no such object; the text holds none of it.
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let size = std::fs::metadata(path).map_err(|e| format!("{shown}: {e}"))?.len();
        if size > MAX_PASSWORD_FILE {
            return Err(format!("{shown}: {size} bytes are more than the {MAX_PASSWORD_FILE} that are read"));
        }
        let text = std::fs::read_to_string(path).map_err(|e| format!("{shown}: {e}"))?;
        let parsed: HashMap<String, String> = serde_json::from_str(&text).map_err(|e| {
            // The library's own text may repeat a value.
            format!(
                "{shown}: line {} column {}: expected a JSON object of addresses and passwords",
                e.line(),
                e.column()
            )
        })?;
        Ok(Self(parsed))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn of(&self, address: &Address, user: Option<&str>) -> Option<String> {
        let keys = address.password_keys(user);
        keys.iter().find_map(|key| self.0.get(key)).filter(|p| !p.is_empty()).cloned()
    }

    /// As whom to speak to a server: what its address says goes before the file, which goes before the flags.
    pub(crate) fn credentials(&self, address: &Address, flags: &Credentials) -> Credentials {
        let word = address.password.as_deref().filter(|_| address.user.is_none());
        // `redis://alice@host` is a password for most, and a user for whom has her in the file.
        if let Some((user, password)) = word.and_then(|word| Some((word, self.of(address, Some(word))?))) {
            return Credentials { user: Some(user.to_owned()), password: Some(password) };
        }
        let user = address.user.clone().or_else(|| flags.user.clone());
        if address.password.is_some() {
            let user = address.user.clone().or(user);
            return Credentials { user, password: address.password.clone() };
        }
        let password = self.of(address, user.as_deref()).or_else(|| flags.password.clone());
        Credentials { user, password }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_goes_before_the_file_before_the_flags() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passwords.json");
        let text = r#"{"redis://h:1": "filed", "redis://alice@h:1": "hers", "redis://empty:1": ""}"#;
        std::fs::write(&path, text).unwrap();
        let passwords = Passwords::load(&path).unwrap();
        let some = |t: &str| Some(t.to_owned());
        let flagged = Credentials { user: None, password: some("flagged") };
        for (address, user, password) in [
            ("h:1", None, some("filed")),
            ("redis://other:1", None, some("flagged")),
            ("redis://empty:1", None, some("flagged")),
            ("redis://bob:own@h:1", some("bob"), some("own")),
            ("redis://alice@h:1", some("alice"), some("hers")),
            ("redis://alice:@h:1", some("alice"), some("hers")),
            ("redis://word@h:1", None, some("word")),
        ] {
            let found = passwords.credentials(&Address::parse(address).unwrap(), &flagged);
            assert_eq!((found.user, found.password), (user, password), "{address}");
        }
        let alice = Credentials { user: some("alice"), password: None };
        let found = passwords.credentials(&Address::parse("h:1").unwrap(), &alice);
        assert_eq!(found.password, some("hers"));
    }

    #[test]
    fn a_wrong_file_is_refused_without_its_content() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passwords.json");
        std::fs::write(&path, r#"{"a": "hidden", "b": ["hidden"]}"#).unwrap();
        let error = Passwords::load(&path).err().unwrap();
        assert!(error.contains("line 1 column") && !error.contains("hidden"), "{error}");
        assert!(Passwords::load(&directory.path().join("none")).is_err());
    }
}
