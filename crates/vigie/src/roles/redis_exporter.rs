//! The role of `redis_exporter`.

use std::sync::Arc;

use axum::Router;
use config::TlsVersion;
use config::web::{ClientAuth, TlsServerConfig, WebConfig};
use exporter_redis::{Options, RedisExporter};
use web::server::ServerOptions;

use super::exporter;
use crate::Failure;
use crate::flags::Parsed;

/// What bcrypt takes of a password.
const MAX_PASSWORD_BYTES: usize = 72;

/// `vigie redis-exporter`
pub(crate) fn main(flags: &Parsed) -> Result<(), Failure> {
    let web = Arc::new(web_config(flags)?);
    let server = ServerOptions { web, ..ServerOptions::default() };
    exporter::serve_with(&server, flags.all("web.listen-address"), || router(flags))
}

/// All routes of the role. Within a runtime.
pub(crate) fn router(flags: &Parsed) -> Result<Router, Failure> {
    let options = Options::from_flags(&|name| flags.get(name).to_owned()).map_err(Failure::new)?;
    Ok(RedisExporter::new(options).map_err(Failure::new)?.router())
}

/// TLS and the password of our own server, as the flags say.
fn web_config(flags: &Parsed) -> Result<WebConfig, Failure> {
    let mut web = WebConfig::default();
    let (cert, key) = (flags.get("tls-server-cert-file"), flags.get("tls-server-key-file"));
    if !cert.is_empty() && !key.is_empty() {
        let ca = flags.get("tls-server-ca-cert-file");
        let min_version = match flags.get("tls-server-min-version") {
            "TLS1.3" => TlsVersion::Tls13,
            // Older ones are not spoken; as a lower bound they mean 1.2.
            "TLS1.0" | "TLS1.1" | "TLS1.2" => TlsVersion::Tls12,
            other => {
                return Err(Failure::new(format!("configured minimum TLS version unknown: '{other}'")));
            }
        };
        web.tls_server_config = Some(TlsServerConfig {
            cert_file: cert.to_owned(),
            key_file: key.to_owned(),
            client_ca_file: ca.to_owned(),
            client_auth_type: if ca.is_empty() {
                ClientAuth::NoClientCert
            } else {
                ClientAuth::RequireAndVerifyClientCert
            },
            min_version,
            ..TlsServerConfig::default()
        });
    }
    let user = flags.get("basic-auth-username");
    let (password, hash) = (flags.get("basic-auth-password"), flags.get("basic-auth-hash-password"));
    let hash = match (password, hash) {
        ("", "") => return Ok(web),
        ("", hash) => {
            // As upstream: a hash that is none must not lock everybody out unseen.
            bcrypt::verify("", hash).map_err(|e| Failure::new(format!("-basic-auth-hash-password: {e}")))?;
            hash.to_owned()
        }
        (password, "") if password.len() > MAX_PASSWORD_BYTES => {
            return Err(Failure::new(format!(
                "-basic-auth-password: longer than the {MAX_PASSWORD_BYTES} bytes that are compared"
            )));
        }
        (password, "") => bcrypt::hash(password, bcrypt::DEFAULT_COST)
            .map_err(|e| Failure::new(format!("-basic-auth-password: {e}")))?,
        _ => {
            return Err(Failure::new("cannot set both basic auth password and basic auth hash password"));
        }
    };
    if !user.is_empty() {
        web.basic_auth_users.insert(user.to_owned(), hash.as_str().into());
    }
    Ok(web)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Outcome, redis_exporter};

    fn parse(args: &[&str]) -> Parsed {
        let args: Vec<String> = args.iter().map(|&a| a.to_owned()).collect();
        match redis_exporter::COMMAND.parse(&args) {
            Ok(Outcome::Run(parsed)) => parsed,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn every_flag_of_the_table_is_understood() {
        drop(router(&parse(&[])).unwrap());
        drop(router(&parse(&["-is-cluster", "-check-keys=db3=a*,b", "--web.telemetry-path", "/m"])).unwrap());
        for (wrong, says) in [
            ("-check-keys=a=b=c", "couldn't parse check-keys"),
            ("-redis.addr=http://x", "-redis.addr: unknown scheme"),
            ("-connection-timeout=x", "-connection-timeout"),
            ("-namespace=1-2", "cannot begin the name of a metric"),
            ("-vigie.key-scan-load=2", "-vigie.key-scan-load"),
            ("-web.telemetry-path=metrics", "-web.telemetry-path"),
            ("-web.telemetry-path=/scrape", "-web.telemetry-path"),
            ("-tls-client-cert-file=/x", "should both be present"),
            ("-script=/nonexistent.lua", "/nonexistent.lua"),
        ] {
            let failure = router(&parse(&[wrong])).err().unwrap();
            assert!(failure.message.contains(says), "{wrong}: {}", failure.message);
        }
    }

    #[test]
    fn passwords_and_certificates_of_the_server() {
        let web = |args: &[&str]| web_config(&parse(args));
        assert_eq!(web(&[]).unwrap(), WebConfig::default());
        let auth = ["-basic-auth-username=u", "-basic-auth-password=p"];
        let hash = web(&auth).unwrap().basic_auth_users["u"].expose().to_owned();
        assert!(bcrypt::verify("p", &hash).unwrap());
        assert!(web(&["-basic-auth-password=p", "-basic-auth-hash-password=h"]).is_err());
        assert!(web(&["-basic-auth-hash-password=h"]).is_err());
        let tls = ["-tls-server-cert-file=c", "-tls-server-key-file=k", "-tls-server-min-version=TLS1.3"];
        assert_eq!(web(&tls).unwrap().tls_server_config.unwrap().min_version, TlsVersion::Tls13);
        assert!(web(&[tls[0], tls[1], "-tls-server-min-version=TLS9"]).is_err());
    }
}
