//! What watches tell.

use std::collections::BTreeMap;

use watershed_compile::{Grant, ObjectAddress, ObjectAddressKey, ObjectKey};
use watershed_crd::Manifest;

use super::Source;
use crate::health::Slice;
use crate::object::ObjectId;
use crate::world::Facts;

/// A change in the cluster.
#[derive(Clone, Debug)]
pub enum Change {
    /// An object of the group is there, in this form.
    Object(Box<Observed>),
    /// An object of the group is gone.
    Gone(ObjectId),
    /// A namespace has these labels; `None`: it is gone.
    Namespace(String, Option<BTreeMap<String, String>>),
    /// An object has these addresses; `None`: it is gone.
    Addresses(ObjectAddressKey, Option<Vec<ObjectAddress>>),
    /// A `ReferenceGrant` gives this; `None`: it is gone.
    Grant(ObjectKey, Option<Grant>),
    /// An `EndpointSlice` of a Service says this; `None`: it is gone, or belongs
    /// to no Service.
    Slice(ObjectKey, Option<Slice>),
    /// All `EndpointSlice` objects that were there at the start have been told.
    SlicesListed,
    /// Everything that a watch found when it began has been told. The number
    /// tells watches apart.
    Synced(usize, Source),
}

/// An object of the group, as read.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Which.
    pub id: ObjectId,
    /// What the API says beside its spec.
    pub facts: Facts,
    /// The object; or why it cannot be understood, which is a fault of that
    /// object and of nothing else.
    pub manifest: Result<Manifest, String>,
}
