//! The authority's certificate, where nodes can read it.

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};

use super::TlsError;
use crate::config_map;
use crate::explain::explain;

/// Name of the `ConfigMap`, in the operator's own namespace.
pub const CA_CONFIG_MAP: &str = "watershed-ca";

/// Its entry: the certificate in PEM.
const CA: &str = "ca.crt";

/// Where the authority's certificate is published.
pub trait CaPublisher: Send + Sync {
    /// Publishes `ca`, in PEM. What is there already is not written again.
    ///
    /// # Errors
    /// When it cannot be written now.
    fn publish<'a>(&'a self, ca: &'a str) -> BoxFuture<'a, Result<(), TlsError>>;
}

/// A `ConfigMap`, which pods of its namespace can mount.
#[derive(Clone)]
pub struct KubeConfigMap {
    api: Api<ConfigMap>,
    namespace: String,
}

impl KubeConfigMap {
    /// In `namespace`.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
        }
    }

    async fn put(&self, ca: &str) -> Result<(), kube::Error> {
        let found = self.api.get_opt(CA_CONFIG_MAP).await?;
        let Some(object) = with_ca(found, ca) else {
            return Ok(());
        };
        config_map::write(&self.api, CA_CONFIG_MAP, &object).await?;
        tracing::info!(config_map = CA_CONFIG_MAP, "published the authority");
        Ok(())
    }
}

impl CaPublisher for KubeConfigMap {
    fn publish<'a>(&'a self, ca: &'a str) -> BoxFuture<'a, Result<(), TlsError>> {
        async move {
            self.put(ca).await.map_err(|error| TlsError::ConfigMap {
                name: format!("{}/{CA_CONFIG_MAP}", self.namespace),
                message: explain(&error),
            })
        }
        .boxed()
    }
}

/// `found`, or a new object, with `ca` in it; `None` when that is so already.
fn with_ca(found: Option<ConfigMap>, ca: &str) -> Option<ConfigMap> {
    let entry = (CA, ca.to_owned());
    let (object, former) = config_map::with_entry(found, CA_CONFIG_MAP, entry);
    (former.as_deref() != Some(ca)).then_some(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_already_is_not_written_and_all_else_stays() {
        let mut first = with_ca(None, "one").expect("written");
        assert_eq!(first.metadata.name.as_deref(), Some(CA_CONFIG_MAP));
        first.metadata.resource_version = Some("7".to_owned());
        let data = first.data.get_or_insert_default();
        data.insert("other".to_owned(), "kept".to_owned());
        assert_eq!(with_ca(Some(first.clone()), "one"), None);
        let second = with_ca(Some(first), "two").expect("written");
        assert_eq!(second.metadata.resource_version.as_deref(), Some("7"));
        let data = second.data.expect("data");
        assert_eq!((data["other"].as_str(), data[CA].as_str()), ("kept", "two"));
    }
}
