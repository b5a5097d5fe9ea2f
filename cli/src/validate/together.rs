//! What shows only when everything is compiled together, as for serving:
//! names that two objects want, zones that refuse a record, versions that do
//! not exist.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use watershed_compile::mint::{self, Mint, NewVersion};
use watershed_compile::{Kind, ObjectRef, Previous, Resource, Resources, compile};
use watershed_crd::{
    CIDRCollection, HealthCheck, HostedZone, PolicyRecord, RecordSet, TrafficPolicy,
    TrafficPolicyVersion,
};
use watershed_policy::Code;

use crate::finding::{Finding, has_errors};
use crate::manifest::{self, Identity};

use super::Set;

/// Compiles the objects that have no fault of their own. `found` are the
/// findings so far, by document.
pub(super) fn check(set: &Set, found: &[Vec<Finding>]) -> Vec<(usize, Finding)> {
    let mut resources = Resources::new();
    let mut places: BTreeMap<Identity, usize> = BTreeMap::new();
    for (index, unit) in set.units.iter().enumerate() {
        let Some(value) = unit.object().filter(|_| !has_errors(&found[index])) else {
            continue;
        };
        if let Some(resource) = typed(value) {
            resources.apply(resource);
            places.insert(manifest::identity(value), index);
        }
    }
    let whole = is_whole(found);
    let mut findings = mint_all(&mut resources, &places);
    let compiled = compile(&resources, &Previous::none(), 1);
    for verdict in compiled.verdicts {
        let Some(&index) = places.get(&identity(&verdict.object)) else {
            continue;
        };
        let own = verdict.findings.into_iter().map(Finding::from);
        let own = own.filter(|finding| whole || finding.code != Code::UnknownReference.as_str());
        let new = own.filter(|finding| is_about_object(verdict.object.kind, &finding.path));
        findings.extend(new.map(|finding| (index, finding)));
    }
    findings
}

/// Whether nothing is missing or left out. Otherwise an object that is not
/// found tells of the gap only.
fn is_whole(found: &[Vec<Finding>]) -> bool {
    let mut findings = found.iter().flatten();
    !findings.any(|f| f.is_error() || f.code == Code::UnknownReference.as_str())
}

/// The documents of policies were checked one by one.
fn is_about_object(kind: Kind, path: &str) -> bool {
    match kind {
        Kind::TrafficPolicy | Kind::TrafficPolicyVersion => {
            ["spec.version", "metadata.", "spec.channels"]
                .iter()
                .any(|field| path.starts_with(field))
        }
        _ => true,
    }
}

/// Makes the versions that serving would make.
fn mint_all(
    resources: &mut Resources,
    places: &BTreeMap<Identity, usize>,
) -> Vec<(usize, Finding)> {
    let mut findings = Vec::new();
    for (key, mint) in mint::plan(resources) {
        match mint {
            Mint::Make(new) => {
                if let Some(version) = minted(&new) {
                    resources.apply(version);
                }
            }
            Mint::Refused(refusal) => {
                let policy = Identity {
                    kind: Kind::TrafficPolicy.as_str().to_owned(),
                    namespace: key.namespace,
                    name: key.name,
                };
                let (path, message) = refusal.explain();
                let place = places.get(&policy).filter(|_| path == "spec.version");
                let finding = Finding::error(Code::InvalidValue, path, message);
                findings.extend(place.map(|index| (*index, finding)));
            }
            Mint::NoDocument | Mint::Holds(_) => {}
        }
    }
    findings
}

/// A version as it would be made: owned by its policy.
fn minted(new: &NewVersion) -> Option<TrafficPolicyVersion> {
    let owner = json!({
        "apiVersion": watershed_crd::API_VERSION,
        "kind": "TrafficPolicy",
        "name": new.spec.policy_name,
        "uid": "",
    });
    serde_json::from_value(json!({
        "apiVersion": watershed_crd::API_VERSION,
        "kind": "TrafficPolicyVersion",
        "metadata": {
            "name": new.key.name,
            "namespace": new.key.namespace,
            "ownerReferences": [owner],
        },
        "spec": new.spec,
    }))
    .ok()
}

fn identity(object: &ObjectRef) -> Identity {
    Identity {
        kind: object.kind.as_str().to_owned(),
        namespace: object.key.namespace.clone(),
        name: object.key.name.clone(),
    }
}

/// The object of a manifest; none for kinds that are not compiled.
fn typed(manifest: &Value) -> Option<Resource> {
    let kind = manifest.get("kind")?.as_str()?;
    Some(match kind {
        "HostedZone" => of::<HostedZone>(manifest)?.into(),
        "TrafficPolicy" => of::<TrafficPolicy>(manifest)?.into(),
        "TrafficPolicyVersion" => of::<TrafficPolicyVersion>(manifest)?.into(),
        "PolicyRecord" => of::<PolicyRecord>(manifest)?.into(),
        "RecordSet" => of::<RecordSet>(manifest)?.into(),
        "HealthCheck" => of::<HealthCheck>(manifest)?.into(),
        "CIDRCollection" => of::<CIDRCollection>(manifest)?.into(),
        _ => return None,
    })
}

fn of<T: DeserializeOwned>(manifest: &Value) -> Option<T> {
    T::deserialize(manifest).ok()
}
