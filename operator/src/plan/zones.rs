//! Zones.

use watershed_crd::hosted_zone::HostedZoneStatus;
use watershed_snapshot::{ResourceKind, ResourceName};

use super::Planner;
use crate::object::ObjectId;
use crate::status::{self, ZoneInput};
use crate::world::Facts;

impl<'a> Planner<'a> {
    pub(super) fn hosted_zone(&mut self, id: &ObjectId, facts: &'a Facts) {
        let compiler = &self.world.compiler;
        let counts = compiler.records_of_zone(&id.key);
        self.configure(id, facts, counts.record_sets + counts.policy_records > 0);
        let Some(look) = self.look::<HostedZoneStatus>(id, facts) else {
            return;
        };
        let Some(zone) = compiler.resources().hosted_zones.get(&id.key) else {
            return;
        };
        let name = |kind| ResourceName::new(kind, &id.key.namespace, &id.key.name);
        let names = [
            name(ResourceKind::HostedZone),
            name(ResourceKind::ZoneRecords),
        ];
        let report = self.report(&names, None);
        let found = status::hosted_zone(ZoneInput {
            before: &look.before,
            spec: &zone.spec,
            generation: facts.generation,
            deleting: facts.deleting,
            verdict: &look.verdict,
            fault: look.fault,
            serial: compiler.serial(&id.key),
            counts,
            carried: report.carried(),
            now: self.now,
        });
        self.settle(id, facts, (&look.before, found), |s| &s.conditions, None);
    }
}
