//! What was asked to be written and has not come back by a watch.
//!
//! Planning goes by it, so that nothing is asked for twice.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::object::ObjectId;
use crate::plan::Configuration;

/// Writes under way.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    statuses: BTreeMap<ObjectId, Value>,
    configurations: BTreeMap<ObjectId, Asked>,
    /// Why the last attempt to make an object was refused, and when.
    refusals: BTreeMap<ObjectId, (String, Timestamp)>,
    /// The version of an object that the last write of its status made: what
    /// watches tell of before is old.
    written: BTreeMap<ObjectId, u64>,
}

#[derive(Clone, Debug)]
struct Asked {
    configuration: Configuration,
    /// The version of the object that the write made, once it is done: it is
    /// under way until a watch tells of that version.
    made: Option<u64>,
}

impl Pending {
    /// The status that an object is about to have.
    pub fn status(&self, id: &ObjectId) -> Option<&Value> {
        self.statuses.get(id)
    }

    /// The configuration that an object is about to have.
    pub fn configuration(&self, id: &ObjectId) -> Option<&Configuration> {
        self.configurations
            .get(id)
            .map(|asked| &asked.configuration)
    }

    /// Why an object could not be made, and when that was.
    pub fn refusal(&self, id: &ObjectId) -> Option<(&str, Timestamp)> {
        self.refusals
            .get(id)
            .map(|(why, since)| (why.as_str(), *since))
    }

    /// Whether what a watch tells of an object is older than what was written.
    pub fn is_old(&self, id: &ObjectId, version: u64) -> bool {
        self.written
            .get(id)
            .is_some_and(|written| version < *written)
    }

    /// A status is to be written.
    pub fn ask_status(&mut self, id: ObjectId, status: Value) {
        self.statuses.insert(id, status);
    }

    /// A configuration is to be written.
    pub fn ask_configuration(&mut self, configuration: Configuration) {
        let id = configuration.id.clone();
        self.refusals.remove(&id);
        let asked = Asked {
            configuration,
            made: None,
        };
        self.configurations.insert(id, asked);
    }

    /// A status was written, which made this version of the object, or was
    /// given up. Gives it back.
    pub fn end_status(&mut self, id: &ObjectId, version: Option<u64>) -> Option<Value> {
        if let Some(version) = version {
            let written = self.written.entry(id.clone()).or_default();
            *written = version.max(*written);
        }
        self.statuses.remove(id)
    }

    /// A configuration was written, which made this version of the object.
    pub fn made(&mut self, id: &ObjectId, version: u64) {
        if let Some(asked) = self.configurations.get_mut(id) {
            asked.made = Some(version);
        }
    }

    /// A configuration was given up; why, if it was refused.
    pub fn end_configuration(&mut self, id: &ObjectId, refusal: Option<(String, Timestamp)>) {
        self.configurations.remove(id);
        match refusal {
            Some(refusal) => self.refusals.insert(id.clone(), refusal),
            None => self.refusals.remove(id),
        };
    }

    /// A watch tells of this version of the object.
    pub fn seen(&mut self, id: &ObjectId, version: u64) {
        let asked = self.configurations.get(id);
        if asked
            .and_then(|asked| asked.made)
            .is_some_and(|made| made <= version)
        {
            self.configurations.remove(id);
        }
        self.refusals.remove(id);
    }

    /// Nothing is known of the object any more.
    pub fn forget(&mut self, id: &ObjectId) {
        self.statuses.remove(id);
        self.configurations.remove(id);
        self.refusals.remove(id);
        self.written.remove(id);
    }

    /// Nothing is under way: this replica no longer writes.
    pub fn clear(&mut self) {
        self.statuses.clear();
        self.configurations.clear();
        self.refusals.clear();
    }
}
