//! Documents whose endpoints follow Kubernetes objects.

use std::net::IpAddr;

use watershed_crd::document::{ObjectReference, TrafficPolicyDocument};
use watershed_policy::{Code, Diagnostic, Limits, Path, Policy, Value};

use crate::attached::owner_of;
use crate::document::{References, check_names, compile_policy};
use crate::object::ObjectKey;
use crate::object_address::{NoAddresses, ObjectAddress, ObjectAddressKey, addresses};
use crate::resources::Resources;
use crate::verdict::{Problem, Reason};

/// A document with what its references to objects give.
pub(crate) struct Objects<'a> {
    resources: &'a Resources,
    namespace: &'a str,
    document: &'a TrafficPolicyDocument,
    followed: Vec<Followed<'a>>,
}

/// An endpoint that follows an object.
struct Followed<'a> {
    endpoint: &'a str,
    reference: &'a ObjectReference,
    /// What it is compiled with.
    used: Result<Vec<ObjectAddress>, NoAddresses>,
    /// Why that is not what the object has now.
    lost: Option<NoAddresses>,
}

impl<'a> Objects<'a> {
    /// Looks the objects up. Where `before`, what the same document was
    /// compiled to, had addresses, they stay in use when the object loses its
    /// own; but they are withdrawn with the permission to refer to it.
    pub(crate) fn new(
        resources: &'a Resources,
        namespace: &'a str,
        document: &'a TrafficPolicyDocument,
        before: Option<&Policy>,
    ) -> Self {
        let endpoints = document.endpoints.iter();
        let followed = endpoints.filter_map(|(endpoint, spec)| {
            let reference = spec.object_ref.as_ref()?;
            let now = addresses(resources, namespace, reference);
            let lost = now.as_ref().err().copied();
            let used = match (now, before) {
                (Err(NoAddresses::NotPermitted), Some(_)) => Ok(Vec::new()),
                (Err(_), Some(before)) => Ok(last_addresses(before, endpoint)),
                (now, _) => now,
            };
            Some(Followed {
                endpoint,
                reference,
                used,
                lost,
            })
        });
        Self {
            resources,
            namespace,
            document,
            followed: followed.collect(),
        }
    }

    /// Compiles the document.
    pub(crate) fn check(&self) -> (Option<Policy>, Vec<Diagnostic>) {
        let resources = self.resources;
        let key = |name: &str| ObjectKey::new(self.namespace, name);
        let cidr_collections = |name: &str| {
            let found = resources.cidr_collections.get(&key(name));
            found.map(|found| &found.spec)
        };
        let policy_records = |name: &str| {
            let record = resources.policy_records.get(&key(name))?;
            owner_of(resources, record).map(|owner| owner.to_string())
        };
        let objects = |reference: &ObjectReference| self.answer(reference);
        let in_cluster = resources.object_addresses.is_some();
        let references = References {
            cidr_collections: &cidr_collections,
            objects: in_cluster.then_some(&objects),
            policy_records: &policy_records,
            check_id: &|name| format!("{}/{name}", self.namespace),
        };
        let (policy, mut findings) = compile_policy(self.document, &references, &Limits::api());
        let names = check_names(self.document);
        let policy = policy.filter(|_| names.is_empty());
        findings.extend(names);
        findings.sort();
        findings.dedup();
        (policy, findings)
    }

    fn answer(&self, reference: &ObjectReference) -> Result<Vec<ObjectAddress>, NoAddresses> {
        let mut followed = self.followed.iter();
        let found = followed.find(|followed| followed.reference == reference);
        found.map_or(Err(NoAddresses::NotFound), |found| found.used.clone())
    }

    /// A fault of the document as a problem of the object that holds it.
    pub(crate) fn fault(&self, finding: Diagnostic) -> Problem {
        let object = match &finding.path {
            Path::Endpoint(name, Some("objectRef")) => self.followed(name),
            _ => None,
        };
        let reason = match (finding.code, object.and_then(|object| object.lost)) {
            (Code::UnknownReference, Some(NoAddresses::NotPermitted)) => Reason::RefNotPermitted,
            (Code::UnknownReference, _) => Reason::ReferenceNotFound,
            _ => Reason::InvalidDocument,
        };
        Problem::document(reason, finding)
    }

    fn followed(&self, endpoint: &str) -> Option<&Followed<'a>> {
        self.followed.iter().find(|f| f.endpoint == endpoint)
    }

    /// Endpoints that are served with other addresses than their objects have.
    pub(crate) fn lost(&self) -> impl Iterator<Item = Problem> {
        let kept = self
            .followed
            .iter()
            .filter(|followed| followed.used.is_ok());
        kept.filter_map(|followed| {
            let object = ObjectAddressKey::of(followed.reference, self.namespace);
            let (reason, message) = match followed.lost? {
                NoAddresses::NotFound => (
                    Reason::ReferenceNotFound,
                    format!("there is no {object}; its last addresses stay in use"),
                ),
                NoAddresses::None => (
                    Reason::AddressesLost,
                    format!("{object} has no addresses; its last ones stay in use"),
                ),
                NoAddresses::NotPermitted => (
                    Reason::RefNotPermitted,
                    format!(
                        "{object} is in another namespace, which does not share it; its \
                         addresses are withdrawn"
                    ),
                ),
            };
            let path = Path::Endpoint(followed.endpoint.to_owned(), Some("objectRef"));
            let finding = Diagnostic::new(Code::UnknownReference, path, message);
            Some(Problem::document(reason, finding))
        })
    }
}

/// The addresses that an endpoint was compiled with.
fn last_addresses(before: &Policy, endpoint: &str) -> Vec<ObjectAddress> {
    let found = before.endpoints().iter().find(|e| e.name == endpoint);
    let values = found.into_iter().flat_map(|endpoint| &endpoint.values);
    let addresses = values.filter_map(|value| match value {
        Value::Ipv4(address) => Some(ObjectAddress::Ip(IpAddr::V4(*address))),
        Value::Ipv6(address) => Some(ObjectAddress::Ip(IpAddr::V6(*address))),
        Value::Hostname(name) => Some(ObjectAddress::Hostname(name.clone())),
        Value::Rdata { .. } => None,
    });
    addresses.collect()
}
