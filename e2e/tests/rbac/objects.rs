//! Objects of our own group, by their manifests.

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

/// The API of an object, and the object.
pub fn custom(
    client: &Client,
    object: &Value,
) -> serde_json::Result<(Api<DynamicObject>, DynamicObject)> {
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    let kind = object.types.as_ref().map_or("", |types| &types.kind);
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    Ok((custom_api(client, kind, namespace), object))
}

/// The API of a kind, in a namespace.
pub fn custom_api(client: &Client, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("watershed.dev", "v1alpha1", kind);
    let plural = watershed_crd::plural(&kind.kind).unwrap_or_default();
    let resource = ApiResource::from_gvk_with_plural(&kind, &plural);
    Api::namespaced_with(client.clone(), namespace, &resource)
}
