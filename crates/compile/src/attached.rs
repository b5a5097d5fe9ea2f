//! `RecordSet` and `PolicyRecord` objects, and where they are.

use std::collections::{BTreeSet, HashMap};

use watershed_crd::common::ObjectName;
use watershed_crd::policy_record::PolicyRecordSpec;
use watershed_crd::record_set::RecordSetSpec;
use watershed_snapshot::OwnerName;

use crate::document::host_name;
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::resources::{Object, Resources};
use crate::slot::Rank;
use crate::verdict::{Problem, Reason};
use crate::zones::Zones;

/// What both kinds say about where they are.
pub(crate) trait Attached {
    /// The zone, and the name in it as written.
    fn place(&self) -> (&ObjectName, &str);
}

impl Attached for PolicyRecordSpec {
    fn place(&self) -> (&ObjectName, &str) {
        (&self.hosted_zone_ref, &self.name)
    }
}

impl Attached for RecordSetSpec {
    fn place(&self) -> (&ObjectName, &str) {
        (&self.hosted_zone_ref, &self.name)
    }
}

/// The object that a reference names, from an object of `namespace`.
pub(crate) fn referred(reference: &ObjectName, namespace: &str) -> ObjectKey {
    let other = reference.namespace.as_deref();
    ObjectKey::new(other.unwrap_or(namespace), &reference.name)
}

/// The absolute name of an attached object, if its zone exists.
pub(crate) fn owner_of<S: Attached>(
    resources: &Resources,
    object: &Object<S>,
) -> Option<OwnerName> {
    let (zone, name) = object.spec.place();
    let zone = referred(zone, &object.key.namespace);
    let apex = host_name(&resources.hosted_zones.get(&zone)?.spec.domain).ok()?;
    OwnerName::from_relative(name, &apex).ok()
}

/// Where an attached object is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// The zone it refers to.
    pub(crate) zone: ObjectKey,
    pub(crate) rank: Rank,
    /// Its name, as far as the zone is served.
    pub(crate) owner: Option<OwnerName>,
    /// Why it cannot be at that name.
    pub(crate) problem: Option<Problem>,
}

impl Place {
    /// The name at which it competes with others.
    pub(crate) fn slot(&self) -> Option<(&ObjectKey, &OwnerName)> {
        let owner = self.owner.as_ref().filter(|_| self.problem.is_none())?;
        Some((&self.zone, owner))
    }
}

/// Where all attached objects are.
#[derive(Debug, Default)]
pub(crate) struct Places {
    places: HashMap<ObjectRef, Place>,
    by_zone: HashMap<ObjectKey, BTreeSet<ObjectRef>>,
}

impl Places {
    /// Where an object is.
    pub(crate) fn get(&self, object: &ObjectRef) -> Option<&Place> {
        self.places.get(object)
    }

    /// The objects that refer to a zone, whether it is there or not.
    pub(crate) fn of_zone(&self, zone: &ObjectKey) -> impl Iterator<Item = &ObjectRef> {
        self.by_zone.get(zone).into_iter().flatten()
    }

    /// Moves an object; where it was before.
    pub(crate) fn set(&mut self, object: &ObjectRef, place: Option<Place>) -> Option<Place> {
        let before = self.places.remove(object);
        if let Some(before) = &before
            && place.as_ref().is_none_or(|place| place.zone != before.zone)
            && let Some(objects) = self.by_zone.get_mut(&before.zone)
        {
            objects.remove(object);
            if objects.is_empty() {
                self.by_zone.remove(&before.zone);
            }
        }
        if let Some(place) = place {
            let objects = self.by_zone.entry(place.zone.clone()).or_default();
            objects.insert(object.clone());
            self.places.insert(object.clone(), place);
        }
        before
    }
}

/// Where an object should be; `None` when there is no such object.
pub(crate) fn place(resources: &Resources, zones: &Zones, object: &ObjectRef) -> Option<Place> {
    let key = &object.key;
    match object.kind {
        Kind::RecordSet => {
            (resources.record_sets.get(key)).map(|set| place_one(resources, zones, object, set))
        }
        Kind::PolicyRecord => (resources.policy_records.get(key))
            .map(|record| place_one(resources, zones, object, record)),
        _ => None,
    }
}

fn place_one<S: Attached>(
    resources: &Resources,
    zones: &Zones,
    object: &ObjectRef,
    attached: &Object<S>,
) -> Place {
    let (zone, name) = attached.spec.place();
    let zone = referred(zone, &object.key.namespace);
    let (owner, problem) = find(resources, zones, &zone, name);
    Place {
        zone,
        rank: Rank::new(attached.age, object),
        owner,
        problem,
    }
}

/// The absolute name of a record of a zone, or why it cannot be there, or
/// both.
fn find(
    resources: &Resources,
    zones: &Zones,
    zone: &ObjectKey,
    name: &str,
) -> (Option<OwnerName>, Option<Problem>) {
    let Some(served) = zones.get(zone) else {
        let message = if resources.hosted_zones.contains_key(zone) {
            format!("zone {zone} is not served")
        } else {
            format!("there is no zone {zone}")
        };
        let field = "spec.hostedZoneRef";
        return (
            None,
            Some(Problem::new(Reason::ZoneNotFound, field, message)),
        );
    };
    let apex = &served.apex;
    let owner = match owner(name, apex, "spec.name") {
        Ok(owner) => owner,
        Err(problem) => return (None, Some(problem)),
    };
    let below = zones.apexes().enclosing(&owner) != Some(zone);
    let problem = below.then(|| {
        let message = format!("{owner} belongs to another zone below {apex}");
        Problem::new(Reason::NameConflict, "spec.name", message)
    });
    (Some(owner), problem)
}

/// The absolute name of a record of a zone.
pub(crate) fn owner(name: &str, apex: &OwnerName, field: &str) -> Result<OwnerName, Problem> {
    let fault = |message| Problem::new(Reason::InvalidSpec, field, message);
    let owner = OwnerName::from_relative(name, apex).map_err(|error| fault(error.to_string()))?;
    if owner.is_at_or_below(apex) {
        Ok(owner)
    } else {
        Err(fault(format!("{owner} is outside the zone {apex}")))
    }
}
