//! What people may do by the roles that they are bound to.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Error};
use serde_json::{Value, json};
use watershed_crd::{KINDS, plural};
use watershed_e2e::wait::until;
use watershed_e2e::{Cluster, Identity};

use crate::objects::{custom, custom_api};
use crate::support::manifest;

/// The namespace that people are bound in.
const TEAM: &str = "team";
const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];
/// Kinds of the platform's, not of the teams.
const ZONES: [&str; 2] = ["DNSFleet", "HostedZone"];

/// Somebody bound to a cluster role in [`TEAM`].
struct Person {
    role: &'static str,
    client: Client,
}

impl Person {
    fn may(&self, kind: &str, verb: &str) -> bool {
        let zone = ZONES.contains(&kind);
        match self.role {
            "view" => READ.contains(&verb),
            "edit" | "admin" => READ.contains(&verb) || !zone,
            "watershed-zone-admin" => zone,
            _ => false,
        }
    }
}

/// Binds a person to each role.
async fn people(cluster: &Cluster) -> Result<Vec<Person>> {
    let namespace = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {TEAM}}}}}");
    cluster.apply(&namespace).await?;
    let mut people = vec![person(cluster, "nothing").await?];
    for role in ["view", "edit", "admin", "watershed-zone-admin"] {
        let person = person(cluster, role).await?;
        bind(cluster, role).await?;
        people.push(person);
    }
    Ok(people)
}

/// Somebody who is called after the role that they are to have.
async fn person(cluster: &Cluster, role: &'static str) -> Result<Person> {
    let identity = Identity::user(&user(role), &[]);
    let kubeconfig = cluster.kubeconfig_for(&identity).await?;
    let client = cluster.client_of(&kubeconfig).await?;
    Ok(Person { role, client })
}

fn user(role: &str) -> String {
    format!("{role}@example.com")
}

async fn bind(cluster: &Cluster, role: &str) -> Result<()> {
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "apiVersion": format!("{group}/v1"),
        "kind": "RoleBinding",
        "metadata": {"name": role, "namespace": TEAM},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user(role)}],
    });
    cluster.apply(&binding.to_string()).await
}

/// Asks for every person, kind and verb, and then has them do it.
pub async fn roles(cluster: &Cluster) -> Result<()> {
    let admin = cluster.client();
    let people = people(cluster).await?;
    aggregated(&people).await?;
    for person in &people {
        rights(person).await.context(person.role)?;
        deeds(&admin, person).await.context(person.role)?;
    }
    let last = people.iter().find(|person| person.role == "admin");
    zones_for_admins(&admin, last.context("nobody is admin")?).await
}

/// The roles flow together in a controller, and the server learns of it later
/// still: until then each role is asked for the last that it is to have.
async fn aggregated(people: &[Person]) -> Result<()> {
    for person in people {
        let what = format!("{} has its rights", person.role);
        until(&what, Duration::from_secs(30), async || {
            for kind in KINDS {
                for verb in READ.into_iter().chain(WRITE) {
                    let may = allowed(&person.client, TEAM, kind, "", verb).await?;
                    if may != person.may(kind, verb) {
                        return Ok(false);
                    }
                }
            }
            Ok(true)
        })
        .await?;
    }
    Ok(())
}

async fn rights(person: &Person) -> Result<()> {
    for kind in KINDS {
        for verb in READ.into_iter().chain(WRITE) {
            let may = allowed(&person.client, TEAM, kind, "", verb).await?;
            ensure!(may == person.may(kind, verb), "{verb} {kind}: {may}");
        }
        for verb in ["update", "patch"] {
            let may = allowed(&person.client, TEAM, kind, "status", verb).await?;
            ensure!(!may, "{verb} the status of {kind}");
        }
        let elsewhere = allowed(&person.client, "default", kind, "", "get").await?;
        ensure!(!elsewhere, "get {kind} of another namespace");
    }
    Ok(())
}

