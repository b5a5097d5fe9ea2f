//! Which records ask for which versions, and what they can see of policies.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use watershed_crd::policy_record::PolicyRecordSpec;

use crate::object::ObjectKey;
use crate::record::{LATEST, policy_of};
use crate::resources::{Object, Resources, version_key};
use crate::versions::Versions;

/// What a record asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ask {
    Version(u32),
    Channel(String),
    /// Nothing that can be.
    Nothing,
}

impl Ask {
    fn of(spec: &PolicyRecordSpec) -> Self {
        match (spec.version, &spec.channel) {
            (Some(number), None) => Self::Version(u32::try_from(number).unwrap_or(0)),
            (None, Some(channel)) => Self::Channel(channel.clone()),
            _ => Self::Nothing,
        }
    }
}

/// What records can see of a policy, besides its versions one by one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct View {
    /// Whether there is a policy object or any version.
    exists: bool,
    channels: BTreeMap<String, u32>,
    /// Number of the highest version that can be served.
    latest: Option<u32>,
}

impl View {
    fn of(resources: &Resources, versions: &Versions, policy: &ObjectKey) -> Self {
        let object = resources.traffic_policies.get(policy);
        let channels = object.map(|object| object.spec.channels.iter());
        let channels = channels.into_iter().flatten();
        Self {
            exists: object.is_some() || resources.versions_of(policy).next().is_some(),
            channels: channels
                .map(|(name, number)| (name.clone(), u32::try_from(*number).unwrap_or(0)))
                .collect(),
            latest: versions.latest(resources, policy).map(|v| v.number),
        }
    }

    /// The version that something asked for comes to.
    fn number(&self, ask: &Ask) -> Option<u32> {
        match ask {
            Ask::Version(number) => Some(*number),
            Ask::Channel(name) if name == LATEST => self.latest,
            Ask::Channel(name) => self.channels.get(name).copied(),
            Ask::Nothing => None,
        }
    }
}

/// The records by what they ask for, and the policies as they were seen last.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    views: HashMap<ObjectKey, View>,
    /// By policy and by what is asked of it.
    records: BTreeMap<ObjectKey, BTreeMap<Ask, BTreeSet<ObjectKey>>>,
    /// Policy and wish of each record.
    by_record: HashMap<ObjectKey, (ObjectKey, Ask)>,
}

/// What follows from a change.
#[derive(Debug, Default)]
pub(crate) struct Affected {
    /// Records to look at again.
    pub(crate) records: BTreeSet<ObjectKey>,
    /// Versions that others ask for, or point at, than before.
    pub(crate) versions: BTreeSet<ObjectKey>,
}

impl Asks {
    /// Tells what a record asks for; nothing when it is gone. The versions that
    /// it asked for or asks for now, if that is something else.
    pub(crate) fn set(
        &mut self,
        key: &ObjectKey,
        record: Option<&Object<PolicyRecordSpec>>,
    ) -> BTreeSet<ObjectKey> {
        let after = record.map(|record| (policy_of(record), Ask::of(&record.spec)));
        let before = self.by_record.remove(key);
        let changed = before != after;
        let mut versions = BTreeSet::new();
        if let Some((policy, ask)) = before.filter(|_| changed) {
            versions.extend(self.version(&policy, &ask));
            self.take(key, &policy, &ask);
        }
        if let Some((policy, ask)) = after {
            if changed {
                versions.extend(self.version(&policy, &ask));
                let asks = self.records.entry(policy.clone()).or_default();
                asks.entry(ask.clone()).or_default().insert(key.clone());
            }
            self.by_record.insert(key.clone(), (policy, ask));
        }
        versions
    }

    /// Policy and number of the version that a record asks for.
    pub(crate) fn asked(&self, record: &ObjectKey) -> Option<(ObjectKey, u32)> {
        let (policy, ask) = self.by_record.get(record)?;
        Some((policy.clone(), self.number(policy, ask)?))
    }

