//! What queries need of health, worked out when something changes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use watershed_health::{Check, Target};
use watershed_policy::{Failback, FailbackMode, Health};
use watershed_snapshot::{Binding, HealthStates, PolicyVersion, Snapshot};

use super::address::ByAddress;
use super::failback::records_of;
use super::verdicts::{Known, Verdicts};

/// What a table is made from.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) by_hand: &'a Arc<HealthStates>,
    pub(crate) verdicts: &'a Arc<Verdicts>,
}

/// Health by policy version and by record. It is good for as long as the
/// snapshot that it was made from is there: versions go by their addresses.
#[derive(Default)]
pub(crate) struct HealthTable {
    /// When it was made, in Unix seconds.
    made: i64,
    versions: HashMap<usize, Arc<VersionHealth>, ByAddress>,
    /// By record: the health of its versions with branches held.
    held: HashMap<String, Vec<(usize, Health)>>,
}

/// Health of a version.
struct VersionHealth {
    /// What it depends on.
    targets: BTreeSet<Target>,
    health: Health,
    /// Seconds until it may change; `None`: it does not by itself.
    soonest: Option<u32>,
}

impl HealthTable {
    /// The table after a change. What the change does not touch is taken over
    /// from this one, which was made from `before`. `now` is in Unix seconds.
    pub(crate) fn after(&self, before: Sources<'_>, sources: Sources<'_>, now: i64) -> Self {
        let kept = self.still_good(before, sources, now);
        let versions = sources.snapshot.versions.iter().map(|version| {
            let known = self.versions.get(&key(version)).filter(|known| {
                let changed = kept.as_ref();
                changed.is_some_and(|changed| known.is_apart_from(changed))
            });
            let health = known.cloned();
            let health = health.unwrap_or_else(|| VersionHealth::new(version, sources, now));
            (key(version), health)
        });
        let versions: HashMap<_, _, _> = versions.collect();
        Self {
            made: now,
            held: held(sources, &versions),
            versions,
        }
    }

    /// Whether a table after this change would be the same as this one.
    pub(crate) fn stays(&self, before: Sources<'_>, sources: Sources<'_>, now: i64) -> bool {
        let holds = [before, sources].map(|sources| sources.verdicts.holds.is_empty());
        let versions = [before, sources].map(|sources| sources.snapshot.versions.as_ptr());
        let changed = || self.still_good(before, sources, now);
        holds == [true, true]
            && versions[0] == versions[1]
            && changed().is_some_and(|changed| changed.is_empty())
    }

    /// The targets that changed; `None` when something changed that any
    /// version may depend on.
    fn still_good<'a>(
        &self,
        before: Sources<'a>,
        sources: Sources<'a>,
        now: i64,
    ) -> Option<BTreeSet<&'a Target>> {
        let (old, new) = (&before.snapshot.checks, &sources.snapshot.checks);
        let expired = old.next_expiry(self.made).is_some_and(|end| end <= now);
        let same = !expired && Arc::ptr_eq(before.by_hand, sources.by_hand) && old == new;
        same.then(|| sources.verdicts.differing(before.verdicts))
    }

    /// The health that a binding is answered by; `None` for one of another
    /// snapshot.
    pub(crate) fn of(&self, binding: &Binding) -> Option<&Health> {
        let version = key(&binding.version);
        let held = || {
            let failback = binding.failback.as_ref()?;
            let versions = self.held.get(failback.record.as_str())?;
            versions.iter().find(|(held, _)| *held == version)
        };
        match held() {
            Some((_, health)) => Some(health),
            None => self.versions.get(&version).map(|version| &version.health),
        }
    }

    /// The TTL of a binding's answers in seconds: where the record gives
    /// limits, the time to the next change of its health within them.
    pub(crate) fn ttl(&self, binding: &Binding) -> u32 {
        let Some((least, greatest)) = binding.ttl_range else {
            return binding.ttl;
        };
        let version = self.versions.get(&key(&binding.version));
        let soonest = version.and_then(|version| version.soonest);
        soonest.unwrap_or(greatest).max(least).min(greatest)
    }
}

impl VersionHealth {
    fn new(version: &PolicyVersion, sources: Sources<'_>, now: i64) -> Arc<Self> {
        let checks = &sources.snapshot.checks;
        let verdict = |target: &Target| sources.verdicts.of(target).healthy;
        let health = version.health(checks, now, &verdict, sources.by_hand);
        let targets = version.targets(checks);
        let soonest = targets.iter().filter_map(|target| {
            let check = checks.get(&target.check)?;
            soonest(check, sources.verdicts.of(target))
        });
        Arc::new(Self {
            health,
            soonest: soonest.min(),
            targets,
        })
    }

    fn is_apart_from(&self, targets: &BTreeSet<&Target>) -> bool {
        if targets.len() < self.targets.len() {
            !targets.iter().any(|target| self.targets.contains(*target))
        } else {
            !self.targets.iter().any(|target| targets.contains(target))
        }
    }
}

/// In how many seconds the verdict on a target may be another; at least 1.
fn soonest(check: &Check, known: Known) -> Option<u32> {
    if check
        .forced
        .as_ref()
        .is_some_and(|forced| forced.until.is_none())
    {
        return None;
    }
    let results = match (known.changing, known.healthy) {
        (true, _) => 1,
        (false, Some(true)) => check.failure_threshold,
        (false, Some(false)) => check.success_threshold,
        (false, None) => check.failure_threshold.min(check.success_threshold),
    };
    let soonest = check.interval.saturating_mul(results.max(1));
    Some(u32::try_from(soonest.as_secs()).unwrap_or(u32::MAX).max(1))
}

/// The health of the records of which branches are held.
fn held(
    sources: Sources<'_>,
    versions: &HashMap<usize, Arc<VersionHealth>, ByAddress>,
) -> HashMap<String, Vec<(usize, Health)>> {
    let mut table: HashMap<String, Vec<(usize, Health)>> = HashMap::new();
    if sources.verdicts.holds.is_empty() {
        // Nearly always. Finding the records takes a walk along all names.
        return table;
    }
    for record in records_of(sources.snapshot) {
        let holds = sources.verdicts.holds.iter();
        let holds = holds.filter(|hold| hold.record == record.failback.record);
        let holds = holds.map(|hold| (hold.rule.clone(), hold.active.clone(), Duration::ZERO));
        let holds: Vec<_> = holds.collect();
        let version = key(&record.version);
        let (false, Some(known)) = (holds.is_empty(), versions.get(&version)) else {
            continue;
        };
        let policy = &record.version.policy;
        let mut failback = Failback::new(FailbackMode::Manual);
        failback.restore(policy, Instant::now(), &holds);
        let mut health = known.health.clone();
        failback.apply(policy, &mut health);
        let held = table.entry(record.failback.record.clone()).or_default();
        held.push((version, health));
    }
    table
}

fn key(version: &Arc<PolicyVersion>) -> usize {
    Arc::as_ptr(version).addr()
}
