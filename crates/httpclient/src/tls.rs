//! TLS to servers. Certificates in files are read again for each new connection, and the set-up rebuilt when they changed.

use std::sync::{Arc, OnceLock};

use config::{TlsConfig, TlsVersion};
use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::error::io_text;
use crate::{Error, ErrorKind};

/// Files in which systems keep the roots they trust; the first that is there counts, as in Go.
const SYSTEM_ROOTS: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Makes TLS set-ups from a configuration.
#[derive(Debug)]
pub struct Tls {
    config: TlsConfig,
    built: Mutex<Option<(Material, Arc<ClientConfig>)>>,
}

/// What the files held when the set-up was built.
#[derive(Debug, PartialEq, Eq)]
struct Material {
    ca: Vec<u8>,
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Of a configuration.
    ///
    /// # Errors
    /// When the configuration, with the files as they are now, cannot work.
    pub fn new(config: &TlsConfig) -> Result<Self, Error> {
        for (name, value) in
            [("ca_ref", &config.ca_ref), ("cert_ref", &config.cert_ref), ("key_ref", &config.key_ref)]
        {
            if !value.is_empty() {
                return Err(wrong(&format!("{name} is not supported: there is no secret manager")));
            }
        }
        if matches!(config.max_version, Some(TlsVersion::Tls10 | TlsVersion::Tls11)) {
            return Err(wrong("max_version below TLS12 is not supported"));
        }
        let tls = Self { config: config.clone(), built: Mutex::new(None) };
        // Without TLS settings, nothing can be wrong, and most clients never speak TLS.
        if *config != TlsConfig::default() {
            tls.client_config()?;
        }
        Ok(tls)
    }

    /// The name to verify the server's certificate against.
    ///
    /// # Errors
    /// When it is no name of a host.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, Error> {
        let name = if self.config.server_name.is_empty() { host } else { &self.config.server_name };
        let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        ServerName::try_from(name).map_err(|e| Error::new(ErrorKind::Connect, format!("tls: {e}")))
    }

    /// The set-up for a new connection.
    ///
    /// # Errors
    /// When a file cannot be read or what it holds cannot work.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, Error> {
        let c = &self.config;
        let material = Material {
            ca: load("ca_file", &c.ca, &c.ca_file)?,
            cert: load("cert_file", &c.cert, &c.cert_file)?,
            key: load("key_file", c.key.expose(), &c.key_file)?,
        };
        let mut built = self.built.lock();
        if let Some((known, config)) = &*built
            && *known == material
        {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.build(&material)?);
        *built = Some((material, Arc::clone(&config)));
        Ok(config)
    }

    fn build(&self, material: &Material) -> Result<ClientConfig, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions())
            .map_err(|e| wrong(&e.to_string()))?;
        let builder = if self.config.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else if material.ca.is_empty() {
            builder.with_root_certificates(Arc::clone(default_roots()))
        } else {
            let mut roots = RootCertStore::empty();
            for cert in CertificateDer::pem_slice_iter(&material.ca) {
                let cert = cert.map_err(|e| wrong(&format!("unable to use specified CA cert: {e}")))?;
                roots.add(cert).map_err(|e| wrong(&format!("unable to use specified CA cert: {e}")))?;
            }
            if roots.is_empty() {
                return Err(wrong("unable to use specified CA cert: no certificate in it"));
            }
            builder.with_root_certificates(roots)
        };
        if material.cert.is_empty() {
            return Ok(builder.with_no_client_auth());
        }
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&material.cert)
            .collect::<Result<_, _>>()
            .map_err(|e| wrong(&format!("unable to use specified client cert: {e}")))?;
        let key = PrivateKeyDer::from_pem_slice(&material.key)
            .map_err(|e| wrong(&format!("unable to use specified client key: {e}")))?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|e| wrong(&format!("unable to use specified client cert and key: {e}")))
    }

    /// TLS 1.0 and 1.1 are not spoken; as a lower bound they mean 1.2.
    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let mut out = Vec::new();
        if self.config.min_version != Some(TlsVersion::Tls13) {
            out.push(&rustls::version::TLS12);
        }
        if self.config.max_version != Some(TlsVersion::Tls12) {
            out.push(&rustls::version::TLS13);
        }
        out
    }
}

fn wrong(why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("tls_config: {why}"))
}

fn load(what: &str, inline: &str, file: &str) -> Result<Vec<u8>, Error> {
    if file.is_empty() {
        return Ok(inline.as_bytes().to_vec());
    }
    std::fs::read(file).map_err(|e| wrong(&format!("{what}: open {file}: {}", io_text(&e))))
}

/// The system's roots, or Mozilla's where the system has none; read once.
pub fn default_roots() -> &'static Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        let named = std::env::var("SSL_CERT_FILE").ok();
        let files = named.iter().map(String::as_str).chain(SYSTEM_ROOTS);
        for pem in files.filter_map(|file| std::fs::read(file).ok()).take(1) {
            // Roots a system trusts but rustls cannot read are passed over, as Go does.
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
        }
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Arc::new(roots)
    })
}

/// For `insecure_skip_verify` and its like: any certificate will do, but the handshake's signatures are checked.
#[derive(Debug)]
pub struct AnyCertificate(pub Arc<CryptoProvider>);

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
