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

    /// A status was written, which made this version of the object.
    pub fn status_written(&mut self, id: &ObjectId, status: &Value, version: u64) {
        let written = self.written.entry(id.clone()).or_default();
        *written = version.max(*written);
        self.end_status(id, status);
    }

    /// A status is not to be written any more, unless another one is.
    pub fn end_status(&mut self, id: &ObjectId, status: &Value) {
        if self.statuses.get(id) == Some(status) {
            self.statuses.remove(id);
        }
    }

    /// A configuration was written, which made this version of the object. A
    /// watch may have told of it already, or have told of `known` so far.
    pub fn configuration_written(
        &mut self,
        configuration: &Configuration,
        version: u64,
        known: Option<u64>,
    ) {
        let id = &configuration.id;
        if known.is_some_and(|known| known >= version) {
            self.end_configuration(configuration, None);
        } else if let Some(asked) = self.configurations.get_mut(id)
            && asked.configuration == *configuration
        {
            asked.made = Some(version);
        }
    }

    /// A configuration is not to be written any more, unless another one is;
    /// why, if it was refused.
    pub fn end_configuration(
        &mut self,
        configuration: &Configuration,
        refusal: Option<(String, Timestamp)>,
    ) {
        let id = &configuration.id;
        if self.configuration(id) == Some(configuration) {
            self.configurations.remove(id);
        }
        if let Some(refusal) = refusal {
            self.refusals.insert(id.clone(), refusal);
        }
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
