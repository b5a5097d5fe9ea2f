//! What policies probe, and what the verdicts make of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use watershed_health::{Address, Calculated, Check, Checks, Forced, ProbeKind, Target, TcpProbe};
use watershed_policy::{
    BranchSpec, Document, EndpointKind, EndpointSpec, Limits, Policy, RuleKind, RuleSpec, Selector,
    Target as To, Value,
};
use watershed_snapshot::record_type::NS;
use watershed_snapshot::{
    Assembly, Content, HealthStates, OwnerName, Placed, PolicyVersion, Records, Resource,
    ResourceKind, ResourceName, RrSet, Snapshot, VersionBinding, ZoneHead, addresses,
};

const A: u16 = 1;
const SOA: u16 = 6;

fn check(kind: ProbeKind) -> Check {
    Check::new(kind)
}

fn tcp() -> Check {
    check(ProbeKind::Tcp(TcpProbe { port: 443 }))
}

fn of(ids: &[&str]) -> Check {
    check(ProbeKind::Calculated(Calculated {
        members: ids.iter().map(|id| format!("shop/{id}")).collect(),
        min_healthy: 1,
        must_be_healthy: Vec::new(),
    }))
}

fn endpoint(name: &str, values: Vec<Value>, check: &str) -> EndpointSpec {
    EndpointSpec {
        name: name.to_owned(),
        kind: EndpointKind::Value,
        values,
        check: Some(format!("shop/{check}")),
        drain: false,
    }
}

fn branch(target: &str, check: Option<&str>) -> BranchSpec {
    BranchSpec {
        target: Some(To::Endpoint(target.to_owned())),
        check: check.map(|check| format!("shop/{check}")),
        evaluate_target_health: true,
        selector: Selector::Always,
    }
}

/// Two endpoints: `a` of two addresses under `port`, and `b` of a host under
/// `sum`, whose branch has the check `site` besides.
fn version() -> PolicyVersion {
    let a = vec![
        Value::Ipv4([192, 0, 2, 1].into()),
        Value::Ipv4([192, 0, 2, 2].into()),
    ];
    let b = vec![Value::Hostname("LB.example.net.".to_owned())];
    let document = Document {
        record_types: vec![A],
        start: Some(To::Rule("r".to_owned())),
        rules: vec![RuleSpec {
            name: "r".to_owned(),
            kind: RuleKind::Failover,
            min_healthy_percent: None,
            branches: vec![branch("a", None), branch("b", Some("site"))],
        }],
        endpoints: vec![endpoint("a", a, "port"), endpoint("b", b, "sum")],
    };
    let (policy, findings) = Policy::build(&document, &Limits::unlimited());
    PolicyVersion {
        namespace: "shop".to_owned(),
        policy_name: "web".to_owned(),
        number: 1,
        digest: "sha256:0".to_owned(),
        policy: policy.unwrap_or_else(|| panic!("{findings:?}")),
    }
}

fn checks() -> Vec<(&'static str, Check)> {
    let site = Check {
        address: Some(Address::parse("192.0.2.9")),
        ..tcp()
    };
    vec![
        ("port", tcp()),
        ("site", site),
        ("sum", of(&["port", "other"])),
        ("other", tcp()),
        ("unused", tcp()),
    ]
}

fn all(checks: Vec<(&'static str, Check)>) -> Checks {
    let checks = checks.into_iter();
    checks
        .map(|(name, check)| (format!("shop/{name}"), Arc::new(check)))
        .collect()
}

fn target(check: &str, address: &str) -> Target {
    Target {
        check: format!("shop/{check}"),
        address: Some(Address::parse(address)),
    }
}

fn expected() -> [Target; 5] {
    [
        target("other", "lb.example.net"),
        target("port", "192.0.2.1"),
        target("port", "192.0.2.2"),
        target("port", "lb.example.net"),
        target("site", "192.0.2.9"),
    ]
}

#[test]
fn a_host_is_one_address_however_it_is_written() {
    let policy = version().policy;
    let found = policy.endpoints().iter().map(addresses);
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            vec![Address::parse("192.0.2.1"), Address::parse("192.0.2.2")],
            vec![Address::Host("lb.example.net".to_owned())],
        ]
    );
}

#[test]
fn targets_are_where_checks_are_used() {
    let targets = version().targets(&all(checks()));
    assert!(targets.into_iter().eq(expected()));
}

