//! TLS towards a server, by `sslmode`.

use std::sync::Arc;

use httpclient::AnyCertificate;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::dsn::{Dsn, SslMode};

/// What dials TLS for a data source. Reads the files it names, so renewed certificates count from the next connection on.
///
/// # Errors
/// Which file cannot be used, and why.
pub(crate) fn connector(dsn: &Dsn, mode: SslMode) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS: {e}"))?;
    let authorities =
        dsn.get("sslrootcert").filter(|file| *file != "system").map(read_authorities).transpose()?;
    // As in libpq, a file of authorities makes `require` check against it.
    let checks_authority = mode >= SslMode::VerifyCa || (mode == SslMode::Require && authorities.is_some());
    let verifier: Arc<dyn ServerCertVerifier> = if checks_authority {
        let named = authorities.unwrap_or_default();
        let roots = match named.as_slice() {
            [] => Arc::clone(httpclient::default_roots()),
            certificates => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates {
                    roots.add(certificate.clone()).map_err(|e| format!("sslrootcert: {e}"))?;
                }
                Arc::new(roots)
            }
        };
        let inner = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|e| format!("sslrootcert: {e}"))?;
        Arc::new(KnownAuthority { inner, named, checks_name: mode == SslMode::VerifyFull })
    } else {
        // `require`: whoever answers.
        Arc::new(AnyCertificate(provider))
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let config = match (dsn.get("sslcert"), dsn.get("sslkey")) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let chain = CertificateDer::pem_slice_iter(&read("sslcert", cert)?)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|e| format!("sslcert: {cert}: {e}"))?;
            let key_pem = read("sslkey", key)?;
            let private =
                PrivateKeyDer::from_pem_slice(&key_pem).map_err(|e| format!("sslkey: {key}: {e}"))?;
            builder.with_client_auth_cert(chain, private).map_err(|e| format!("sslcert: {cert}: {e}"))?
        }
        (Some(_), None) => return Err("sslcert needs sslkey".to_owned()),
        (None, Some(_)) => return Err("sslkey needs sslcert".to_owned()),
    };
    Ok(MakeRustlsConnect::new(config))
}

fn read(what: &str, file: &str) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|e| format!("{what}: read {file}: {e}"))
}

fn read_authorities(file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(&read("sslrootcert", file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| format!("sslrootcert: {file}: {e}"))?;
    if certificates.is_empty() {
        return Err(format!("sslrootcert: {file}: no certificate in it"));
    }
    Ok(certificates)
}

/// For `verify-ca` and `verify-full`: a certificate of a known authority, made out to the host or to anybody.
#[derive(Debug)]
struct KnownAuthority {
    inner: Arc<WebPkiServerVerifier>,
    /// Certificates of `sslrootcert`. A server may show one of them itself, as servers with a certificate signed by themselves do.
    named: Vec<CertificateDer<'static>>,
    checks_name: bool,
}

impl ServerCertVerifier for KnownAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last, so what is wrong with it alone is all that is wrong.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_)))
                if self.named.iter().any(|named| named == end_entity) =>
            {
                if self.checks_name {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_file_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("empty.pem");
        std::fs::write(&file, "").unwrap();
        let check = |text: &str, error: &str| {
            let dsn = Dsn::parse(text).unwrap();
            let found = connector(&dsn, dsn.ssl_mode().unwrap()).map(|_| ()).unwrap_err();
            assert!(found.contains(error), "{found}");
        };
        check(&format!("sslrootcert={}", file.display()), "no certificate in it");
        check(
            "sslrootcert=/nowhere/root.pem sslmode=verify-ca",
            "sslrootcert: read /nowhere/root.pem: No such file",
        );
        check("sslcert=/nowhere/cert.pem", "sslcert needs sslkey");
        check(&format!("sslcert={0} sslkey={0}", file.display()), "sslkey: ");
        let dsn = Dsn::parse("host=h").unwrap();
        assert!(connector(&dsn, SslMode::Require).is_ok());
        assert!(connector(&dsn, SslMode::VerifyFull).is_ok());
    }
}
