//! From verdicts on targets to the health of endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::check::{Calculated, Check, ProbeKind};
use crate::target::{Address, Target};

/// All checks, by id (`namespace/name`). A clone is cheap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checks(Arc<BTreeMap<String, Arc<Check>>>);

impl FromIterator<(String, Arc<Check>)> for Checks {
    fn from_iter<I: IntoIterator<Item = (String, Arc<Check>)>>(checks: I) -> Self {
        Self(Arc::new(checks.into_iter().collect()))
    }
}

impl Checks {
    /// The check of that id.
    pub fn get(&self, id: &str) -> Option<&Arc<Check>> {
        self.0.get(id)
    }

    /// All, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Arc<Check>)> {
        self.0.iter()
    }

    /// The targets that `id` has at an endpoint with these addresses: the
    /// check's own address if it has one, else each of the endpoint's; of a
    /// calculated check those of its members. None for a check that does not
    /// exist, is disabled, or needs an address and gets none.
    pub fn targets(&self, id: &str, addresses: &[Address]) -> Vec<Target> {
        let Some(check) = self.get(id).filter(|check| !check.disabled) else {
            return Vec::new();
        };
        match &check.kind {
            ProbeKind::Calculated(calculated) => {
                let members = self.members(calculated);
                let targets = members.filter_map(|(id, member)| {
                    let member = member.filter(|member| !member.disabled)?;
                    Some(own_targets(id, member, addresses))
                });
                targets.flatten().collect()
            }
            _ => own_targets(id, check, addresses),
        }
    }

    /// Whether an endpoint with these addresses is healthy by the check `id`,
    /// at a time in Unix seconds. `verdict` tells of a target whether it is
    /// healthy, `None` while nothing is known, which counts as healthy before
    /// inversion.
    ///
    /// - A check that does not exist says healthy.
    /// - A forced check says what it is forced to, also when inverted.
    /// - A disabled check says healthy, or unhealthy when inverted.
    /// - Of several addresses one healthy target is enough; a check without
    ///   any target says healthy before inversion.
    /// - A calculated check counts its members at the same endpoint; more
    ///   demanded than there are: unhealthy. A member that is calculated
    ///   counts as healthy.
    pub fn is_healthy(
        &self,
        id: &str,
        addresses: &[Address],
        now: i64,
        verdict: &dyn Fn(&Target) -> Option<bool>,
    ) -> bool {
        let Some(check) = self.get(id) else {
            return true;
        };
        let ProbeKind::Calculated(calculated) = &check.kind else {
            return by_targets(id, check, addresses, now, verdict);
        };
        by_hand(check, now)
            .unwrap_or_else(|| self.count(calculated, addresses, now, verdict) != check.inverted)
    }

    /// When, in Unix seconds, the next forced verdict ends after `now`.
    pub fn next_expiry(&self, now: i64) -> Option<i64> {
        let forced = self.0.values().filter_map(|check| check.forced.as_ref());
        forced
            .filter_map(|forced| forced.until)
            .filter(|until| *until > now)
            .min()
    }

    /// Whether enough members of a calculated check are healthy.
    fn count(
        &self,
        calculated: &Calculated,
        addresses: &[Address],
        now: i64,
        verdict: &dyn Fn(&Target) -> Option<bool>,
    ) -> bool {
        let is_healthy = |id: &str| match self.get(id) {
            Some(member) if !matches!(member.kind, ProbeKind::Calculated(_)) => {
                by_targets(id, member, addresses, now, verdict)
            }
            // Missing, or calculated itself, which is not allowed.
            _ => true,
        };
        let mut must = calculated.must_be_healthy.iter();
        let members: BTreeSet<&String> = calculated.members.iter().collect();
        let healthy = members.into_iter().filter(|id| is_healthy(id)).count();
        let enough = u32::try_from(healthy).unwrap_or(u32::MAX) >= calculated.min_healthy;
        enough && must.all(|id| is_healthy(id))
    }

    /// The members of a calculated check that are not calculated, each once.
    fn members<'a>(
        &'a self,
        calculated: &'a Calculated,
    ) -> impl Iterator<Item = (&'a str, Option<&'a Arc<Check>>)> {
        let ids = calculated.members.iter().chain(&calculated.must_be_healthy);
        let ids: BTreeSet<&str> = ids.map(String::as_str).collect();
        let members = ids.into_iter().map(|id| (id, self.get(id)));
        members.filter(|(_, member)| {
            member.is_none_or(|member| !matches!(member.kind, ProbeKind::Calculated(_)))
        })
    }
}

/// What a check says without looking: forced or disabled.
fn by_hand(check: &Check, now: i64) -> Option<bool> {
    let forced = check.forced.as_ref().filter(|f| f.is_in_force(now));
    let disabled = check.disabled.then_some(!check.inverted);
    forced.map(|forced| forced.healthy).or(disabled)
}

/// What a check that is not calculated says at these addresses.
fn by_targets(
    id: &str,
    check: &Check,
    addresses: &[Address],
    now: i64,
    verdict: &dyn Fn(&Target) -> Option<bool>,
) -> bool {
    if let Some(healthy) = by_hand(check, now) {
        return healthy;
    }
    let targets = own_targets(id, check, addresses);
    let healthy = targets.is_empty() || targets.iter().any(|t| verdict(t).unwrap_or(true));
    healthy != check.inverted
}

/// The targets of a check that is not calculated, each once.
fn own_targets(id: &str, check: &Check, addresses: &[Address]) -> Vec<Target> {
    let places: Vec<Option<&Address>> = match (&check.kind, &check.address) {
        (ProbeKind::Prometheus(_) | ProbeKind::EndpointSlices(_), _) => vec![None],
        (_, Some(own)) => vec![Some(own)],
        (_, None) => {
            let distinct: BTreeSet<&Address> = addresses.iter().collect();
            distinct.into_iter().map(Some).collect()
        }
    };
    let targets = places.into_iter().map(|address| Target {
        check: id.to_owned(),
        address: address.cloned(),
    });
    targets.collect()
}
