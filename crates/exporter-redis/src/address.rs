//! Where a server is and as whom to speak to it: `redis://user:password@host:port/db` and its relatives.

use std::fmt;

use url::Url;

/// The port of an address that names none.
const DEFAULT_PORT: u16 = 6379;

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// TCP; with TLS if so said.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
        /// Whether TLS is spoken.
        tls: bool,
    },
    /// A socket of this host.
    Unix(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix(path) => f.write_str(path),
        }
    }
}

/// A server's address. What it prints with `Debug` has no password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    /// How it is reached.
    pub(crate) place: Place,
    /// The user named in it.
    pub(crate) user: Option<String>,
    /// The password in it.
    pub(crate) password: Option<String>,
    /// The database.
    pub(crate) db: u32,
    /// The address without user and password, as the password file names it.
    plain: String,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.plain)
    }
}

impl Address {
    /// Reads an address. What it says of a wrong one holds no part of it, which may be a password.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let full = if text.contains("://") { text.to_owned() } else { format!("redis://{text}") };
        let (scheme, rest) = full.split_once("://").unwrap_or(("redis", &full));
        let tls = match scheme {
            "unix" => return Self::unix(rest),
            "redis" | "valkey" | "tcp" => false,
            "rediss" | "valkeys" => true,
            _ => {
                return Err("unknown scheme; expected redis://, rediss://, valkey://, valkeys:// or unix://"
                    .to_owned());
            }
        };
        let url = Url::parse(&full).map_err(|e| e.to_string())?;
        let host = match url.host_str() {
            None | Some("") => "localhost",
            Some(host) => host.trim_start_matches('[').trim_end_matches(']'),
        };
        let db = match url.path().trim_start_matches('/') {
            "" => 0,
            digits => {
                digits.parse().map_err(|_| "the database after the host must be a number".to_owned())?
            }
        };
        let (user, password) = credentials(&url, full.contains(":@"));
        let mut plain = url.clone();
        // Neither fails for a URL that has a host.
        let _ = (plain.set_username(""), plain.set_password(None));
        let place = Place::Tcp { host: host.to_owned(), port: url.port().unwrap_or(DEFAULT_PORT), tls };
        Ok(Self { place, user, password, db, plain: plain.into() })
    }

    fn unix(path: &str) -> Result<Self, String> {
        if path.is_empty() {
            return Err("unix:// must be followed by a path".to_owned());
        }
        let plain = format!("unix://{path}");
        Ok(Self { place: Place::Unix(path.to_owned()), user: None, password: None, db: 0, plain })
    }

    /// The same server without user and password.
    pub(crate) fn without_credentials(self) -> Self {
        Self { user: None, password: None, ..self }
    }

    /// The names under which a password file may have the password of `user` here.
    pub(crate) fn password_keys(&self, user: Option<&str>) -> Vec<String> {
        let whole = match (user, self.plain.split_once("://")) {
            (Some(user), Some((scheme, rest))) if !user.is_empty() => format!("{scheme}://{user}@{rest}"),
            _ => self.plain.clone(),
        };
        let bare = whole.trim_end_matches('/').to_owned();
        if bare == whole { vec![whole] } else { vec![whole, bare] }
    }

    /// The server at another place of the same cluster.
    pub(crate) fn at(&self, host: &str, port: u16) -> Self {
        let tls = matches!(self.place, Place::Tcp { tls: true, .. });
        Self { place: Place::Tcp { host: host.to_owned(), port, tls }, ..self.clone() }
    }
}

/// User and password of a URL. As `redis-cli` and the original have it, a user without a password is a password.
fn credentials(url: &Url, has_empty_password: bool) -> (Option<String>, Option<String>) {
    let decode = |text: &str| percent_decode(text).filter(|t| !t.is_empty());
    match (decode(url.username()), url.password().and_then(decode)) {
        (user, Some(password)) => (user, Some(password)),
        // `user:@host`: a user whose password is elsewhere.
        (Some(user), None) if has_empty_password => (Some(user), None),
        (Some(word), None) => (None, Some(word)),
        (None, None) => (None, None),
    }
}

/// `%41` to `A`; `None` where it is no text.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| char::from(b?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let found = match Address::parse(text) {
            Ok(a) => {
                let tls = if matches!(a.place, Place::Tcp { tls: true, .. }) { " tls" } else { "" };
                format!("{}{tls} {:?} {:?} {}", a.place, a.user, a.password, a.db)
            }
            Err(e) => e,
        };
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn reads_all_forms() {
        check("redis://localhost:6379", "localhost:6379 None None 0");
        check("localhost", "localhost:6379 None None 0");
        check("10.0.0.1:7000", "10.0.0.1:7000 None None 0");
        check("redis://[::1]:7000", "[::1]:7000 None None 0");
        check("rediss://h/3", "h:6379 tls None None 3");
        check("valkeys://h", "h:6379 tls None None 0");
        check("redis://u:p%40w@h:1/2", "h:1 Some(\"u\") Some(\"p@w\") 2");
        check("redis://:pw@h", "h:6379 None Some(\"pw\") 0");
        check("redis://pw@h", "h:6379 None Some(\"pw\") 0");
        check("unix:///run/redis.sock", "/run/redis.sock None None 0");
        check(
            "http://u:secret@h",
            "unknown scheme; expected redis://, rediss://, valkey://, valkeys:// or unix://",
        );
        check("redis://h/x", "the database after the host must be a number");
        check("unix://", "unix:// must be followed by a path");
    }

    #[test]
    fn neither_debug_nor_an_error_has_a_password() {
        let shown = format!("{:?}", Address::parse("redis://user:hidden@h:1/2").unwrap());
        assert_eq!(shown, "Address(redis://h:1/2)");
        for wrong in ["redis://u:hidden@h/x", "ftp://u:hidden@h", "redis://u:hidden@h:99999999"] {
            assert!(!Address::parse(wrong).unwrap_err().contains("hidden"), "{wrong}");
        }
    }

    #[test]
    fn a_password_file_knows_an_address_by_its_plain_form() {
        let address = Address::parse("redis://u:p@h:1").unwrap();
        assert!(address.password_keys(None).contains(&"redis://h:1".to_owned()));
        assert!(address.password_keys(Some("bob")).contains(&"redis://bob@h:1".to_owned()));
    }
}
