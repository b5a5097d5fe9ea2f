//! What is to be written: at most two things for each object.

use std::fmt;

use serde_json::{Value, json};

use crate::object::{GROUP, IN_USE, ObjectId, VERSION};
use crate::world::Owner;

/// Something to be written to the API.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// The status of an object.
    Status(StatusWrite),
    /// An object but its status: of what was minted all, of others the
    /// finalizer.
    Configuration(Configuration),
    /// An object is to be deleted.
    Deletion(Deletion),
}

/// The status of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusWrite {
    /// The object.
    pub id: ObjectId,
    /// Its uid: another object of its name has another status.
    pub uid: String,
    /// All of the status.
    pub status: Value,
    /// What to tell people once it is written.
    pub notices: Vec<Notice>,
    /// Whether only numbers differ that change often.
    pub is_minor: bool,
}

/// All that the operator owns of an object but its status.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// The object.
    pub id: ObjectId,
    /// Its uid; `None` when it is to be made.
    pub uid: Option<String>,
    /// Whether it is kept from being deleted.
    pub in_use: bool,
    /// The spec and its owner, of a version that was minted and that nobody
    /// else has taken over.
    pub minted: Option<Minted>,
    /// What to tell people once it is written, and at which object.
    pub notice: Option<(ObjectId, String, Notice)>,
}

/// A minted version.
#[derive(Clone, Debug, PartialEq)]
pub struct Minted {
    /// The policy; `None` when it went and left its versions.
    pub owner: Option<Owner>,
    /// All of the spec.
    pub spec: Value,
}

/// An object is to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The object.
    pub id: ObjectId,
    /// Its uid: another object of its name stays.
    pub uid: String,
}

/// An event for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether somebody should look at it.
    pub is_warning: bool,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub note: String,
}

impl Notice {
    /// All goes as it should.
    pub fn normal(reason: impl Into<String>, note: impl Into<String>) -> Self {
        Self {
            is_warning: false,
            reason: reason.into(),
            note: note.into(),
        }
    }

    /// Somebody should look at it.
    pub fn warning(reason: impl Into<String>, note: impl Into<String>) -> Self {
        Self {
            is_warning: true,
            reason: reason.into(),
            note: note.into(),
        }
    }
}

/// The part of an object that a write concerns; parts are written apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Everything but the status.
    Configuration,
    /// The status.
    Status,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "configuration",
            Self::Status => "status",
        })
    }
}

impl Write {
    /// The object that is written.
    pub fn id(&self) -> &ObjectId {
        match self {
            Self::Status(write) => &write.id,
            Self::Configuration(write) => &write.id,
            Self::Deletion(write) => &write.id,
        }
    }

    /// The part of it.
    pub fn part(&self) -> Part {
        match self {
            Self::Status(_) => Part::Status,
            Self::Configuration(_) | Self::Deletion(_) => Part::Configuration,
        }
    }
}

impl StatusWrite {
    /// The body of a server-side apply.
    pub fn body(&self) -> Value {
        let mut body = identity(&self.id, Some(&self.uid));
        body["status"] = self.status.clone();
        body
    }
}

impl Configuration {
    /// The body of a server-side apply. What it leaves out and the operator
    /// owned before is given up.
    pub fn body(&self) -> Value {
        let mut body = identity(&self.id, self.uid.as_deref());
        if self.in_use {
            body["metadata"]["finalizers"] = json!([IN_USE]);
        }
        if let Some(minted) = &self.minted {
            if let Some(owner) = &minted.owner {
                body["metadata"]["ownerReferences"] = json!([{
                    "apiVersion": format!("{GROUP}/{VERSION}"),
                    "kind": "TrafficPolicy",
                    "name": owner.name,
                    "uid": owner.uid,
                    "controller": true,
                    "blockOwnerDeletion": true,
                }]);
            }
            body["spec"] = minted.spec.clone();
        }
        body
    }
}

fn identity(id: &ObjectId, uid: Option<&str>) -> Value {
    let mut body = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": id.kind.as_str(),
        "metadata": {"name": id.key.name, "namespace": id.key.namespace},
    });
    if let Some(uid) = uid {
        body["metadata"]["uid"] = json!(uid);
    }
    body
}
