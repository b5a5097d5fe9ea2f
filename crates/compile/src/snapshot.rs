//! The whole compilation: objects in, snapshot and verdicts out.

use std::sync::Arc;

use watershed_crd::policy_record::PolicyRecordSpec;
use watershed_crd::record_set::RecordSetSpec;
use watershed_snapshot::{OwnerName, Snapshot, Zone};

use crate::alias;
use crate::allowed::{self, Publisher};
use crate::checks;
use crate::draft::{Alias, Draft};
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::previous::{Claimant, Content, Placed, Previous};
use crate::record;
use crate::resources::{Object, Resources};
use crate::rrset::{self, Wanted};
use crate::traffic_policy;
use crate::verdict::{Problem, Reason, Report, Reports, Serving, Verdict};
use crate::version::Versions;
use crate::zone::{Attached, Zones, referred};

/// What a compilation gives.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What the nodes are to serve.
    pub snapshot: Snapshot,
    /// What is said about every object, in the order of [`ObjectRef`].
    pub verdicts: Vec<Verdict>,
    /// What the next compilation falls back to.
    pub previous: Previous,
}

/// Compiles all objects.
///
/// Nothing here fails as a whole. What is faulty, unresolved or refused is
/// told in the verdict of its object, and where that object served something
/// before, `previous` has it and it goes on being served. It is not when a
/// zone has withdrawn its permission, or an older object has the name.
///
/// Within a zone its own records come first, then `RecordSet` and
/// `PolicyRecord` objects by age and name: the first to ask for a name and
/// type has it. `serial` becomes the serial number of every zone.
pub fn compile(resources: &Resources, previous: &Previous, serial: u32) -> Compiled {
    let mut reports = Reports::new();
    let versions = Versions::compile(resources, previous, &mut reports);
    traffic_policy::report(resources, &versions, &mut reports);
    checks::report(resources, &mut reports);
    let mut filling = Filling {
        resources,
        previous,
        versions: &versions,
        zones: Zones::accept(resources, previous, &mut reports),
        reports,
    };
    filling.zone_records();
    filling.attached();
    filling.aliases();
    filling.finish(serial)
}

/// The state of filling the zones.
struct Filling<'r> {
    resources: &'r Resources,
    previous: &'r Previous,
    versions: &'r Versions,
    zones: Zones<'r>,
    reports: Reports,
}

/// Something that is to be at a name of a zone.
struct Wish {
    zone: ObjectKey,
    claimant: Claimant,
    owner: OwnerName,
    /// Types asked for, also where what is wanted is not to be had.
    wanted: Result<(Vec<u16>, Wanted), Vec<Problem>>,
    /// The field to name in findings about the name.
    field: String,
}

impl Wish {
    /// The object whose verdict tells of it.
    fn object(&self) -> ObjectRef {
        reporter(&self.claimant)
    }
}

/// The object whose verdict tells of a claimant.
fn reporter(claimant: &Claimant) -> ObjectRef {
    match claimant {
        Claimant::Zone(zone, ..) => ObjectRef::new(Kind::HostedZone, zone.clone()),
        Claimant::Object(object) => object.clone(),
    }
}

