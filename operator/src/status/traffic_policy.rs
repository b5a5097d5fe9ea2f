//! Status of a `TrafficPolicy`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use watershed_compile::{ConditionType, Verdict};
use watershed_crd::traffic_policy::{
    ChannelStatus, RecordCounts, TrafficPolicyStatus, VersionCounts, VersionRecords,
};

use super::{Draft, Found, Subject, Waiting, count, counted};

/// How many versions `records.byVersion` lists.
const LISTED: usize = 20;

/// What the status of a policy is made of.
#[derive(Clone, Debug)]
pub struct PolicyInput<'a> {
    /// The status as it is.
    pub before: &'a TrafficPolicyStatus,
    /// `metadata.generation`.
    pub generation: i64,
    /// Whether its deletion was asked for.
    pub deleting: bool,
    /// What compilation says.
    pub verdict: &'a Verdict,
    /// Why the object cannot be understood, if so.
    pub fault: Option<&'a str>,
    /// Why its version could not be made, if so.
    pub refusal: Option<&'a str>,
    /// The version that holds the document.
    pub minted: Option<u32>,
    /// Its newest version that can be served.
    pub latest: Option<u32>,
    /// The highest number that it ever had.
    pub highest: u32,
    /// Digest of the document.
    pub digest: Option<String>,
    /// Channels by name, with the digests of their versions.
    pub channels: BTreeMap<String, (u32, Option<String>)>,
    /// Its versions, counted.
    pub versions: VersionCounts,
    /// How many records serve each version.
    pub records: BTreeMap<u32, usize>,
    /// The present.
    pub now: Timestamp,
}

/// The status of a policy.
pub fn traffic_policy(input: &PolicyInput<'_>) -> Found<TrafficPolicyStatus> {
    let verdict = input.verdict;
    let accepted = input
        .fault
        .map_or_else(|| Draft::of(verdict, ConditionType::Accepted), Draft::fault);
    let drafts = vec![accepted, Draft::of(verdict, ConditionType::ResolvedRefs)];
    let subject = Subject::new(&input.before.conditions, input.generation, input.now);
    let meanwhile = input
        .latest
        .map(|latest| format!("the latest version is {latest}"));
    let (conditions, again) = subject.conditions(drafts, ready(input), meanwhile.as_deref());
    Found {
        status: TrafficPolicyStatus {
            observed_generation: Some(input.generation),
            conditions,
            minted_version: input.minted.map(number),
            latest_version: input.latest.map(number),
            highest_version: (input.highest > 0).then(|| number(input.highest)),
            digest: input.digest.clone(),
            channels: channels(&input.channels),
            versions: Some(input.versions.clone()),
            records: Some(records(&input.records)),
        },
        again,
        awaits_nodes: false,
    }
}

fn ready(input: &PolicyInput<'_>) -> Draft {
    let users: usize = input.records.values().sum();
    if input.deleting && users > 0 {
        let message = format!(
            "deletion waits: {} serve it",
            counted(users, "PolicyRecord")
        );
        return Draft::fails("Ready", "InUse", message, Waiting::InVain);
    }
    if let Some(refusal) = input.refusal {
        let message = format!("the version cannot be made: {refusal}");
        return Draft::fails("Ready", "MintRefused", message, Waiting::InVain);
    }
    let draft = Draft::of(input.verdict, ConditionType::Ready);
    if draft.holds && input.digest.is_some() && input.minted.is_none() {
        return Draft::fails("Ready", "Pending", draft.message, Waiting::Helps);
    }
    draft
}

fn channels(channels: &BTreeMap<String, (u32, Option<String>)>) -> Vec<ChannelStatus> {
    let status = |(name, (version, digest)): (&String, &(u32, Option<String>))| ChannelStatus {
        name: name.clone(),
        version: Some(number(*version)),
        digest: digest.clone(),
    };
    channels.iter().map(status).collect()
}

/// The newest versions are the interesting ones.
fn records(records: &BTreeMap<u32, usize>) -> RecordCounts {
    let used = records.iter().filter(|(_, records)| **records > 0);
    let mut by_version: Vec<VersionRecords> = (used.rev().take(LISTED))
        .map(|(version, records)| VersionRecords {
            version: number(*version),
            records: count(*records),
        })
        .collect();
    by_version.reverse();
    RecordCounts {
        total: count(records.values().sum()),
        by_version,
    }
}

fn number(version: u32) -> i32 {
    i32::try_from(version).unwrap_or(i32::MAX)
}
