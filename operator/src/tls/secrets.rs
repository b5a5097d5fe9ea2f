//! Secrets that the operator makes, in its own namespace.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::TlsError;
use crate::explain::explain;

/// The entries of a Secret, and which version of it that is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretData {
    /// By key.
    pub entries: BTreeMap<String, String>,
    /// Changes with every write; `None`: it is yet to be created.
    pub version: Option<String>,
}

impl fmt::Debug for SecretData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.entries.keys().collect();
        f.debug_struct("SecretData")
            .field("keys", &keys)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Where Secrets are kept.
pub trait SecretStore: Send + Sync {
    /// The Secret of that name, if there is one.
    ///
    /// # Errors
    /// When the store does not answer, or an entry is not text.
    fn read<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<SecretData>, TlsError>>;

    /// Writes a Secret, if it still has the version in `data`. False:
    /// somebody wrote it meanwhile, and nothing was changed.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    fn write<'a>(
        &'a self,
        name: &'a str,
        data: SecretData,
    ) -> BoxFuture<'a, Result<bool, TlsError>>;
}

/// Secrets of a Kubernetes namespace.
#[derive(Clone)]
pub struct KubeSecrets {
    api: Api<Secret>,
    namespace: String,
}

impl KubeSecrets {
    /// Secrets of `namespace`.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
        }
    }

    fn failed(&self, name: &str, message: impl fmt::Display) -> TlsError {
        TlsError::Secret {
            name: format!("{}/{name}", self.namespace),
            message: message.to_string(),
        }
    }

    async fn get(&self, name: &str) -> Result<Option<SecretData>, TlsError> {
        let found = self.api.get_opt(name).await;
        let Some(secret) = found.map_err(|error| self.failed(name, explain(&error)))? else {
            return Ok(None);
        };
        let entries =
            secret
                .data
                .unwrap_or_default()
                .into_iter()
                .map(|(key, ByteString(value))| {
                    let text = String::from_utf8(value);
                    let text =
                        text.map_err(|_| self.failed(name, format!("entry {key} is not text")))?;
                    Ok((key, text))
                });
        Ok(Some(SecretData {
            entries: entries.collect::<Result<_, TlsError>>()?,
            version: secret.metadata.resource_version,
        }))
    }

    async fn put(&self, name: &str, data: SecretData) -> Result<bool, TlsError> {
        let SecretData { entries, version } = data;
        let exists = version.is_some();
        let label = ("app.kubernetes.io/managed-by", "watershed");
        let entries = entries.into_iter();
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                resource_version: version,
                labels: Some([(label.0.to_owned(), label.1.to_owned())].into()),
                ..ObjectMeta::default()
            },
            data: Some(
                entries
                    .map(|(key, text)| (key, ByteString(text.into_bytes())))
                    .collect(),
            ),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        };
        let params = PostParams::default();
        let written = if exists {
            self.api.replace(name, &params, &secret).await
        } else {
            self.api.create(&params, &secret).await
        };
        match written {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => Ok(false),
            Err(error) => Err(self.failed(name, explain(&error))),
        }
    }
}

impl SecretStore for KubeSecrets {
    fn read<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<SecretData>, TlsError>> {
        self.get(name).boxed()
    }

    fn write<'a>(
        &'a self,
        name: &'a str,
        data: SecretData,
    ) -> BoxFuture<'a, Result<bool, TlsError>> {
        self.put(name, data).boxed()
    }
}

/// Secrets in memory, for tests. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemorySecrets {
    secrets: Arc<Mutex<HashMap<String, SecretData>>>,
}

impl MemorySecrets {
    /// Deletes a Secret.
    pub fn forget(&self, name: &str) {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.remove(name);
    }
}

impl SecretStore for MemorySecrets {
    fn read<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<SecretData>, TlsError>> {
        async move {
            let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(secrets.get(name).cloned())
        }
        .boxed()
    }

    fn write<'a>(
        &'a self,
        name: &'a str,
        mut data: SecretData,
    ) -> BoxFuture<'a, Result<bool, TlsError>> {
        async move {
            let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
            let found = secrets.get(name).and_then(|found| found.version.clone());
            if found != data.version {
                return Ok(false);
            }
            let next = found
                .and_then(|version| version.parse().ok())
                .unwrap_or(0_u64)
                + 1;
            data.version = Some(next.to_string());
            secrets.insert(name.to_owned(), data);
            Ok(true)
        }
        .boxed()
    }
}
