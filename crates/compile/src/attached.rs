//! `RecordSet` and `PolicyRecord` objects: where they are, and whether their
//! zone lets them.

use watershed_crd::common::ObjectName;
use watershed_crd::policy_record::PolicyRecordSpec;
use watershed_crd::record_set::RecordSetSpec;
use watershed_snapshot::OwnerName;

use crate::allowed::{self, Publisher};
use crate::document::host_name;
use crate::filling::{Filling, Wish, owner};
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::previous::{Claimant, Content};
use crate::record;
use crate::resources::{Object, Resources};
use crate::rrset::{self, Wanted};
use crate::unsupported;
use crate::verdict::{Problem, Reason, Report};

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

/// An object of either kind.
enum Either<'r> {
    RecordSet(&'r Object<RecordSetSpec>),
    PolicyRecord(&'r Object<PolicyRecordSpec>),
}

/// Fills the zones with all attached objects, in order of precedence.
pub(crate) fn fill(filling: &mut Filling<'_>) {
    let resources = filling.resources;
    let sets = resources.record_sets.values();
    let records = resources.policy_records.values();
    let mut objects: Vec<_> = (sets.map(|o| (o.age, &o.key, Either::RecordSet(o))))
        .chain(records.map(|o| (o.age, &o.key, Either::PolicyRecord(o))))
        .collect();
    // The sort is stable, so that kinds keep their order.
    objects.sort_by_key(|(age, key, _)| (*age, *key));
    for (_, _, object) in objects {
        match object {
            Either::RecordSet(set) => record_set(filling, set),
            Either::PolicyRecord(record) => policy_record(filling, record),
        }
    }
}

/// A place that an object may have.
struct Place {
    zone: ObjectKey,
    owner: OwnerName,
}

fn record_set(filling: &mut Filling<'_>, set: &Object<RecordSetSpec>) {
    let object = ObjectRef::new(Kind::RecordSet, set.key.clone());
    let report = Report::new(set.generation);
    filling.reports.insert(object.clone(), report);
    let Some(place) = place(filling, &object, set) else {
        return;
    };
    let apex = &filling.zones.drafts[&place.zone].head.apex;
    let wanted = rrset::read((&set.spec).into(), apex, &set.key.namespace, "spec");
    attach(filling, object, place, wanted);
}

fn policy_record(filling: &mut Filling<'_>, record: &Object<PolicyRecordSpec>) {
    let object = ObjectRef::new(Kind::PolicyRecord, record.key.clone());
    let mut report = Report::new(record.generation);
    report.warnings = unsupported::record(&record.spec);
    filling.reports.insert(object.clone(), report);
    let Some(place) = place(filling, &object, record) else {
        return;
    };
    let wanted = match paused(filling, record, &object, &place.owner) {
        Some(content) => Ok(content),
        None => record::binding(filling.resources, filling.versions, record).map(Content::Policy),
    };
    attach(filling, object, place, wanted.map(Wanted::Data));
}

/// What a paused record served: it stays, whatever the rest of the spec says.
/// One that never served anything is not held back.
fn paused(
    filling: &Filling<'_>,
    record: &Object<PolicyRecordSpec>,
    object: &ObjectRef,
    owner: &OwnerName,
) -> Option<Content> {
    if !record.spec.paused {
        return None;
    }
    let before = filling.before(&Claimant::Object(object.clone()), owner)?;
    Some(before.content.clone())
}

/// The zone and the absolute name of an attached object; `None` after a
/// report.
fn place<S: Attached>(
    filling: &mut Filling<'_>,
    object: &ObjectRef,
    attached: &Object<S>,
) -> Option<Place> {
    let (zone, name) = attached.spec.place();
    let zone = referred(zone, &object.key.namespace);
    match find(filling, &zone, name) {
        Ok(owner) => Some(Place { zone, owner }),
        Err(problem) => {
            filling.problems(object.clone(), vec![problem]);
            None
        }
    }
}

fn find(filling: &Filling<'_>, zone: &ObjectKey, name: &str) -> Result<OwnerName, Problem> {
    let Some(draft) = filling.zones.drafts.get(zone) else {
        let message = if filling.resources.hosted_zones.contains_key(zone) {
            format!("zone {zone} is not served")
        } else {
            format!("there is no zone {zone}")
        };
        let field = "spec.hostedZoneRef";
        return Err(Problem::new(Reason::ZoneNotFound, field, message));
    };
    let apex = &draft.head.apex;
    let owner = owner(name, apex, "spec.name")?;
    if filling.zones.enclosing(&owner) != Some(zone) {
        let message = format!("{owner} belongs to another zone below {apex}");
        return Err(Problem::new(Reason::NameConflict, "spec.name", message));
    }
    Ok(owner)
}

/// Puts an object at its place, if the zone lets it.
fn attach(
    filling: &mut Filling<'_>,
    object: ObjectRef,
    place: Place,
    wanted: Result<Wanted, Vec<Problem>>,
) {
    let Place { zone, owner } = place;
    let claimant = Claimant::Object(object.clone());
    // What goes on being served needs the permission as well.
    let types = match (&wanted, filling.before(&claimant, &owner)) {
        (Ok(wanted), _) => wanted.types(),
        (Err(_), Some(before)) => before.content.types(),
        (Err(_), None) => Vec::new(),
    };
    let publisher = Publisher {
        kind: object.kind,
        namespace: &object.key.namespace,
        name: &owner,
        types: &types,
    };
    let draft = filling.zones.drafts.get(&zone);
    if draft.is_some_and(|draft| allowed::allows(filling.resources, draft, publisher)) {
        let field = "spec".to_owned();
        return filling.settle(Wish {
            zone,
            claimant,
            owner,
            wanted,
            field,
        });
    }
    let message = format!(
        "the allowedRecords of zone {} do not let namespace {} publish {} at {owner}",
        zone.name, object.key.namespace, object.kind
    );
    let refusal = Problem::new(Reason::NotAllowedByZone, "spec.hostedZoneRef", message);
    let problems = [wanted.err().unwrap_or_default(), vec![refusal]];
    filling.problems(object, problems.concat());
}
