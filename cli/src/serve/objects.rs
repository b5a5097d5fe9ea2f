//! From manifests to the objects that compilation looks at.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::Value;
use watershed_compile::Resource;
use watershed_compile::mint::NewVersion;
use watershed_crd::{
    CIDRCollection, HealthCheck, HostedZone, PolicyRecord, RecordSet, TrafficPolicy,
    TrafficPolicyVersion,
};

/// The typed object of a manifest; `None` for kinds that a single machine has
/// no use for.
///
/// # Errors
/// When the manifest does not fit its kind, which validation has ruled out.
pub(super) fn typed(kind: &str, manifest: &Value) -> serde_json::Result<Option<Resource>> {
    Ok(Some(match kind {
        "HostedZone" => of::<HostedZone>(manifest)?.into(),
        "TrafficPolicy" => of::<TrafficPolicy>(manifest)?.into(),
        "TrafficPolicyVersion" => of::<TrafficPolicyVersion>(manifest)?.into(),
        "PolicyRecord" => of::<PolicyRecord>(manifest)?.into(),
        "RecordSet" => of::<RecordSet>(manifest)?.into(),
        "HealthCheck" => of::<HealthCheck>(manifest)?.into(),
        "CIDRCollection" => of::<CIDRCollection>(manifest)?.into(),
        _ => return Ok(None),
    }))
}

fn of<T: DeserializeOwned>(manifest: &Value) -> serde_json::Result<T> {
    T::deserialize(manifest)
}

/// The object of a minted version, owned by its policy as in a cluster.
pub(super) fn minted(new: NewVersion) -> TrafficPolicyVersion {
    let owner = OwnerReference {
        api_version: "watershed.dev/v1alpha1".to_owned(),
        kind: "TrafficPolicy".to_owned(),
        name: new.spec.policy_name.clone(),
        controller: Some(true),
        ..OwnerReference::default()
    };
    TrafficPolicyVersion {
        metadata: ObjectMeta {
            name: Some(new.key.name),
            namespace: Some(new.key.namespace),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: new.spec,
        status: None,
    }
}
