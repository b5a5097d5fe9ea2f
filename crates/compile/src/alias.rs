//! Aliases: names that give the answers of others. They are resolved when the
//! zone is compiled and cost nothing at query time; the TTL is the target's.

use std::collections::HashSet;

use watershed_snapshot::{Content, OwnerName};

use crate::contents::{Claimant, Contents, of_type};
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::slot::{Claim, Outcome, Slot, type_name};
use crate::verdict::{Problem, Reason};

/// Where an alias points.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum AliasTo {
    /// What a `PolicyRecord` serves in this zone.
    Record(ObjectKey),
    /// What is at a name of this zone.
    Name(OwnerName),
}

/// A zone in which aliases are followed.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) slot: &'a dyn Fn(&OwnerName) -> Option<&'a Slot>,
    /// The name at which a record is, if it is in this zone.
    pub(crate) record: &'a dyn Fn(&ObjectKey) -> Option<&'a OwnerName>,
    pub(crate) contents: &'a Contents,
}

/// An alias without an answer.
#[derive(Debug)]
pub(crate) struct Unresolved {
    pub(crate) problem: Problem,
    /// Whether the target may no longer be served, so that neither may what
    /// the alias had from it.
    pub(crate) revoked: bool,
}

impl Names<'_> {
    /// Follows an alias to data, through other aliases. `field` is where it
    /// stands in its object.
    pub(crate) fn resolve(
        self,
        kind: u16,
        target: &AliasTo,
        field: &str,
    ) -> Result<Content, Unresolved> {
        let mut passed = HashSet::new();
        let mut target = target;
        loop {
            let name = match target {
                AliasTo::Record(key) => return self.record(key, kind, field),
                AliasTo::Name(name) => name,
            };
            if !passed.insert(name) {
                return Err(unresolved(field, "leads back to itself".to_owned(), false));
            }
            let claims = (self.slot)(name).map_or(&[][..], |slot| &slot.claims);
            if let Some(content) = self.data(claims, kind) {
                return Ok(content);
            }
            let Some(next) = claims.iter().find_map(|claim| claim.alias(kind)) else {
                let message = format!("there is nothing of type {} at {name}", type_name(kind));
                let revoked = claims.iter().any(|claim| claim.revoked);
                return Err(unresolved(field, message, revoked));
            };
            target = next;
        }
    }

    fn data(self, claims: &[Claim], kind: u16) -> Option<Content> {
        let data = claims.iter().filter(|claim| claim.outcome == Outcome::Data);
        let mut contents = data.filter_map(|claim| self.contents.get(&claim.claimant));
        contents.find_map(|content| of_type(content, kind))
    }

    fn record(self, key: &ObjectKey, kind: u16, field: &str) -> Result<Content, Unresolved> {
        let object = ObjectRef::new(Kind::PolicyRecord, key.clone());
        let claimant = Claimant::Object(object);
        let slot = (self.record)(key).and_then(|name| (self.slot)(name));
        let mut claims = slot.map_or(&[][..], |slot| &slot.claims).iter();
        let claim = claims.find(|claim| claim.claimant == claimant);
        let data = claim.filter(|claim| claim.outcome == Outcome::Data);
        let content = data.and_then(|claim| self.contents.get(&claim.claimant));
        content
            .and_then(|content| of_type(content, kind))
            .ok_or_else(|| {
                let message = format!(
                    "PolicyRecord {key} serves nothing of type {} in this zone",
                    type_name(kind)
                );
                unresolved(field, message, claim.is_some_and(|claim| claim.revoked))
            })
    }
}

fn unresolved(field: &str, message: String, revoked: bool) -> Unresolved {
    Unresolved {
        problem: Problem::new(Reason::RecordNotFound, format!("{field}.aliasTo"), message),
        revoked,
    }
}
