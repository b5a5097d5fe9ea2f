//! The admission policies of `deploy/admission.yaml`, each with what it
//! refuses and what it lets pass.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Error, ResourceExt};
use serde_json::{Value, json};

use crate::objects::{custom, custom_api, until};
use crate::support::manifest;

/// The operator's account, as `deploy/operator.yaml` names it.
pub const OPERATOR: &str = "system:serviceaccount:watershed-system:watershed-operator";
/// Accounts that clean up behind others.
pub const CLEANERS: [&str; 3] = [
    "system:serviceaccount:kube-system:namespace-controller",
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:kube-controller-manager",
];

const ALLOW: &str = "watershed.dev/allow-delete-in-use";

/// Clients that may do everything by their roles, so that it is the policies
/// that decide.
pub struct Clients {
    pub admin: Client,
    pub operator: Client,
    pub cleaners: Vec<Client>,
}

/// One kind that is protected while in use.
struct Protected {
    kind: &'static str,
    /// The status of an object in use.
    used: Value,
    /// What the refusal says of it.
    says: &'static str,
}

fn protected() -> [Protected; 3] {
    [
        Protected {
            kind: "TrafficPolicyVersion",
            used: json!({"records": {"total": 3, "namespaces": 2}}),
            says: "TrafficPolicyVersion mail-v3 serves 3 PolicyRecord(s): move them to another \
                   version first",
        },
        Protected {
            kind: "TrafficPolicy",
            used: json!({"records": {"total": 3, "byVersion": [
                {"version": 11, "records": 2},
                {"version": 12, "records": 1},
            ]}}),
            says: "TrafficPolicy storefront serves 3 PolicyRecord(s) (version 11, 12): point them \
                   at another policy or delete them first",
        },
        Protected {
            kind: "HostedZone",
            used: json!({"records": {"static": 4, "recordSets": 1, "policyRecords": 2}}),
            says: "HostedZone example-com (example.com) holds 2 PolicyRecord(s) and 1 \
                   RecordSet(s): delete them first, or set spec.deletionPolicy: Delete",
        },
    ]
}

/// Deletes of what is in use and of what is not.
pub async fn protect_in_use(clients: &Clients) -> Result<()> {
    in_force(clients).await?;
    for protected in protected() {
        protect(clients, &protected)
            .await
            .with_context(|| protected.kind)?;
    }
    Ok(())
}

/// Policies take effect a moment after they are stored.
async fn in_force(clients: &Clients) -> Result<()> {
    let limit = Duration::from_secs(30);
    for protected in protected() {
        let (api, name) = used(clients, &protected).await?;
        until(
            format!("{} is protected", protected.kind),
            limit,
            async || Ok(may_delete(&api, &name).await.is_err().then_some(())),
        )
        .await?;
        remove(&api, &name).await?;
    }
    Ok(())
}

async fn protect(clients: &Clients, protected: &Protected) -> Result<()> {
    let (api, name) = used(clients, protected).await?;
    refused(may_delete(&api, &name).await, protected.says)?;
    let all = DeleteParams {
        dry_run: true,
        ..DeleteParams::default()
    };
    let all = api.delete_collection(&all, &ListParams::default()).await;
    refused(all.map(drop), protected.says)?;
    for cleaner in &clients.cleaners {
        let api = same(&api, cleaner, protected.kind, &name).await?;
        may_delete(&api, &name)
            .await
            .context("by the controllers")?;
    }
    annotate(&api, &name, "no").await?;
    refused(may_delete(&api, &name).await, protected.says)?;
    annotate(&api, &name, "true").await?;
    may_delete(&api, &name)
        .await
        .context("with the annotation")?;
    remove(&api, &name).await?;
    unused_may_go(clients, protected).await
}

async fn unused_may_go(clients: &Clients, protected: &Protected) -> Result<()> {
    let object = full(protected.kind);
    let (api, object) = custom(&clients.admin, &object)?;
    let name = object.name_any();
    api.create(&PostParams::default(), &object).await?;
    may_delete(&api, &name).await.context("never in use")?;
    let mut idle = protected.used.clone();
    for (_, count) in idle["records"].as_object_mut().context("no counts")? {
        *count = if count.is_array() {
            json!([])
        } else {
            json!(0)
        };
    }
    set_status(&api, &name, &idle).await?;
    may_delete(&api, &name).await.context("in use no more")?;
    if protected.kind == "HostedZone" {
        set_status(&api, &name, &protected.used).await?;
        let patch = json!({"spec": {"deletionPolicy": "Delete"}});
        merge(&api, &name, &patch, false).await?;
        may_delete(&api, &name)
            .await
            .context("with deletionPolicy: Delete")?;
        merge(
            &api,
            &name,
            &json!({"spec": {"deletionPolicy": null}}),
            false,
        )
        .await?;
    }
    remove(&api, &name).await
}

