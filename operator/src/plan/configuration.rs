//! Which objects are held, and what is owned of them.

use super::{Configuration, Minted, Notice, Planner, Write};
use crate::object::{IN_USE, ObjectId};
use crate::world::Facts;

impl Planner<'_> {
    /// Writes the finalizer of an object, if it has to change. Finalizers may
    /// be taken from an object that is being deleted, but not given to it.
    pub(super) fn configure(&mut self, id: &ObjectId, facts: &Facts, in_use: bool) {
        let in_use = in_use && (!facts.deleting || facts.has_finalizer(IN_USE));
        let adopted = facts.minted && !facts.managers.is_empty();
        let minted = facts.minted && !adopted;
        let right = facts.has_finalizer(IN_USE) == in_use && !adopted;
        let write = Configuration {
            id: id.clone(),
            uid: Some(facts.uid.clone()),
            in_use,
            minted: minted.then(|| Minted {
                owner: facts.owner.clone(),
                spec: facts.spec.clone().unwrap_or_default(),
            }),
            notice: adopted.then(|| (id.clone(), facts.uid.clone(), taken_over(facts))),
        };
        match self.world.pending.configuration(id) {
            None if right => {}
            // What is being made comes to the same, whatever its uid will be.
            Some(pending) if comes_to_same(pending, &write) => {}
            _ => self.plan.writes.push(Write::Configuration(write)),
        }
    }
}

fn comes_to_same(pending: &Configuration, write: &Configuration) -> bool {
    let owner = |write: &Configuration| write.minted.as_ref().map(|minted| minted.owner.clone());
    pending.in_use == write.in_use && owner(pending) == owner(write)
}

fn taken_over(facts: &Facts) -> Notice {
    let manager = facts
        .managers
        .last()
        .map_or("another field manager", String::as_str);
    let note = format!(
        "{manager} applied this version as an object of its own: it no longer goes with its policy"
    );
    Notice::normal("Adopted", note)
}