/// Whether the account of the client may.
pub async fn allowed(
    client: &Client,
    namespace: &str,
    kind: &str,
    subresource: &str,
    verb: &str,
) -> Result<bool> {
    let attributes = ResourceAttributes {
        group: Some("watershed.dev".to_owned()),
        resource: plural(kind),
        subresource: Some(subresource.to_owned()),
        namespace: Some(namespace.to_owned()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let mut review = SelfSubjectAccessReview::default();
    review.spec.resource_attributes = Some(attributes);
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let review = api.create(&PostParams::default(), &review).await?;
    Ok(review.status.is_some_and(|status| status.allowed))
}

/// The same by real requests: what is granted succeeds, the rest is refused.
async fn deeds(admin: &Client, person: &Person) -> Result<()> {
    for kind in KINDS {
        let mut object = manifest(kind);
        object["metadata"]["namespace"] = json!(TEAM);
        let (made, object) = custom(admin, &object)?;
        let name = object.metadata.name.clone().context("no name")?;
        made.create(&PostParams::default(), &object).await?;
        let api = custom_api(&person.client, kind, TEAM);
        let done = attempts(&api, &name, &object).await;
        made.delete(&name, &DeleteParams::default()).await?;
        for (verb, answer) in done {
            let expected = verb != "patch status" && person.may(kind, verb);
            match answer {
                Ok(()) => ensure!(expected, "{kind}: {verb} succeeded"),
                Err(Error::Api(status)) if status.is_forbidden() => {
                    ensure!(!expected, "{kind}: {verb}: {status}");
                }
                Err(other) => return Err(other).context(format!("{kind}: {verb}")),
            }
        }
    }
    Ok(())
}

type Done = (&'static str, Result<(), Error>);

async fn attempts(api: &Api<DynamicObject>, name: &str, object: &DynamicObject) -> Vec<Done> {
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let patched = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let deleted = DeleteParams {
        dry_run: true,
        ..DeleteParams::default()
    };
    let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    let status = Patch::Merge(json!({"status": {"observedGeneration": 1}}));
    let mut other = object.clone();
    other.metadata.name = Some(another_name(object, name));
    if let Some(version) = other.data.pointer_mut("/spec/version") {
        *version = json!(13);
    }
    let list = ListParams::default();
    vec![
        ("get", api.get(name).await.map(drop)),
        ("list", api.list(&list).await.map(drop)),
        ("create", api.create(&dry, &other).await.map(drop)),
        ("patch", api.patch(name, &patched, &label).await.map(drop)),
        (
            "patch status",
            api.patch_status(name, &patched, &status).await.map(drop),
        ),
        ("delete", api.delete(name, &deleted).await.map(drop)),
        (
            "deletecollection",
            api.delete_collection(&deleted, &list).await.map(drop),
        ),
    ]
}

/// The name of a version says its number.
fn another_name(object: &DynamicObject, name: &str) -> String {
    match object.data.pointer("/spec/policyName") {
        Some(Value::String(policy)) => format!("{policy}-v13"),
        _ => format!("{name}-2"),
    }
}

/// A cluster where the admins of namespaces own zones too says so by one label.
async fn zones_for_admins(admin: &Client, person: &Person) -> Result<()> {
    let api: Api<ClusterRole> = Api::all(admin.clone());
    let label = "rbac.authorization.k8s.io/aggregate-to-admin";
    for (value, expected) in [(json!("true"), true), (Value::Null, false)] {
        let patch = Patch::Merge(json!({"metadata": {"labels": {label: value}}}));
        let parameters = PatchParams::default();
        api.patch("watershed-zone-admin", &parameters, &patch)
            .await?;
        let what = format!("admins may make zones: {expected}");
        until(&what, Duration::from_secs(30), async || {
            let may = allowed(&person.client, TEAM, "HostedZone", "", "create").await?;
            Ok(may == expected)
        })
        .await?;
    }
    Ok(())
}