/// What the operator may and may not write in objects of others.
pub async fn fence_operator(clients: &Clients) -> Result<()> {
    for kind in watershed_crd::KINDS {
        fence(clients, kind).await.with_context(|| kind)?;
    }
    Ok(())
}

async fn fence(clients: &Clients, kind: &str) -> Result<()> {
    let (admin, object) = custom(&clients.admin, &full(kind))?;
    let name = object.name_any();
    admin.create(&PostParams::default(), &object).await?;
    let namespace = object.namespace().context("no namespace")?;
    let operator = custom_api(&clients.operator, kind, &namespace);
    until("the fence stands", Duration::from_secs(30), async || {
        let label = json!({"metadata": {"labels": {"a": "b"}}});
        Ok(merge(&operator, &name, &label, true)
            .await
            .is_err()
            .then_some(()))
    })
    .await?;
    for (patch, says) in foreign_edits(kind) {
        refused(merge(&operator, &name, &patch, true).await, says)
            .with_context(|| patch.to_string())?;
        if says.contains("operator") {
            let by_others = merge(&admin, &name, &patch, true).await;
            by_others.with_context(|| format!("by others: {patch}"))?;
        }
    }
    own_edits(&operator, &name).await?;
    merge(
        &admin,
        &name,
        &json!({"metadata": {"finalizers": null}}),
        false,
    )
    .await?;
    admin.delete(&name, &DeleteParams::default()).await?;
    Ok(())
}

const NO_SPEC: &str = "the operator may write status and finalizers, never a spec";
const NO_LABELS: &str = "the operator may not write labels or annotations";
const NO_FINALIZERS: &str = "the operator may not write finalizers of others";
const NO_OWNERS: &str = "the operator may not add owners";

/// Edits that the operator may not make, and what the refusal says.
fn foreign_edits(kind: &str) -> Vec<(Value, &'static str)> {
    let (spec, says) = match kind {
        "CIDRCollection" => (json!({"locations": {"x": ["192.0.2.0/24"]}}), NO_SPEC),
        "DNSFleet" => (json!({"minProgrammedPercent": 50}), NO_SPEC),
        "HealthCheck" => (json!({"intervalSeconds": 30}), NO_SPEC),
        "RecordSet" | "PolicyRecord" => (json!({"ttlSeconds": 1}), NO_SPEC),
        "TrafficPolicyVersion" => (json!({"description": "x"}), "may not change; make a new"),
        _ => (json!({"description": "x"}), NO_SPEC),
    };
    let owner = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1-2-3",
    });
    vec![
        (json!({"spec": spec}), says),
        (json!({"metadata": {"labels": {"a": "b"}}}), NO_LABELS),
        (json!({"metadata": {"annotations": {"a": "b"}}}), NO_LABELS),
        (
            json!({"metadata": {"finalizers": ["example.com/x"]}}),
            NO_FINALIZERS,
        ),
        (json!({"metadata": {"ownerReferences": [owner]}}), NO_OWNERS),
    ]
}

async fn own_edits(operator: &Api<DynamicObject>, name: &str) -> Result<()> {
    let finalizer = json!({"metadata": {"finalizers": ["watershed.dev/in-use"]}});
    merge(operator, name, &finalizer, false)
        .await
        .context("setting the finalizer")?;
    set_status(operator, name, &json!({"observedGeneration": 1}))
        .await
        .context("status")?;
    let none = json!({"metadata": {"finalizers": null}});
    merge(operator, name, &none, false)
        .await
        .context("taking the finalizer away")?;
    Ok(())
}

