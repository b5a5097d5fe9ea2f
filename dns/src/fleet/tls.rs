//! The certificates of a node: from files, or from the operator.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use tokio::fs;
use tonic::transport::{Certificate, ClientTlsConfig, Identity as Pair};

use super::client::ClientError;
use super::connect::{Connect, Dialer};
use super::enrol::{EnrolFiles, Enroller};
use super::metrics::Metrics;
use super::subscriber::Identity;

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

/// How a node shows operators who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// By a certificate that somebody else sees to.
    Files(TlsFiles),
    /// By one that it asks the operator for.
    Enrolment(EnrolFiles),
}

/// A directory with `ca.crt`, `tls.crt` and `tls.key` in PEM, as a Secret of
/// Kubernetes or cert-manager has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles(pub PathBuf);

/// What a connection is made with. All in PEM.
#[derive(Clone)]
pub(super) struct Material {
    /// The authorities of operators.
    pub(super) authority: Vec<u8>,
    /// The node's own certificate, and those between it and an authority.
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Material")
    }
}

impl Material {
    pub(super) fn config(&self) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.authority))
            .identity(Pair::from_pem(&self.certificate, &self.key))
    }
}

/// When a certificate begins and ends, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Validity {
    /// Of the first certificate in PEM; `None` when there is none.
    pub(super) fn of(pem: &[u8]) -> Option<Self> {
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem).ok()?;
        let validity = pem.parse_x509().ok()?.validity().clone();
        Some(Self {
            from: validity.not_before.timestamp(),
            to: validity.not_after.timestamp(),
        })
    }
}

impl TlsFiles {
    /// Reads the files as they are now: certificates are renewed in place.
    async fn read(&self) -> Result<Material, TlsFileError> {
        Ok(Material {
            authority: read(&self.0.join(AUTHORITY)).await?,
            certificate: read(&self.0.join(CERTIFICATE)).await?,
            key: read(&self.0.join(KEY)).await?,
        })
    }
}

pub(super) async fn read(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    fs::read(path).await.map_err(|source| TlsFileError {
        path: path.to_owned(),
        source,
    })
}

/// The certificates of a node as time goes by.
pub(super) struct Certificates {
    source: Source,
    metrics: Arc<Metrics>,
}

enum Source {
    Files(TlsFiles),
    Enrolment(Enroller),
}

impl Certificates {
    /// Those of the node `identity`.
    pub(super) fn new(
        credentials: Credentials,
        identity: &Identity,
        metrics: Arc<Metrics>,
    ) -> Self {
        let source = match credentials {
            Credentials::Files(files) => Source::Files(files),
            Credentials::Enrolment(files) => {
                let (fleet, node) = (identity.fleet.clone(), identity.node.clone());
                Source::Enrolment(Enroller::new(files, fleet, node, Arc::clone(&metrics)))
            }
        };
        Self { source, metrics }
    }

    /// What to connect with now. When it has to be asked for, then at this
    /// address.
    pub(super) async fn current<C: Connect>(
        &mut self,
        dialer: &Dialer<C>,
        address: &str,
    ) -> Result<ClientTlsConfig, ClientError> {
        let material = match &mut self.source {
            Source::Files(files) => files.read().await?,
            Source::Enrolment(enroller) => enroller.current(dialer, address).await?,
        };
        let ends = Validity::of(&material.certificate).map_or(0, |validity| validity.to);
        self.metrics.certificate_ends(ends);
        Ok(material.config())
    }

    /// Renews in time what is to be renewed at this address, for as long as
    /// there is a stream to it.
    pub(super) async fn keep<C: Connect>(
        &mut self,
        dialer: &Dialer<C>,
        address: &str,
    ) -> Infallible {
        match &mut self.source {
            Source::Files(_) => std::future::pending().await,
            Source::Enrolment(enroller) => enroller.keep(dialer, address).await,
        }
    }

    /// An operator does not let the node in with what it has.
    pub(super) fn denied(&mut self) {
        match &mut self.source {
            Source::Files(_) => {}
            Source::Enrolment(enroller) => enroller.forget(),
        }
    }
}
