//! Status of a `TrafficPolicyVersion`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use watershed_compile::{ConditionType, Usage, Verdict};
use watershed_crd::document::TrafficPolicyDocument;
use watershed_crd::traffic_policy_version::{
    EndpointHealth, EndpointStatus, Origin, Source, Summary, TrafficPolicyVersionStatus,
    Usage as RecordCounts,
};
use watershed_policy::{Endpoint, Value};
use watershed_snapshot::PolicyVersion;

use super::health::fill;
use super::{Draft, Found, Health, Subject, Waiting, count, counted};

/// How many addresses of an endpoint are shown.
const ADDRESSES: usize = 32;

/// What the status of a version is made of.
#[derive(Clone, Debug)]
pub struct VersionInput<'a> {
    /// The status as it is.
    pub before: &'a TrafficPolicyVersionStatus,
    /// `metadata.generation`.
    pub generation: i64,
    /// Whether its deletion was asked for.
    pub deleting: bool,
    /// What compilation says.
    pub verdict: &'a Verdict,
    /// Why the object cannot be understood, if so.
    pub fault: Option<&'a str>,
    /// The document.
    pub document: &'a TrafficPolicyDocument,
    /// Its digest.
    pub digest: String,
    /// Who made it.
    pub origin: Origin,
    /// The edit that it was made from, if that is known.
    pub source: Option<Source>,
    /// Who needs it.
    pub usage: &'a Usage,
    /// The compiled form, while it is served.
    pub serving: Option<&'a PolicyVersion>,
    /// What is known of the health of its endpoints.
    pub health: &'a Health,
    /// When a verdict that somebody set by hand ends.
    pub expiry: Option<Timestamp>,
    /// Size of the compiled form in octets.
    pub size: Option<usize>,
    /// The present.
    pub now: Timestamp,
}

/// The status of a version.
pub fn traffic_policy_version(input: &VersionInput<'_>) -> Found<TrafficPolicyVersionStatus> {
    let VersionInput {
        before, verdict, ..
    } = input;
    let accepted = input
        .fault
        .map_or_else(|| Draft::of(verdict, ConditionType::Accepted), Draft::fault);
    let drafts = vec![accepted, Draft::of(verdict, ConditionType::ResolvedRefs)];
    let ready = held(input).unwrap_or_else(|| Draft::of(verdict, ConditionType::Ready));
    let subject = Subject::new(&before.conditions, input.generation, input.now);
    let (mut conditions, again) = subject.conditions(drafts, ready, None);
    let serving = input.serving;
    conditions.extend(serving.and_then(|_| input.health.condition(subject)));
    let endpoints = serving.map(|version| endpoints(version, input));
    let healthy = serving.and_then(|_| input.health.summary(before.endpoints_healthy.as_ref()));
    Found {
        status: TrafficPolicyVersionStatus {
            observed_generation: Some(input.generation),
            conditions,
            digest: Some(input.digest.clone()),
            origin: Some(input.origin),
            source: before.source.clone().or_else(|| input.source.clone()),
            summary: Some(summary(input)),
            records: Some(records(input.usage)),
            endpoints_healthy: healthy,
            endpoints: endpoints.unwrap_or_default(),
        },
        again: [again, input.expiry].into_iter().flatten().min(),
        awaits_nodes: false,
    }
}

/// Why a deletion that was asked for has to wait.
fn held(input: &VersionInput<'_>) -> Option<Draft> {
    let Usage {
        records,
        aliases,
        channels,
    } = input.usage;
    if !input.deleting {
        return None;
    }
    let parts = [
        (!records.is_empty()).then(|| counted(records.len(), "PolicyRecord")),
        (!aliases.is_empty()).then(|| counted(aliases.len(), "alias")),
        (!channels.is_empty()).then(|| {
            let names: Vec<&str> = channels.iter().map(String::as_str).collect();
            format!("channel {}", names.join(", "))
        }),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return None;
    }
    let message = format!("deletion waits: in use by {}", parts.join(", "));
    Some(Draft::fails("Ready", "InUse", message, Waiting::InVain))
}

/// Counts only: names of other namespaces are nobody else's business.
fn records(usage: &Usage) -> RecordCounts {
    let namespaces: BTreeSet<&str> = usage
        .records
        .iter()
        .map(|key| key.namespace.as_str())
        .collect();
    RecordCounts {
        total: count(usage.records.len()),
        namespaces: count(namespaces.len()),
    }
}

fn summary(input: &VersionInput<'_>) -> Summary {
    let document = input.document;
    Summary {
        rules: count(document.rules.len()),
        endpoints: count(document.endpoints.len()),
        depth: count(depth(document)),
        // Kept when it is out of use: it is a property of the document.
        compiled_bytes: input.size.map(count).or_else(|| {
            let before = input.before.summary.as_ref();
            before.and_then(|summary| summary.compiled_bytes)
        }),
    }
}

/// The largest number of rules between a query and an endpoint.
fn depth(document: &TrafficPolicyDocument) -> usize {
    let start = document.start_rule.as_deref();
    start.map_or(0, |start| depth_from(document, start, &mut BTreeMap::new()))
}

/// Depth from one rule on. A rule that is not there, or that leads back to
/// itself, counts for nothing: such a document is not accepted anyway.
fn depth_from<'d>(
    document: &'d TrafficPolicyDocument,
    name: &'d str,
    known: &mut BTreeMap<&'d str, usize>,
) -> usize {
    if let Some(depth) = known.get(name) {
        return *depth;
    }
    let Some(rule) = document.rules.get(name) else {
        return 0;
    };
    known.insert(name, 0);
    let below = rule
        .branches
        .iter()
        .filter_map(|branch| branch.rule.as_deref());
    let below = below.map(|rule| depth_from(document, rule, known)).max();
    let depth = 1 + below.unwrap_or(0);
    known.insert(name, depth);
    depth
}

fn endpoints(version: &PolicyVersion, input: &VersionInput<'_>) -> Vec<EndpointStatus> {
    let endpoints = version.policy.endpoints().iter().map(|found| {
        let mut status = endpoint(found);
        let mut before = input.before.endpoints.iter();
        let before = before.find(|before| before.name == found.name);
        let view = input.health.endpoint(&found.name);
        fill(&mut status, before, view, input.now);
        status
    });
    endpoints.collect()
}

fn endpoint(endpoint: &Endpoint) -> EndpointStatus {
    let addresses = endpoint.values.iter().map(|value| match value {
        Value::Ipv4(address) => address.to_string(),
        Value::Ipv6(address) => address.to_string(),
        Value::Hostname(name) => name.clone(),
        Value::Rdata { text, .. } => text.chars().take(253).collect(),
    });
    let health = match endpoint.check {
        Some(_) => EndpointHealth::Unknown,
        None => EndpointHealth::Unchecked,
    };
    EndpointStatus {
        name: endpoint.name.clone(),
        addresses: addresses.take(ADDRESSES).collect(),
        health,
        healthy_checkers: None,
        total_checkers: None,
        last_transition_time: None,
        message: None,
    }
}
