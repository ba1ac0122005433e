//! From a data source to what a connection is opened with: the client's configuration, and the session's settings.

use std::time::Duration;

use tokio_postgres::Config;

use crate::dsn::Dsn;
use crate::version::Version;

/// What this calls itself in `pg_stat_activity`, unless the data source says otherwise.
const APPLICATION_NAME: &str = "vigie-postgres-exporter";
/// Parameters of libpq and lib/pq that are dealt with elsewhere or mean nothing here.
const NOT_FOR_THE_SERVER: [&str; 14] = [
    "client_encoding",
    "datestyle",
    "extra_float_digits",
    "binary_parameters",
    "disable_prepared_binary_result",
    "passfile",
    "sslcompression",
    "sslsni",
    "sslinline",
    "sslpassword",
    "gssencmode",
    "krbsrvname",
    "service",
    "target_session_attrs",
];

/// What the client library connects with, but for TLS.
///
/// # Errors
/// Which parameter makes no sense.
pub(crate) fn client_config(dsn: &Dsn) -> Result<Config, String> {
    let mut config = Config::new();
    config.application_name(APPLICATION_NAME);
    let wrong = |name: &str, value: &str| format!("{name}: unexpected {value:?}");
    let mut options = String::new();
    for (name, value) in dsn.params() {
        match name {
            "host" => {
                for host in value.split(',') {
                    config.host(host);
                }
            }
            "hostaddr" => {
                for address in value.split(',') {
                    config.hostaddr(address.parse().map_err(|_| wrong(name, value))?);
                }
            }
            "port" => {
                for port in value.split(',') {
                    config.port(port.parse().map_err(|_| wrong(name, value))?);
                }
            }
            "user" => drop(config.user(value)),
            "dbname" => drop(config.dbname(value)),
            "application_name" | "fallback_application_name" => drop(config.application_name(value)),
            "keepalives" => drop(config.keepalives(value != "0")),
            "options" => {
                options.push(' ');
                options.push_str(value);
            }
            "sslmode" | "sslrootcert" | "sslcert" | "sslkey" | "connect_timeout" => {}
            name if NOT_FOR_THE_SERVER.contains(&name) || name.starts_with("keepalives_") => {}
            // As lib/pq does, anything else is a setting of the session.
            name => {
                options.push_str(" -c ");
                options.push_str(name);
                options.push('=');
                for c in value.chars() {
                    if c == ' ' || c == '\\' {
                        options.push('\\');
                    }
                    options.push(c);
                }
            }
        }
    }
    if dsn.get("host").is_none() && dsn.get("hostaddr").is_none() {
        config.host("localhost");
    }
    if !dsn.password().is_empty() {
        config.password(dsn.password());
    }
    if !options.is_empty() {
        config.options(options.trim_start());
    }
    Ok(config)
}

/// Settings that make a session cheap and its texts predictable. Just-in-time compilation of these queries costs a server more than
/// running them, and its memory is not given back; workers are for those who have data to read.
pub(crate) fn session_settings(dsn: &Dsn, version: Version, query_limit: Duration) -> String {
    let mut out = String::from("SET datestyle='ISO, MDY';SET standard_conforming_strings=on;");
    let own = |name: &str| {
        dsn.get(name).is_some() || dsn.get("options").is_some_and(|options| options.contains(name))
    };
    if version >= Version::major(11) && !own("jit") {
        out.push_str("SET jit=off;");
    }
    if version >= (Version { major: 9, minor: 6, patch: 0 }) && !own("max_parallel_workers_per_gather") {
        out.push_str("SET max_parallel_workers_per_gather=0;");
    }
    if !own("statement_timeout") {
        out.push_str(&format!(
            "SET statement_timeout={};",
            query_limit.as_millis().clamp(1, i32::MAX as u128)
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_follow_version_and_data_source() {
        let dsn = Dsn::parse("host=h options='-c jit=on' statement_timeout=5").unwrap();
        let text = session_settings(&dsn, Version::major(15), Duration::from_secs(60));
        assert!(
            !text.contains("jit") && !text.contains("statement_timeout") && text.contains("workers"),
            "{text}"
        );
        let plain = Dsn::parse("host=h").unwrap();
        let text = session_settings(&plain, Version::major(15), Duration::from_secs(60));
        assert!(text.contains("SET jit=off;") && text.contains("SET statement_timeout=60000;"), "{text}");
        assert!(!session_settings(&plain, Version::major(10), Duration::ZERO).contains("jit"));
    }

    #[test]
    fn unknown_parameters_go_to_the_server() {
        let dsn = Dsn::parse("host=a,b port=1,2 user=u search_path='a b' sslmode=disable options='-c x=1'")
            .unwrap();
        let config = client_config(&dsn).unwrap();
        assert_eq!(config.get_options(), Some("-c x=1 -c search_path=a\\ b"));
        assert_eq!(
            (config.get_hosts().len(), config.get_ports(), config.get_user()),
            (2, &[1, 2][..], Some("u"))
        );
        assert_eq!(config.get_application_name(), Some(APPLICATION_NAME));
    }
}
