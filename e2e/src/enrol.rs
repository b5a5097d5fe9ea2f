//! What a kubelet would give to a pod that enrols: its token, and whom to trust.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use crate::{Cluster, eventually};

/// What the operator asks tokens to be for.
pub const AUDIENCE: &str = "watershed-operator";

/// Longest time until the operator has published its authority.
const SOON: Duration = Duration::from_mins(1);

/// How long tokens are good for, in seconds.
const TOKEN_SECONDS: i64 = 3600;

/// A token of a service account.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    /// The namespace of the account and the pod.
    pub namespace: &'a str,
    /// Whose it is.
    pub account: &'a str,
    /// The pod that it is bound to; `None`: to none.
    pub pod: Option<&'a str>,
    /// What it is for.
    pub audience: &'a str,
}

impl Token<'_> {
    /// Has it made by the API server.
    ///
    /// # Errors
    /// When there is no such account or pod.
    pub async fn make(&self, cluster: &Cluster) -> Result<String> {
        let pods: Api<Pod> = Api::namespaced(cluster.client(), self.namespace);
        let bound_object_ref = match self.pod {
            None => None,
            Some(name) => Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: Some(name.to_owned()),
                uid: pods.get(name).await?.metadata.uid,
            }),
        };
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec![self.audience.to_owned()],
                bound_object_ref,
                expiration_seconds: Some(TOKEN_SECONDS),
            },
            ..TokenRequest::default()
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), self.namespace);
        let parameters = PostParams::default();
        let made = accounts.create_token_request(self.account, &parameters, &request);
        Ok(made.await?.status.context("no token")?.token)
    }
}

/// Makes a service account, and waits until it can have pods.
///
/// # Errors
/// When the API server refuses it.
pub async fn make_account(cluster: &Cluster, namespace: &str, name: &str) -> Result<()> {
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace},
    });
    cluster.apply(&account.to_string()).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), namespace);
    eventually("the account exists", SOON, async || {
        Ok(accounts.get(name).await?)
    })
    .await?;
    Ok(())
}

/// Makes a pod that no kubelet runs; it is there all the same.
///
/// # Errors
/// When the API server refuses it.
pub async fn make_pod(cluster: &Cluster, namespace: &str, name: &str, account: &str) -> Result<()> {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "serviceAccountName": account,
            "containers": [{"name": "dns", "image": "example.com/dns"}],
        },
    });
    cluster.apply(&pod.to_string()).await
}

/// The authority as the operator publishes it, in PEM, once there is one other
/// than `former`.
///
/// # Errors
/// When there is none in time.
pub async fn published_ca(
    cluster: &Cluster,
    namespace: &str,
    former: Option<&str>,
) -> Result<String> {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), namespace);
    eventually("the authority is published", SOON, async || {
        let map = maps.get("watershed-ca").await?;
        let ca = map.data.unwrap_or_default().remove("ca.crt");
        ca.filter(|ca| Some(ca.as_str()) != former)
            .context("no new ca.crt")
    })
    .await
}
