//! The zones that are served, and the names in them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use watershed_crd::hosted_zone::{AllowedRecords, HostedZoneSpec};
use watershed_policy::{Code, Diagnostic, Path};
use watershed_snapshot::record_type::{A, AAAA};
use watershed_snapshot::{Content, OwnerName};

use crate::alias::AliasTo;
use crate::attached::{Place, owner};
use crate::contents::{Claimant, Contents, types};
use crate::object::ObjectKey;
use crate::resources::Object;
use crate::slot::{Claim, Outcome, Settled, Slot};
use crate::verdict::Problem;
use crate::zone::{Apexes, ZoneHead};

/// A zone that is served.
#[derive(Debug)]
pub(crate) struct Zone {
    pub(crate) apex: Arc<OwnerName>,
    pub(crate) head: ZoneHead,
    /// Serial number of the SOA record; `None` before the first is given.
    pub(crate) serial: Option<u32>,
    /// Whether something in it differs from what was served.
    pub(crate) touched: bool,
    slots: HashMap<OwnerName, Slot>,
    /// Names with aliases, by where these point.
    aliases: HashMap<AliasTo, BTreeSet<OwnerName>>,
    /// The names of the zone's own records, in the order of its list, or what
    /// is wrong with them.
    pub(crate) own: Vec<Result<OwnerName, Problem>>,
    /// Who may publish, as it was when the objects were looked at.
    allowed: Vec<AllowedRecords>,
}

impl Zone {
    pub(crate) fn new(head: ZoneHead) -> Self {
        Self {
            apex: Arc::new(head.apex.clone()),
            head,
            serial: None,
            touched: true,
            slots: HashMap::new(),
            aliases: HashMap::new(),
            own: Vec::new(),
            allowed: Vec::new(),
        }
    }

    pub(crate) fn slot(&self, owner: &OwnerName) -> Option<&Slot> {
        self.slots.get(owner)
    }

    /// Takes up the permissions of the zone; whether they are new.
    pub(crate) fn allow(&mut self, allowed: &[AllowedRecords]) -> bool {
        let new = self.allowed != allowed;
        if new {
            self.allowed = allowed.to_vec();
        }
        new
    }

    /// Takes up the zone's own records; the names that are to be settled.
    pub(crate) fn list(&mut self, zone: &Object<HostedZoneSpec>) -> BTreeSet<OwnerName> {
        let mut owners = BTreeSet::new();
        for (index, owner) in std::mem::take(&mut self.own).into_iter().enumerate() {
            if let Ok(owner) = owner {
                self.slots
                    .entry(owner.clone())
                    .or_default()
                    .own
                    .remove(&index);
                owners.insert(owner);
            }
        }
        for (index, record) in zone.spec.records.iter().enumerate() {
            let field = format!("spec.records[{index}].name");
            let owner = owner(&record.name, &self.apex, &field);
            if let Ok(owner) = &owner {
                self.slots
                    .entry(owner.clone())
                    .or_default()
                    .own
                    .insert(index);
                owners.insert(owner.clone());
            }
            self.own.push(owner);
        }
        owners
    }

    /// Lets an object ask for a name.
    pub(crate) fn attach(&mut self, owner: &OwnerName, place: &Place) {
        let slot = self.slots.entry(owner.clone()).or_default();
        slot.attached.insert(place.rank.clone());
    }

    /// Lets an object ask for a name no longer.
    pub(crate) fn detach(&mut self, owner: &OwnerName, place: &Place) {
        if let Some(slot) = self.slots.get_mut(owner) {
            slot.attached.remove(&place.rank);
        }
    }

    /// Takes up who has what at a name; the claims from before.
    pub(crate) fn settle(&mut self, owner: &OwnerName, settled: Settled) -> Vec<Claim> {
        let slot = self.slots.entry(owner.clone()).or_default();
        let before = std::mem::replace(&mut slot.claims, settled.claims);
        let pointed = |claims: &[Claim]| -> BTreeSet<AliasTo> {
            let targets = claims.iter().filter_map(|claim| match &claim.outcome {
                Outcome::Alias(_, target) => Some(target.clone()),
                _ => None,
            });
            targets.collect()
        };
        let (old, new) = (pointed(&before), pointed(&slot.claims));
        if slot.is_empty() {
            self.slots.remove(owner);
        }
        for target in old.difference(&new) {
            if let Some(names) = self.aliases.get_mut(target) {
                names.remove(owner);
                if names.is_empty() {
                    self.aliases.remove(target);
                }
            }
        }
        for target in new.difference(&old) {
            let names = self.aliases.entry(target.clone()).or_default();
            names.insert(owner.clone());
        }
        before
    }

    /// Names whose aliases point somewhere.
    pub(crate) fn aliases_to(&self, target: &AliasTo) -> impl Iterator<Item = &OwnerName> {
        self.aliases.get(target).into_iter().flatten()
    }

    /// Notes what came of following the aliases at a name.
    pub(crate) fn note_aliases(
        &mut self,
        owner: &OwnerName,
        problems: Vec<(usize, Option<Problem>)>,
    ) {
        let claims = self.slots.get_mut(owner).map(|slot| &mut slot.claims);
        let Some(claims) = claims else { return };
        for (index, problem) in problems {
            if let Some(claim) = claims.get_mut(index) {
                claim.alias_problem = problem;
            }
        }
    }

