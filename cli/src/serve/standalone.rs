//! The control loop of one machine: what the operator does in a cluster.
//!
//! Every look reads the inputs anew and makes the same of them whatever came
//! before, but for two things that must not be forgotten: minted versions,
//! and what was served last.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use watershed_compile::mint::{self, Mint, NewVersion};
use watershed_compile::{Compiled, Kind, Object, ObjectKey, Previous, Resources, compile};
use watershed_crd::TrafficPolicyVersion;
use watershed_crd::policy_record::PolicyRecordSpec;
use watershed_dns::{Hostnames, Node};
use watershed_snapshot::Snapshot;

use super::inputs::Inputs;
use super::log::Log;
use super::manifests::Manifests;
use super::state_dir::{Numbers, StateDir};
use super::{ServeArgs, objects};

/// The control loop.
pub(super) struct Standalone {
    directory: PathBuf,
    inputs: Inputs,
    state: StateDir,
    node: Node,
    manifests: Manifests,
    minted: Vec<TrafficPolicyVersion>,
    numbers: Numbers,
    previous: Previous,
    serial: u32,
    snapshot: Arc<Snapshot>,
    log: Log,
    hostnames: Hostnames,
    started: bool,
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
    ) -> anyhow::Result<Self> {
        let mut inputs = Inputs::new(args);
        inputs.start(&node)?;
        tracing::info!(path = %state.path().display(), "keeping state");
        let hostnames = Hostnames::start(&node);
        let served: Served = state.served()?.unwrap_or_default();
        let mut standalone = Self {
            minted: state.versions()?,
            numbers: state.numbers()?,
            directory,
            inputs,
            state,
            node,
            manifests: served.manifests,
            previous: Previous::none(),
            serial: served.serial,
            snapshot: Arc::default(),
            log: Log::default(),
            hostnames,
            started: false,
        };
        standalone.recall(&served.versions);
        Ok(standalone)
    }

    /// Compiles what was served last, so that what is broken now keeps it.
    fn recall(&mut self, versions: &BTreeMap<String, u32>) {
        let mut resources = self.resources();
        resources.policy_records.retain(|key, record| {
            let served = versions.get(&key.to_string());
            record.spec.channel = None;
            record.spec.digest = None;
            record.spec.paused = false;
            record.spec.version = served.and_then(|number| i32::try_from(*number).ok());
            served.is_some()
        });
        self.previous = compile(&resources, &Previous::none(), self.serial).previous;
    }

    /// What is served.
    pub(super) fn served(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Takes up what changed since the last look.
    pub(super) fn look(&mut self) {
        self.inputs.look(&self.node);
        let reading = self.manifests.read(&self.directory);
        self.log.reading(&reading);
        if self.started && reading.manifests == self.manifests {
            return;
        }
        self.started = true;
        self.manifests = reading.manifests;
        let mut resources = self.resources();
        self.mint(&mut resources);
        self.serial = next_serial(self.serial);
        let compiled = compile(&resources, &self.previous, self.serial);
        self.publish(&compiled);
        self.log.verdicts(&compiled.verdicts);
        self.prune(&resources, &compiled);
        self.keep(&compiled);
        self.previous = compiled.previous;
    }

    /// All objects: those of the directory, and minted versions.
    fn resources(&self) -> Resources {
        let mut resources = Resources::new();
        for (policy, number) in &self.numbers {
            if let (Some((namespace, name)), Ok(number)) =
                (policy.split_once('/'), u32::try_from(*number))
            {
                resources.note_number(&ObjectKey::new(namespace, name), number);
            }
        }
        for version in &self.minted {
            resources.apply(version.clone());
        }
        for (identity, manifest) in self.manifests.values() {
            match objects::typed(&identity.kind, manifest) {
                Ok(Some(resource)) => {
                    resources.apply(resource);
                }
                Ok(None) => {}
                Err(error) => tracing::error!("{identity}: {error}"),
            }
        }
        resources
    }

    fn mint(&mut self, resources: &mut Resources) {
        for (policy, mint) in mint::plan(resources) {
            let Mint::Make(new) = mint else { continue };
            match self.mint_one(&policy, *new) {
                Ok(version) => {
                    tracing::info!(
                        version = version.spec.version,
                        "minted a version of {policy}"
                    );
                    resources.apply(version.clone());
                    self.minted.push(version);
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

    fn publish(&mut self, compiled: &Compiled) {
        self.snapshot = Arc::new(compiled.snapshot.clone());
        self.node.publish(Arc::clone(&self.snapshot));
        self.hostnames.follow(&self.snapshot);
    }

    /// Removes minted versions beyond the history limit of their policy.
    fn prune(&mut self, resources: &Resources, compiled: &Compiled) {
        for (key, policy) in &resources.traffic_policies {
            let in_use = versions_in_use(resources, compiled, key);
            for number in mint::prune(resources, policy, &in_use) {
                self.forget(key, number);
            }
        }
    }

    fn forget(&mut self, policy: &ObjectKey, number: u32) {
        let gone = |version: &mut TrafficPolicyVersion| {
            version.metadata.namespace.as_ref() == Some(&policy.namespace)
                && version.spec.policy_name == policy.name
                && u32::try_from(version.spec.version) == Ok(number)
        };
        for version in self.minted.extract_if(.., gone) {
            if let Err(error) = self.state.forget_version(&version) {
                tracing::warn!("{error:#}");
            } else {
                tracing::info!(number, "forgot a version of {policy} that nothing uses");
            }
        }
    }

    fn keep(&self, compiled: &Compiled) {
        let records = compiled.verdicts.iter().filter_map(|verdict| {
            let version = verdict.serving.as_ref()?.version;
            (verdict.object.kind == Kind::PolicyRecord)
                .then(|| (verdict.object.key.to_string(), version))
        });
        let served = Served {
            serial: self.serial,
            manifests: self.manifests.clone(),
            versions: records.collect(),
        };
        if let Err(error) = self.state.keep_served(&served) {
            tracing::error!("{error:#}: a server started anew may not know what is served now");
        }
    }
}

/// Versions of a policy that records serve or ask for.
fn versions_in_use(
    resources: &Resources,
    compiled: &Compiled,
    policy: &ObjectKey,
) -> BTreeSet<u32> {
    let served = compiled.verdicts.iter().filter_map(|verdict| {
        let record = resources.policy_records.get(&verdict.object.key)?;
        (verdict.object.kind == Kind::PolicyRecord && policy_of(record) == *policy)
            .then_some(verdict.serving.as_ref()?.version)
    });
    let records = resources.policy_records.values();
    let asked = records.filter(|record| policy_of(record) == *policy);
    let asked = asked.filter_map(|record| u32::try_from(record.spec.version?).ok());
    served.chain(asked).collect()
}

fn policy_of(record: &Object<PolicyRecordSpec>) -> ObjectKey {
    let reference = &record.spec.policy_ref;
    let namespace = reference
        .namespace
        .as_ref()
        .unwrap_or(&record.key.namespace);
    ObjectKey::new(namespace, &reference.name)
}

/// The time in seconds, or one more than before: serials only grow, also
/// across restarts (RFC 1982 has them wrap around; this one will not before
/// 2106).
fn next_serial(before: u32) -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
    now.max(before.wrapping_add(1))
}
