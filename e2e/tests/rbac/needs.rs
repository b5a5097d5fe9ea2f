//! Each right of the operator is needed: what it asked the API server for, as
//! the audit log has it, is forbidden as soon as one verb is taken away.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use k8s_openapi::api::rbac::v1::{ClusterRole, Role};
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use watershed_e2e::AuditEvent;
use watershed_e2e::wait::until;

use crate::grants::{Grant, OperatorRoles, without};
use crate::rights::{ACCOUNT, HOME, groups, user};

/// How long the server may take to know of a change of roles.
const SOON: Duration = Duration::from_secs(10);

/// One thing that the operator asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    pub group: String,
    /// With its subresource.
    pub resource: String,
    pub verb: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
        let (namespace, name) = (place(&self.namespace), place(&self.name));
        write!(
            f,
            "{} {}.{} {namespace}/{name}",
            self.verb, self.resource, self.group
        )
    }
}

impl Grant {
    /// Whether it is by this grant that the request is allowed.
    pub fn allows(&self, request: &Request) -> bool {
        self.group == request.group
            && self.resource == request.resource
            && self.verb == request.verb
            && (self.name.is_none() || self.name == request.name)
            && (self.namespace.is_none() || self.namespace == request.namespace)
    }
}

/// What the requests needed rights for.
pub fn requests(events: &[AuditEvent]) -> BTreeSet<Request> {
    events.iter().flat_map(needed).collect()
}

fn needed(event: &AuditEvent) -> Vec<Request> {
    // The account's own way to ask, and what has no resource, everybody may.
    if event.resource.is_empty() {
        return Vec::new();
    }
    let part = |part: &str| Some(part.to_owned()).filter(|part| !part.is_empty());
    let subresource = part(&event.subresource).map_or_else(String::new, |sub| format!("/{sub}"));
    let asked = Request {
        group: event.group.clone(),
        resource: format!("{}{subresource}", event.resource),
        verb: event.verb.clone(),
        namespace: part(&event.namespace),
        name: part(&event.name),
    };
    let mut needed = vec![asked.clone()];
    // To apply what is not there yet is to create it.
    let created = event.verb == "patch" && event.code == 201;
    if created {
        needed.push(Request {
            verb: "create".to_owned(),
            ..asked.clone()
        });
    }
    // The owner's name is that of the version without its number.
    let owner = asked
        .name
        .as_deref()
        .and_then(|name| name.rsplit_once("-v"));
    if let Some((owner, _)) = owner
        && event.resource == "trafficpolicyversions"
        && (created || event.verb == "create")
    {
        needed.push(Request {
            resource: "trafficpolicies/finalizers".to_owned(),
            verb: "update".to_owned(),
            name: Some(owner.to_owned()),
            ..asked
        });
    }
    needed
}

/// The grants by which no request was allowed.
pub fn idle(roles: &OperatorRoles, requests: &BTreeSet<Request>) -> Vec<String> {
    let grants = roles.grants().into_iter();
    let idle = grants.filter(|grant| !requests.iter().any(|request| grant.allows(request)));
    idle.map(|grant| grant.to_string()).collect()
}

/// Takes away each grant in turn, and checks that it forbids a request that
/// was made.
pub async fn each(
    admin: &Client,
    roles: &OperatorRoles,
    requests: &BTreeSet<Request>,
) -> Result<()> {
    for grant in roles.grants() {
        let request = requests.iter().find(|request| grant.allows(request));
        let request = request.with_context(|| format!("{grant} is not used"))?;
        set_without(admin, roles, Some(&grant)).await?;
        let what = format!("without `{grant}`, {request} is forbidden");
        until(&what, SOON, async || Ok(!may(admin, request).await?)).await?;
    }
    set_without(admin, roles, None).await?;
    for request in requests {
        let what = format!("{request} is allowed again");
        until(&what, SOON, async || may(admin, request).await).await?;
    }
    Ok(())
}

/// Writes the roles without one grant, or in full.
pub async fn set_without(
    admin: &Client,
    roles: &OperatorRoles,
    grant: Option<&Grant>,
) -> Result<()> {
    let cluster = roles.cluster.rules.clone().unwrap_or_default();
    let own = roles.own.rules.clone().unwrap_or_default();
    let left = |rules, of_own: bool| match grant {
        Some(grant) if grant.namespace.is_some() == of_own => without(rules, grant),
        _ => rules.to_vec(),
    };
    let (cluster, own) = (left(&cluster, false), left(&own, true));
    let parameters = PatchParams::default();
    let api: Api<ClusterRole> = Api::all(admin.clone());
    let patch = Patch::Merge(json!({"rules": cluster}));
    api.patch(ACCOUNT, &parameters, &patch).await?;
    let api: Api<Role> = Api::namespaced(admin.clone(), HOME);
    let patch = Patch::Merge(json!({"rules": own}));
    api.patch(ACCOUNT, &parameters, &patch).await?;
    Ok(())
}

/// Asks the server whether the operator may.
async fn may(admin: &Client, request: &Request) -> Result<bool> {
    let (resource, subresource) = request
        .resource
        .split_once('/')
        .unwrap_or((&request.resource, ""));
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user(ACCOUNT)),
            groups: Some(groups()),
            resource_attributes: Some(ResourceAttributes {
                group: Some(request.group.clone()),
                resource: Some(resource.to_owned()),
                subresource: Some(subresource.to_owned()),
                verb: Some(request.verb.clone()),
                namespace: request.namespace.clone(),
                name: request.name.clone(),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let api: Api<SubjectAccessReview> = Api::all(admin.clone());
    let review = api.create(&PostParams::default(), &review).await?;
    Ok(review.status.context("no answer")?.allowed)
}
