//! Data source names: which server, which database, as whom, how.
//!
//! Two spellings, as libpq has them: `postgresql://user:password@host:port/database?sslmode=disable` and
//! `host=… user=… password='…'`. Nothing here prints a password, and no error repeats the text it is about.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use config::Secret;

/// The port of a server that names none.
const DEFAULT_PORT: &str = "5432";
/// How long connecting may take where `connect_timeout` does not say.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How far TLS is used, from not at all to the utmost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SslMode {
    /// Never.
    Disable,
    /// Only where the server insists.
    Allow,
    /// Where the server can.
    Prefer,
    /// Always, with whatever certificate the server has.
    Require,
    /// Always, with a certificate of a known authority.
    VerifyCa,
    /// The same, made out to the host's name.
    VerifyFull,
}

/// A data source.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Dsn {
    params: BTreeMap<String, String>,
    password: Secret,
}

/// Shows where it leads, never the password.
impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fingerprint())?;
        self.get("dbname").map_or(Ok(()), |database| write!(f, "/{database}"))
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({self})")
    }
}

impl Dsn {
    /// Reads either spelling.
    ///
    /// # Errors
    /// What of it cannot be understood, without repeating it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let uri = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"));
        let dsn = Self::from_params(match uri {
            Some(rest) => uri_params(rest)?,
            None => pair_params(text)?,
        });
        dsn.ssl_mode()?;
        dsn.connect_timeout()?;
        for port in dsn.get("port").unwrap_or(DEFAULT_PORT).split(',') {
            port.parse::<u16>().map_err(|_| format!("{port:?} is no port"))?;
        }
        Ok(dsn)
    }

    /// Reads a `/probe`'s target, which may also be a bare `host:port/database`.
    pub(crate) fn parse_target(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let is_uri = text.starts_with("postgresql://") || text.starts_with("postgres://");
        if is_uri || starts_pair(text) {
            Self::parse(text)
        } else {
            Self::parse(&format!("postgresql://{text}"))
        }
    }

    /// Reads a list of data sources separated by commas. A comma inside one (a list of hosts, a password) does not separate, unless
    /// what follows it begins like a data source.
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        let mut sources = Vec::new();
        let mut begin = 0;
        for (at, _) in text.match_indices(',') {
            let next = text[at + 1..].trim_start();
            if next.starts_with("postgresql://") || next.starts_with("postgres://") || starts_pair(next) {
                sources.push(&text[begin..at]);
                begin = at + 1;
            }
        }
        sources.push(text[begin..].trim_end().trim_end_matches(','));
        let count = sources.len();
        let parsed = sources.into_iter().enumerate().map(|(i, source)| {
            Self::parse(source).map_err(|e| match count {
                1 => e,
                _ => format!("data source {} of {count}: {e}", i + 1),
            })
        });
        parsed.collect()
    }

    fn from_params(mut params: BTreeMap<String, String>) -> Self {
        let password = Secret(params.remove("password").unwrap_or_default());
        params.retain(|_, value| !value.is_empty());
        Self { params, password }
    }

    /// The same with what libpq reads from the environment where the name does not say.
    pub(crate) fn with_environment(mut self, environment: &dyn Fn(&str) -> Option<String>) -> Self {
        const VARIABLES: [(&str, &str); 11] = [
            ("PGHOST", "host"),
            ("PGPORT", "port"),
            ("PGDATABASE", "dbname"),
            ("PGUSER", "user"),
            ("PGSSLMODE", "sslmode"),
            ("PGSSLROOTCERT", "sslrootcert"),
            ("PGSSLCERT", "sslcert"),
            ("PGSSLKEY", "sslkey"),
            ("PGAPPNAME", "application_name"),
            ("PGCONNECT_TIMEOUT", "connect_timeout"),
            ("PGOPTIONS", "options"),
        ];
        let given = |variable| environment(variable).filter(|value| !value.is_empty());
        for (variable, name) in VARIABLES {
            if let (None, Some(value)) = (self.params.get(name), given(variable)) {
                self.params.insert(name.to_owned(), value);
            }
        }
        if let (true, Some(password)) = (self.password.is_empty(), given("PGPASSWORD")) {
            self.password = Secret(password);
        }
        self
    }

    /// The same as another user; an empty text changes nothing.
    pub(crate) fn with_credentials(mut self, user: &str, password: &str) -> Self {
        if !user.is_empty() {
            self.params.insert("user".to_owned(), user.to_owned());
        }
        if !password.is_empty() {
            self.password = Secret(password.to_owned());
        }
        self
    }

    /// The same with one parameter set.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        if name == "password" {
            self.password = Secret(value.to_owned());
        } else {
            self.params.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// A parameter that is given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }

    /// All parameters but the password.
    pub(crate) fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// The password; empty where there is none.
    pub(crate) fn password(&self) -> &str {
        self.password.expose()
    }

    /// `host:port`, the value of the label `server`.
    pub(crate) fn fingerprint(&self) -> String {
        let host = self.get("host").or(self.get("hostaddr")).unwrap_or("localhost");
        format!("{host}:{}", self.get("port").unwrap_or(DEFAULT_PORT))
    }

    /// Whether this leads to a socket of this machine's file system, where TLS is not spoken.
    pub(crate) fn is_local_socket(&self) -> bool {
        self.get("host").is_some_and(|host| host.starts_with('/'))
    }

    /// How far TLS is used; `require` unless told otherwise, as in the original.
    pub(crate) fn ssl_mode(&self) -> Result<SslMode, String> {
        Ok(match self.get("sslmode") {
            _ if self.is_local_socket() => SslMode::Disable,
            Some("disable") => SslMode::Disable,
            Some("allow") => SslMode::Allow,
            Some("prefer") => SslMode::Prefer,
            None | Some("require") => SslMode::Require,
            Some("verify-ca") => SslMode::VerifyCa,
            Some("verify-full") => SslMode::VerifyFull,
            Some(other) => {
                return Err(format!(
                    "unsupported sslmode {other:?}; expected disable, allow, prefer, require, verify-ca or verify-full"
                ));
            }
        })
    }

    /// How long connecting may take.
    pub(crate) fn connect_timeout(&self) -> Result<Duration, String> {
        match self.get("connect_timeout") {
            None | Some("0") => Ok(CONNECT_TIMEOUT),
            Some(text) => text
                .parse()
                .map(Duration::from_secs)
                .map_err(|_| format!("connect_timeout: expected seconds, found {text:?}")),
        }
    }

    /// A text with the password taken out, for messages that come from elsewhere.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let password = self.password();
        // A password of one or two characters would tear words apart and gives nothing away that way.
        if password.len() < 3 { text.to_owned() } else { text.replace(password, "<secret>") }
    }
}

