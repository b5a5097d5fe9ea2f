//! Permission to refer to objects of another namespace: the rules of the
//! Gateway API's `ReferenceGrant`, without its client.

use crate::object::ObjectKey;
use crate::resources::Resources;

/// The group of this API.
const GROUP: &str = "watershed.dev";

/// What one `ReferenceGrant` gives. It lies in the namespace of the objects
/// that it shares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Who may refer.
    pub from: Vec<GrantFrom>,
    /// To what.
    pub to: Vec<GrantTo>,
}

/// Objects that may refer to those of another namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantFrom {
    /// Their API group.
    pub group: String,
    /// Their kind.
    pub kind: String,
    /// Their namespace.
    pub namespace: String,
}

/// Objects that may be referred to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantTo {
    /// Their API group; empty for the core group.
    pub group: String,
    /// Their kind.
    pub kind: String,
    /// The one object that is meant; every one of the kind when absent.
    pub name: Option<String>,
}

/// A kind of objects, and the name of one of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) group: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

impl Grant {
    fn permits(&self, kind: &str, namespace: &str, to: Target<'_>) -> bool {
        let from = |from: &GrantFrom| {
            from.group == GROUP && from.kind == kind && from.namespace == namespace
        };
        let names = |name: &Option<String>| name.as_ref().is_none_or(|name| name == to.name);
        let shares = |shared: &GrantTo| {
            shared.group == to.group && shared.kind == to.kind && names(&shared.name)
        };
        self.from.iter().any(from) && self.to.iter().any(shares)
    }
}

/// Whether objects of this API's `kind` in `namespace` may refer to an object:
/// it lies in their namespace, or its own shares it.
pub(crate) fn permitted(
    resources: &Resources,
    kind: &str,
    namespace: &str,
    to: Target<'_>,
) -> bool {
    let first = ObjectKey::new(to.namespace, "");
    let mut grants = (resources.grants.range(first..))
        .take_while(|(key, _)| key.namespace == to.namespace)
        .map(|(_, grant)| grant);
    to.namespace == namespace || grants.any(|grant| grant.permits(kind, namespace, to))
}

/// Whether records of `namespace` may serve a policy.
pub(crate) fn shares_policy(resources: &Resources, policy: &ObjectKey, namespace: &str) -> bool {
    let to = Target {
        group: GROUP,
        kind: "TrafficPolicy",
        namespace: &policy.namespace,
        name: &policy.name,
    };
    permitted(resources, "PolicyRecord", namespace, to)
}
