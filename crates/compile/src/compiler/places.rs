//! One compilation: who has what at the names of zones.

use std::collections::BTreeSet;
use std::sync::Arc;

use watershed_snapshot::{Content, OwnerName};

use super::Compiler;
use super::mark::Dirty;
use super::round::Round;
use crate::alias::{AliasTo, Names};
use crate::attached;
use crate::contents::{Claimant, Placement, of_type, version_key};
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::slot::{self, Claim, Context, Outcome, Settled, Slot};
use crate::unsupported;
use crate::verdict::{Problem, Report, Serving};

impl Compiler {
    /// Finds out who has what, where something changed or an attached object
    /// is to be looked at.
    pub(super) fn compile_names(&mut self, attached: BTreeSet<ObjectRef>, round: &mut Round) {
        self.place(attached, round);
        self.settle(round);
        self.follow_aliases(round);
    }

    /// Takes up the documents of versions that were made anew, where records
    /// have moved away from the former ones.
    pub(super) fn renew_versions(&mut self, round: &mut Round) {
        loop {
            let contents = &self.contents;
            let versions = self.versions.outlived(|version| contents.serves(version));
            if versions.is_empty() {
                return;
            }
            let dirty = Dirty {
                versions,
                ..Dirty::default()
            };
            self.compile_versions(&dirty, round);
            self.compile_policies(&dirty, round);
            self.compile_names(BTreeSet::new(), round);
        }
    }

    /// Finds the names of attached objects.
    fn place(&mut self, dirty: BTreeSet<ObjectRef>, round: &mut Round) {
        let mut objects = std::mem::take(&mut round.attached);
        objects.extend(dirty);
        for object in objects {
            self.place_one(&object, round);
        }
    }

    fn place_one(&mut self, object: &ObjectRef, round: &mut Round) {
        let place = attached::place(&self.resources, &self.zones, object);
        let before = self.places.set(object, place.clone());
        if let Some(before) = before
            && let Some((zone, owner)) = before.slot()
            && let Some(served) = self.zones.get_mut(zone)
        {
            served.detach(owner, &before);
            round.slots.insert((zone.clone(), owner.clone()));
        }
        if object.kind == Kind::PolicyRecord {
            let record = self.resources.policy_records.get(&object.key);
            round.used.extend(self.asks.set(&object.key, record));
        }
        let slot = place
            .as_ref()
            .and_then(|place| Some((place, place.slot()?)));
        if let Some((place, (zone, owner))) = slot
            && let Some(served) = self.zones.get_mut(zone)
        {
            served.attach(owner, place);
            round.slots.insert((zone.clone(), owner.clone()));
        } else {
            let claimant = Claimant::Object(object.clone());
            self.contents.set(&claimant, None);
        }
        if place.is_some() {
            round.told.insert(object.clone());
        } else {
            self.retract(round, object);
        }
    }

    /// Settles who has what at the names that changed.
    fn settle(&mut self, round: &mut Round) {
        let slots = std::mem::take(&mut round.slots);
        for (key, owner) in &slots {
            let Some(settled) = self.settle_one(key, owner) else {
                continue;
            };
            let after: Vec<Claim> = settled.claims.clone();
            let Some(zone) = self.zones.get_mut(key) else {
                continue;
            };
            let data = settled.data.clone();
            let apex = Arc::clone(&zone.apex);
            if zone.is_server(owner) {
                round.zones.insert(key.clone());
            }
            let before = zone.settle(owner, settled);
            for claimant in left(&before, &after) {
                self.contents.set(claimant, None);
            }
            for (claimant, content) in data {
                let placement = Placement {
                    zone: Arc::clone(&apex),
                    owner: owner.clone(),
                    content,
                };
                self.contents.set(&claimant, Some(placement));
            }
            note_claims(round, key, before.iter().chain(&after));
            self.find_aliases(key, owner, before.iter().chain(&after), round);
        }
    }

    fn settle_one(&self, key: &ObjectKey, owner: &OwnerName) -> Option<Settled> {
        let zone = self.zones.get(key)?;
        let context = Context {
            resources: &self.resources,
            versions: &self.versions,
            contents: &self.contents,
            active: &self.active,
            zone: self.resources.hosted_zones.get(key)?,
            apex: &zone.apex,
            owner,
        };
        let empty = Slot::default();
        Some(slot::settle(context, zone.slot(owner).unwrap_or(&empty)))
    }