/// Whether a text begins as `name=`.
fn starts_pair(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    end > 0 && text[end..].trim_start().starts_with('=')
}

/// `user:password@host:port,host:port/database?name=value&…`
fn uri_params(rest: &str) -> Result<BTreeMap<String, String>, String> {
    let mut params = BTreeMap::new();
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(r, q)| (r, q));
    let (authority, database) = rest.split_once('/').map_or((rest, ""), |(a, d)| (a, d));
    let (user_info, hosts) = authority.rsplit_once('@').map_or(("", authority), |(u, h)| (u, h));
    let (user, password) = user_info.split_once(':').map_or((user_info, ""), |(u, p)| (u, p));
    let mut set = |name: &str, text: &str, what: &str| -> Result<(), String> {
        if !text.is_empty() {
            params.insert(
                name.to_owned(),
                percent_decoded(text).ok_or(format!("invalid percent-encoding in the {what}"))?,
            );
        }
        Ok(())
    };
    set("user", user, "user name")?;
    set("password", password, "password")?;
    set("dbname", database, "name of the database")?;
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let bracketed = host.strip_prefix('[').and_then(|h| h.split_once(']'));
        let (name, port) = match bracketed {
            Some((name, rest)) => (name, rest.strip_prefix(':').unwrap_or(rest)),
            None => host.rsplit_once(':').map_or((host, ""), |(h, p)| (h, p)),
        };
        names.push(name);
        ports.push(port);
    }
    set("host", &names.join(","), "host")?;
    if ports.iter().any(|p| !p.is_empty()) {
        let ports: Vec<&str> = ports.iter().map(|p| if p.is_empty() { DEFAULT_PORT } else { p }).collect();
        set("port", &ports.join(","), "port")?;
    }
    for pair in query.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = |text: &str| {
            percent_decoded(&text.replace('+', " ")).ok_or("invalid percent-encoding in the query".to_owned())
        };
        let (name, value) = (decoded(name)?, decoded(value)?);
        // What stands in front counts: `postgresql://me@host/?user=other`.
        if !(matches!(name.as_str(), "user" | "password") && params.contains_key(&name)) {
            params.insert(name, value);
        }
    }
    Ok(params)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
        let (high, low) = (digit()?, digit()?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok()
}

