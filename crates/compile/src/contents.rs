//! What is at the names of zones, by who asked for it: what is served, and the
//! ground that a failing change falls back to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use watershed_snapshot::{
    Content, OwnerName, Placed, Records, Resource, ResourceKind, ResourceName, VersionBinding,
};

use crate::changes::ZoneCounts;
use crate::object::{Kind, ObjectKey, ObjectRef};

/// Who asks for data at a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Claimant {
    /// A zone's own record, by the zone, the name and the type.
    Zone(ObjectKey, OwnerName, u16),
    /// A `RecordSet` or `PolicyRecord`.
    Object(ObjectRef),
}

impl Claimant {
    /// The object whose verdict tells of it.
    pub(crate) fn reporter(&self) -> ObjectRef {
        match self {
            Self::Zone(zone, ..) => ObjectRef::new(Kind::HostedZone, zone.clone()),
            Self::Object(object) => object.clone(),
        }
    }

    /// The resource that carries what it places.
    fn resource(&self) -> ResourceName {
        let (kind, key) = match self {
            Self::Zone(zone, ..) => (ResourceKind::ZoneRecords, zone),
            Self::Object(object) if object.kind == Kind::RecordSet => {
                (ResourceKind::RecordSet, &object.key)
            }
            Self::Object(object) => (ResourceKind::PolicyRecord, &object.key),
        };
        ResourceName::new(kind, &key.namespace, &key.name)
    }

    pub(crate) fn namespace(&self) -> &str {
        match self {
            Self::Zone(zone, ..) => &zone.namespace,
            Self::Object(object) => &object.key.namespace,
        }
    }
}

/// Data at a name of a zone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Placement {
    /// Apex of the zone.
    pub(crate) zone: Arc<OwnerName>,
    pub(crate) owner: OwnerName,
    pub(crate) content: Content,
}

impl Placement {
    fn placed(&self) -> Placed {
        Placed {
            owner: self.owner.clone(),
            content: self.content.clone(),
        }
    }
}

/// What is at the names of all zones, and what of it changed lately.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    placed: HashMap<Claimant, Placement>,
    /// What was served before a restart, until the objects have been looked
    /// at.
    restored: HashMap<Claimant, Placement>,
    /// Who serves each version.
    bound: BTreeMap<ObjectKey, BTreeSet<Claimant>>,
    /// By apex.
    counts: HashMap<Arc<OwnerName>, ZoneCounts>,
    pub(crate) news: News,
}

/// What changed since it was asked last.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Resources that carry something else.
    pub(crate) resources: BTreeSet<ResourceName>,
    /// Apexes of zones whose data differs from what was last served, be it
    /// before a restart.
    pub(crate) touched: BTreeSet<Arc<OwnerName>>,
    /// Apexes of zones that count another number of records.
    pub(crate) counted: BTreeSet<Arc<OwnerName>>,
    /// Versions that others serve than before.
    pub(crate) rebound: BTreeSet<ObjectKey>,
}

impl Contents {
    /// What a claimant had at a name before a restart, or has there now. What
    /// was restored is what nodes serve, which a compiler that only followed
    /// cannot know.
    pub(crate) fn before(&self, claimant: &Claimant, owner: &OwnerName) -> Option<&Content> {
        let restored = self.restored.get(claimant);
        let known = restored.or_else(|| self.placed.get(claimant))?;
        (known.owner == *owner).then_some(&known.content)
    }

    /// What a claimant serves.
    pub(crate) fn get(&self, claimant: &Claimant) -> Option<&Content> {
        self.placed.get(claimant).map(|placed| &placed.content)
    }

    /// Tells what a claimant served before a restart.
    pub(crate) fn restore(&mut self, claimant: Claimant, placement: Placement) {
        self.restored.insert(claimant, placement);
    }

    /// Forgets what nothing has taken up, so that an object that is gone is
    /// not served for ever.
    pub(crate) fn end_restoration(&mut self) {
        let left = std::mem::take(&mut self.restored).into_values();
        self.news
            .touched
            .extend(left.map(|placement| placement.zone));
    }

