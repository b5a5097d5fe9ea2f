//! The state of a DNS node with many records, as it is on its disk.

use std::path::Path;

use watershed_dns::fleet::{Kept, Store};
use watershed_policy::Policy;
use watershed_proto::encode;
use watershed_snapshot::{
    Content, Held, OwnerName, Placed, PolicyVersion, Records, Resource, ResourceKind, ResourceName,
    ResourceSet, ResourceSetBuilder, RrSet, SnapshotId, Term, VersionBinding, ZoneHead,
    record_type,
};

use crate::works;

/// Writes the state of a node that serves `records` policy records of
/// `policies` weighted policies into a directory.
///
/// # Errors
/// When the disk fails.
pub fn write(directory: &Path, records: usize, policies: usize) -> anyhow::Result<()> {
    let resources = resources(records, policies)?;
    let kept = Kept {
        held: Some(Held {
            id: SnapshotId {
                epoch: 1,
                generation: 1,
            },
            digest: resources.digest(),
        }),
        resources,
        term: Term(1),
    };
    Store::open(directory)?.write(&kept)?;
    Ok(())
}

/// Name of a record, by its number.
pub fn name_of(record: usize) -> String {
    format!("p{record}.w.example.com.")
}

fn resources(records: usize, policies: usize) -> anyhow::Result<ResourceSet> {
    let apex: OwnerName = "example.com".parse()?;
    let mut set = ResourceSetBuilder::new();
    let mut put = |name: ResourceName, resource| set.put(name.borrowed(), &encode(&resource));
    let zone = ResourceName::new(ResourceKind::HostedZone, "shop", "example-com");
    put(zone, Resource::Zone(head(&apex)?));
    let mut versions = Vec::new();
    for number in 0..policies {
        let policy = format!("policy-{number}");
        let kind = ResourceKind::TrafficPolicyVersion;
        let name = ResourceName::new(kind, "shop", format!("{policy}-v1"));
        put(name.clone(), version(&policy, works::weighted()?));
        versions.push(name);
    }
    for (number, version) in (0..records).zip(versions.iter().cycle()) {
        let name = ResourceName::new(ResourceKind::PolicyRecord, "shop", format!("p{number}"));
        let content = Content::Policy(VersionBinding {
            version: version.clone(),
            record_types: vec![record_type::A],
            ttl: 60,
            ttl_range: None,
            failback: None,
        });
        let placed = Placed {
            owner: name_of(number).parse()?,
            content,
        };
        let records = Records {
            zone: apex.clone(),
            placed: vec![placed],
        };
        put(name, Resource::Records(records));
    }
    Ok(set.build())
}

fn head(apex: &OwnerName) -> anyhow::Result<ZoneHead> {
    let server = apex.prepend(b"ns1")?;
    Ok(ZoneHead {
        apex: apex.clone(),
        soa: works::soa(apex),
        ns: RrSet {
            record_type: record_type::NS,
            ttl: 3600,
            rdata: vec![server.as_wire().into()],
        },
    })
}

fn version(policy_name: &str, policy: Policy) -> Resource {
    let version = PolicyVersion {
        namespace: "shop".to_owned(),
        policy_name: policy_name.to_owned(),
        number: 1,
        digest: "sha256:00".to_owned(),
        policy,
    };
    Resource::Version(version.into())
}
