//! TLS for listeners, from the web-config file's `tls_server_config`.

use std::io;
use std::sync::Arc;

use config::TlsVersion;
use config::web::{ClientAuth, TlsServerConfig};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::auth::Guard;
use crate::server::Tcp;

/// An accepted connection.
pub(crate) enum Stream {
    Plain(Tcp),
    Tls(Box<TlsStream<Tcp>>),
}

/// Shakes hands where the configuration wants TLS. Files are read at each handshake, as upstream, so that a renewed
/// certificate needs no restart.
pub(crate) async fn accept(stream: Tcp, guard: &Guard) -> io::Result<Stream> {
    let config = guard.config().map_err(io::Error::other)?;
    let Some(tls) = &config.tls_server_config else { return Ok(Stream::Plain(stream)) };
    let acceptor = TlsAcceptor::from(Arc::new(server_config(tls).map_err(io::Error::other)?));
    Ok(Stream::Tls(Box::new(acceptor.accept(stream).await?)))
}

fn server_config(tls: &TlsServerConfig) -> Result<rustls::ServerConfig, String> {
    let cert_pem = inline_or_file(&tls.cert, &tls.cert_file, "cert_file")?;
    let key_pem = inline_or_file(tls.key.expose(), &tls.key_file, "key_file")?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&cert_pem)
        .collect::<Result<_, _>>()
        .map_err(|e| format!("cert: {e}"))?;
    let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|e| format!("key: {e}"))?;
    let versions: Vec<&'static rustls::SupportedProtocolVersion> =
        [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)]
            .into_iter()
            .filter(|(v, _)| (tls.min_version..=tls.max_version).contains(v))
            .map(|(_, v)| v)
            .collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|e| e.to_string())?;
    let roots = || -> Result<Arc<rustls::RootCertStore>, String> {
        let pem = inline_or_file(&tls.client_ca, &tls.client_ca_file, "client_ca_file")?;
        let mut store = rustls::RootCertStore::empty();
        for cert in CertificateDer::pem_slice_iter(&pem) {
            store.add(cert.map_err(|e| format!("client_ca: {e}"))?).map_err(|e| format!("client_ca: {e}"))?;
        }
        Ok(Arc::new(store))
    };
    let verifier = |optional: bool| -> Result<_, String> {
        let b = WebPkiClientVerifier::builder_with_provider(roots()?, Arc::clone(&provider));
        if optional { b.allow_unauthenticated() } else { b }.build().map_err(|e| e.to_string())
    };
    let builder = match tls.client_auth_type {
        ClientAuth::NoClientCert => builder.with_no_client_auth(),
        ClientAuth::VerifyClientCertIfGiven => builder.with_client_cert_verifier(verifier(true)?),
        ClientAuth::RequireAndVerifyClientCert => builder.with_client_cert_verifier(verifier(false)?),
        // rustls has no mode that takes a certificate without verifying it; being stricter than asked is safe.
        ClientAuth::RequestClientCert | ClientAuth::RequireAnyClientCert => {
            return Err("client_auth_type: RequestClientCert and RequireAnyClientCert are not supported; \
                        use VerifyClientCertIfGiven or RequireAndVerifyClientCert"
                .to_owned());
        }
    };
    builder.with_single_cert(chain, key).map_err(|e| e.to_string())
}

fn inline_or_file(inline: &str, file: &str, key: &str) -> Result<Vec<u8>, String> {
    if inline.is_empty() {
        std::fs::read(file).map_err(|e| format!("{key}: {file}: {e}"))
    } else {
        Ok(inline.as_bytes().to_vec())
    }
}
