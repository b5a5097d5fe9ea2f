//! Roles taken apart: one grant is one verb on one resource.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use serde::Deserialize;
use serde_json::Value;

/// A verb that an account may use on a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    pub group: String,
    /// With its subresource: `hostedzones/status`.
    pub resource: String,
    pub verb: String,
    /// The only object that it is for.
    pub name: Option<String>,
    /// The only namespace that it is for.
    pub namespace: Option<String>,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}.{}", self.verb, self.resource, self.group)?;
        self.name.iter().try_for_each(|name| write!(f, " {name}"))?;
        let mut namespace = self.namespace.iter();
        namespace.try_for_each(|namespace| write!(f, " in {namespace}"))
    }
}

/// The operator's roles as the file grants them.
pub struct OperatorRoles {
    pub cluster: ClusterRole,
    pub own: Role,
}

impl OperatorRoles {
    /// # Errors
    /// When the file has no such roles.
    pub fn read(yaml: &str) -> Result<Self> {
        let (mut cluster, mut own) = (None, None);
        for document in serde_yaml::Deserializer::from_str(yaml) {
            let value = Value::deserialize(document)?;
            if value["metadata"]["name"] != "watershed-operator" {
                continue;
            }
            match value["kind"].as_str() {
                Some("ClusterRole") => cluster = Some(serde_json::from_value(value)?),
                Some("Role") => own = Some(serde_json::from_value(value)?),
                _ => {}
            }
        }
        Ok(Self {
            cluster: cluster.context("no ClusterRole watershed-operator")?,
            own: own.context("no Role watershed-operator")?,
        })
    }

    pub fn grants(&self) -> BTreeSet<Grant> {
        let everywhere = grants(self.cluster.rules.iter().flatten(), None);
        let namespace = self.own.metadata.namespace.as_deref();
        let own = grants(self.own.rules.iter().flatten(), namespace);
        everywhere.into_iter().chain(own).collect()
    }
}

/// The grants of rules that hold in one namespace, or everywhere.
pub fn grants<'r>(
    rules: impl IntoIterator<Item = &'r PolicyRule>,
    namespace: Option<&str>,
) -> BTreeSet<Grant> {
    let mut grants = BTreeSet::new();
    for rule in rules {
        let names = rule.resource_names.iter().flatten().cloned().map(Some);
        let names: Vec<Option<String>> = names.collect();
        let names = if names.is_empty() { vec![None] } else { names };
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    grants.extend(names.iter().map(|name| Grant {
                        group: group.clone(),
                        resource: resource.clone(),
                        verb: verb.clone(),
                        name: name.clone(),
                        namespace: namespace.map(str::to_owned),
                    }));
                }
            }
        }
    }
    grants
}
/// The rules without one grant.
pub fn without(rules: &[PolicyRule], grant: &Grant) -> Vec<PolicyRule> {
    let namespace = grant.namespace.as_deref();
    let kept = grants(rules, namespace).into_iter();
    let kept = kept.filter(|kept| kept != grant).map(|kept| PolicyRule {
        api_groups: Some(vec![kept.group]),
        resources: Some(vec![kept.resource]),
        resource_names: kept.name.map(|name| vec![name]),
        verbs: vec![kept.verb],
        ..PolicyRule::default()
    });
    kept.collect()
}
