//! Single entries of a `ConfigMap`: all else in it is somebody else's.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};

/// `found`, or a new object of this name, with the entry in it; and the entry
/// that was there. All else stays, the `resourceVersion` too, so that nobody's
/// write is lost.
pub(crate) fn with_entry(
    found: Option<ConfigMap>,
    name: &str,
    (key, value): (&str, String),
) -> (ConfigMap, Option<String>) {
    let mut object = found.unwrap_or_else(|| ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(
                [(
                    "app.kubernetes.io/managed-by".to_owned(),
                    "watershed".to_owned(),
                )]
                .into(),
            ),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    });
    let data = object.data.get_or_insert_default();
    let former = data.insert(key.to_owned(), value);
    (object, former)
}

/// Writes what [`with_entry`] gave for `name`, if nobody wrote it since it was
/// read.
///
/// # Errors
/// When somebody did, or it cannot be written.
pub(crate) async fn write(
    api: &Api<ConfigMap>,
    name: &str,
    object: &ConfigMap,
) -> kube::Result<ConfigMap> {
    let params = PostParams::default();
    if object.metadata.resource_version.is_some() {
        api.replace(name, &params, object).await
    } else {
        api.create(&params, object).await
    }
}
