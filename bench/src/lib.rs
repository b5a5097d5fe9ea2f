//! What the benchmarks have in common: the example that the README starts
//! with, compiled.

pub mod load;
pub mod state;
pub mod works;

use std::sync::Arc;

use anyhow::Context;
use kube::ResourceExt;
use watershed_compile::{References, Resources, compile_policy};
use watershed_crd::traffic_policy_version::TrafficPolicyVersionSpec;
use watershed_crd::{HostedZone, PolicyRecord, TrafficPolicy, TrafficPolicyVersion};
use watershed_policy::{Limits, Policy};
use watershed_snapshot::{Binding, OwnerName, PolicyVersion, Snapshot, Zone};

const GETTING_STARTED: &str = include_str!("../../examples/getting-started/policy.yaml");

/// A and AAAA.
pub const ADDRESS_TYPES: [u16; 2] = [1, 28];

/// The policy of `examples/getting-started`: geolocation over latency over
/// failover.
///
/// # Errors
/// When the example is not valid.
pub fn getting_started() -> anyhow::Result<Policy> {
    let policy: TrafficPolicy = serde_yaml::from_str(GETTING_STARTED)?;
    let document = policy.spec.document.context("the example has a document")?;
    let (policy, findings) = compile_policy(&document, &References::none(), &Limits::api());
    policy.with_context(|| format!("the example has faults: {findings:?}"))
}

/// A snapshot that serves `policy` at `names` names of example.com: `n0`,
/// `n1` and so on.
///
/// # Errors
/// When a name cannot be made.
pub fn snapshot(policy: Policy, names: usize) -> anyhow::Result<Snapshot> {
    let apex = OwnerName::from_text("example.com")?;
    let version = Arc::new(PolicyVersion {
        namespace: "shop".to_owned(),
        policy_name: "web".to_owned(),
        number: 1,
        digest: String::new(),
        policy,
    });
    let mut zone = Zone::builder(apex.clone(), works::soa(&apex))?;
    let binding = Arc::new(Binding {
        version,
        record_types: ADDRESS_TYPES.as_slice().into(),
        ttl: 60,
        ttl_range: None,
        failback: None,
    });
    for index in 0..names {
        let name = apex.prepend(format!("n{index}").as_bytes())?;
        zone.bind(&name, Arc::clone(&binding))?;
    }
    Ok(Snapshot::new([Arc::new(zone.build())]))
}

/// The getting-started policy at version 1, a zone example.com, and `count`
/// records in it that serve the policy.
///
/// # Errors
/// When the example is not valid.
pub fn many_records(count: usize) -> anyhow::Result<Resources> {
    let mut resources = Resources::new();
    let policy: TrafficPolicy = serde_yaml::from_str(GETTING_STARTED)?;
    let version = TrafficPolicyVersionSpec {
        policy_name: "web".to_owned(),
        version: 1,
        description: None,
        document: policy.spec.document.context("the example has a document")?,
    };
    resources.apply(in_shop(TrafficPolicyVersion::new("web-v1", version)));
    resources.apply(serde_yaml::from_str::<HostedZone>(ZONE)?);
    let record: PolicyRecord = serde_yaml::from_str(RECORD)?;
    for index in 0..count {
        let mut spec = record.spec.clone();
        spec.name = format!("n{index}");
        resources.apply(in_shop(PolicyRecord::new(&spec.name.clone(), spec)));
    }
    Ok(resources)
}

fn in_shop<K: ResourceExt>(mut object: K) -> K {
    object.meta_mut().namespace = Some("shop".to_owned());
    object
}

const ZONE: &str = "
metadata: {name: example-com, namespace: shop}
apiVersion: watershed.dev/v1alpha1
kind: HostedZone
spec: {domain: example.com, nameservers: {names: [ns1.example.net.]}}
";

const RECORD: &str = "
metadata: {name: any}
apiVersion: watershed.dev/v1alpha1
kind: PolicyRecord
spec: {hostedZoneRef: {name: example-com}, name: any, policyRef: {name: web}, version: 1}
";