    /// What became of one of the zone's own records.
    pub(crate) fn own_claim(&self, index: usize) -> Option<&Claim> {
        let owner = self.own.get(index)?.as_ref().ok()?;
        let claims = &self.slot(owner)?.claims;
        claims.iter().find(|claim| claim.own == Some(index))
    }

    /// What stands against the zone's own records: first what is found name
    /// by name, then what is found of aliases.
    pub(crate) fn own_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, owner) in self.own.iter().enumerate() {
            problems.extend(owner.as_ref().err().cloned());
            let claim = self.own_claim(index).into_iter();
            problems.extend(claim.flat_map(|claim| claim.problems.clone()));
        }
        let claims = (0..self.own.len()).filter_map(|index| self.own_claim(index));
        problems.extend(claims.filter_map(|claim| claim.alias_problem.clone()));
        problems
    }

    /// Those who place the zone's own records, in the order of its list.
    pub(crate) fn own_claimants(&self) -> impl Iterator<Item = &Claimant> {
        let claims = (0..self.own.len()).filter_map(|index| self.own_claim(index));
        let given = claims.filter(|claim| claim.outcome != Outcome::Nothing);
        given.map(|claim| &claim.claimant)
    }

    /// Everything that somebody asks for.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.slots.values().flat_map(|slot| &slot.claims)
    }

    /// Whether a name is that of a server of the zone.
    pub(crate) fn is_server(&self, owner: &OwnerName) -> bool {
        (self.head.ns.rdata.iter()).any(|wire| **wire == *owner.as_wire())
    }

    /// Warnings about name servers inside the zone that have no address in
    /// it, so that nobody could reach them (RFC 1034 section 4.2.1).
    pub(crate) fn unreachable_servers(
        &self,
        contents: &Contents,
    ) -> impl Iterator<Item = Diagnostic> {
        let servers = self.head.ns.rdata.iter().enumerate();
        servers.filter_map(move |(index, wire)| {
            let name = OwnerName::from_wire(wire).ok()?;
            let inside = name.is_at_or_below(&self.apex);
            (inside && !self.has_address(contents, &name)).then(|| {
                let path = Path::Other(format!("spec.nameservers.names[{index}]"));
                let message = format!(
                    "{name} lies in this zone and has no A or AAAA record in it, so that no \
                     resolver can reach it: add one"
                );
                Diagnostic::new(Code::Ignored, path, message)
            })
        })
    }

    fn has_address(&self, contents: &Contents, name: &OwnerName) -> bool {
        let claims = self.slot(name).map_or(&[][..], |slot| &slot.claims);
        let is_address = |kind: &u16| [A, AAAA].contains(kind);
        claims.iter().any(|claim| match &claim.outcome {
            Outcome::Nothing => false,
            Outcome::Alias(kind, _) => is_address(kind),
            Outcome::Data => {
                let content: Option<&Content> = contents.get(&claim.claimant);
                content.is_some_and(|content| types(content).iter().any(is_address))
            }
        })
    }
}

/// The zones that are served.
#[derive(Debug, Default)]
pub(crate) struct Zones {
    served: BTreeMap<ObjectKey, Zone>,
    apexes: Apexes,
    /// The last serial number by apex, also of zones that are gone: a number
    /// is not given twice.
    serials: HashMap<OwnerName, u32>,
}

impl Zones {
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Zone> {
        self.served.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &ObjectKey) -> Option<&mut Zone> {
        self.served.get_mut(key)
    }

    pub(crate) fn apexes(&self) -> &Apexes {
        &self.apexes
    }

    /// All of them, by object name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ObjectKey, &Zone)> {
        self.served.iter()
    }

    /// The zones from now on; the apexes from before.
    pub(crate) fn set_apexes(&mut self, apexes: Apexes) -> Apexes {
        std::mem::replace(&mut self.apexes, apexes)
    }

    pub(crate) fn add(&mut self, key: ObjectKey, zone: Zone) {
        self.served.insert(key, zone);
    }

    pub(crate) fn remove(&mut self, key: &ObjectKey) -> Option<Zone> {
        self.served.remove(key)
    }

    /// Tells the serial number of a zone before a restart. It does not go back.
    pub(crate) fn note_serial(&mut self, apex: &OwnerName, serial: u32) {
        let known = self.serials.entry(apex.clone()).or_insert(serial);
        *known = serial.max(*known);
    }

    /// The zone at this apex has this serial number, whatever it had.
    pub(crate) fn set_serial(&mut self, apex: OwnerName, serial: u32) {
        self.serials.insert(apex, serial);
    }

    /// Gives a zone the next serial number if something in it differs; whether
    /// it got another than it had.
    pub(crate) fn number(&mut self, key: &ObjectKey, floor: u32) -> bool {
        let Some(zone) = self.served.get_mut(key) else {
            return false;
        };
        let last = self.serials.get(&*zone.apex).copied();
        let serial = match last {
            None => floor,
            Some(last) if zone.touched => floor.max(last.wrapping_add(1)),
            Some(last) => last,
        };
        zone.touched = false;
        self.serials.insert(zone.head.apex.clone(), serial);
        zone.serial.replace(serial) != Some(serial)
    }
}