    fn take(&mut self, record: &ObjectKey, policy: &ObjectKey, ask: &Ask) {
        let Some(asks) = self.records.get_mut(policy) else {
            return;
        };
        if let Some(records) = asks.get_mut(ask) {
            records.remove(record);
            if records.is_empty() {
                asks.remove(ask);
            }
        }
        if asks.is_empty() {
            self.records.remove(policy);
        }
    }

    fn version(&self, policy: &ObjectKey, ask: &Ask) -> Option<ObjectKey> {
        Some(version_key(policy, self.number(policy, ask)?))
    }

    fn number(&self, policy: &ObjectKey, ask: &Ask) -> Option<u32> {
        match ask {
            Ask::Version(number) => Some(*number),
            ask => self.views.get(policy)?.number(ask),
        }
    }

    /// Looks at a policy again. `changed` are those of its versions that
    /// records see differently now.
    pub(crate) fn look(
        &mut self,
        resources: &Resources,
        versions: &Versions,
        policy: &ObjectKey,
        changed: &BTreeSet<ObjectKey>,
    ) -> Affected {
        let after = View::of(resources, versions, policy);
        let before = self.views.remove(policy).unwrap_or_default();
        let mut affected = Affected::default();
        for (ask, records) in self.records.get(policy).into_iter().flatten() {
            let (was, is) = (before.number(ask), after.number(ask));
            let version = is.map(|number| version_key(policy, number));
            let differs = version.is_some_and(|version| changed.contains(&version));
            if before.exists != after.exists || was != is || differs {
                affected.records.extend(records.iter().cloned());
            }
            if was != is {
                let numbers = was.into_iter().chain(is);
                (affected.versions).extend(numbers.map(|number| version_key(policy, number)));
            }
        }
        for (name, number) in &before.channels {
            if after.channels.get(name) != Some(number) {
                affected.versions.insert(version_key(policy, *number));
            }
        }
        for (name, number) in &after.channels {
            if before.channels.get(name) != Some(number) {
                affected.versions.insert(version_key(policy, *number));
            }
        }
        if after != View::default() {
            self.views.insert(policy.clone(), after);
        }
        affected
    }

    /// Records that refer to policies of a namespace, with their policies.
    pub(crate) fn of_namespace(
        &self,
        namespace: &str,
    ) -> impl Iterator<Item = (&ObjectKey, &ObjectKey)> {
        let policies = self.records.range(ObjectKey::new(namespace, "")..);
        let policies = policies.take_while(move |(policy, _)| policy.namespace == namespace);
        policies.flat_map(|(policy, asks)| {
            let records = asks.values().flatten();
            records.map(move |record| (policy, record))
        })
    }

    /// Records that ask for a version of a policy.
    pub(crate) fn records(
        &self,
        policy: &ObjectKey,
        number: u32,
    ) -> impl Iterator<Item = &ObjectKey> {
        let view = self.views.get(policy);
        let asks = self.records.get(policy).into_iter().flatten();
        asks.filter(move |(ask, _)| match ask {
            Ask::Version(asked) => *asked == number,
            ask => view.is_some_and(|view| view.number(ask) == Some(number)),
        })
        .flat_map(|(_, records)| records)
    }

    /// The numbers that records ask of a policy.
    pub(crate) fn numbers(&self, policy: &ObjectKey) -> impl Iterator<Item = u32> {
        let view = self.views.get(policy);
        let asks = self.records.get(policy).into_iter().flatten();
        asks.filter_map(move |(ask, _)| match ask {
            Ask::Version(number) => Some(*number),
            ask => view?.number(ask),
        })
    }

    /// Channels of a policy that point at a version.
    pub(crate) fn channels(
        &self,
        policy: &ObjectKey,
        number: u32,
    ) -> impl Iterator<Item = &String> {
        let channels = self.views.get(policy).map(|view| view.channels.iter());
        let pointing = channels.into_iter().flatten();
        pointing
            .filter(move |(_, pointed)| **pointed == number)
            .map(|(name, _)| name)
    }
}
