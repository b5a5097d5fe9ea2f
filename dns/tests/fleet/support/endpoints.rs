//! Endpoints on loopback that nodes probe, and resources that name them.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use watershed_health::{Address, Check, CheckerChoice, ProbeKind, Target, TcpProbe};
use watershed_policy::{
    BranchSpec, Document, EndpointKind, EndpointSpec, FailbackMode, Limits, Policy, RuleKind,
    RuleSpec, Selector, Value,
};
use watershed_snapshot::record_type::A;
use watershed_snapshot::{
    Content, Placed, PolicyVersion, RecordFailback, Records, Resource, ResourceKind, VersionBinding,
};

use super::content::{Resources, name, owner, zone};

pub(crate) const PRIMARY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
pub(crate) const SECONDARY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// Where `www.example.com` fails over.
pub(crate) const RULE: &str = "failover";
/// The record of `www.example.com`.
pub(crate) const RECORD: &str = "shop/www";

/// Two endpoints that take TCP connections on one port.
pub(crate) struct Endpoints {
    port: u16,
    primary: Option<TcpListener>,
    _secondary: TcpListener,
}

impl Endpoints {
    pub(crate) fn start() -> Self {
        loop {
            let primary = TcpListener::bind((PRIMARY, 0)).unwrap();
            let port = primary.local_addr().unwrap().port();
            // Somebody else may have it there.
            if let Ok(secondary) = TcpListener::bind((SECONDARY, port)) {
                return Self {
                    port,
                    primary: Some(primary),
                    _secondary: secondary,
                };
            }
        }
    }

    pub(crate) fn stop_primary(&mut self) {
        self.primary = None;
    }

    pub(crate) fn start_primary(&mut self) {
        self.primary = Some(TcpListener::bind((PRIMARY, self.port)).unwrap());
    }

    /// `www.example.com` fails over from one to the other.
    pub(crate) fn resources(&self, failback: FailbackMode) -> Resources {
        vec![
            zone("example.com", 1),
            (
                name(ResourceKind::HealthCheck, "web"),
                Resource::Check(Arc::new(self.check())),
            ),
            (
                name(ResourceKind::TrafficPolicyVersion, "www-1"),
                Resource::Version(Arc::new(version())),
            ),
            (
                name(ResourceKind::PolicyRecord, "www"),
                Resource::Records(record(failback)),
            ),
        ]
    }

    fn check(&self) -> Check {
        Check {
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(900),
            failure_threshold: 1,
            success_threshold: 1,
            checkers: CheckerChoice {
                per_target: 3,
                min_locations: 1,
                ..CheckerChoice::default()
            },
            ..Check::new(ProbeKind::Tcp(TcpProbe { port: self.port }))
        }
    }
}

pub(crate) fn target(address: Ipv4Addr) -> Target {
    Target {
        check: "shop/web".into(),
        address: Some(Address::Ip(address.into())),
    }
}

fn version() -> PolicyVersion {
    let endpoint = |name: &str, address| EndpointSpec {
        name: name.into(),
        kind: EndpointKind::Value,
        values: vec![Value::Ipv4(address)],
        check: Some("shop/web".into()),
        drain: false,
    };
    let branch = |target: &str| BranchSpec {
        target: Some(watershed_policy::Target::Endpoint(target.into())),
        check: None,
        evaluate_target_health: true,
        selector: Selector::Always,
    };
    let document = Document {
        record_types: vec![A],
        start: Some(watershed_policy::Target::Rule(RULE.into())),
        rules: vec![RuleSpec {
            name: RULE.into(),
            kind: RuleKind::Failover,
            min_healthy_percent: None,
            branches: vec![branch("primary"), branch("secondary")],
        }],
        endpoints: vec![
            endpoint("primary", PRIMARY),
            endpoint("secondary", SECONDARY),
        ],
    };
    PolicyVersion {
        namespace: "shop".into(),
        policy_name: "www".into(),
        number: 1,
        digest: "sha256:00".into(),
        policy: Policy::build(&document, &Limits::unlimited()).0.unwrap(),
    }
}

fn record(mode: FailbackMode) -> Records {
    let failback = (mode != FailbackMode::Automatic).then(|| RecordFailback {
        record: RECORD.into(),
        mode,
    });
    Records {
        zone: owner("example.com"),
        placed: vec![Placed {
            owner: owner("www.example.com"),
            content: Content::Policy(VersionBinding {
                version: name(ResourceKind::TrafficPolicyVersion, "www-1"),
                record_types: vec![A],
                ttl: 30,
                ttl_range: None,
                failback: failback.map(Arc::new),
            }),
        }],
    }
}
