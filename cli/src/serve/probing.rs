//! Health by probes: the one checker of a server without a fleet.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use watershed_compile::{ObjectKey, Table};
use watershed_crd::health_check::HealthCheckSpec;
use watershed_dns::Node;
use watershed_dns::health::{HealthAgent, HealthHandle, HealthOptions, TargetView};
use watershed_health::{Address, ProbeKind, State, Target};
use watershed_probe::Allowed;
use watershed_snapshot::{HealthStates, Snapshot};

use super::ServeArgs;
use super::manifests::Manifests;
use crate::failback::ANNOTATION;
use crate::health::report::{Health, HeldRule, Report, TargetHealth};

/// The option that allows more addresses, in the words of the prober.
const ALLOWING: &str = "--probe-allow";

/// Probes, or the absence of them.
pub(super) struct Probing {
    node: Node,
    agent: Option<HealthHandle>,
    allowed: Allowed,
    /// The values by which records were released last.
    released: BTreeMap<String, String>,
    /// What was logged of targets.
    states: BTreeMap<Target, State>,
    said: BTreeSet<String>,
    /// What `watershed health` was told last.
    reported: Option<Report>,
}

/// Tells when something about health changed.
pub(super) struct Changed(Option<watch::Receiver<u64>>);

impl Changed {
    /// Waits for the next change; for ever when nothing is probed.
    pub(super) async fn next(&mut self) {
        if let Some(changes) = &mut self.0
            && changes.changed().await.is_ok()
        {
            return;
        }
        pending::<()>().await;
    }
}

impl Probing {
    /// Begins to probe, unless the arguments say otherwise.
    ///
    /// # Errors
    /// When the certificates of authorities cannot be read.
    pub(super) fn start(args: &ServeArgs, node: &Node) -> anyhow::Result<Self> {
        let allowed = Allowed::new(args.probe_allow.clone());
        let agent = if args.no_probes {
            None
        } else {
            let options = HealthOptions {
                allowed: allowed.clone(),
                authorities: authorities(args)?,
                ..HealthOptions::alone("serve")
            };
            let agent = HealthAgent::start(node, &options);
            Some(agent.map_err(|error| anyhow!("probes cannot be made: {error}"))?)
        };
        Ok(Self {
            node: node.clone(),
            agent,
            allowed,
            released: BTreeMap::new(),
            states: BTreeMap::new(),
            said: BTreeSet::new(),
            reported: None,
        })
    }

    /// Tells when there is something to look at.
    pub(super) fn changed(&self) -> Changed {
        Changed(self.agent.as_ref().map(HealthHandle::changed))
    }

    /// Probes what this snapshot asks for.
    pub(super) fn follow(&self, snapshot: &Arc<Snapshot>) {
        if let Some(agent) = &self.agent {
            agent.follow(snapshot);
        }
    }

    /// What is unhealthy by hand.
    pub(super) fn set_health(&self, states: HealthStates) {
        match &self.agent {
            Some(agent) => agent.set_health(states),
            None => self.node.set_health(states),
        }
    }

    /// Lets the clients of records return whose annotation has a new value.
    pub(super) fn release(&mut self, manifests: &Manifests) {
        let records = manifests
            .values()
            .filter(|(of, _)| of.kind == "PolicyRecord");
        for (identity, manifest) in records {
            let annotations = manifest.pointer("/metadata/annotations");
            let value = annotations.and_then(|annotations| annotations.get(ANNOTATION));
            let Some(value) = value.and_then(serde_json::Value::as_str) else {
                continue;
            };
            let record = format!("{}/{}", identity.namespace, identity.name);
            let before = self.released.insert(record.clone(), value.to_owned());
            if before.as_deref() == Some(value) {
                continue;
            }
            let Some(agent) = &self.agent else { continue };
            let is_held = agent.holds().iter().any(|hold| hold.record == record);
            if agent.release(&record) && is_held {
                tracing::info!(annotation = value, "the clients of {record} return");
            }
        }
    }

    /// Logs what is new, and gives what `watershed health` is to be told if
    /// that differs from before.
    pub(super) fn look(&mut self, checks: &Table<HealthCheckSpec>) -> Option<Report> {
        let agent = self.agent.as_ref()?;
        let (views, holds) = (agent.view(), agent.holds());
        self.log(&views);
        let now = (Timestamp::now(), Instant::now());
        let held = holds.into_iter().map(|hold| HeldRule {
            record: hold.record,
            rule: hold.rule,
            active: hold.active,
            preferred: None,
            since: None,
            returns_at: None,
        });
        let report = Report {
            targets: targets(&views, checks, now),
            failover: held.collect(),
            ..Report::new(now.0)
        };
        let differs = |before: &Report| {
            (&before.targets, &before.failover) != (&report.targets, &report.failover)
        };
        if !self.reported.as_ref().is_none_or(differs) {
            return None;
        }
        self.reported = Some(report.clone());
        Some(report)
    }

