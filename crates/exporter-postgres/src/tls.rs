//! TLS towards a server, by `sslmode`.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
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
    let authorities = dsn.get("sslrootcert").filter(|file| *file != "system").map(read_roots).transpose()?;
    // As in libpq, a file of authorities makes `require` check against it.
    let checks_authority = mode >= SslMode::VerifyCa || (mode == SslMode::Require && authorities.is_some());
    let builder = if checks_authority {
        let roots = authorities.unwrap_or_else(|| Arc::clone(httpclient::default_roots()));
        if mode == SslMode::VerifyFull {
            builder.with_root_certificates(roots)
        } else {
            let inner = WebPkiServerVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|e| format!("sslrootcert: {e}"))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName(inner)))
        }
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    };
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

fn read_roots(file: &str) -> Result<Arc<RootCertStore>, String> {
    let pem = read("sslrootcert", file)?;
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(&pem) {
        let cert = cert.map_err(|e| format!("sslrootcert: {file}: {e}"))?;
        roots.add(cert).map_err(|e| format!("sslrootcert: {file}: {e}"))?;
    }
    if roots.is_empty() {
        return Err(format!("sslrootcert: {file}: no certificate in it"));
    }
    Ok(Arc::new(roots))
}

/// For `require`: any certificate will do, but the handshake's signatures are checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// For `verify-ca`: a certificate of a known authority, made out to anybody.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // The name is looked at last, so what is wrong with it alone is all that is wrong.
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
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
