//! Filling zones with what is asked for, or else with what was there before.

use watershed_snapshot::OwnerName;

use crate::alias;
use crate::draft::{Alias, Draft};
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::previous::{Claimant, Placed, Previous};
use crate::resources::Resources;
use crate::rrset::{self, Wanted};
use crate::verdict::{Problem, Reason, Reports};
use crate::version::Versions;
use crate::zone::Zones;

/// The state of filling the zones.
pub(crate) struct Filling<'r> {
    pub(crate) resources: &'r Resources,
    pub(crate) previous: &'r Previous,
    pub(crate) versions: &'r Versions,
    pub(crate) zones: Zones<'r>,
    pub(crate) reports: Reports,
}

/// Something that is to be at a name of a zone.
pub(crate) struct Wish {
    pub(crate) zone: ObjectKey,
    pub(crate) claimant: Claimant,
    pub(crate) owner: OwnerName,
    pub(crate) wanted: Result<Wanted, Vec<Problem>>,
    /// Where it stands in its object.
    pub(crate) field: String,
}

/// The object whose verdict tells of a claimant.
pub(crate) fn reporter(claimant: &Claimant) -> ObjectRef {
    match claimant {
        Claimant::Zone(zone, ..) => ObjectRef::new(Kind::HostedZone, zone.clone()),
        Claimant::Object(object) => object.clone(),
    }
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

impl<'r> Filling<'r> {
    /// The static records of the zones themselves.
    pub(crate) fn zone_records(&mut self) {
        let resources = self.resources;
        let keys: Vec<ObjectKey> = self.zones.drafts.keys().cloned().collect();
        for key in keys {
            let Some(draft) = self.zones.drafts.get(&key) else {
                continue;
            };
            let apex = draft.head.apex.clone();
            for (index, record) in resources.hosted_zones[&key].spec.records.iter().enumerate() {
                let field = format!("spec.records[{index}]");
                let owner = match owner(&record.name, &apex, &format!("{field}.name")) {
                    Ok(owner) => owner,
                    Err(problem) => {
                        let object = ObjectRef::new(Kind::HostedZone, key.clone());
                        self.problems(object, vec![problem]);
                        continue;
                    }
                };
                let number = record.type_.number();
                self.settle(Wish {
                    zone: key.clone(),
                    claimant: Claimant::Zone(key.clone(), owner.clone(), number),
                    owner,
                    wanted: rrset::read(record.into(), &apex, &key.namespace, &field),
                    field,
                });
            }
        }
    }

    /// What a claimant had at a name.
    pub(crate) fn before(&self, claimant: &Claimant, owner: &OwnerName) -> Option<&'r Placed> {
        let placed = self.previous.data.get(claimant)?;
        (placed.owner == *owner).then_some(placed)
    }

    /// Gives a name to what is wanted there, or to what was there before.
    pub(crate) fn settle(&mut self, wish: Wish) {
        let before = self.before(&wish.claimant, &wish.owner);
        let Some(draft) = self.zones.drafts.get_mut(&wish.zone) else {
            return;
        };
        let object = reporter(&wish.claimant);
        let problems = match wish.wanted {
            Err(faults) => faults,
            Ok(wanted) => match draft.claim(&wish.owner, &wanted.types(), &wish.claimant) {
                Ok(()) => {
                    put(draft, wish.claimant, wish.owner, wanted, &wish.field);
                    return;
                }
                Err(message) => {
                    let field = format!("{}.name", wish.field);
                    vec![Problem::new(Reason::NameConflict, field, message)]
                }
            },
        };
        if let Some(before) = before {
            let types = before.content.types();
            if draft.claim(&wish.owner, &types, &wish.claimant).is_ok() {
                draft.place(wish.claimant, wish.owner, before.content.clone());
            }
        }
        self.problems(object, problems);
    }

    /// Resolves the aliases, after all else is in its place.
    pub(crate) fn aliases(&mut self) {
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
                    let content = before.and_then(|p| p.content.of_type(alias.record_type));
                    content.ok_or(())
                });
                if let Ok(content) = content {
                    draft.place(alias.claimant, alias.owner, content);
                }
            }
        }
    }

    pub(crate) fn problems(&mut self, object: ObjectRef, problems: Vec<Problem>) {
        let report = self.reports.entry(object).or_default();
        report.problems.extend(problems);
    }
}

fn put(draft: &mut Draft<'_>, claimant: Claimant, owner: OwnerName, wanted: Wanted, field: &str) {
    match wanted {
        Wanted::Data(content) => draft.place(claimant, owner, content),
        Wanted::Alias(record_type, target) => draft.aliases.push(Alias {
            claimant,
            owner,
            record_type,
            target,
            field: format!("{field}.aliasTo"),
        }),
    }
}