    /// Finds the aliases that lead to a name, near and far.
    fn find_aliases<'c>(
        &self,
        key: &ObjectKey,
        owner: &OwnerName,
        claims: impl Iterator<Item = &'c Claim>,
        round: &mut Round,
    ) {
        let Some(zone) = self.zones.get(key) else {
            return;
        };
        let mut targets = vec![AliasTo::Name(owner.clone())];
        let mut has_alias = false;
        for claim in claims {
            has_alias |= matches!(claim.outcome, Outcome::Alias(..));
            if let Claimant::Object(object) = &claim.claimant
                && object.kind == Kind::PolicyRecord
            {
                targets.push(AliasTo::Record(object.key.clone()));
            }
        }
        if has_alias {
            round.aliases.insert((key.clone(), owner.clone()));
        }
        while let Some(target) = targets.pop() {
            for name in zone.aliases_to(&target) {
                if round.aliases.insert((key.clone(), name.clone())) {
                    targets.push(AliasTo::Name(name.clone()));
                }
            }
        }
    }

    /// Follows the aliases that may lead elsewhere now, after all else is in
    /// its place.
    fn follow_aliases(&mut self, round: &mut Round) {
        for (key, owner) in std::mem::take(&mut round.aliases) {
            let followed = self.follow_aliases_at(&key, &owner);
            let Some(zone) = self.zones.get_mut(&key) else {
                continue;
            };
            let apex = Arc::clone(&zone.apex);
            let problems = followed.iter().map(|f| (f.index, f.problem.clone()));
            zone.note_aliases(&owner, problems.collect());
            let claims = zone.slot(&owner).map_or(&[][..], |slot| &slot.claims);
            note_claims(round, &key, claims.iter());
            for Followed {
                claimant, content, ..
            } in followed
            {
                let placement = content.map(|content| Placement {
                    zone: Arc::clone(&apex),
                    owner: owner.clone(),
                    content,
                });
                self.contents.set(&claimant, placement);
            }
        }
    }

    fn follow_aliases_at(&self, key: &ObjectKey, owner: &OwnerName) -> Vec<Followed> {
        let Some(zone) = self.zones.get(key) else {
            return Vec::new();
        };
        let record = |record: &ObjectKey| {
            let object = ObjectRef::new(Kind::PolicyRecord, record.clone());
            let (zone, owner) = self.places.get(&object)?.slot()?;
            (zone == key).then_some(owner)
        };
        let names = Names {
            slot: &|name| zone.slot(name),
            record: &record,
            contents: &self.contents,
        };
        let claims = zone.slot(owner).map_or(&[][..], |slot| &slot.claims);
        let aliases = claims.iter().enumerate().filter_map(|(index, claim)| {
            let Outcome::Alias(kind, target) = &claim.outcome else {
                return None;
            };
            let (content, problem) = match names.resolve(*kind, target, &claim.field()) {
                Ok(content) => (Some(content), None),
                Err(failed) if failed.revoked => (None, Some(failed.problem)),
                Err(failed) => (
                    self.kept(&claim.claimant, owner, *kind),
                    Some(failed.problem),
                ),
            };
            let claimant = claim.claimant.clone();
            Some(Followed {
                index,
                claimant,
                content,
                problem,
            })
        });
        aliases.collect()
    }

    /// What an alias had of a type.
    fn kept(&self, claimant: &Claimant, owner: &OwnerName, kind: u16) -> Option<Content> {
        let before = self.contents.before(claimant, owner)?;
        let known = match before {
            Content::Static(_) => true,
            Content::Policy(binding) => self.versions.known(&version_key(binding)).is_some(),
        };
        of_type(before, kind).filter(|_| known)
    }

    pub(super) fn tell_attached(&mut self, round: &mut Round) {
        for object in std::mem::take(&mut round.told) {
            if let Some(report) = self.attached_report(&object) {
                round.tell(object, report);
            }
        }
    }

    fn attached_report(&self, object: &ObjectRef) -> Option<Report> {
        let key = &object.key;
        let mut report = if object.kind == Kind::PolicyRecord {
            let record = self.resources.policy_records.get(key)?;
            Report {
                warnings: unsupported::record(&record.spec),
                ..Report::new(record.generation)
            }
        } else {
            Report::new(self.resources.record_sets.get(key)?.generation)
        };
        let place = self.places.get(object)?;
        report.problems.extend(place.problem.clone());
        let claimant = Claimant::Object(object.clone());
        let slot = place.slot();
        let slot = slot.and_then(|(zone, owner)| self.zones.get(zone)?.slot(owner));
        let mut claims = slot.into_iter().flat_map(|slot| &slot.claims);
        if let Some(claim) = claims.find(|claim| claim.claimant == claimant) {
            report.problems.extend(claim.problems.iter().cloned());
            report.problems.extend(claim.alias_problem.clone());
        }
        if object.kind == Kind::PolicyRecord {
            report.serving = self.serving(&claimant, place.owner.as_ref(), &report);
        }
        Some(report)
    }

    fn serving(
        &self,
        claimant: &Claimant,
        owner: Option<&OwnerName>,
        report: &Report,
    ) -> Option<Serving> {
        let Content::Policy(binding) = self.contents.get(claimant)? else {
            return None;
        };
        let version = self.versions.known(&version_key(binding))?;
        Some(Serving {
            name: owner?.clone(),
            version: version.number,
            record_types: binding.record_types.clone(),
            stale: !report.problems.is_empty(),
        })
    }
}

/// What came of following an alias.
struct Followed {
    /// Place of the claim among those at its name.
    index: usize,
    claimant: Claimant,
    content: Option<Content>,
    problem: Option<Problem>,
}

/// Those who have nothing any longer at a name. Objects that ask for another
/// name now are that name's concern.
fn left<'c>(before: &'c [Claim], after: &'c [Claim]) -> impl Iterator<Item = &'c Claimant> {
    let holds = |claimant: &Claimant| {
        (after.iter()).any(|c| c.claimant == *claimant && c.outcome != Outcome::Nothing)
    };
    let gone = before.iter().filter(move |claim| {
        matches!(claim.claimant, Claimant::Zone(..))
            && !after.iter().any(|other| other.claimant == claim.claimant)
    });
    let refused = after
        .iter()
        .filter(|claim| claim.outcome == Outcome::Nothing);
    let refused = refused.filter(move |claim| !holds(&claim.claimant));
    gone.chain(refused).map(|claim| &claim.claimant)
}

/// Notes whose verdicts may change with some claims.
fn note_claims<'c>(round: &mut Round, zone: &ObjectKey, claims: impl Iterator<Item = &'c Claim>) {
    for claim in claims {
        match &claim.claimant {
            Claimant::Zone(..) => round.own.insert(zone.clone()),
            Claimant::Object(object) => round.told.insert(object.clone()),
        };
    }
}