/// A zone with a name that serves the version, and all checks.
fn served() -> Snapshot {
    let apex: OwnerName = "example.com".parse().unwrap();
    let set = |record_type, rdata: &[u8]| RrSet {
        record_type,
        ttl: 60,
        rdata: vec![rdata.into()],
    };
    let name = |kind, name: &str| ResourceName::new(kind, "shop", name);
    let version_name = name(ResourceKind::TrafficPolicyVersion, "web-v1");
    let head = ZoneHead {
        apex: apex.clone(),
        soa: set(SOA, &[b"\x02ns\x00\x00".as_slice(), &[0; 20]].concat()),
        ns: set(NS, b"\x02ns\x00"),
    };
    let records = Records {
        zone: apex.clone(),
        placed: vec![Placed {
            owner: apex,
            content: Content::Policy(VersionBinding {
                version: version_name.clone(),
                record_types: vec![A],
                ttl: 60,
                ttl_range: None,
                failback: None,
            }),
        }],
    };
    let resources = vec![
        (name(ResourceKind::HostedZone, "z"), Resource::Zone(head)),
        (version_name, Resource::Version(Arc::new(version()))),
        (
            name(ResourceKind::PolicyRecord, "r"),
            Resource::Records(records),
        ),
    ];
    let of_checks = checks().into_iter().map(|(text, check)| {
        let name = name(ResourceKind::HealthCheck, text);
        (name, Resource::Check(Arc::new(check)))
    });
    let all = resources.into_iter().chain(of_checks);
    let all = all.map(|(name, resource)| (name, Some(resource)));
    let assembly = Assembly::new().apply(all.collect()).unwrap();
    Snapshot::clone(assembly.snapshot())
}

#[test]
fn a_snapshot_has_the_targets_of_its_policies() {
    let snapshot = served();
    let targets = snapshot.targets();
    assert!(targets.keys().eq(&expected()));
    let site = &targets[&target("site", "192.0.2.9")];
    assert_eq!(Some(site), snapshot.checks.get("shop/site"));
    // What nothing serves is not probed.
    let idle = Snapshot {
        versions: Arc::from([]),
        ..snapshot
    };
    assert!(idle.targets().is_empty());
}

/// Whether the endpoints are healthy when these targets are down.
fn health(
    version: &PolicyVersion,
    checks: &Checks,
    down: &[Target],
    by_hand: &HealthStates,
) -> Vec<bool> {
    let verdict = |target: &Target| Some(!down.contains(target));
    let health = version.health(checks, 0, &verdict, by_hand);
    let uses = version.policy.checks();
    assert_eq!(uses.len(), 3);
    let branches = &version.policy.rules()[0].branches;
    let site = health.check(branches[1].check.unwrap());
    let ends = branches.iter().map(|branch| match branch.target {
        watershed_policy::Node::Endpoint(id) => health.endpoint(id),
        watershed_policy::Node::Rule(_) => panic!("a rule"),
    });
    ends.chain([site]).collect()
}

#[test]
fn verdicts_make_the_health_of_a_policy() {
    let version = version();
    let checks = all(checks());
    let none = HealthStates::all_healthy();
    let [other, one, two, port, site] = expected();
    let of = |down: &[Target]| health(&version, &checks, down, &none);
    assert_eq!(of(&[]), [true, true, true]);
    // One address of two is enough, and one member of two.
    assert_eq!(of(&[one.clone(), port.clone(), site]), [true, true, false]);
    assert_eq!(of(&[one, two]), [false, true, true]);
    assert_eq!(of(&[port, other]), [true, false, true]);
}

#[test]
fn what_is_down_by_hand_is_down() {
    let version = version();
    let mut by_hand = HealthStates::all_healthy();
    by_hand.set_check("shop/port", false);
    let forced = |mut check: Check| {
        check.forced = Some(Forced {
            healthy: true,
            reason: String::new(),
            until: None,
        });
        check
    };
    let all_forced = checks().into_iter().map(|(id, check)| (id, forced(check)));
    let found = health(&version, &all(all_forced.collect()), &expected(), &by_hand);
    assert_eq!(found, [false, true, true]);
    by_hand.set_check("shop/other", false);
    let found = health(&version, &all(checks()), &[], &by_hand);
    assert_eq!(found, [false, false, true], "the calculated one, too");
}
