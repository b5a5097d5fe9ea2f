//! The operator's rights are those of the file and no others.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::Client;
use kube::api::{Api, PostParams};
use watershed_e2e::{Cluster, Identity};

use crate::grants::{Grant, OperatorRoles, grants};

/// Where the operator runs.
pub const HOME: &str = "watershed-system";
pub const ACCOUNT: &str = "watershed-operator";

/// The user of a service account of [`HOME`].
pub fn user(account: &str) -> String {
    format!("system:serviceaccount:{HOME}:{account}")
}

/// The groups that such a user is in.
pub fn groups() -> Vec<String> {
    let own = format!("system:serviceaccounts:{HOME}");
    let all = ["system:serviceaccounts", "system:authenticated"];
    all.map(str::to_owned).into_iter().chain([own]).collect()
}

/// A client with the rights of a service account of [`HOME`], which need not
/// exist.
pub async fn as_account(cluster: &Cluster, account: &str) -> Result<Client> {
    let groups = groups();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let identity = Identity::user(&user(account), &groups);
    let kubeconfig = cluster.kubeconfig_for(&identity).await?;
    cluster.client_of(&kubeconfig).await
}

/// Compares what the server says that the operator may (as `kubectl auth can-i
/// --list` shows it) with the file. What every account may is left out.
pub async fn exact(cluster: &Cluster, roles: &OperatorRoles) -> Result<()> {
    let operator = as_account(cluster, ACCOUNT).await?;
    let anybody = as_account(cluster, "anybody").await?;
    for namespace in [HOME, "default"] {
        let of_all = listed(&anybody, namespace).await?;
        let found = listed(&operator, namespace).await?;
        let found: BTreeSet<Grant> = found.difference(&of_all).cloned().collect();
        let wanted = granted_in(roles, namespace);
        let missing: Vec<_> = wanted.difference(&found).collect();
        let beyond: Vec<_> = found.difference(&wanted).collect();
        ensure!(
            missing.is_empty() && beyond.is_empty(),
            "in {namespace}: missing {missing:#?}, beyond the file {beyond:#?}"
        );
    }
    Ok(())
}

/// What the file grants in a namespace.
fn granted_in(roles: &OperatorRoles, namespace: &str) -> BTreeSet<Grant> {
    let grants = roles.grants().into_iter();
    let grants = grants.filter(|grant| match grant.namespace.as_deref() {
        None => true,
        Some(own) => own == namespace,
    });
    let plain = grants.map(|grant| Grant {
        namespace: None,
        ..grant
    });
    plain.collect()
}

async fn listed(client: &Client, namespace: &str) -> Result<BTreeSet<Grant>> {
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec {
            namespace: Some(namespace.to_owned()),
        },
        ..SelfSubjectRulesReview::default()
    };
    let api: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let review = api.create(&PostParams::default(), &review).await?;
    let status = review.status.context("no answer")?;
    ensure!(!status.incomplete, "{:?}", status.evaluation_error);
    let rules = status.resource_rules.into_iter().map(|rule| PolicyRule {
        api_groups: rule.api_groups,
        resources: rule.resources,
        resource_names: rule.resource_names,
        verbs: rule.verbs,
        ..PolicyRule::default()
    });
    let rules: Vec<PolicyRule> = rules.collect();
    Ok(grants(&rules, None))
}
