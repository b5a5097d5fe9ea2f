//! Certificates for nodes that show a service account token.
//!
//! Whoever reaches the operator's port may ask, so that what an answer costs is
//! bounded: in size by [`watershed_proto::ENROL_LIMIT`], in number by
//! [`AT_ONCE`], in time by [`PATIENCE`].

mod accounts;
mod decide;
mod review;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Semaphore;
use watershed_proto::fleet_v1::EnrolRequest;

pub use accounts::{Account, Permit, Permits};
pub use decide::{Admitted, Claim, Refusal, decide};
pub use review::{KubeReviewer, ReviewError, TokenReviewer};

use crate::tls::{Managed, RequestedKey};

/// Requests that are worked on at a time; others wait. A review takes some
/// milliseconds, so a thousand nodes that start at once are through in a second.
pub const AT_ONCE: usize = 16;

/// How long an answer may take, with the wait for its turn.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Names of fleets and pods are not longer than this.
const LONGEST_NAME: usize = 253;

/// Gives certificates to nodes, or says why it does not.
pub enum Enroller {
    /// It enrols nobody, for this reason.
    Closed(&'static str),
    /// It enrols nodes with tokens of some accounts.
    Open(Office),
}

/// Who enrols nodes.
pub struct Office {
    permits: Permits,
    reviewer: Arc<dyn TokenReviewer>,
    managed: Managed,
    room: Semaphore,
}

/// Why a node gets no certificate.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// This operator enrols nobody.
    #[error("{0}")]
    Closed(&'static str),
    /// What was sent is no proper request.
    #[error("{0}")]
    Request(String),
    /// The token is not good for it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It may be possible later.
    #[error("{0}")]
    Unavailable(String),
}

impl Enroller {
    /// Enrols nodes as `permits` says, with the authority of `managed`.
    pub fn new(permits: Permits, reviewer: Arc<dyn TokenReviewer>, managed: Managed) -> Self {
        if permits.is_empty() {
            return Self::Closed(
                "this operator enrols no nodes: start it with --enrol NAMESPACE/SERVICEACCOUNT=FLEET, or give the node a certificate by --tls-dir",
            );
        }
        Self::Open(Office {
            permits,
            reviewer,
            managed,
            room: Semaphore::new(AT_ONCE),
        })
    }

    /// For an operator whose certificates somebody else issues.
    pub fn without_authority() -> Self {
        Self::Closed(
            "this operator cannot issue certificates: its own is from --tls-dir, of an authority whose key it does not have; give the node a certificate of that authority by --tls-dir",
        )
    }

    /// The certificate of a node, and those between it and the authority, in
    /// PEM.
    ///
    /// # Errors
    /// When there is none for it.
    pub async fn enrol(&self, request: EnrolRequest) -> Result<String, EnrolError> {
        match self {
            Self::Closed(reason) => Err(EnrolError::Closed(reason)),
            Self::Open(office) => {
                let enrolled = tokio::time::timeout(PATIENCE, office.enrol(request)).await;
                let late = |_| EnrolError::Unavailable(format!("it took more than {PATIENCE:?}"));
                enrolled.map_err(late)?
            }
        }
    }
}

impl Office {
    async fn enrol(&self, request: EnrolRequest) -> Result<String, EnrolError> {
        let unavailable =
            |error: &dyn std::error::Error| EnrolError::Unavailable(error.to_string());
        let _turn = self
            .room
            .acquire()
            .await
            .map_err(|error| unavailable(&error))?;
        let key = readable(&request)?;
        let review = self.reviewer.review(request.token).await;
        let review = review.map_err(|error| unavailable(&error))?;
        let claim = Claim {
            fleet: &request.fleet,
            node: &request.node,
        };
        let admitted = decide(&self.permits, &review, claim)?;
        let Admitted {
            account,
            fleet,
            node,
        } = admitted;
        let signed = self.managed.sign(now(), &fleet, &node, &key).await;
        let chain = signed.map_err(|error| unavailable(&error))?;
        tracing::info!(%fleet, %node, %account, "enrolled a node");
        Ok(chain)
    }
}

/// What can be known without asking anybody.
fn readable(request: &EnrolRequest) -> Result<RequestedKey, EnrolError> {
    if request.token.is_empty() {
        return Err(EnrolError::Request("there is no token".to_owned()));
    }
    for (what, name) in [("fleet", &request.fleet), ("node", &request.node)] {
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(EnrolError::Request(format!(
                "the name of the {what} must have 1 to {LONGEST_NAME} octets"
            )));
        }
    }
    RequestedKey::read(&request.certificate_request)
        .map_err(|error| EnrolError::Request(error.to_string()))
}

/// In seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