/// An object of either attached kind.
enum AttachedObject<'r> {
    RecordSet(&'r Object<RecordSetSpec>),
    PolicyRecord(&'r Object<PolicyRecordSpec>),
}

impl<'r> Filling<'r> {
    /// The static records of the zones themselves.
    fn zone_records(&mut self) {
        let resources = self.resources;
        let keys: Vec<ObjectKey> = self.zones.drafts.keys().cloned().collect();
        for (key, zone) in keys
            .iter()
            .filter_map(|key| resources.hosted_zones.get_key_value(key))
        {
            for (index, record) in zone.spec.records.iter().enumerate() {
                let field = format!("spec.records[{index}]");
                let Some(apex) = self.zones.drafts.get(key).map(|draft| &draft.head.apex) else {
                    continue;
                };
                let owner = match owner(&record.name, apex, &format!("{field}.name")) {
                    Ok(owner) => owner,
                    Err(problem) => {
                        self.problem(ObjectRef::new(Kind::HostedZone, key.clone()), problem);
                        continue;
                    }
                };
                let record_type = record.type_.number();
                let wanted = rrset::read(record.into(), apex, &key.namespace, &field);
                self.settle(Wish {
                    zone: key.clone(),
                    claimant: Claimant::Zone(key.clone(), record.name.clone(), record_type),
                    owner,
                    wanted: wanted.map(|wanted| (vec![record_type], wanted)),
                    field,
                });
            }
        }
    }

    /// `RecordSet` and `PolicyRecord` objects in order of precedence.
    fn attached(&mut self) {
        let resources = self.resources;
        let sets = resources.record_sets.values();
        let records = resources.policy_records.values();
        let mut objects: Vec<_> = (sets.map(|o| (o.age, &o.key, AttachedObject::RecordSet(o))))
            .chain(records.map(|o| (o.age, &o.key, AttachedObject::PolicyRecord(o))))
            .collect();
        // The sort is stable, so that kinds keep their order.
        objects.sort_by_key(|(age, key, _)| (*age, *key));
        for (_, _, object) in objects {
            match object {
                AttachedObject::RecordSet(set) => self.record_set(set),
                AttachedObject::PolicyRecord(record) => self.policy_record(record),
            }
        }
    }

    fn record_set(&mut self, set: &'r Object<RecordSetSpec>) {
        let object = ObjectRef::new(Kind::RecordSet, set.key.clone());
        self.reports.insert(object.clone(), report_of(set));
        let Some((zone, owner)) = self.place(&object, set) else {
            return;
        };
        let record_type = set.spec.type_.number();
        let apex = &self.zones.drafts[&zone].head.apex;
        let wanted = rrset::read((&set.spec).into(), apex, &set.key.namespace, "spec");
        let wanted = wanted.map(|wanted| (vec![record_type], wanted));
        self.settle_attached(zone, object, owner, &[record_type], wanted);
    }

    fn policy_record(&mut self, record: &'r Object<PolicyRecordSpec>) {
        let object = ObjectRef::new(Kind::PolicyRecord, record.key.clone());
        self.reports.insert(object.clone(), report_of(record));
        let Some((zone, owner)) = self.place(&object, record) else {
            return;
        };
        let wanted = match self.paused(record, &object, &owner) {
            Some(content) => Ok(content),
            None => record::binding(self.resources, self.versions, record).map(Content::Policy),
        };
        let types = wanted.as_ref().map_or_else(|_| Vec::new(), Content::types);
        let wanted = wanted.map(|content| (content.types(), Wanted::Data(content)));
        self.settle_attached(zone, object, owner, &types, wanted);
    }

    /// What a paused record served: it stays, whatever the rest of the spec
    /// says. One that never served anything is not held back.
    fn paused(
        &self,
        record: &Object<PolicyRecordSpec>,
        object: &ObjectRef,
        owner: &OwnerName,
    ) -> Option<Content> {
        let before = self.before(&Claimant::Object(object.clone()), owner)?;
        record.spec.paused.then(|| before.content.clone())
    }

    /// What a claimant had at a name.
    fn before(&self, claimant: &Claimant, owner: &OwnerName) -> Option<&'r Placed> {
        let placed = self.previous.data.get(claimant)?;
        (placed.owner == *owner).then_some(placed)
    }

    /// The zone and the absolute name of an attached object.
    fn place<S: Attached>(
        &mut self,
        object: &ObjectRef,
        attached: &Object<S>,
    ) -> Option<(ObjectKey, OwnerName)> {
        let (zone, name) = attached.spec.place();
        let key = referred(zone, &object.key.namespace);
        let Some(draft) = self.zones.drafts.get(&key) else {
            let what = match self.resources.hosted_zones.contains_key(&key) {
                true => format!("zone {key} is not served"),
                false => format!("there is no zone {key}"),
            };
            let problem = Problem::new(Reason::ZoneNotFound, "spec.hostedZoneRef", what);
            self.problem(object.clone(), problem);
            return None;
        };
        let owner = match owner(name, &draft.head.apex, "spec.name") {
            Ok(owner) => owner,
            Err(problem) => {
                self.problem(object.clone(), problem);
                return None;
            }
        };
        if self.zones.enclosing(&owner) != Some(&key) {
            let message = format!("{owner} belongs to another zone below {}", draft.head.apex);
            self.problem(
                object.clone(),
                Problem::new(Reason::NameConflict, "spec.name", message),
            );
            return None;
        }
        Some((key, owner))
    }

    /// Settles the wish of an attached object, if its zone allows it at all.
    fn settle_attached(
        &mut self,
        zone: ObjectKey,
        object: ObjectRef,
        owner: OwnerName,
        types: &[u16],
        wanted: Result<(Vec<u16>, Wanted), Vec<Problem>>,
    ) {
        let publisher = Publisher {
            kind: object.kind,
            namespace: &object.key.namespace,
            name: &owner,
            types,
        };
        let draft = self.zones.drafts.get(&zone);
        if !draft.is_some_and(|draft| allowed::allows(self.resources, draft, publisher)) {
            let message = format!(
                "the allowedRecords of zone {} do not let namespace {} publish {} at {owner}",
                zone.name, object.key.namespace, object.kind
            );
            let problem = Problem::new(Reason::NotAllowedByZone, "spec.hostedZoneRef", message);
            self.problems(object.clone(), wanted.err().unwrap_or_default());
            self.problem(object, problem);
            return;
        }
        let claimant = Claimant::Object(object);
        let field = "spec".to_owned();
        self.settle(Wish {
            zone,
            claimant,
            owner,
            wanted,
            field,
        });
    }

    /// Gives a name to what is wanted there, or to what was there before.
    fn settle(&mut self, wish: Wish) {
        let object = wish.object();
        let before = self.before(&wish.claimant, &wish.owner);
        let Some(draft) = self.zones.drafts.get_mut(&wish.zone) else {
            return;
        };
        let mut problems = Vec::new();
        match wish.wanted {
            Ok((types, wanted)) => match draft.claim(&wish.owner, &types, &wish.claimant) {
                Ok(()) => return put(draft, wish.claimant, wish.owner, wanted, &types, wish.field),
                Err(message) => {
                    let field = format!("{}.name", wish.field);
                    problems.push(Problem::new(Reason::NameConflict, field, message));
                }
            },
            Err(faults) => problems = faults,
        }
        if let Some(before) = before {
            let types = before.content.types();
            if draft.claim(&wish.owner, &types, &wish.claimant).is_ok() {
                draft.place(wish.claimant, wish.owner, before.content.clone());
            }
        }
        self.problems(object, problems);
    }

    fn aliases(&mut self) {
        let previous = self.previous;
        for draft in self.zones.drafts.values_mut() {
            let resolved = alias::resolve(draft);
            let aliases = std::mem::take(&mut draft.aliases);
            for (alias, content) in aliases.into_iter().zip(resolved) {
                let content = content.or_else(|problem| {
                    let report = self.reports.entry(reporter(&alias.claimant)).or_default();
                    report.problems.push(problem);
                    let before = previous.data.get(&alias.claimant);
                    let before = before.filter(|placed| placed.owner == alias.owner);
                    before
                        .and_then(|p| p.content.of_type(alias.record_type))
                        .ok_or(())
                });
                if let Ok(content) = content {
                    draft.place(alias.claimant, alias.owner, content);
                }
            }
        }
    }

    fn finish(mut self, serial: u32) -> Compiled {
        let mut zones = Vec::with_capacity(self.zones.drafts.len());
        let mut previous = Previous::none();
        for (key, version) in self.versions.iter() {
            previous.versions.insert(key.clone(), Arc::clone(version));
        }
        for (key, draft) in std::mem::take(&mut self.zones.drafts) {
            zones.extend(self.build(&draft, serial).map(Arc::new));
            previous.zones.insert(key, draft.head);
            self.serving(&draft.placed);
            previous.data.extend(draft.placed);
        }
        retain_served(&mut previous);
        let reports = self.reports.into_iter();
        Compiled {
            snapshot: Snapshot::new(zones),
            verdicts: reports
                .map(|(object, report)| report.verdict(object))
                .collect(),
            previous,
        }
    }

    fn build(&mut self, draft: &Draft<'_>, serial: u32) -> Option<Zone> {
        let (zone, refused) = draft.build(serial).ok()?;
        for (claimant, error) in refused {
            let problem = Problem::new(Reason::NameConflict, "spec.name", error.to_string());
            self.problem(reporter(claimant), problem);
        }
        Some(zone)
    }

    /// Tells records what they serve.
    fn serving(&mut self, placed: &[(Claimant, Placed)]) {
        for (claimant, Placed { owner, content }) in placed {
            if let (Claimant::Object(object), Content::Policy(binding)) = (claimant, content)
                && object.kind == Kind::PolicyRecord
                && let Some(report) = self.reports.get_mut(object)
            {
                report.serving = Some(Serving {
                    name: owner.clone(),
                    version: binding.version.number,
                    record_types: binding.record_types.clone(),
                    stale: !report.problems.is_empty(),
                });
            }
        }
    }

    fn problem(&mut self, object: ObjectRef, problem: Problem) {
        self.problems(object, vec![problem]);
    }

    fn problems(&mut self, object: ObjectRef, problems: Vec<Problem>) {
        self.reports
            .entry(object)
            .or_default()
            .problems
            .extend(problems);
    }
}