    fn log(&mut self, views: &[TargetView]) {
        for view in views {
            self.log_once(view);
            let before = self.states.insert(view.target.clone(), view.state);
            if before.unwrap_or_default() == view.state {
                continue;
            }
            let (target, said) = (&view.target, &view.message);
            match view.state {
                State::Unhealthy => tracing::warn!("{target} is unhealthy: {said}"),
                State::Healthy => tracing::info!("{target} is healthy: {said}"),
                State::Unknown => tracing::info!("{target} is not known: {said}"),
            }
        }
        let targets: BTreeSet<&Target> = views.iter().map(|view| &view.target).collect();
        self.states.retain(|target, _| targets.contains(target));
    }

    /// What a target says once: that it is not probed, and why.
    fn log_once(&mut self, view: &TargetView) {
        let target = &view.target;
        let line = if matches!(view.check.kind, ProbeKind::EndpointSlices(_)) {
            let check = &target.check;
            format!("{check} follows a Service of a cluster, and counts as healthy here")
        } else if let Some(reason) = self.forbidden(view) {
            format!("{target} is not probed, and counts as healthy: {reason}")
        } else {
            return;
        };
        if self.said.insert(line.clone()) {
            tracing::warn!("{line}");
        }
    }

    fn forbidden(&self, view: &TargetView) -> Option<String> {
        if let Some(Address::Ip(address)) = &view.target.address {
            return self.allowed.check(*address).err().map(|why| why.0);
        }
        // What a host name leads to is known to the prober alone, which says
        // what would allow it.
        let is_forbidden = view.state == State::Unknown && view.message.contains(ALLOWING);
        is_forbidden.then(|| view.message.clone())
    }
}

/// Certificates of authorities besides the public ones.
fn authorities(args: &ServeArgs) -> anyhow::Result<Vec<u8>> {
    let Some(path) = &args.probe_ca else {
        return Ok(Vec::new());
    };
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// All targets, and the checks that have none.
fn targets(
    views: &[TargetView],
    checks: &Table<HealthCheckSpec>,
    now: (Timestamp, Instant),
) -> Vec<TargetHealth> {
    let mut targets: Vec<TargetHealth> = views.iter().map(|view| target(view, now)).collect();
    for key in checks.keys().map(ToString::to_string) {
        if !targets.iter().any(|target| target.check == key) {
            targets.push(TargetHealth::new(&key, None));
        }
    }
    let spec = |id: &str| {
        let (namespace, name) = id.split_once('/')?;
        checks.get(&ObjectKey::new(namespace, name))
    };
    let with_spec = targets.into_iter().map(|target| match spec(&target.check) {
        Some(check) => target.as_checked(&check.spec, now.0),
        None => target,
    });
    let mut targets: Vec<TargetHealth> = with_spec.collect();
    targets.sort_by(|a, b| (&a.check, &a.target).cmp(&(&b.check, &b.target)));
    targets
}

fn target(view: &TargetView, (now, instant): (Timestamp, Instant)) -> TargetHealth {
    let since = view.since.map(|since| {
        let age = instant.saturating_duration_since(since);
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::ZERO);
        now.checked_sub(age).unwrap_or(now)
    });
    let expires = view.certificate_expires;
    let address = view.target.address.as_ref().map(ToString::to_string);
    let known = view.state != State::Unknown;
    TargetHealth {
        health: Some(match view.state {
            State::Healthy => Health::Healthy,
            State::Unhealthy => Health::Unhealthy,
            State::Unknown => Health::Unknown,
        }),
        since: since.map(|since| Time(whole(since))),
        healthy_checkers: Some(u32::from(view.state == State::Healthy)),
        total_checkers: Some(u32::from(known)),
        last_result: (!view.message.is_empty()).then(|| view.message.clone()),
        certificate_expires: expires.and_then(|at| Timestamp::from_second(at).ok().map(Time)),
        ..TargetHealth::new(&view.target.check, address)
    }
}

/// In whole seconds: what is computed from an age differs a little each time.
fn whole(time: Timestamp) -> Timestamp {
    let rounded = time.round(k8s_openapi::jiff::Unit::Second);
    rounded.unwrap_or(time)
}