/// What the operator makes and deletes: versions of its own only.
pub async fn mint_own_versions(clients: &Clients) -> Result<()> {
    const OWN: &str = "the operator may make and delete only versions that it mints";
    let authored = full("TrafficPolicyVersion");
    let minted = minted(&authored, "mail-v4", "mail", true);
    let (api, authored) = custom(&clients.operator, &authored)?;
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    until("versions are fenced", Duration::from_secs(30), async || {
        Ok(api.create(&dry, &authored).await.is_err().then_some(()))
    })
    .await?;
    refused(api.create(&dry, &authored).await.map(drop), OWN)?;
    for (policy, controller) in [("other", true), ("mail", false)] {
        let wrong = self::minted(&full("TrafficPolicyVersion"), "mail-v4", policy, controller);
        let (_, wrong) = custom(&clients.operator, &wrong)?;
        refused(api.create(&dry, &wrong).await.map(drop), OWN)?;
    }
    let (_, minted) = custom(&clients.operator, &minted)?;
    api.create(&PostParams::default(), &minted)
        .await
        .context("minting")?;
    may_delete(&api, "mail-v4").await.context("pruning")?;
    // Somebody else takes the version over; then the operator lets go of it.
    let adopted = json!({"metadata": {"ownerReferences": null}});
    merge(&api, "mail-v4", &adopted, false)
        .await
        .context("letting go")?;
    refused(may_delete(&api, "mail-v4").await, OWN)?;
    let (api, _) = custom(&clients.admin, &full("TrafficPolicyVersion"))?;
    api.create(&PostParams::default(), &authored)
        .await
        .context("by others")?;
    remove(&api, "mail-v3").await?;
    remove(&api, "mail-v4").await
}

fn minted(version: &Value, name: &str, policy: &str, controller: bool) -> Value {
    let mut version = version.clone();
    version["metadata"]["name"] = json!(name);
    version["metadata"]["ownerReferences"] = json!([{
        "apiVersion": watershed_crd::API_VERSION,
        "kind": "TrafficPolicy",
        "name": policy,
        "uid": "00000000-0000-4000-8000-000000000000",
        "controller": controller,
        "blockOwnerDeletion": true,
    }]);
    version["spec"]["version"] = json!(4);
    version
}

/// The full manifest of a kind, with the deletion policy that protects.
fn full(kind: &str) -> Value {
    let mut object = manifest(kind);
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.remove("deletionPolicy");
    }
    object
}

/// Makes an object and its status in use.
async fn used(clients: &Clients, protected: &Protected) -> Result<(Api<DynamicObject>, String)> {
    let (api, object) = custom(&clients.admin, &full(protected.kind))?;
    let name = object.name_any();
    api.create(&PostParams::default(), &object).await?;
    set_status(&api, &name, &protected.used).await?;
    Ok((api, name))
}

/// The same object by another account.
async fn same(
    api: &Api<DynamicObject>,
    client: &Client,
    kind: &str,
    name: &str,
) -> Result<Api<DynamicObject>> {
    let namespace = api.get(name).await?.namespace().context("no namespace")?;
    Ok(custom_api(client, kind, &namespace))
}

async fn may_delete(api: &Api<DynamicObject>, name: &str) -> Result<(), Error> {
    let dry = DeleteParams {
        dry_run: true,
        ..DeleteParams::default()
    };
    api.delete(name, &dry).await.map(drop)
}

async fn remove(api: &Api<DynamicObject>, name: &str) -> Result<()> {
    annotate(api, name, "true").await?;
    api.delete(name, &DeleteParams::default()).await?;
    Ok(())
}

async fn annotate(api: &Api<DynamicObject>, name: &str, value: &str) -> Result<()> {
    let patch = json!({"metadata": {"annotations": {ALLOW: value}}});
    Ok(merge(api, name, &patch, false).await?)
}

async fn merge(
    api: &Api<DynamicObject>,
    name: &str,
    patch: &Value,
    dry_run: bool,
) -> Result<(), Error> {
    let parameters = PatchParams {
        dry_run,
        ..PatchParams::default()
    };
    api.patch(name, &parameters, &Patch::Merge(patch))
        .await
        .map(drop)
}

async fn set_status(api: &Api<DynamicObject>, name: &str, status: &Value) -> Result<()> {
    let patch = Patch::Merge(json!({"status": status}));
    api.patch_status(name, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

/// Checks that the server refused, and said so.
fn refused(answer: Result<(), Error>, says: &str) -> Result<()> {
    match answer {
        Err(Error::Api(status)) => {
            let fits = status.message.contains(says) && [403, 422].contains(&status.code);
            ensure!(fits, "refused with \"{}\", not \"{says}\"", status.message);
            Ok(())
        }
        other => {
            other?;
            anyhow::bail!("not refused: \"{says}\"")
        }
    }
}
