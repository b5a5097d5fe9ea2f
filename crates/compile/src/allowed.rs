//! Who may publish in a zone: the handshake of its `allowedRecords`.

use std::collections::BTreeMap;

use watershed_crd::hosted_zone::{
    AllowedKind, AllowedNamespaces, AllowedRecords, LabelOperator, LabelRequirement,
    NamespaceSelector, NamespacesFrom,
};
use watershed_snapshot::OwnerName;

use crate::object::{Kind, ObjectKey};
use crate::resources::Resources;

/// The label that every namespace has, with its name as value.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Who wants to publish, and what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publisher<'a> {
    pub(crate) kind: Kind,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a OwnerName,
    pub(crate) types: &'a [u16],
}

/// The zone that is asked for permission.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host<'a> {
    pub(crate) key: &'a ObjectKey,
    pub(crate) apex: &'a OwnerName,
    pub(crate) entries: &'a [AllowedRecords],
}

/// Whether a zone lets an object publish. Every type must be allowed by some
/// entry; without any entry the zone's own namespace may publish everything.
pub(crate) fn allows(resources: &Resources, zone: Host<'_>, publisher: Publisher<'_>) -> bool {
    if zone.entries.is_empty() {
        return publisher.namespace == zone.key.namespace;
    }
    let fits = |entry: &&AllowedRecords| {
        allows_kind(entry, publisher.kind)
            && allows_name(entry, publisher.name, zone.apex)
            && allows_namespace(
                resources,
                &entry.namespaces,
                &zone.key.namespace,
                publisher.namespace,
            )
    };
    let fitting: Vec<&AllowedRecords> = zone.entries.iter().filter(fits).collect();
    let allows_type = |kind: &u16| fitting.iter().any(|entry| entry_allows_type(entry, *kind));
    !fitting.is_empty() && publisher.types.iter().all(allows_type)
}

fn allows_kind(entry: &AllowedRecords, kind: Kind) -> bool {
    let named = match kind {
        Kind::PolicyRecord => AllowedKind::PolicyRecord,
        Kind::RecordSet => AllowedKind::RecordSet,
        Kind::HostedZone => AllowedKind::HostedZone,
        _ => return false,
    };
    if entry.kinds.is_empty() {
        // A whole sub-tree is given away only on purpose.
        return named != AllowedKind::HostedZone;
    }
    entry.kinds.contains(&named)
}

fn entry_allows_type(entry: &AllowedRecords, record_type: u16) -> bool {
    entry.types.is_empty() || entry.types.iter().any(|t| t.number() == record_type)
}

/// `*` as first label stands for one label or more; any other pattern is a
/// name.
fn allows_name(entry: &AllowedRecords, name: &OwnerName, apex: &OwnerName) -> bool {
    let matches = |pattern: &String| {
        let Ok(pattern) = OwnerName::from_relative(pattern, apex) else {
            return false;
        };
        let above = pattern.parent().filter(|_| pattern.is_wildcard());
        pattern == *name || above.is_some_and(|above| name.is_below(&above))
    };
    entry.names.is_empty() || entry.names.iter().any(matches)
}

fn allows_namespace(
    resources: &Resources,
    allowed: &AllowedNamespaces,
    own: &str,
    namespace: &str,
) -> bool {
    match allowed.from {
        NamespacesFrom::Same => namespace == own,
        NamespacesFrom::All => true,
        NamespacesFrom::Selector => (allowed.selector.as_ref())
            .is_some_and(|selector| selects(resources, selector, namespace)),
    }
}

fn selects(resources: &Resources, selector: &NamespaceSelector, namespace: &str) -> bool {
    let mut labels: BTreeMap<&str, &str> = BTreeMap::from([(NAME_LABEL, namespace)]);
    let listed = resources.namespace_labels.get(namespace);
    let listed = listed.into_iter().flatten();
    labels.extend(listed.map(|(key, value)| (key.as_str(), value.as_str())));
    let has = |(key, value): (&String, &String)| labels.get(key.as_str()) == Some(&value.as_str());
    selector.match_labels.iter().all(has)
        && (selector.match_expressions.iter()).all(|requirement| holds(requirement, &labels))
}

/// As Kubernetes' label selectors: a label that is absent satisfies `NotIn`.
fn holds(requirement: &LabelRequirement, labels: &BTreeMap<&str, &str>) -> bool {
    let value = labels.get(requirement.key.as_str());
    let listed = value.is_some_and(|value| requirement.values.iter().any(|v| v == value));
    match requirement.operator {
        LabelOperator::In => listed,
        LabelOperator::NotIn => !listed,
        LabelOperator::Exists => value.is_some(),
        LabelOperator::DoesNotExist => value.is_none(),
    }
}

/// Whether a zone asks for the labels of namespaces.
pub(crate) fn asks_for_labels(entries: &[AllowedRecords]) -> bool {
    (entries.iter()).any(|entry| entry.namespaces.from == NamespacesFrom::Selector)
}
