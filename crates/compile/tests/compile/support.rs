//! Manifests to compile, and what comes of them as text.

use serde::Deserialize;
use watershed_compile::{
    Applied, Compiled, Compiler, ConditionType, Kind, ObjectKey, ObjectRef, Previous, Resource,
    Resources, Verdict, compile, mint,
};
use watershed_crd::TrafficPolicyVersion;
use watershed_snapshot::{Node, OwnerName};

/// The objects of a stream of YAML documents.
#[track_caller]
pub(crate) fn objects(yaml: &str) -> Vec<Resource> {
    serde_yaml::Deserializer::from_str(yaml)
        .map(|document| object(&serde_yaml::Value::deserialize(document).unwrap()))
        .collect()
}

fn object(value: &serde_yaml::Value) -> Resource {
    fn read<T: for<'d> Deserialize<'d> + Into<Resource>>(value: &serde_yaml::Value) -> Resource {
        let object: T = serde_yaml::from_value(value.clone())
            .unwrap_or_else(|error| panic!("{error} in {value:?}"));
        object.into()
    }
    match value["kind"].as_str().unwrap() {
        "HostedZone" => read::<watershed_crd::HostedZone>(value),
        "TrafficPolicy" => read::<watershed_crd::TrafficPolicy>(value),
        "TrafficPolicyVersion" => read::<TrafficPolicyVersion>(value),
        "PolicyRecord" => read::<watershed_crd::PolicyRecord>(value),
        "RecordSet" => read::<watershed_crd::RecordSet>(value),
        "HealthCheck" => read::<watershed_crd::HealthCheck>(value),
        "CIDRCollection" => read::<watershed_crd::CIDRCollection>(value),
        kind => panic!("no kind {kind}"),
    }
}

pub(crate) fn apply(resources: &mut Resources, yaml: &str) {
    for object in objects(yaml) {
        resources.apply(object);
    }
}

pub(crate) fn resources(yaml: &str) -> Resources {
    let mut resources = Resources::new();
    apply(&mut resources, yaml);
    resources
}

/// Makes the versions that are to be made, and compiles.
pub(crate) fn run(resources: &mut Resources, previous: &Previous) -> Compiled {
    mint_all(resources);
    compile(resources, previous, 1)
}

/// Makes the versions that are to be made; their names.
pub(crate) fn mint_all(resources: &mut Resources) -> Vec<String> {
    let mut made = Vec::new();
    for version in to_make(resources) {
        made.extend(version.metadata.name.clone());
        assert_eq!(resources.apply(version), Applied::Changed);
    }
    made
}

/// As [`mint_all`], in a compiler.
pub(crate) fn mint_into(compiler: &mut Compiler) {
    for version in to_make(compiler.resources()) {
        assert_eq!(compiler.apply(version), Applied::Changed);
    }
}

/// The versions that are to be made.
fn to_make(resources: &Resources) -> Vec<TrafficPolicyVersion> {
    let plans = mint::plan(resources).into_iter();
    let made = plans.filter_map(|(policy, plan)| minted(&policy, plan));
    made.collect()
}

/// The version that is to be made of a policy.
pub(crate) fn minted(policy: &ObjectKey, plan: mint::Mint) -> Option<TrafficPolicyVersion> {
    let mint::Mint::Make(new) = plan else {
        return None;
    };
    let mut version = TrafficPolicyVersion::new(&new.key.name, new.spec);
    version.metadata.namespace = Some(new.key.namespace);
    let owner = format!(
        "{{apiVersion: watershed.dev/v1alpha1, kind: TrafficPolicy, name: {}, uid: u}}",
        policy.name
    );
    version.metadata.owner_references = Some(vec![serde_yaml::from_str(&owner).unwrap()]);
    Some(version)
}

pub(crate) fn key(name: &str) -> ObjectKey {
    ObjectKey::new("shop", name)
}

pub(crate) fn verdict<'c>(compiled: &'c Compiled, kind: Kind, name: &str) -> &'c Verdict {
    let object = ObjectRef::new(kind, key(name));
    (compiled.verdicts.iter())
        .find(|verdict| verdict.object == object)
        .unwrap_or_else(|| panic!("no verdict on {object}"))
}

/// Everything that is not ready, a line each: object, reason and message.
pub(crate) fn complaints(compiled: &Compiled) -> Vec<String> {
    let not_ready = compiled
        .verdicts
        .iter()
        .filter(|verdict| !verdict.is_ready());
    not_ready
        .map(|verdict| {
            let ready = verdict.condition(ConditionType::Ready);
            format!("{}: {}: {}", verdict.object, ready.reason, ready.message)
        })
        .collect()
}

/// What a name has, in short: types of static sets, and policies as
/// `name vN [types] ttl`.
pub(crate) fn at(compiled: &Compiled, name: &str) -> Vec<String> {
    let name: OwnerName = name.parse().unwrap();
    let Some(zone) = compiled.snapshot.zone_for(&name) else {
        return vec!["no zone".to_owned()];
    };
    let Some(Node { rrsets, policies }) = zone.node(&name) else {
        return Vec::new();
    };
    let sets = rrsets
        .iter()
        .map(|set| format!("{} x{} {}", set.record_type, set.rdata.len(), set.ttl));
    let policies = policies.iter().map(|binding| {
        let version = &binding.version;
        let (policy, number) = (&version.policy_name, version.number);
        format!(
            "{policy} v{number} {:?} {}",
            binding.record_types, binding.ttl
        )
    });
    sets.chain(policies).collect()
}

pub(crate) const ZONE: &str = "
apiVersion: watershed.dev/v1alpha1
kind: HostedZone
metadata: {name: example-com, namespace: shop}
spec:
  domain: example.com
  nameservers: {names: [ns1.example.net., ns2.example.net.]}
";

pub(crate) const POLICY: &str = "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: web, namespace: shop}
spec:
  document: {recordTypes: [A, AAAA], startEndpoint: a, endpoints: {a: {addresses: [192.0.2.1, \"2001:db8::1\"]}}}
";

pub(crate) const RECORD: &str = "
apiVersion: watershed.dev/v1alpha1
kind: PolicyRecord
metadata: {name: www, namespace: shop}
spec: {hostedZoneRef: {name: example-com}, name: www, policyRef: {name: web}, version: 1}
";