    /// Puts something in the place of what a claimant had.
    pub(crate) fn set(&mut self, claimant: &Claimant, placement: Option<Placement>) {
        let restored = self.restored.remove(claimant);
        let before = self.placed.get(claimant);
        if before.or(restored.as_ref()) != placement.as_ref() {
            let zones = [before.or(restored.as_ref()), placement.as_ref()];
            let zones = zones.into_iter().flatten();
            (self.news.touched).extend(zones.map(|placement| Arc::clone(&placement.zone)));
        }
        if before == placement.as_ref() {
            return;
        }
        self.news.resources.insert(claimant.resource());
        let before = self.placed.remove(claimant);
        let version = |placement: &Placement| match &placement.content {
            Content::Policy(binding) => Some(version_key(binding)),
            Content::Static(_) => None,
        };
        let bound = [before.as_ref(), placement.as_ref()].map(|p| p.and_then(version));
        if let Some(before) = before {
            self.count(claimant, &before, false);
        }
        if let Some(placement) = placement {
            self.count(claimant, &placement, true);
            self.placed.insert(claimant.clone(), placement);
        }
        let [before, after] = bound;
        if before != after {
            if let Some(version) = before {
                self.bind(claimant, version, false);
            }
            if let Some(version) = after {
                self.bind(claimant, version, true);
            }
        }
    }

    fn count(&mut self, claimant: &Claimant, placement: &Placement, more: bool) {
        let counts = self.counts.entry(Arc::clone(&placement.zone)).or_default();
        let count = match claimant {
            Claimant::Zone(..) => &mut counts.own,
            Claimant::Object(object) if object.kind == Kind::RecordSet => &mut counts.record_sets,
            Claimant::Object(_) => &mut counts.policy_records,
        };
        *count = if more {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
        if *counts == ZoneCounts::default() {
            self.counts.remove(&placement.zone);
        }
        self.news.counted.insert(Arc::clone(&placement.zone));
    }

    fn bind(&mut self, claimant: &Claimant, version: ObjectKey, more: bool) {
        let claimants = self.bound.entry(version.clone()).or_default();
        if more {
            claimants.insert(claimant.clone());
        } else {
            claimants.remove(claimant);
        }
        if claimants.is_empty() {
            self.bound.remove(&version);
        }
        self.news.rebound.insert(version);
    }

    /// Who serves a version.
    pub(crate) fn claimants(&self, version: &ObjectKey) -> impl Iterator<Item = &Claimant> {
        self.bound.get(version).into_iter().flatten()
    }

    /// Whether anything serves a version.
    pub(crate) fn serves(&self, version: &ObjectKey) -> bool {
        self.bound.contains_key(version)
    }

    /// Whether anything serves a version, or did before a restart.
    pub(crate) fn holds(&self, version: &ObjectKey) -> bool {
        let mut restored = self.restored.values();
        self.serves(version)
            || restored.any(|placement| match &placement.content {
                Content::Policy(binding) => version_key(binding) == *version,
                Content::Static(_) => false,
            })
    }

    /// Versions of which something is served, from that key on.
    pub(crate) fn versions_from(&self, key: ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        self.bound.range(key..).map(|(key, _)| key)
    }

    /// How much the zone of an apex serves.
    pub(crate) fn counts(&self, apex: &OwnerName) -> ZoneCounts {
        self.counts.get(apex).copied().unwrap_or_default()
    }

    /// What a claimant alone places.
    pub(crate) fn resource(&self, claimant: &Claimant) -> Option<Resource> {
        self.resource_of([claimant])
    }

    /// What several claimants of one zone place together.
    pub(crate) fn resource_of<'c>(
        &self,
        claimants: impl IntoIterator<Item = &'c Claimant>,
    ) -> Option<Resource> {
        let placements = claimants.into_iter().filter_map(|c| self.placed.get(c));
        let placements: Vec<&Placement> = placements.collect();
        let zone = placements.first()?.zone.as_ref().clone();
        let placed = placements.into_iter().map(Placement::placed).collect();
        Some(Resource::Records(Records { zone, placed }))
    }

    /// Everything that is served, by who asked for it.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Claimant> {
        self.placed.keys()
    }
}

/// The version object that a binding names.
pub(crate) fn version_key(binding: &VersionBinding) -> ObjectKey {
    ObjectKey::new(binding.version.namespace(), binding.version.name())
}

/// The resource of the version of that object name.
pub(crate) fn version_name(key: &ObjectKey) -> ResourceName {
    let kind = ResourceKind::TrafficPolicyVersion;
    ResourceName::new(kind, &key.namespace, &key.name)
}

/// The types that some content answers, as IANA numbers.
pub(crate) fn types(content: &Content) -> Vec<u16> {
    match content {
        Content::Static(set) => vec![set.record_type],
        Content::Policy(binding) => binding.record_types.clone(),
    }
}

/// The part of some content that answers one type.
pub(crate) fn of_type(content: &Content, record_type: u16) -> Option<Content> {
    match content {
        Content::Static(set) if set.record_type == record_type => Some(content.clone()),
        Content::Policy(binding) if binding.record_types.contains(&record_type) => {
            Some(Content::Policy(VersionBinding {
                record_types: vec![record_type],
                ..binding.clone()
            }))
        }
        _ => None,
    }
}
