//! The call by which a node gets a certificate.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use watershed_proto::fleet_v1::enrolment_server::Enrolment;
use watershed_proto::fleet_v1::{EnrolRequest, EnrolResponse};

use crate::enrol::{EnrolError, Enroller, Refusal};
use crate::fleet::Metrics;

pub(super) struct EnrolmentService {
    enroller: Arc<Enroller>,
    metrics: Metrics,
}

impl EnrolmentService {
    pub(super) fn new(enroller: Arc<Enroller>, metrics: Metrics) -> Self {
        Self { enroller, metrics }
    }
}

#[tonic::async_trait]
impl Enrolment for EnrolmentService {
    async fn enrol(
        &self,
        request: Request<EnrolRequest>,
    ) -> Result<Response<EnrolResponse>, Status> {
        match self.enroller.enrol(request.into_inner()).await {
            Ok(certificate_chain) => {
                self.metrics.enrolled("issued");
                Ok(Response::new(EnrolResponse { certificate_chain }))
            }
            Err(error) => {
                say(&error);
                let (outcome, status) = answer(&error);
                self.metrics.enrolled(outcome);
                Err(status)
            }
        }
    }
}

/// The name of the outcome in metrics, and what the node is told.
fn answer(error: &EnrolError) -> (&'static str, Status) {
    let message = error.to_string();
    match error {
        EnrolError::Refused(_) => ("refused", Status::permission_denied(message)),
        EnrolError::Closed(_) => ("refused", Status::failed_precondition(message)),
        EnrolError::Request(_) => ("refused", Status::invalid_argument(message)),
        EnrolError::Unavailable(_) => ("failed", Status::unavailable(message)),
    }
}

/// What anybody can bring about who reaches the port does not fill the log; a
/// node says by itself why it is refused.
fn say(error: &EnrolError) {
    let anybodys = matches!(
        error,
        EnrolError::Refused(Refusal::Token(_)) | EnrolError::Closed(_) | EnrolError::Request(_)
    );
    if anybodys {
        tracing::debug!(%error, "did not enrol a node");
    } else {
        tracing::warn!(%error, "did not enrol a node");
    }
}
