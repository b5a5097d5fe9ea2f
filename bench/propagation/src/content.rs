//! What the fleet serves: many records of few policies in one zone.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use watershed_health::{Address, Check, ProbeKind, Target, TcpProbe};
use watershed_operator::fleet::{FleetName, Tagged};
use watershed_operator::health;
use watershed_operator::object::ObjectKind;
use watershed_operator::watch::{Change, observe};
use watershed_operator::world::World;

/// So many policies have an endpoint that is checked.
pub(crate) const CHECKED: usize = 100;

const NAMESPACE: &str = "shop";
const ZONE: &str = "example.com";

/// How much there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// `PolicyRecord` objects.
    pub(crate) records: usize,
    /// Policies that they share; each has two versions.
    pub(crate) policies: usize,
}

/// The objects, and what became of them.
pub(crate) struct Content {
    sizes: Sizes,
    world: World,
    /// Grows with every object, for `metadata.uid` and `generation`.
    count: u64,
}

impl Content {
    /// All objects, compiled.
    ///
    /// # Errors
    /// When some of them are not valid.
    pub(crate) fn new(sizes: Sizes) -> Result<Self> {
        ensure!(sizes.policies > 0 && sizes.records > 16, "too few records");
        let mut content = Self {
            sizes,
            world: World::new(SignedDuration::from_secs(300)),
            count: 0,
        };
        content.take("HostedZone", zone())?;
        content.take("HealthCheck", check())?;
        for policy in 0..sizes.policies {
            for version in [1, 2] {
                content.take("TrafficPolicyVersion", policy_version(policy, version))?;
            }
        }
        for number in 0..sizes.records {
            content.take("PolicyRecord", record(number, sizes.policies, 1))?;
        }
        content.world.compile(1);
        content.world.take_unpublished();
        Ok(content)
    }

    /// How much there is.
    pub(crate) fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// A record serves another version from now on. Gives what is to be
    /// published.
    ///
    /// # Errors
    /// When the record is not valid.
    pub(crate) fn edit(&mut self, number: usize, version: u32) -> Result<Vec<Tagged>> {
        let object = record(number, self.sizes.policies, version);
        self.take("PolicyRecord", object)?;
        self.world.compile(1);
        let changes = self.world.take_unpublished();
        ensure!(!changes.is_empty(), "the edit changed nothing");
        Ok(changes)
    }

    /// Everything that is to be published.
    pub(crate) fn everything(&self) -> Vec<Tagged> {
        self.world.homes.everything()
    }

    /// What health concerns of it.
    ///
    /// # Errors
    /// When nothing does.
    pub(crate) fn health(&mut self) -> Result<BTreeMap<FleetName, health::Content>> {
        let health = self.world.take_health(Timestamp::now(), true);
        health.context("nothing is checked")
    }

    /// The address that a record answers with.
    pub(crate) fn address(sizes: &Sizes, number: usize, version: u32) -> Ipv4Addr {
        address(number % sizes.policies, version)
    }

    fn take(&mut self, kind: &str, mut object: Value) -> Result<()> {
        self.count += 1;
        object["metadata"]["uid"] = self.count.to_string().into();
        object["metadata"]["generation"] = self.count.into();
        let kind = ObjectKind::of(kind).context("not a kind of ours")?;
        let object = serde_json::from_value(object)?;
        let change = Change::Object(Box::new(observe(kind, object)));
        self.world.take(change, Timestamp::now());
        Ok(())
    }
}

/// A target that is checked, by the number of its policy.
pub(crate) fn target(number: usize) -> Target {
    Target {
        check: format!("{NAMESPACE}/web"),
        address: Some(Address::Ip(address(number, 1).into())),
    }
}

/// How they are checked, as far as that matters for who does it.
pub(crate) fn checked_how() -> Check {
    Check::new(ProbeKind::Tcp(TcpProbe { port: 443 }))
}

/// The owner name of a record.
pub(crate) fn name(number: usize) -> String {
    format!("r{number}.{ZONE}.")
}

fn address(policy: usize, version: u32) -> Ipv4Addr {
    let number = u32::try_from(policy).unwrap_or(u32::MAX) & 0xffff;
    Ipv4Addr::from((10 << 24) | (version << 16) | number)
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "watershed.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    })
}

fn zone() -> Value {
    let spec = json!({
        "domain": ZONE,
        "fleetName": "default",
        "soa": {"adminEmail": "hostmaster@example.com"},
        "nameservers": {"names": ["ns1.example.net"]},
    });
    object("HostedZone", "example-com", &spec)
}

fn check() -> Value {
    object("HealthCheck", "web", &json!({"tcp": {"port": 443}}))
}

fn policy_version(policy: usize, version: u32) -> Value {
    let mut first = json!({"addresses": [address(policy, version)]});
    if policy < CHECKED {
        first["healthCheckRef"] = json!({"name": "web"});
    }
    let spec = json!({
        "policyName": format!("p{policy}"),
        "version": version,
        "document": {
            "recordTypes": ["A"],
            "startRule": "main",
            "rules": {"main": {
                "type": "Failover",
                "branches": [{"endpoint": "first"}, {"endpoint": "second"}],
            }},
            "endpoints": {
                "first": first,
                "second": {"addresses": [address(policy, version + 8)]},
            },
        },
    });
    object(
        "TrafficPolicyVersion",
        &format!("p{policy}-v{version}"),
        &spec,
    )
}

fn record(number: usize, policies: usize, version: u32) -> Value {
    let spec = json!({
        "hostedZoneRef": {"name": "example-com"},
        "name": format!("r{number}"),
        "policyRef": {"name": format!("p{}", number % policies)},
        "version": version,
    });
    object("PolicyRecord", &format!("r{number}"), &spec)
}