/// `name=value name='a value' …`, with `\` before a quote or a backslash.
fn pair_params(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut params = BTreeMap::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            break;
        }
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_whitespace() && *c != '=') {
            name.push(c);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let place = params.len() + 1;
        if name.is_empty() || chars.next_if_eq(&'=').is_none() {
            return Err(format!(
                "expected postgresql://… or name=value pairs; pair {place} has no '=' after its name"
            ));
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let mut value = String::new();
        let quoted = chars.next_if_eq(&'\'').is_some();
        loop {
            match chars.next() {
                None if quoted => return Err(format!("the quoted value of {name} does not end")),
                None => break,
                Some('\'') if quoted => break,
                Some(c) if !quoted && c.is_whitespace() => break,
                Some('\\') => value.extend(chars.next()),
                Some(c) => value.push(c),
            }
        }
        params.insert(name, value);
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_both_spellings() {
        let check = |text: &str, expect: &[(&str, &str)], password: &str| {
            let dsn = Dsn::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(dsn.params().collect::<Vec<_>>(), expect, "{text}");
            assert_eq!(dsn.password(), password, "{text}");
        };
        check(
            "postgresql://me:p%40ss%2C@db.example:6432/app?sslmode=disable&application_name=a+b",
            &[
                ("application_name", "a b"),
                ("dbname", "app"),
                ("host", "db.example"),
                ("port", "6432"),
                ("sslmode", "disable"),
                ("user", "me"),
            ],
            "p@ss,",
        );
        check("postgres://[::1]:5433/", &[("host", "::1"), ("port", "5433")], "");
        check("postgresql://%2Frun%2Fpostgresql/app", &[("dbname", "app"), ("host", "/run/postgresql")], "");
        check("postgresql:///app?host=/tmp&password=x", &[("dbname", "app"), ("host", "/tmp")], "x");
        check("postgresql://a,b:1/", &[("host", "a,b"), ("port", "5432,1")], "");
        check("postgresql://:p@h/", &[("host", "h")], "p");
        check(
            "  host = db user='two words' password='it\\'s \\\\' dbname=''",
            &[("host", "db"), ("user", "two words")],
            "it's \\",
        );
        check("", &[], "");
    }

    #[test]
    fn refuses_without_telling() {
        for (text, error) in [
            ("postgresql://u:hunter2%zz@h/", "invalid percent-encoding in the password"),
            (
                "host=h hunter2",
                "expected postgresql://… or name=value pairs; pair 2 has no '=' after its name",
            ),
            ("password='hunter2", "the quoted value of password does not end"),
            ("host=h port=many", "\"many\" is no port"),
            ("host=h connect_timeout=soon", "connect_timeout: expected seconds, found \"soon\""),
        ] {
            assert_eq!(Dsn::parse(text).unwrap_err(), error);
        }
        assert!(Dsn::parse("sslmode=maybe").unwrap_err().contains("expected disable, allow"));
        let dsn = Dsn::parse("host=h password=hunter2 dbname=d").unwrap();
        assert_eq!(format!("{dsn} {dsn:?}"), "h:5432/d Dsn(h:5432/d)");
        assert_eq!(dsn.scrub("wrong: hunter2!"), "wrong: <secret>!");
    }

    #[test]
    fn lists_are_split_where_a_source_begins() {
        let list = |text: &str| -> Vec<String> {
            Dsn::parse_list(text).unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(list("postgresql://a/x,postgres://b:1/y"), ["a:5432/x", "b:1/y"]);
        assert_eq!(list("host=a, host=b port=2,"), ["a:5432", "b:2"]);
        assert_eq!(list("postgresql://a,b/x"), ["a,b:5432/x"]);
        assert_eq!(Dsn::parse_list("host=a,port=x").unwrap_err(), "data source 2 of 2: \"x\" is no port");
    }

    #[test]
    fn fills_in_from_the_environment_and_the_target() {
        let environment = |name: &str| match name {
            "PGUSER" => Some("env".to_owned()),
            "PGPASSWORD" => Some("secret".to_owned()),
            "PGHOST" => Some("/run".to_owned()),
            _ => None,
        };
        let dsn = Dsn::parse("user=me").unwrap().with_environment(&environment);
        assert_eq!((dsn.get("user"), dsn.get("host"), dsn.password()), (Some("me"), Some("/run"), "secret"));
        assert_eq!(dsn.ssl_mode(), Ok(SslMode::Disable));
        let target = Dsn::parse_target("db:1/app?sslmode=verify-full").unwrap().with_credentials("u", "p");
        assert_eq!((target.to_string().as_str(), target.get("user")), ("db:1/app", Some("u")));
        assert_eq!(target.ssl_mode(), Ok(SslMode::VerifyFull));
        assert_eq!(Dsn::parse_target("host=x").unwrap().fingerprint(), "x:5432");
        assert_eq!(Dsn::parse("host=x").unwrap().ssl_mode(), Ok(SslMode::Require));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,60}", structured in "(postgres://)?[a-z:@/?&=%',\\\\ ]{0,40}") {
            let _ = Dsn::parse(&text);
            let _ = Dsn::parse_list(&structured);
            let _ = Dsn::parse_target(&structured);
        }
    }
}
