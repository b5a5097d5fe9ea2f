//! What makes zones.

use std::sync::Arc;

use super::{Changes, Edit, list};
use crate::name::OwnerName;
use crate::node::Node;
use crate::record_type::{NS, SOA};
use crate::resource::{Resource, ZoneHead};
use crate::zone::Zone;

impl Edit<'_> {
    pub(super) fn put_heads(&mut self, changes: &Changes) {
        for (name, resource) in changes {
            let Some(Resource::Zone(head)) = resource else {
                continue;
            };
            if let Some(other) = self.after.heads.get(&head.apex) {
                let message = format!("{other} makes the zone {} already", head.apex);
                self.fault(name, message);
                continue;
            }
            self.after.heads.insert(head.apex.clone(), name.clone());
            self.orphans.remove(&head.apex);
            if let Err(message) = self.put_head(head) {
                self.fault(name, message);
                self.doubtful.insert(head.apex.clone());
            }
        }
    }

    /// Makes the zone, or changes what makes it.
    fn put_head(&mut self, head: &ZoneHead) -> Result<(), String> {
        let ZoneHead { apex, soa, ns } = head;
        if ns.record_type != NS || !ns.is_well_formed() {
            return Err(format!("the name servers of {apex} are malformed"));
        }
        if let Some(zone) = self.zone_mut(apex) {
            zone.set_soa(soa.clone()).map_err(|e| e.to_string())?;
        } else {
            let zone = Zone::new(apex.clone(), soa.clone()).map_err(|e| e.to_string())?;
            self.snapshot.zones.insert(apex.clone(), Arc::new(zone));
        }
        match self.zone_mut(apex) {
            Some(zone) => zone.insert(apex, ns.clone()).map_err(|e| e.to_string()),
            None => Ok(()),
        }
    }

    /// Removes the zones that nothing makes any longer. Whatever changed is
    /// not in them, so data in them are of resources that stay.
    pub(super) fn remove_orphans(&mut self) {
        for (apex, maker) in std::mem::take(&mut self.orphans) {
            let Some(zone) = self.snapshot.zones.get(&apex) else {
                continue;
            };
            let only_soa = |node: &Node| {
                node.policies.is_empty() && node.rrsets.iter().all(|set| set.record_type == SOA)
            };
            let left = zone
                .names()
                .filter(|(name, node)| **name != apex || !only_soa(node))
                .filter(|(_, node)| !node.is_empty());
            let left: Vec<&OwnerName> = left.map(|(name, _)| name).collect();
            if left.is_empty() {
                self.snapshot.zones.remove(&apex);
            } else {
                let left = list(left.into_iter());
                let message = format!("the zone {apex} cannot go: there are data at {left}");
                self.fault(&maker, message);
            }
        }
    }
}
