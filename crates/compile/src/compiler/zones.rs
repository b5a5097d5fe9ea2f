//! One compilation: which zones are served, and what is said about them.

use super::mark::Dirty;
use super::round::Round;
use super::{Compiler, zone_object};
use crate::contents::Claimant;
use crate::object::ObjectKey;
use crate::verdict::Report;
use crate::zone::{self, Accepted, Apexes, ZoneHead};
use crate::zones::Zone;

impl Compiler {
    /// Decides anew which zones are served, when any zone changed: each may
    /// stand in the way of others.
    pub(super) fn compile_zones(&mut self, dirty: &Dirty, round: &mut Round) {
        if !dirty.accept {
            return;
        }
        let before = |key: &ObjectKey| {
            let served = self.zones.get(key).map(|zone| &zone.head);
            served.or_else(|| self.restored_heads.get(key))
        };
        let Accepted {
            heads,
            apexes,
            reports,
        } = zone::accept(&self.resources, before);
        let left = self.zones.iter().filter(|(key, zone)| {
            let head = heads.get(key);
            head.is_none_or(|head| head.apex != *zone.apex)
        });
        for key in left.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.close(&key, round);
        }
        for (key, head) in heads {
            self.open(key, head, dirty, round);
        }
        let before = self.zones.set_apexes(apexes);
        self.mark_names_between(&before, round);
        for key in &dirty.zones {
            let exists = self.resources.hosted_zones.contains_key(key);
            if exists != self.zone_reports.contains_key(key) {
                round.attached.extend(self.places.of_zone(key).cloned());
            }
            if !exists {
                self.zone_reports.remove(key);
                self.retract(round, &zone_object(key));
            }
        }
        for (key, report) in reports {
            if self.zone_reports.get(&key) != Some(&report) {
                self.zone_reports.insert(key.clone(), report);
                round.zones.insert(key);
            }
        }
    }

    /// Serves a zone no longer.
    fn close(&mut self, key: &ObjectKey, round: &mut Round) {
        let Some(zone) = self.zones.remove(key) else {
            return;
        };
        for claim in zone.claims() {
            if let Claimant::Zone(..) = claim.claimant {
                self.contents.set(&claim.claimant, None);
            }
        }
        self.own_problems.remove(key);
        round.attached.extend(self.places.of_zone(key).cloned());
        round.heads.insert(key.clone());
        round.zones.insert(key.clone());
    }

    /// Serves a zone from now on, or with what it has now.
    fn open(&mut self, key: ObjectKey, head: ZoneHead, dirty: &Dirty, round: &mut Round) {
        let Some(object) = self.resources.hosted_zones.get(&key) else {
            return;
        };
        let is_new = self.zones.get(&key).is_none();
        if is_new {
            let mut zone = Zone::new(head.clone());
            zone.touched = self.restored_heads.get(&key) != Some(&head);
            self.zones.add(key.clone(), zone);
        }
        let Some(zone) = self.zones.get_mut(&key) else {
            return;
        };
        if is_new || zone.head != head {
            zone.touched |= !is_new;
            zone.head = head;
            round.heads.insert(key.clone());
            round.zones.insert(key.clone());
        }
        if !is_new && !dirty.zones.contains(&key) {
            return;
        }
        let owners = zone.list(object).into_iter();
        (round.slots).extend(owners.map(|owner| (key.clone(), owner)));
        if zone.allow(&object.spec.allowed_records) || is_new {
            round.attached.extend(self.places.of_zone(&key).cloned());
        }
        round.own.insert(key);
    }

    /// Names below an apex that came or went belong to another zone now.
    fn mark_names_between(&self, before: &Apexes, round: &mut Round) {
        let after = self.zones.apexes();
        for apex in after.differences(before) {
            for zone in before.above(apex).chain(after.above(apex)) {
                let below = self.places.of_zone(zone).filter(|object| {
                    let owner = self.places.get(object).and_then(|p| p.owner.as_ref());
                    owner.is_some_and(|owner| owner.is_at_or_below(apex))
                });
                round.attached.extend(below.cloned());
            }
        }
    }

    pub(super) fn tell_zones(&mut self, round: &mut Round) {
        for key in std::mem::take(&mut round.own) {
            if let Some(zone) = self.zones.get(&key) {
                self.own_problems.insert(key.clone(), zone.own_problems());
            }
            round.zones.insert(key);
        }
        for key in std::mem::take(&mut round.zones) {
            if let Some(report) = self.zone_report(&key) {
                round.tell(zone_object(&key), report);
            }
        }
    }

    fn zone_report(&self, key: &ObjectKey) -> Option<Report> {
        let mut report = self.zone_reports.get(key)?.clone();
        if let Some(zone) = self.zones.get(key) {
            let own = self.own_problems.get(key).into_iter().flatten();
            report.problems.extend(own.cloned());
            let counts = self.contents.counts(&zone.apex);
            report.accepted = format!(
                "own records: {}, RecordSets: {}, PolicyRecords: {}",
                counts.own, counts.record_sets, counts.policy_records
            );
            (report.warnings).extend(zone.unreachable_servers(&self.contents));
        }
        Some(report)
    }
}
