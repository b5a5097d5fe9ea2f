//! Who a token is of: the API server's word.

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::PostParams;
use kube::{Api, Client};
use watershed_proto::ENROL_AUDIENCE;

use crate::explain::explain;

/// The API server has not said anything about a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token cannot be reviewed: {0}")]
pub struct ReviewError(pub String);

/// Knows whose tokens are.
pub trait TokenReviewer: Send + Sync {
    /// What there is to say of a token for [`ENROL_AUDIENCE`].
    ///
    /// # Errors
    /// When nothing could be found out.
    fn review(&self, token: String) -> BoxFuture<'_, Result<TokenReviewStatus, ReviewError>>;
}

/// The API server, by a `TokenReview`. So a token ends with its pod.
#[derive(Clone)]
pub struct KubeReviewer {
    api: Api<TokenReview>,
}

impl KubeReviewer {
    /// The API server of `client`.
    pub fn new(client: Client) -> Self {
        Self {
            api: Api::all(client),
        }
    }
}

impl TokenReviewer for KubeReviewer {
    fn review(&self, token: String) -> BoxFuture<'_, Result<TokenReviewStatus, ReviewError>> {
        async move {
            let review = TokenReview {
                spec: TokenReviewSpec {
                    token: Some(token),
                    audiences: Some(vec![ENROL_AUDIENCE.to_owned()]),
                },
                ..TokenReview::default()
            };
            let created = self.api.create(&PostParams::default(), &review).await;
            let reviewed = created.map_err(|error| ReviewError(explain(&error)))?;
            Ok(reviewed.status.unwrap_or_default())
        }
        .boxed()
    }
}
