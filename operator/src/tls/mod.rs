//! Certificates of the stream between operator and nodes: from files, such as
//! a volume that cert-manager fills, or made by the operator itself.
//!
//! Keys are never logged, and never in the `Debug` form of anything here.

mod authority;
mod files;
mod managed;
mod publish;
mod secrets;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

pub use authority::{Authority, Issued, Order, Purpose, RequestedKey};
pub use files::{follow, read, write};
pub use managed::{CA_SECRET, Managed, NODE_SECRET, SERVER_SECRET};
pub use publish::{CA_CONFIG_MAP, CaPublisher, KubeConfigMap};
pub use secrets::{KubeSecrets, MemorySecrets, SecretData, SecretStore};

/// Trust domain of the identities that the operator issues.
pub const TRUST_DOMAIN: &str = "watershed";

/// A certificate with its key, and the authorities whose certificates are
/// accepted. All in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    /// One authority, or several while one takes the place of another.
    pub ca: String,
    /// The certificate first, then those between it and an authority.
    pub certificate: String,
    /// The key of the certificate.
    pub key: String,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// Why certificates cannot be had or used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
    /// A certificate or key is not what it should be.
    #[error("{what} cannot be used: {message}")]
    Unusable {
        /// What it is.
        what: String,
        /// What is wrong with it.
        message: String,
    },
    /// A Secret cannot be read or written.
    #[error("Secret {name}: {message}")]
    Secret {
        /// Namespace and name.
        name: String,
        /// What went wrong, and what to do.
        message: String,
    },
    /// The `ConfigMap` of the authority cannot be read or written.
    #[error("ConfigMap {name}: {message}")]
    ConfigMap {
        /// Namespace and name.
        name: String,
        /// What went wrong.
        message: String,
    },
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Issue(#[from] rcgen::Error),
}

impl TlsError {
    fn unusable(what: &str, message: impl fmt::Display) -> Self {
        Self::Unusable {
            what: what.to_owned(),
            message: message.to_string(),
        }
    }
}

/// How the operator presents itself to nodes and whom it lets in. Clones share
/// it; a replacement takes effect with the next handshake.
#[derive(Clone)]
pub struct ServerTls {
    current: Arc<ArcSwap<ServerConfig>>,
    expires: Arc<ArcSwap<i64>>,
}

impl ServerTls {
    /// Presents `bundle`.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn new(bundle: &Bundle) -> Result<Self, TlsError> {
        Ok(Self {
            current: Arc::new(ArcSwap::from_pointee(server_config(bundle)?)),
            expires: Arc::new(ArcSwap::from_pointee(expiry(&bundle.certificate)?)),
        })
    }

    /// Presents `bundle` from now on.
    ///
    /// # Errors
    /// When it cannot be used; then the former one stays.
    pub fn replace(&self, bundle: &Bundle) -> Result<(), TlsError> {
        let config = server_config(bundle)?;
        self.expires.store(Arc::new(expiry(&bundle.certificate)?));
        self.current.store(Arc::new(config));
        Ok(())
    }

    /// What the next handshake goes by.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// When the certificate expires, in seconds since 1970.
    pub fn expires(&self) -> i64 {
        **self.expires.load()
    }
}

/// The server's side: its certificate, and clients with a certificate of the
/// authorities, or with none: those can do no more than enrol.
fn server_config(bundle: &Bundle) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = Arc::new(roots(&bundle.ca)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::unusable("the CA certificate", error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::unusable("the TLS library", error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain(&bundle.certificate)?, key(&bundle.key)?)
        .map_err(|error| TlsError::unusable("the certificate with its key", error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// The client's side of the same: its certificate, and only servers with a
/// certificate of the authorities.
///
/// # Errors
/// When the bundle cannot be used.
pub fn client_config(bundle: &Bundle) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::unusable("the TLS library", error))?
        .with_root_certificates(roots(&bundle.ca)?)
        .with_client_auth_cert(chain(&bundle.certificate)?, key(&bundle.key)?)
        .map_err(|error| TlsError::unusable("the certificate with its key", error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn roots(pem: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("the CA certificate", pem)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::unusable("the CA certificate", error))?;
    }
    Ok(roots)
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates("the certificate", pem)
}

fn certificates(what: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::unusable(what, error))?;
    if certificates.is_empty() {
        return Err(TlsError::unusable(what, "it holds no certificate in PEM"));
    }
    Ok(certificates)
}

fn key(pem: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    // What is wrong with a key is not worth quoting from it.
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| TlsError::unusable("the key", "it is no private key in PEM"))
}

/// When the first certificate of `pem` expires, in seconds since 1970.
///
/// # Errors
/// When there is no certificate in it.
pub fn expiry(pem: &str) -> Result<i64, TlsError> {
    with_first(pem, |certificate| {
        certificate.validity().not_after.timestamp()
    })
}

/// What `look` sees in the first certificate of `pem`.
fn with_first<T>(pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> T) -> Result<T, TlsError> {
    let what = "the certificate";
    let chain = certificates(what, pem)?;
    // There is at least one.
    let first = chain
        .first()
        .ok_or_else(|| TlsError::unusable(what, "it is empty"))?;
    let (_, certificate) =
        X509Certificate::from_der(first).map_err(|error| TlsError::unusable(what, error))?;
    Ok(look(&certificate))
}
