//! The certificates of a node, as files.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::fs;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// The certificate of the authority that operators' certificates are of.
const AUTHORITY: &str = "ca.crt";
/// The node's own certificate.
const CERTIFICATE: &str = "tls.crt";
/// Its private key.
const KEY: &str = "tls.key";

/// A file that cannot be read.
#[derive(Debug, Error)]
#[error("{} cannot be read: {source}", path.display())]
pub struct TlsFileError {
    path: PathBuf,
    source: io::Error,
}

/// A directory with `ca.crt`, `tls.crt` and `tls.key` in PEM, as a Secret of
/// Kubernetes or cert-manager has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles(pub PathBuf);

impl TlsFiles {
    /// Reads the files as they are now: certificates are renewed in place.
    pub(super) async fn read(&self, name: Option<&str>) -> Result<ClientTlsConfig, TlsFileError> {
        let authority = read(&self.0.join(AUTHORITY)).await?;
        let certificate = read(&self.0.join(CERTIFICATE)).await?;
        let key = read(&self.0.join(KEY)).await?;
        let config = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(authority))
            .identity(Identity::from_pem(certificate, key));
        Ok(match name {
            Some(name) => config.domain_name(name),
            None => config,
        })
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    fs::read(path).await.map_err(|source| TlsFileError {
        path: path.to_owned(),
        source,
    })
}
