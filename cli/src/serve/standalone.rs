//! The control loop of one machine: what the operator does in a cluster.
//!
//! Every look reads the directory anew and compiles what changed in it. Two
//! things must not be forgotten at the end: minted versions, and what was
//! served last.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use watershed_compile::mint::{self, Mint, NewVersion};
use watershed_compile::{Changes, Kind, ObjectKey, Verdict, version_key};
use watershed_crd::TrafficPolicyVersion;
use watershed_dns::{Hostnames, Node};
use watershed_snapshot::{Assembly, Snapshot};

use super::inputs::Inputs;
use super::log::Log;
use super::manifests::Manifests;
use super::probing::Probing;
use super::state_dir::{Numbers, StateDir};
use super::world::World;
use super::{ServeArgs, objects};

/// The control loop.
pub(super) struct Standalone {
    directory: PathBuf,
    inputs: Inputs,
    state: StateDir,
    node: Node,
    world: World,
    numbers: Numbers,
    assembly: Assembly,
    serial: u32,
    log: Log,
    hostnames: Hostnames,
    probing: Probing,
}

/// What was served last, for the next start.
#[derive(Default, Deserialize, Serialize)]
struct Served {
    serial: u32,
    /// The objects in their last good form.
    manifests: Manifests,
    /// The version that each record served, by `namespace/name`.
    versions: BTreeMap<String, u32>,
}

impl Standalone {
    /// Takes up where the last server on this state stopped.
    ///
    /// # Errors
    /// When a file that was named, or the state, cannot be used.
    pub(super) fn new(
        args: &ServeArgs,
        directory: PathBuf,
        state: StateDir,
        node: Node,
        probing: Probing,
    ) -> anyhow::Result<Self> {
        let mut inputs = Inputs::new(args);
        inputs.start(&node, &probing)?;
        tracing::info!(path = %state.path().display(), "keeping state");
        // What the last server found need not be so any more.
        state.forget_health();
        let hostnames = Hostnames::start(&node);
        let served: Served = state.served()?.unwrap_or_default();
        let numbers = state.numbers()?;
        let mut standalone = Self {
            world: World::new(state.versions()?, &numbers),
            numbers,
            directory,
            inputs,
            state,
            node,
            assembly: Assembly::new(),
            serial: served.serial,
            log: Log::default(),
            hostnames,
            probing,
        };
        // What was served last is compiled, so that what is broken now keeps
        // it; but nobody is served before the directory has been read.
        (standalone.world).recall(served.manifests, &served.versions);
        let changes = standalone.world.compiler.compile(standalone.serial);
        standalone.assemble(changes);
        Ok(standalone)
    }

    /// What is served.
    pub(super) fn served(&self) -> &Snapshot {
        self.assembly.snapshot()
    }

    /// Takes up what changed since the last look.
    pub(super) fn look(&mut self) {
        self.inputs.look(&self.node, &self.probing);
        let reading = self.world.manifests().read(&self.directory);
        self.log.reading(&reading);
        if !self.world.take(reading.manifests) {
            return;
        }
        self.mint();
        self.serial = next_serial(self.serial);
        let changes = self.world.compiler.compile(self.serial);
        let policies = self.assemble(changes);
        self.publish();
        let verdicts: Vec<&Verdict> = self.world.compiler.verdicts().collect();
        self.log.verdicts(&verdicts);
        self.prune(&policies);
        self.keep();
        self.probing.release(self.world.manifests());
        self.look_at_health();
    }

    /// Takes up what probes found since the last look.
    pub(super) fn look_at_health(&mut self) {
        let checks = &self.world.compiler.resources().health_checks;
        let Some(report) = self.probing.look(checks) else {
            return;
        };
        if let Err(error) = self.state.keep_health(&report) {
            tracing::warn!("{error:#}: `watershed health` does not know what changed");
        }
    }

    /// Adds what was compiled to what is served. Gives the policies that may
    /// have versions to remove.
    fn assemble(&mut self, changes: Changes) -> Vec<ObjectKey> {
        match self.assembly.apply(changes.resources) {
            Ok(assembly) => self.assembly = assembly,
            // Resources of one compiler never contradict each other.
            Err(faults) => {
                for fault in faults {
                    tracing::error!("{}: {}", fault.resource, fault.message);
                }
            }
        }
        changes.policies
    }

    fn mint(&mut self) {
        for (policy, mint) in mint::plan(self.world.compiler.resources()) {
            let Mint::Make(new) = mint else { continue };
            match self.mint_one(&policy, *new) {
                Ok(version) => {
                    tracing::info!(
                        version = version.spec.version,
                        "minted a version of {policy}"
                    );
                    self.world.mint(version);
                }
                // What is not kept is not served: its number would be given
                // to another document at the next start.
                Err(error) => tracing::error!("no version of {policy} minted: {error:#}"),
            }
        }
    }

    fn mint_one(
        &mut self,
        policy: &ObjectKey,
        new: NewVersion,
    ) -> anyhow::Result<TrafficPolicyVersion> {
        let version = objects::minted(new);
        let mut numbers = self.numbers.clone();
        numbers.insert(policy.to_string(), version.spec.version);
        self.state.keep_numbers(&numbers)?;
        self.state.keep_version(&version)?;
        self.numbers = numbers;
        Ok(version)
    }

    fn publish(&mut self) {
        let snapshot = self.assembly.snapshot();
        self.node.publish(Arc::clone(snapshot));
        self.hostnames.follow(snapshot);
        self.probing.follow(snapshot);
    }

    /// Removes minted versions beyond the history limit of their policy.
    fn prune(&mut self, policies: &[ObjectKey]) {
        for key in policies {
            let compiler = &self.world.compiler;
            let resources = compiler.resources();
            let Some(policy) = resources.traffic_policies.get(key) else {
                continue;
            };
            let in_use = compiler.versions_in_use(key);
            for number in mint::prune(resources, policy, &in_use) {
                self.forget(key, number);
            }
        }
    }

    fn forget(&mut self, policy: &ObjectKey, number: u32) {
        let key = version_key(policy, number);
        let Some(version) = self.world.minted(&key) else {
            return;
        };
        if let Err(error) = self.state.forget_version(version) {
            tracing::warn!("{error:#}");
        } else {
            tracing::info!(number, "forgot a version of {policy} that nothing uses");
        }
        self.world.forget(&key);
    }

    fn keep(&self) {
        let records = self.world.compiler.verdicts().filter_map(|verdict| {
            let version = verdict.serving.as_ref()?.version;
            (verdict.object.kind == Kind::PolicyRecord)
                .then(|| (verdict.object.key.to_string(), version))
        });
        let served = Served {
            serial: self.serial,
            manifests: self.world.manifests().clone(),
            versions: records.collect(),
        };
        if let Err(error) = self.state.keep_served(&served) {
            tracing::error!("{error:#}: a server started anew may not know what is served now");
        }
    }
}

/// The time in seconds, or one more than before: serials only grow, also
/// across restarts (RFC 1982 has them wrap around; this one will not before
/// 2106).
fn next_serial(before: u32) -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
    now.max(before.wrapping_add(1))
}
