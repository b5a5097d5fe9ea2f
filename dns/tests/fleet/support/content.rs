//! Resources, and states made of them.

use std::sync::Arc;

use watershed_dns::fleet::{Builder, Identity, Subscriber};
use watershed_policy::{
    BranchSpec, Document, EndpointKind, EndpointSpec, Limits, Policy, RuleKind, RuleSpec, Selector,
    Target, Value,
};
use watershed_proto::{Location, NEWEST_FORMAT, OLDEST_FORMAT, StagePart, encode, split};
use watershed_snapshot::record_type::{A, NS, SOA};
use watershed_snapshot::{
    Assembly, Content, Held, OwnerName, Placed, PolicyVersion, Records, Resource, ResourceKind,
    ResourceName, ResourceSet, RrSet, SnapshotId, Term, VersionBinding, ZoneHead,
};

/// Resources that have not been encoded.
pub(crate) type Resources = Vec<(ResourceName, Resource)>;

pub(crate) fn name(kind: ResourceKind, name: &str) -> ResourceName {
    ResourceName::new(kind, "shop", name)
}

pub(crate) fn record(name_of_object: &str) -> ResourceName {
    name(ResourceKind::RecordSet, name_of_object)
}

pub(crate) fn owner(text: &str) -> OwnerName {
    text.parse().unwrap()
}

fn set(record_type: u16, ttl: u32, rdata: Vec<u8>) -> RrSet {
    RrSet {
        record_type,
        ttl,
        rdata: vec![rdata.into_boxed_slice()],
    }
}

/// `example.com`, or another zone.
pub(crate) fn zone(apex: &str, serial: u32) -> (ResourceName, Resource) {
    let server = owner(&format!("ns1.{apex}")).as_wire().to_vec();
    let mut soa = [server.clone(), server.clone()].concat();
    for number in [serial, 7200, 900, 1_209_600, 60] {
        soa.extend(u32::to_be_bytes(number));
    }
    let head = ZoneHead {
        apex: owner(apex),
        soa: set(SOA, 900, soa),
        ns: set(NS, 3600, server),
    };
    let object = apex.replace('.', "-");
    (
        name(ResourceKind::HostedZone, &object),
        Resource::Zone(head),
    )
}

/// A record set object that places one set in `example.com`.
pub(crate) fn placed(object: &str, at: &str, rrset: RrSet) -> (ResourceName, Resource) {
    let records = Records {
        zone: owner("example.com"),
        placed: vec![Placed {
            owner: owner(at),
            content: Content::Static(rrset),
        }],
    };
    (record(object), Resource::Records(records))
}

/// The A record `192.0.2.last` at `object.example.com`.
pub(crate) fn address(object: &str, last: u8) -> (ResourceName, Resource) {
    let rrset = set(A, 60, vec![192, 0, 2, last]);
    placed(object, &format!("{object}.example.com"), rrset)
}

/// More record data at one name than a message can hold.
pub(crate) fn oversized(object: &str) -> (ResourceName, Resource) {
    let strings = |number: u16| {
        let mut data = vec![2];
        data.extend(number.to_be_bytes());
        for _ in 0..10 {
            data.push(255);
            data.extend([b'x'; 255]);
        }
        data.into_boxed_slice()
    };
    let rrset = RrSet {
        record_type: 16,
        ttl: 60,
        rdata: (0..40).map(strings).collect(),
    };
    placed(object, &format!("{object}.example.com"), rrset)
}

/// A policy version and a record `object.example.com` that serves it, by the
/// client's network: `192.0.2.0/24` gets 203.0.113.1, others get 203.0.113.2.
pub(crate) fn policy(object: &str) -> Resources {
    let version_name = name(ResourceKind::TrafficPolicyVersion, &format!("{object}-1"));
    let version = PolicyVersion {
        namespace: "shop".into(),
        policy_name: object.into(),
        number: 1,
        digest: "sha256:00".into(),
        policy: Policy::build(&by_network(), &Limits::unlimited())
            .0
            .unwrap(),
    };
    let records = Records {
        zone: owner("example.com"),
        placed: vec![Placed {
            owner: owner(&format!("{object}.example.com")),
            content: Content::Policy(VersionBinding {
                version: version_name.clone(),
                record_types: vec![A],
                ttl: 30,
                ttl_range: None,
                failback: None,
            }),
        }],
    };
    vec![
        (version_name, Resource::Version(Arc::new(version))),
        (
            name(ResourceKind::PolicyRecord, object),
            Resource::Records(records),
        ),
    ]
}

fn by_network() -> Document {
    let endpoint = |name: &str, last: u8| EndpointSpec {
        name: name.into(),
        kind: EndpointKind::Value,
        values: vec![Value::Ipv4([203, 0, 113, last].into())],
        check: None,
        drain: false,
    };
    let branch = |target: &str, selector| BranchSpec {
        target: Some(Target::Endpoint(target.into())),
        check: None,
        evaluate_target_health: true,
        selector,
    };
    let office = Selector::Blocks(vec!["192.0.2.0/24".parse().unwrap()]);
    Document {
        record_types: vec![A],
        start: Some(Target::Rule("network".into())),
        rules: vec![RuleSpec {
            name: "network".into(),
            kind: RuleKind::Cidr,
            min_healthy_percent: None,
            branches: vec![branch("office", office), branch("world", Selector::Default)],
        }],
        endpoints: vec![endpoint("office", 1), endpoint("world", 2)],
    }
}

/// The resources as they are sent.
pub(crate) fn encoded(resources: &Resources) -> ResourceSet {
    let contents = resources.iter();
    contents
        .map(|(name, resource)| (name.clone(), encode(resource)))
        .collect()
}

/// What a node should make of them.
pub(crate) fn assembled(resources: &Resources) -> Assembly {
    let changes = resources.iter().cloned();
    let changes = changes.map(|(name, resource)| (name, Some(resource)));
    Assembly::new().apply(changes.collect()).unwrap()
}

/// `example.com` in its `serial`th form, with an address that follows it.
pub(crate) fn edition(serial: u8) -> Resources {
    vec![zone("example.com", serial.into()), address("www", serial)]
}

pub(crate) fn id(epoch: u64, generation: u64) -> SnapshotId {
    SnapshotId { epoch, generation }
}

pub(crate) fn held(epoch: u64, generation: u64, resources: &ResourceSet) -> Held {
    Held {
        id: id(epoch, generation),
        digest: resources.digest(),
    }
}

/// The parts of an offer; `base` is what the node holds already.
pub(crate) fn parts(
    offer: Held,
    term: Term,
    base: Option<&ResourceSet>,
    to: &ResourceSet,
) -> Vec<StagePart> {
    let delta = base.map_or_else(|| ResourceSet::new().diff(to), |base| base.diff(to));
    split(offer, term, base.map(ResourceSet::digest), delta)
}

pub(crate) fn identity() -> Identity {
    Identity {
        fleet: "default".into(),
        node: "n1".into(),
        location: Location {
            cluster: "c1".into(),
            region: "r1".into(),
            zone: "z1".into(),
        },
        formats: OLDEST_FORMAT..=NEWEST_FORMAT,
        boot: 7,
        version: "0".into(),
    }
}

pub(crate) fn subscriber() -> Subscriber {
    Subscriber::new(identity(), Builder::new(OLDEST_FORMAT..=NEWEST_FORMAT))
}
