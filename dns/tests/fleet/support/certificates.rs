//! A certificate authority, and the files that it gives out.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
};
use tempfile::TempDir;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

/// An authority of its own.
pub(crate) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap().pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for `name` and its key, in PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// The side of an operator of that name, or address.
    pub(crate) fn server(&self, name: &str) -> ServerTlsConfig {
        let (certificate, key) = self.issue(name);
        ServerTlsConfig::new()
            .identity(Identity::from_pem(certificate, key))
            .client_ca_root(Certificate::from_pem(&self.certificate))
    }

    /// The same, of one that also speaks to nodes without a certificate.
    pub(crate) fn enrolling_server(&self, name: &str) -> ServerTlsConfig {
        self.server(name).client_auth_optional(true)
    }

    /// A certificate for whoever has made a request, valid for so long.
    pub(crate) fn sign(&self, request: &[u8], valid: Duration) -> String {
        let request = CertificateSigningRequestParams::from_der(&request.into()).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let now = SystemTime::now();
        params.not_before = now.into();
        params.not_after = (now + valid).into();
        let certificate = params.signed_by(&request.public_key, &self.issuer);
        certificate.unwrap().pem()
    }

    /// The authority's own certificate, in PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Writes the files of a node.
    pub(crate) fn write_node(&self, directory: &Path) {
        let (certificate, key) = self.issue("n1.nodes.example.com");
        fs::write(directory.join("ca.crt"), &self.certificate).unwrap();
        fs::write(directory.join("tls.crt"), certificate).unwrap();
        fs::write(directory.join("tls.key"), key).unwrap();
    }

    /// A directory with the files of a node.
    pub(crate) fn node(&self) -> NodeFiles {
        let directory = TempDir::new().unwrap();
        self.write_node(directory.path());
        NodeFiles(directory)
    }
}

/// The files of a node; removed when dropped.
pub(crate) struct NodeFiles(TempDir);

impl NodeFiles {
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }
}
