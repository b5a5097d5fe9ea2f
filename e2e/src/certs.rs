//! An authority for tests, and the certificates that it issues.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

/// A certificate and its key, both PEM. Keys are EC P-256.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS#8.
    pub key: String,
}

/// Who or what a certificate is for.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// Common name; a user's name for an API server.
    pub common_name: String,
    /// Organization; a user's group for an API server.
    pub organization: Option<String>,
    /// Host names and IP addresses.
    pub names: Vec<String>,
    /// URIs, as SPIFFE identities are.
    pub uris: Vec<String>,
    /// Whether the time of the certificate is over.
    pub expired: bool,
}

/// A certificate authority that lives as long as this value.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority. Two with the same name have nothing in common.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self {
            certificate,
            issuer,
        })
    }

    /// The authority's own certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The authority's key, PEM, for programs that issue certificates themselves.
    pub fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Issues a certificate, good for a client and for a server.
    ///
    /// # Errors
    /// When a name is not one that a certificate can hold.
    pub fn issue(&self, subject: &Subject) -> Result<Issued> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(subject.names.clone())?;
        for uri in &subject.uris {
            let uri = SanType::URI(uri.as_str().try_into()?);
            params.subject_alt_names.push(uri);
        }
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, &subject.common_name);
        if let Some(organization) = &subject.organization {
            name.push(DnType::OrganizationName, organization);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        if subject.expired {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        let key = key.serialize_pem();
        Ok(Issued { certificate, key })
    }

    /// A server's certificate, for host names and IP addresses.
    ///
    /// # Errors
    /// When a name is not one that a certificate can hold.
    pub fn server(&self, names: &[&str]) -> Result<Issued> {
        self.issue(&Subject {
            common_name: names.first().copied().unwrap_or("server").to_owned(),
            names: names.iter().map(ToString::to_string).collect(),
            ..Subject::default()
        })
    }

    /// A DNS node's certificate, with its identity as the only name.
    ///
    /// # Errors
    /// When a name is not one that a certificate can hold.
    pub fn node(&self, fleet: &str, node: &str) -> Result<Issued> {
        self.issue(&Subject {
            common_name: node.to_owned(),
            uris: vec![format!("spiffe://watershed/fleet/{fleet}/node/{node}")],
            ..Subject::default()
        })
    }

    /// Writes `ca.crt`, `tls.crt` and `tls.key`, as a Secret has them.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn write(&self, dir: &Path, issued: &Issued) -> Result<()> {
        let put = || -> std::io::Result<()> {
            fs::create_dir_all(dir)?;
            fs::write(dir.join("ca.crt"), &self.certificate)?;
            fs::write(dir.join("tls.crt"), &issued.certificate)?;
            fs::write(dir.join("tls.key"), &issued.key)
        };
        put().with_context(|| format!("cannot write certificates to {}", dir.display()))
    }
}