fn put(
    draft: &mut Draft<'_>,
    claimant: Claimant,
    owner: OwnerName,
    wanted: Wanted,
    types: &[u16],
    field: String,
) {
    match (wanted, types) {
        (Wanted::Data(content), _) => draft.place(claimant, owner, content),
        (Wanted::Alias(target), [record_type]) => draft.aliases.push(Alias {
            claimant,
            owner,
            record_type: *record_type,
            target,
            field: format!("{field}.aliasTo"),
        }),
        (Wanted::Alias(_), _) => {}
    }
}

/// The absolute name of a record of a zone.
fn owner(name: &str, apex: &OwnerName, field: &str) -> Result<OwnerName, Problem> {
    let fault = |message| Problem::new(Reason::InvalidSpec, field, message);
    let owner = OwnerName::from_relative(name, apex).map_err(|error| fault(error.to_string()))?;
    if owner.is_at_or_below(apex) {
        Ok(owner)
    } else {
        Err(fault(format!("{owner} is outside the zone {apex}")))
    }
}

fn report_of<S>(object: &Object<S>) -> Report {
    Report {
        generation: object.generation,
        ..Report::default()
    }
}

/// Versions that are served although their objects are gone stay known, so
/// that another document under the same number is noticed.
fn retain_served(previous: &mut Previous) {
    let mut versions = std::mem::take(&mut previous.versions);
    for version in previous.served_versions() {
        let policy = ObjectKey::new(&version.namespace, &version.policy_name);
        let key = crate::resources::version_key(&policy, version.number);
        versions.entry(key).or_insert_with(|| Arc::clone(version));
    }
    previous.versions = versions;
}
