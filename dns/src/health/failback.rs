//! Failback of a node that nobody tells what is held.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use watershed_health::Hold;
use watershed_policy::{Failback, Health};
use watershed_snapshot::{PolicyVersion, RecordFailback, Snapshot};

/// A record with failback, and what it serves.
pub(super) struct Record {
    pub(super) failback: Arc<RecordFailback>,
    pub(super) version: Arc<PolicyVersion>,
}

/// The records with failback that a snapshot serves, each once for each
/// version; a walk along all names.
pub(super) fn records_of(snapshot: &Snapshot) -> Vec<Record> {
    let nodes = snapshot.zones.values().flat_map(|zone| zone.names());
    let bindings = nodes.flat_map(|(_, node)| &node.policies);
    let found = bindings.filter_map(|binding| {
        let failback = binding.failback.as_ref()?;
        let version = Arc::as_ptr(&binding.version).addr();
        let record = Record {
            failback: Arc::clone(failback),
            version: Arc::clone(&binding.version),
        };
        Some(((failback.record.clone(), version), record))
    });
    let distinct: BTreeMap<_, _> = found.collect();
    distinct.into_values().collect()
}

/// Which branches are held: those that the operator named, or those that the
/// node holds itself, from when it was alone until an operator says.
#[derive(Default)]
pub(super) struct Holds {
    records: BTreeMap<String, (Record, Failback)>,
    told: Vec<Hold>,
    /// Whether the node decides itself.
    own: bool,
}

/// The health of a version at this moment.
pub(super) type HealthNow<'a> = &'a dyn Fn(&PolicyVersion) -> Health;

impl Holds {
    /// These are served from now on.
    pub(super) fn follow(&mut self, records: Vec<Record>) {
        let mut before = std::mem::take(&mut self.records);
        for record in records {
            let name = record.failback.record.clone();
            let mode = record.failback.mode;
            let machine = match before.remove(&name) {
                Some((_, mut machine)) => {
                    machine.set_mode(mode);
                    machine
                }
                None => Failback::new(mode),
            };
            self.records.insert(name, (record, machine));
        }
    }

    /// The operator says what is held.
    pub(super) fn told(&mut self, holds: Vec<Hold>) {
        self.told = holds;
        self.own = false;
    }

    /// The node decides from now on, beginning with what was held last and
    /// with this health.
    pub(super) fn begin(&mut self, now: Instant, health: HealthNow<'_>) {
        if self.own {
            return;
        }
        self.own = true;
        for (name, (record, machine)) in &mut self.records {
            let held = self.told.iter().filter(|hold| hold.record == *name);
            let held = held.map(|hold| (hold.rule.clone(), hold.active.clone(), Duration::ZERO));
            let held: Vec<_> = held.collect();
            let policy = &record.version.policy;
            *machine = Failback::new(record.failback.mode);
            machine.restore(policy, now, &held);
            machine.take(now, policy, &health(&record.version));
        }
    }

    /// Takes up the health at this moment; nothing while the operator decides.
    pub(super) fn take(&mut self, now: Instant, health: HealthNow<'_>) {
        if !self.own {
            return;
        }
        for (record, machine) in self.records.values_mut() {
            machine.take(now, &record.version.policy, &health(&record.version));
        }
    }

    /// Lets the clients of a record return; whether there is such a record
    /// and the node decides.
    pub(super) fn release(&mut self, now: Instant, record: &str, health: HealthNow<'_>) -> bool {
        let found = self.records.get_mut(record).filter(|_| self.own);
        let Some((record, machine)) = found else {
            return false;
        };
        machine.release(now, &record.version.policy, &health(&record.version));
        true
    }

    /// What is held by the node's own decision.
    pub(super) fn own(&self) -> Vec<Hold> {
        if self.own { self.all() } else { Vec::new() }
    }

    /// What is held.
    pub(super) fn all(&self) -> Vec<Hold> {
        if !self.own {
            return self.told.clone();
        }
        let records = self.records.iter().flat_map(|(name, (record, machine))| {
            let held = machine.failed_over(&record.version.policy).into_iter();
            held.map(|held| Hold {
                record: name.clone(),
                rule: held.rule,
                active: held.active,
            })
        });
        records.collect()
    }

    /// When time alone changes what is held.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let machines = self.records.values().filter(|_| self.own);
        machines.filter_map(|(_, machine)| machine.deadline()).min()
    }
}
