//! Objects of any kind, by their manifests.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, TypeMeta};
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, ResourceExt};
use serde::Deserialize;
use serde_json::Value;

/// Applies all objects of a YAML file, as `kubectl apply --server-side` does.
pub async fn apply(client: &Client, yaml: &str) -> Result<()> {
    for document in serde_yaml::Deserializer::from_str(yaml) {
        let value = Value::deserialize(document)?;
        if value.is_null() {
            continue;
        }
        let object: DynamicObject = serde_json::from_value(value)?;
        let what = named(&object);
        let api = api_of(client, &object).await.context(what.clone())?;
        let patch = Patch::Apply(&object);
        let parameters = PatchParams::apply("e2e").force();
        api.patch(&object.name_any(), &parameters, &patch)
            .await
            .context(what)?;
    }
    Ok(())
}

fn named(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("?", |types| &types.kind);
    format!("{kind} {}", object.name_any())
}

/// The API of an object's kind, in its namespace.
async fn api_of(client: &Client, object: &DynamicObject) -> Result<Api<DynamicObject>> {
    let types = object.types.clone().context("no kind")?;
    let (resource, scope) = resource(client, &types).await?;
    Ok(match (scope, object.namespace()) {
        (Scope::Namespaced, Some(namespace)) => {
            Api::namespaced_with(client.clone(), &namespace, &resource)
        }
        (Scope::Namespaced, None) => bail!("{} names no namespace", named(object)),
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
    })
}

async fn resource(client: &Client, types: &TypeMeta) -> Result<(ApiResource, Scope)> {
    let kind = GroupVersionKind::try_from(types)?;
    let (resource, capabilities) = pinned_kind(client, &kind).await?;
    Ok((resource, capabilities.scope))
}

/// The API of an object of our own group, and the object.
pub fn custom(
    client: &Client,
    object: &Value,
) -> Result<(Api<DynamicObject>, DynamicObject), kube::Error> {
    let object: DynamicObject =
        serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
    let kind = object.types.as_ref().map_or("", |types| &types.kind);
    let namespace = object.namespace().unwrap_or_default();
    Ok((custom_api(client, kind, &namespace), object))
}

/// The API of a kind of our own group, in a namespace.
pub fn custom_api(client: &Client, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let (group, version) = ("watershed.dev", "v1alpha1");
    let kind = GroupVersionKind::gvk(group, version, kind);
    let plural = watershed_crd::plural(&kind.kind).unwrap_or_default();
    let resource = ApiResource::from_gvk_with_plural(&kind, &plural);
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// Polls until `ready`, with errors taken for "not yet".
///
/// # Errors
/// When the time is over, with the last error.
pub async fn until<T>(
    what: impl Display,
    limit: Duration,
    mut ready: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        let outcome = ready().await;
        match outcome {
            Ok(Some(value)) => return Ok(value),
            Ok(None) if Instant::now() > end => bail!("not within {limit:?}: {what}"),
            Err(error) if Instant::now() > end => {
                return Err(error.context(format!("not within {limit:?}: {what}")));
            }
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
