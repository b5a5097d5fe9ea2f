//! Who asks.

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{AuthInfo, Kubeconfig};
use kube::{Api, Client};

/// Seconds that a token is good for; tests are over before.
const TOKEN_SECONDS: i64 = 6 * 3600;

/// Somebody whom the API server knows, with the rights that roles give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A service account that exists, with a token of its own.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A person: the administrator's credentials, impersonating them, so that it
    /// works on any cluster.
    User {
        /// Their name.
        name: String,
        /// Their groups, beside `system:authenticated`.
        groups: Vec<String>,
    },
}

impl Identity {
    /// A service account that exists.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self::ServiceAccount {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// A person.
    pub fn user(name: &str, groups: &[&str]) -> Self {
        Self::User {
            name: name.to_owned(),
            groups: groups.iter().map(ToString::to_string).collect(),
        }
    }

    /// A file name for it. Names of Kubernetes have no slash but may have colons.
    pub(super) fn file_stem(&self) -> String {
        let stem = match self {
            Self::ServiceAccount { namespace, name } => format!("{namespace}-{name}"),
            Self::User { name, .. } => format!("user-{name}"),
        };
        stem.replace([':', '/'], "-")
    }

    /// Its credentials for the administrator's cluster.
    pub(super) async fn kubeconfig(
        &self,
        client: &Client,
        mut admin: Kubeconfig,
    ) -> Result<Kubeconfig> {
        let context = admin.current_context.as_ref();
        let named = admin
            .contexts
            .iter()
            .find(|entry| Some(&entry.name) == context)
            .and_then(|entry| entry.context.as_ref()?.user.clone())
            .context("the kubeconfig has no user in its current context")?;
        let user = admin
            .auth_infos
            .iter_mut()
            .find(|entry| entry.name == named)
            .context("the kubeconfig lacks the user of its current context")?;
        user.auth_info = Some(match self {
            Self::ServiceAccount { namespace, name } => AuthInfo {
                token: Some(token(client, namespace, name).await?.into()),
                ..AuthInfo::default()
            },
            Self::User { name, groups } => AuthInfo {
                impersonate: Some(name.clone()),
                impersonate_groups: Some(groups.clone()),
                ..user.auth_info.clone().unwrap_or_default()
            },
        });
        Ok(admin)
    }
}

async fn token(client: &Client, namespace: &str, name: &str) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let made = accounts
        .create_token_request(name, &PostParams::default(), &request)
        .await
        .with_context(|| format!("a token for service account {namespace}/{name}"))?;
    let status = made.status.context("a token request without a status")?;
    Ok(status.token)
}
