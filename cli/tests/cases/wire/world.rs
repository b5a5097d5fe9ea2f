//! What a node has to know to serve the whole corpus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};
use ipnet::IpNet;
use serde_json::Value as Json;
use watershed_dns::Node;
use watershed_geo::{GeoDatabase, LatencyTable, testing};
use watershed_policy::{Location, Value};
use watershed_snapshot::{Binding, HealthStates, OwnerName, RrSet, Snapshot, Zone, record_type};

use super::served::Served;
use crate::corpus::{Case, location};

/// The zone of all cases.
pub(super) const APEX: &str = "cases.example.com";

pub(super) struct World {
    snapshot: Arc<Snapshot>,
    health: HealthStates,
    latency: Option<LatencyTable>,
    /// Where the clients are that the cases describe by their place.
    places: Vec<(IpNet, Location)>,
    /// The location database of cases that state none.
    geo: Arc<GeoDatabase>,
    /// Stand-ins for the hosts that aliases name, by name without final dot.
    hosts: BTreeMap<String, u8>,
}

impl World {
    pub(super) fn of(served: &[(&Case, &Served)]) -> Self {
        let places = places(served);
        Self {
            snapshot: Arc::new(snapshot(served)),
            health: health(served),
            latency: latency(served),
            geo: Arc::new(database(&places)),
            places,
            hosts: hosts(served),
        }
    }

    /// Gives a node everything but the location database.
    pub(super) fn serve(&self, node: &Node) {
        node.publish(Arc::clone(&self.snapshot));
        node.set_health(self.health.clone());
        node.set_latency(self.latency.clone());
        let hosts = self.hosts.clone();
        node.set_hostnames(move |host: &OwnerName, record_type: u16| {
            let number = hosts.get(host.to_string().trim_end_matches('.'))?;
            Some(vec![stand_in(*number, record_type)])
        });
    }

    /// The location database of a case: its own entries, and the networks
    /// that were made for places.
    pub(super) fn geo(&self, case: &Case) -> Arc<GeoDatabase> {
        if case.locations.is_empty() {
            return Arc::clone(&self.geo);
        }
        let places = self.places.iter().chain(&case.locations);
        Arc::new(database(&places.cloned().collect::<Vec<_>>()))
    }

    /// A value of a policy as record data.
    pub(super) fn data(&self, value: &Value, record_type: u16) -> RData {
        match value {
            Value::Ipv4(address) => RData::A(A(*address)),
            Value::Ipv6(address) => RData::AAAA(AAAA(*address)),
            Value::Hostname(host) if record_type == record_type::CNAME => {
                let mut name = Name::from_ascii(host).unwrap();
                name.set_fqdn(true);
                RData::CNAME(CNAME(name))
            }
            Value::Hostname(host) => {
                let number = self.hosts[host.trim_end_matches('.')];
                match stand_in(number, record_type) {
                    IpAddr::V4(address) => RData::A(A(address)),
                    IpAddr::V6(address) => RData::AAAA(AAAA(address)),
                }
            }
            Value::Rdata { wire, .. } => {
                let length = u16::try_from(wire.len()).unwrap();
                let mut decoder = BinDecoder::new(wire);
                RData::read(
                    &mut decoder,
                    RecordType::from(record_type),
                    Restrict::new(length),
                )
                .unwrap()
            }
        }
    }
}

fn database(places: &[(IpNet, Location)]) -> GeoDatabase {
    GeoDatabase::from_mmdb(testing::mmdb(places)).unwrap()
}

/// The address of the `number`th host that no zone has.
fn stand_in(number: u8, record_type: u16) -> IpAddr {
    if record_type == record_type::AAAA {
        Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, number.into()).into()
    } else {
        Ipv4Addr::new(198, 18, 53, number).into()
    }
}

fn snapshot(served: &[(&Case, &Served)]) -> Snapshot {
    let apex = OwnerName::from_text(APEX).unwrap();
    let mut zone = Zone::builder(apex.clone(), soa(&apex)).unwrap();
    for (_, served) in served {
        let binding = Binding {
            version: Arc::clone(&served.version),
            record_types: served.version.policy.record_types().into(),
            ttl: 30,
            ttl_range: None,
            failback: None,
        };
        zone.bind(&served.name, binding).unwrap();
    }
    Snapshot::new([Arc::new(zone.build())])
}

fn soa(apex: &OwnerName) -> RrSet {
    let mut rdata = [apex.as_wire(), apex.as_wire()].concat();
    for number in [1, 7200, 900, 1_209_600, 60] {
        rdata.extend(u32::to_be_bytes(number));
    }
    RrSet {
        record_type: record_type::SOA,
        ttl: 900,
        rdata: vec![rdata.into_boxed_slice()],
    }
}

fn health(served: &[(&Case, &Served)]) -> HealthStates {
    let mut states = HealthStates::all_healthy();
    for (case, served) in served {
        let namespace = &served.version.namespace;
        for id in unhealthy(case, "health") {
            states.set_check(format!("{namespace}/{id}"), false);
        }
        for endpoint in unhealthy(case, "endpointHealth") {
            states.set_endpoint(namespace, &served.version.policy_name, endpoint, false);
        }
    }
    states
}

fn unhealthy<'a>(case: &'a Case, member: &str) -> impl Iterator<Item = &'a String> {
    let states = case.scenario.get(member).and_then(Json::as_object);
    let states = states.into_iter().flatten();
    states
        .filter(|(_, state)| *state == "unhealthy")
        .map(|(id, _)| id)
}

/// One row for each case that states latencies.
fn latency(served: &[(&Case, &Served)]) -> Option<LatencyTable> {
    let mut table = String::new();
    for (case, served) in served {
        if let Some(latency) = case.scenario.get("latency") {
            writeln!(table, "{}: {latency}", served.network).unwrap();
        }
    }
    (!table.is_empty()).then(|| LatencyTable::from_yaml(&table).unwrap())
}

fn places(served: &[(&Case, &Served)]) -> Vec<(IpNet, Location)> {
    let own = served.iter().filter(|(_, served)| served.own_network);
    let placed = own.filter_map(|(case, served)| {
        let client = case
            .client()
            .filter(|client| !client.contains_key("unmapped"))?;
        Some((served.network, location(client)))
    });
    placed.collect()
}

fn hosts(served: &[(&Case, &Served)]) -> BTreeMap<String, u8> {
    let endpoints = served
        .iter()
        .flat_map(|(_, served)| served.version.policy.endpoints());
    let names = endpoints
        .flat_map(|endpoint| &endpoint.values)
        .filter_map(|value| match value {
            Value::Hostname(host) => Some(host.trim_end_matches('.').to_ascii_lowercase()),
            _ => None,
        });
    let distinct: std::collections::BTreeSet<String> = names.collect();
    distinct.into_iter().zip(1..=u8::MAX).collect()
}
