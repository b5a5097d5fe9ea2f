//! What a document refers to and does not hold.

use std::collections::BTreeMap;

use watershed_crd::document::ObjectReference;

use crate::object_address::{NoAddresses, ObjectAddress};

/// The locations of a CIDR collection: blocks in text form by location name.
pub type CidrLocations = BTreeMap<String, Vec<String>>;

/// A function from a reference to the addresses of the object.
pub type ObjectAddresses<'a> =
    dyn Fn(&ObjectReference) -> Result<Vec<ObjectAddress>, NoAddresses> + 'a;

/// Answers to the references of a document, as functions so that the caller
/// need not gather what no document asks for.
#[derive(Clone, Copy)]
pub struct References<'a> {
    /// Locations of the CIDR collection of that name.
    pub cidr_collections: &'a dyn Fn(&str) -> Option<&'a CidrLocations>,
    /// Addresses of a Kubernetes object. `None` in place of the function: there
    /// is no cluster to ask.
    pub objects: Option<&'a ObjectAddresses<'a>>,
    /// Absolute name of the `PolicyRecord` of that object name.
    pub policy_records: &'a dyn Fn(&str) -> Option<String>,
    /// The id by which health is reported for a health check of that name:
    /// `namespace/name` in manifests, the name itself for Route 53 documents.
    pub check_id: &'a dyn Fn(&str) -> String,
}

impl References<'_> {
    /// A document on its own: no collections, no cluster, no records, and
    /// health checks called as they are written.
    pub fn none() -> Self {
        Self {
            cidr_collections: &|_| None,
            objects: None,
            policy_records: &|_| None,
            check_id: &str::to_owned,
        }
    }
}

impl std::fmt::Debug for References<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("References")
            .field("objects", &self.objects.map(|_| ".."))
            .finish_non_exhaustive()
    }
}
