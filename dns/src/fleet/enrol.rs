//! A certificate from the operator, for a service account token.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::Rng;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tonic::transport::{Certificate, ClientTlsConfig};
use tonic::{Code, Status};
use watershed_proto::ENROL_LIMIT;
use watershed_proto::fleet_v1::EnrolRequest;
use watershed_proto::fleet_v1::enrolment_client::EnrolmentClient;

use super::client::ClientError;
use super::connect::{Connect, Dialer};
use super::metrics::Metrics;
use super::tls::{Material, Validity, read};

/// How long the operator may take, which asks the API server first.
const PATIENCE: Duration = Duration::from_secs(15);

/// A certificate is renewed after this share of its life: after two thirds,
/// and earlier by chance, as nodes that were started together should not all
/// come together.
const SHARE: std::ops::Range<f64> = 0.6..2.0 / 3.0;

/// A renewal that failed is tried again after so long, and up to twice of it;
/// there are hours left.
const RETRY: Duration = Duration::from_mins(1);

/// Files that a node enrols with. Both are read anew each time, for both are
/// renewed in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolFiles {
    /// The certificate of the authority that operators' certificates are of,
    /// in PEM.
    pub ca: PathBuf,
    /// A service account token.
    pub token: PathBuf,
}

/// Asks for certificates, and keeps the last in memory.
pub(super) struct Enroller {
    files: EnrolFiles,
    fleet: String,
    node: String,
    metrics: Arc<Metrics>,
    held: Option<Held>,
}

/// A certificate that it was given.
struct Held {
    material: Material,
    validity: Validity,
    due: Instant,
}

impl Held {
    fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }

    /// Whether an operator will take it, as far as can be known here.
    fn is_good(&self, authority: &[u8]) -> bool {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.map_or(0, |since| since.as_secs());
        // With another authority there will be other certificates.
        self.material.authority == authority && i128::from(now) < i128::from(self.validity.to)
    }
}

impl Enroller {
    pub(super) fn new(
        files: EnrolFiles,
        fleet: String,
        node: String,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            files,
            fleet,
            node,
            metrics,
            held: None,
        }
    }

    /// The certificate that it has, or one that it asks for at `address`.
    pub(super) async fn current<C: Connect>(
        &mut self,
        dialer: &Dialer<C>,
        address: &str,
    ) -> Result<Material, ClientError> {
        let authority = read(&self.files.ca).await?;
        let held = self.held.as_ref().filter(|held| held.is_good(&authority));
        if let Some(held) = held.filter(|held| !held.is_due()) {
            return Ok(held.material.clone());
        }
        let spare = held.map(|held| held.material.clone());
        match (self.renew(dialer, address).await, spare) {
            (Ok(renewed), _) => Ok(renewed),
            // It is due, but good: who renews while there is a stream goes on
            // about it.
            (Err(_), Some(spare)) => Ok(spare),
            (Err(error), None) => Err(error),
        }
    }

    /// Renews the certificate at `address`, again and again.
    pub(super) async fn keep<C: Connect>(
        &mut self,
        dialer: &Dialer<C>,
        address: &str,
    ) -> Infallible {
        loop {
            match &self.held {
                Some(held) => sleep_until(held.due).await,
                None => std::future::pending().await,
            }
            if let Err(error) = self.renew(dialer, address).await {
                tracing::warn!(
                    operator = address,
                    %error,
                    "the certificate is not renewed yet"
                );
                let pause = RETRY.mul_f64(rand::rng().random_range(1.0..2.0));
                sleep(pause).await;
            }
        }
    }

    /// Asks for another one when it is needed next.
    pub(super) fn forget(&mut self) {
        self.held = None;
    }

    async fn renew<C: Connect>(
        &mut self,
        dialer: &Dialer<C>,
        address: &str,
    ) -> Result<Material, ClientError> {
        let enrolled = self.enrol(dialer, address).await;
        self.metrics.enrolled(match &enrolled {
            Ok(_) => "issued",
            Err(ClientError::Enrol(status)) if is_refusal(status) => "refused",
            Err(_) => "failed",
        });
        let held = enrolled?;
        tracing::info!(
            operator = address,
            expires = held.validity.to,
            "the operator has issued a certificate"
        );
        self.metrics.certificate_ends(held.validity.to);
        let material = held.material.clone();
        self.held = Some(held);
        Ok(material)
    }

    async fn enrol<C: Connect>(
        &self,
        dialer: &Dialer<C>,
        address: &str,
    ) -> Result<Held, ClientError> {
        let authority = read(&self.files.ca).await?;
        let token = read(&self.files.token).await?;
        let key = KeyPair::generate()?;
        let request = EnrolRequest {
            token: String::from_utf8_lossy(&token).trim().to_owned(),
            certificate_request: certificate_request(&key)?,
            fleet: self.fleet.clone(),
            node: self.node.clone(),
        };
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority));
        let channel = dialer.dial(address, tls).await?;
        let mut client = EnrolmentClient::new(channel)
            .max_decoding_message_size(ENROL_LIMIT)
            .max_encoding_message_size(ENROL_LIMIT);
        let answer = timeout(PATIENCE, client.enrol(request)).await;
        let answer = answer.map_err(|_| ClientError::Silent(PATIENCE))?;
        let chain = answer.map_err(ClientError::Enrol)?.into_inner();
        held(authority, chain.certificate_chain, &key)
    }
}

/// The operator takes nothing from it but the key.
fn certificate_request(key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(key)?.der().to_vec())
}

/// What was issued, if it is of use: it is kept for hours.
fn held(authority: Vec<u8>, chain: String, key: &KeyPair) -> Result<Held, ClientError> {
    let useless = || ClientError::Message("it issued no certificate for the key".to_owned());
    let validity = Validity::of(chain.as_bytes()).ok_or_else(useless)?;
    if !is_for(chain.as_bytes(), key) {
        return Err(useless());
    }
    let life = u64::try_from(validity.to.saturating_sub(validity.from)).unwrap_or(0);
    let share = rand::rng().random_range(SHARE);
    Ok(Held {
        material: Material {
            authority,
            certificate: chain.into_bytes(),
            key: key.serialize_pem().into_bytes(),
        },
        validity,
        due: Instant::now() + Duration::from_secs(life).mul_f64(share),
    })
}

fn is_for(pem: &[u8], key: &KeyPair) -> bool {
    let of_certificate = x509_parser::pem::parse_x509_pem(pem)
        .ok()
        .and_then(|(_, pem)| {
            let certificate = pem.parse_x509().ok()?;
            Some(certificate.public_key().subject_public_key.data.to_vec())
        });
    of_certificate.as_deref() == Some(key.public_key_raw())
}

/// Whether it is of no use to ask the same again.
fn is_refusal(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::PermissionDenied | Code::FailedPrecondition | Code::InvalidArgument
    )
}
