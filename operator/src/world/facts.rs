//! What the API says of an object beside its spec.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::core::DynamicObject;
use serde_json::Value;

use crate::object::FIELD_MANAGER;

/// Who changed what is served, for people.
const AUTHOR: &str = "watershed.dev/author";

/// Where the change was discussed, for people.
const CHANGE_REF: &str = "watershed.dev/change-ref";

/// Releases what failback holds, whenever its value is another one.
const FAILBACK: &str = "watershed.dev/failback";

/// What the API says of an object beside its spec.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion` as a number, which API servers give.
    pub version: u64,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp`.
    pub created: Option<Timestamp>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// `metadata.finalizers`.
    pub finalizers: BTreeSet<String>,
    /// The policy that owns it, for versions that were minted.
    pub owner: Option<Owner>,
    /// Who else than the operator wrote fields of the spec. The one that wrote
    /// last is last.
    pub managers: Vec<String>,
    /// Whether the operator owns fields of the spec, or of the owner reference.
    pub minted: bool,
    /// Annotation `watershed.dev/author`.
    pub author: Option<String>,
    /// Annotation `watershed.dev/change-ref`.
    pub change_ref: Option<String>,
    /// Annotation `watershed.dev/failback`, cut to 256 characters.
    pub failback: Option<String>,
    /// The status as it is.
    pub status: Value,
    /// The spec as written, of what the operator minted: whoever writes such
    /// an object writes all of it.
    pub spec: Option<Value>,
}

/// The owner of a minted version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Name of the policy.
    pub name: String,
    /// Its `metadata.uid`.
    pub uid: String,
}

impl Facts {
    /// What an object says.
    pub fn of(object: &DynamicObject) -> Self {
        let metadata = &object.metadata;
        let annotation = |name: &str| {
            let annotations = metadata.annotations.as_ref()?;
            annotations.get(name).map(|text| shortened(text, 256))
        };
        let (managers, minted) = managers(object);
        let version = metadata.resource_version.as_deref();
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            version: version.and_then(|text| text.parse().ok()).unwrap_or(0),
            generation: metadata.generation.unwrap_or(0),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            deleting: metadata.deletion_timestamp.is_some(),
            finalizers: metadata.finalizers.iter().flatten().cloned().collect(),
            owner: owner(object),
            managers,
            minted,
            author: annotation(AUTHOR),
            change_ref: annotation(CHANGE_REF),
            failback: annotation(FAILBACK),
            status: object.data.get("status").cloned().unwrap_or_default(),
            spec: object.data.get("spec").filter(|_| minted).cloned(),
        }
    }

    /// Whether it carries a finalizer.
    pub fn has_finalizer(&self, name: &str) -> bool {
        self.finalizers.contains(name)
    }
}

fn owner(object: &DynamicObject) -> Option<Owner> {
    let owners = object.metadata.owner_references.iter().flatten();
    let mut policies = owners.filter(|owner| owner.kind == "TrafficPolicy");
    policies.next().map(|owner| Owner {
        name: owner.name.clone(),
        uid: owner.uid.clone(),
    })
}

/// Who wrote fields of the spec, in order of time, and whether the operator
/// did.
fn managers(object: &DynamicObject) -> (Vec<String>, bool) {
    let entries = object.metadata.managed_fields.iter().flatten();
    let mut entries: Vec<_> = entries
        .filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty())
        .filter(|entry| {
            let fields = entry.fields_v1.as_ref();
            fields.is_some_and(|fields| fields.0.get("f:spec").is_some())
        })
        .collect();
    entries.sort_by_key(|entry| entry.time.as_ref().map(|time| time.0));
    let names = entries.iter().filter_map(|entry| entry.manager.clone());
    let (own, others): (Vec<String>, Vec<String>) = names.partition(|name| name == FIELD_MANAGER);
    (others, !own.is_empty())
}

/// The beginning of a text, in no more than `limit` characters.
fn shortened(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).expect("an object")
    }

    #[test]
    fn managers_of_the_spec_are_told_from_those_of_the_status() {
        let facts = Facts::of(&object(json!({
            "apiVersion": "watershed.dev/v1alpha1", "kind": "TrafficPolicyVersion",
            "metadata": {"name": "web-v8", "uid": "u", "resourceVersion": "71", "managedFields": [
                {"manager": "argocd-controller", "operation": "Apply", "time": "2026-11-21T10:00:02Z",
                 "fieldsV1": {"f:spec": {"f:version": {}}}},
                {"manager": "watershed-operator", "operation": "Apply", "time": "2026-11-21T10:00:00Z",
                 "fieldsV1": {"f:spec": {"f:version": {}}}},
                {"manager": "watershed-operator", "operation": "Apply", "subresource": "status",
                 "time": "2026-11-21T10:00:01Z", "fieldsV1": {"f:status": {}}},
                {"manager": "kubectl-label", "operation": "Update", "time": "2026-11-21T10:00:03Z",
                 "fieldsV1": {"f:metadata": {"f:labels": {}}}},
            ]},
            "spec": {"version": 8},
        })));
        assert_eq!(facts.managers, ["argocd-controller"]);
        assert!(facts.minted);
        assert_eq!(facts.spec, Some(json!({"version": 8})));
        assert_eq!(facts.version, 71);
    }

    #[test]
    fn only_what_the_operator_wrote_is_kept_as_written() {
        let facts = Facts::of(&object(json!({
            "apiVersion": "watershed.dev/v1alpha1", "kind": "TrafficPolicy",
            "metadata": {"name": "web", "annotations": {"watershed.dev/author": "dana@example.com"},
                "managedFields": [{"manager": "kubectl", "operation": "Apply",
                    "fieldsV1": {"f:spec": {"f:document": {}}}}]},
            "spec": {"document": {}},
        })));
        assert_eq!(facts.managers, ["kubectl"]);
        assert!(!facts.minted);
        assert_eq!(facts.spec, None);
        assert_eq!(facts.author.as_deref(), Some("dana@example.com"));
    }
}
