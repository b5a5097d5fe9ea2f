//! Policies: which versions to make and to remove, and what to say of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use watershed_compile::mint::{self, Mint, NewVersion, Refusal};
use watershed_compile::{Object, ObjectKey, digest, version_key};
use watershed_crd::policy_record::PolicyRecordStatus;
use watershed_crd::traffic_policy::{TrafficPolicySpec, TrafficPolicyStatus, VersionCounts};
use watershed_crd::traffic_policy_version::Origin;

use super::{Configuration, Deletion, Minted, Notice, Planner, Write};
use crate::object::{ObjectId, ObjectKind};
use crate::status::{self, PolicyInput, count};
use crate::world::{Facts, Owner};

/// When a version that could not be made is tried again, should nothing change
/// before.
const TRY_AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// A channel: the number of its version, and the digest where there is one.
type Channel = (u32, Option<String>);

impl<'a> Planner<'a> {
    pub(super) fn traffic_policy(&mut self, id: &ObjectId, facts: &'a Facts) {
        let compiler = &self.world.compiler;
        let records = compiler.records_of_policy(&id.key);
        self.configure(id, facts, !records.is_empty());
        let Some(look) = self.look::<TrafficPolicyStatus>(id, facts) else {
            return;
        };
        let resources = compiler.resources();
        let Some(policy) = resources.traffic_policies.get(&id.key) else {
            return;
        };
        let mint = mint::plan_one(resources, policy);
        let minted = match &mint {
            Mint::Holds(number) => Some(*number),
            _ => None,
        };
        let refusal = self.make(id, facts, &mint);
        if !facts.deleting {
            self.prune(policy);
        }
        let found = status::traffic_policy(&PolicyInput {
            before: &look.before,
            generation: facts.generation,
            deleting: facts.deleting,
            verdict: &look.verdict,
            fault: look.fault,
            refusal: refusal.as_deref(),
            minted,
            latest: compiler.latest(&id.key),
            highest: resources.highest_number(&id.key),
            digest: policy.spec.document.as_ref().map(|d| digest(d).to_string()),
            channels: self.channels(policy),
            versions: self.versions(&id.key),
            records,
            now: self.now,
        });
        self.settle(id, facts, (&look.before, found), |s| &s.conditions, None);
    }

    /// Makes the version of a policy's document, if there is one to be made;
    /// why the last attempt failed.
    fn make(&mut self, id: &ObjectId, facts: &Facts, mint: &Mint) -> Option<String> {
        let version = match mint {
            Mint::Make(version) if !facts.deleting => version,
            Mint::Refused(refusal @ Refusal::NumbersExhausted) => return Some(refusal.explain().1),
            _ => return None,
        };
        let made = ObjectId::new(ObjectKind::TrafficPolicyVersion, version.key.clone());
        let pending = &self.world.pending;
        if pending.configuration(&made).is_some() {
            return None;
        }
        if let Some((refusal, since)) = pending.refusal(&made) {
            let refusal = refusal.to_owned();
            let again = since.saturating_add(TRY_AGAIN).unwrap_or(Timestamp::MAX);
            if self.now < again {
                self.plan.again.insert(id.clone(), again);
                return Some(refusal);
            }
        }
        if let Some(write) = new_version(id, facts, version, made) {
            self.plan.writes.push(Write::Configuration(write));
        }
        None
    }

    /// Removes minted versions beyond the limit.
    fn prune(&mut self, policy: &Object<TrafficPolicySpec>) {
        let compiler = &self.world.compiler;
        let mut in_use = compiler.versions_in_use(&policy.key);
        // Histories are only looked through when something would go.
        if mint::prune(compiler.resources(), policy, &in_use).is_empty() {
            return;
        }
        in_use.extend(self.in_histories(&policy.key));
        for number in mint::prune(compiler.resources(), policy, &in_use) {
            let key = version_key(&policy.key, number);
            let id = ObjectId::new(ObjectKind::TrafficPolicyVersion, key);
            let Some(facts) = self.world.objects.get(&id) else {
                continue;
            };
            // What was just taken over by somebody else is theirs.
            if facts.minted && facts.managers.is_empty() && !facts.deleting {
                let uid = facts.uid.clone();
                self.plan.writes.push(Write::Deletion(Deletion { id, uid }));
            }
        }
    }

    /// Versions that records may go back to.
    fn in_histories(&self, policy: &ObjectKey) -> BTreeSet<u32> {
        let records = self.world.compiler.resources().policy_records.values();
        let records = records.filter(|record| {
            let reference = &record.spec.policy_ref;
            let namespace = reference
                .namespace
                .as_ref()
                .unwrap_or(&record.key.namespace);
            *namespace == policy.namespace && reference.name == policy.name
        });
        let ids = records.map(|record| ObjectId::new(ObjectKind::PolicyRecord, record.key.clone()));
        let histories = ids.filter_map(|id| {
            let status: PolicyRecordStatus = self.before(&id, self.world.objects.get(&id)?);
            Some(status.history)
        });
        let numbers = histories.flatten().map(|served| served.version);
        numbers
            .filter_map(|number| u32::try_from(number).ok())
            .collect()
    }

    fn channels(&self, policy: &Object<TrafficPolicySpec>) -> BTreeMap<String, Channel> {
        let resources = self.world.compiler.resources();
        let channel = |number: u32| {
            let version = resources.version(&policy.key, number);
            (
                number,
                version.map(|version| version.spec.digest.to_string()),
            )
        };
        let named = policy.spec.channels.iter();
        let named = named.filter_map(|(name, number)| {
            Some((name.clone(), channel(u32::try_from(*number).ok()?)))
        });
        let latest = self.world.compiler.latest(&policy.key);
        let latest = latest.map(|number| ("latest".to_owned(), channel(number)));
        named.chain(latest).collect()
    }

    fn versions(&self, policy: &ObjectKey) -> VersionCounts {
        let compiler = &self.world.compiler;
        let versions = compiler.resources().versions_of(policy);
        let origins: Vec<Origin> = versions.map(|(_, version)| version.spec.origin).collect();
        let of = |origin| count(origins.iter().filter(|other| **other == origin).count());
        let used = compiler.versions_in_use(policy).into_iter();
        let used = used.filter(|number| compiler.resources().version(policy, *number).is_some());
        VersionCounts {
            total: count(origins.len()),
            minted: of(Origin::Minted),
            authored: of(Origin::Authored),
            in_use: count(used.count()),
        }
    }
}

fn new_version(
    policy: &ObjectId,
    facts: &Facts,
    version: &NewVersion,
    id: ObjectId,
) -> Option<Configuration> {
    let note = format!(
        "made version {} of generation {}",
        version.spec.version, facts.generation
    );
    let owner = Owner {
        name: policy.key.name.clone(),
        uid: facts.uid.clone(),
    };
    Some(Configuration {
        id,
        uid: None,
        in_use: false,
        minted: Some(Minted {
            owner: Some(owner),
            spec: serde_json::to_value(&version.spec).ok()?,
        }),
        notice: Some((
            policy.clone(),
            facts.uid.clone(),
            Notice::normal("Minted", note),
        )),
    })
}
