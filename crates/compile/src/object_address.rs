//! Kubernetes objects that have addresses, and who may follow them.

use std::fmt;
use std::net::IpAddr;

use watershed_crd::document::{AddressType, ObjectKind, ObjectReference};

use crate::grants::{self, Target};
use crate::resources::Resources;

/// One address of a Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectAddress {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A host name, as load balancers of some clouds have.
    Hostname(String),
}

/// A Kubernetes object that has addresses: a Service, Gateway, Ingress or
/// `ServiceImport`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectAddressKey {
    /// Its API group; empty for the core group.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ObjectAddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl ObjectAddressKey {
    /// The object that a document of `namespace` refers to. Without a group it
    /// is the one in which the kind is commonly defined.
    pub fn of(reference: &ObjectReference, namespace: &str) -> Self {
        let (kind, group) = match reference.kind {
            ObjectKind::Service => ("Service", ""),
            ObjectKind::Gateway => ("Gateway", "gateway.networking.k8s.io"),
            ObjectKind::Ingress => ("Ingress", "networking.k8s.io"),
            ObjectKind::ServiceImport => ("ServiceImport", "multicluster.x-k8s.io"),
        };
        let written = reference.namespace.as_deref();
        Self {
            group: reference.group.as_deref().unwrap_or(group).to_owned(),
            kind: kind.to_owned(),
            namespace: written.unwrap_or(namespace).to_owned(),
            name: reference.name.clone(),
        }
    }
}

/// Why an object gives a document no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAddresses {
    /// There is no such object.
    NotFound,
    /// It is in another namespace, which does not share it.
    NotPermitted,
    /// It has none (yet, or any longer), or none of the types asked for.
    None,
}

/// The addresses that a reference gives to policies of `namespace`.
pub(crate) fn addresses(
    resources: &Resources,
    namespace: &str,
    reference: &ObjectReference,
) -> Result<Vec<ObjectAddress>, NoAddresses> {
    let key = ObjectAddressKey::of(reference, namespace);
    let to = Target {
        group: &key.group,
        kind: &key.kind,
        namespace: &key.namespace,
        name: &key.name,
    };
    // Whether an object of another namespace exists is nobody's business who
    // may not refer to it.
    if !grants::permitted(resources, "TrafficPolicy", namespace, to) {
        return Err(NoAddresses::NotPermitted);
    }
    let objects = resources.object_addresses.as_ref();
    let all = objects.and_then(|objects| objects.get(&key));
    let all = all.ok_or(NoAddresses::NotFound)?;
    let wanted = all.iter().filter(|address| is_wanted(reference, address));
    let wanted: Vec<ObjectAddress> = wanted.cloned().collect();
    if wanted.is_empty() {
        return Err(NoAddresses::None);
    }
    Ok(wanted)
}

fn is_wanted(reference: &ObjectReference, address: &ObjectAddress) -> bool {
    let kind = match address {
        ObjectAddress::Ip(IpAddr::V4(_)) => AddressType::IPv4,
        ObjectAddress::Ip(IpAddr::V6(_)) => AddressType::IPv6,
        ObjectAddress::Hostname(_) => AddressType::Hostname,
    };
    let types = reference.address_types.as_ref();
    types.is_none_or(|types| types.contains(&kind))
}
