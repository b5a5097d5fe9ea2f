//! A case as a DNS node serves it, and what its answers must then be.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use hickory_proto::rr::RData;
use ipnet::{IpNet, Ipv4Net};
use num_rational::BigRational;
use watershed::policy_input::Origin;
use watershed::scenario::Scenario;
use watershed_compile::{CidrLocations, References, compile_policy};
use watershed_crd::document::{Affinity, TrafficPolicyDocument};
use watershed_policy::{Limits, Policy};
use watershed_snapshot::{OwnerName, PolicyVersion};

use super::resolver::{Answer, sort};
use super::world::{APEX, World};
use crate::corpus::{Case, root};

/// Why a case cannot be asked by a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NotOnTheWire {
    /// A refused document is never served.
    Refused,
    /// Every query comes from a network, and an affine rule looks at it.
    AffinityWithoutNetwork,
}

/// A case as it is served.
pub(super) struct Served {
    pub(super) name: OwnerName,
    pub(super) version: Arc<PolicyVersion>,
    pub(super) record_type: u16,
    /// The client subnet of its queries.
    pub(super) network: IpNet,
    /// Whether the network was made for this case, and no one else's.
    pub(super) own_network: bool,
}

impl Served {
    /// The case of that index in the corpus.
    pub(super) fn of(index: usize, case: &Case) -> Result<Self, NotOnTheWire> {
        if case.is_refused() {
            return Err(NotOnTheWire::Refused);
        }
        let scenario = Scenario::from_value(&case.scenario, &root());
        let document = scenario.policy.document.as_ref();
        let document = document.unwrap_or_else(|| panic!("{} has no policy", case.label()));
        let given = given_network(case);
        if given.is_none() && is_affine(document) {
            return Err(NotOnTheWire::AffinityWithoutNetwork);
        }
        let namespace = format!("case-{index}");
        let limits = match scenario.policy.origin {
            Some(Origin::Route53) => Limits::route53(),
            _ => Limits::api(),
        };
        let policy = compile(document, &namespace, case, &limits);
        Ok(Self {
            name: OwnerName::from_text(&format!("{namespace}.{APEX}")).unwrap(),
            record_type: scenario.record_type.unwrap_or(policy.record_types()[0]),
            network: given.unwrap_or_else(|| own_network(index)),
            own_network: given.is_none(),
            version: Arc::new(PolicyVersion {
                namespace,
                policy_name: "case".into(),
                number: 1,
                digest: String::new(),
                policy,
            }),
        })
    }
}

fn given_network(case: &Case) -> Option<IpNet> {
    let address = case.client()?.get("address")?.as_str()?;
    let network = address.parse::<IpAddr>().map(IpNet::from);
    Some(network.unwrap_or_else(|_| address.parse().unwrap()))
}

/// A network of 100.64.0.0/10, which no case names.
fn own_network(index: usize) -> IpNet {
    let index = u32::try_from(index).unwrap();
    let address = Ipv4Addr::from(0x6440_0000 + (index << 8));
    Ipv4Net::new(address, 24).unwrap().into()
}

fn is_affine(document: &TrafficPolicyDocument) -> bool {
    let mut rules = document.rules.values();
    rules.any(|rule| rule.affinity == Some(Affinity::Client))
}

/// Compiles a document with its health checks in a namespace.
fn compile(
    document: &TrafficPolicyDocument,
    namespace: &str,
    case: &Case,
    limits: &Limits,
) -> Policy {
    let collections = collections(case);
    let references = References {
        cidr_collections: &|name| collections.get(name),
        check_id: &|name| format!("{namespace}/{name}"),
        ..References::none()
    };
    let (policy, findings) = compile_policy(document, &references, limits);
    policy.unwrap_or_else(|| panic!("{}: {findings:?}", case.label()))
}

fn collections(case: &Case) -> BTreeMap<String, CidrLocations> {
    let given = case.scenario.get("cidrCollections").cloned();
    given.map_or_else(BTreeMap::new, |given| {
        serde_json::from_value(given).unwrap()
    })
}

/// The answers that a case permits.
pub(super) struct Expected {
    rows: Vec<ExpectedRow>,
    /// Whether a case that states no rows expects an answer.
    some_answer: bool,
    /// How many values a drawn answer has.
    size: Option<usize>,
    pub(super) scope: Option<u8>,
    /// Rows seen so far, by index.
    seen: RefCell<BTreeMap<usize, usize>>,
}

struct ExpectedRow {
    data: Vec<RData>,
    probability: BigRational,
}

impl Expected {
    pub(super) fn of(case: &Case, served: &Served, world: &World) -> Self {
        let rows = case.expect.rows().unwrap_or_default().into_iter();
        let rows = rows.map(|row| ExpectedRow {
            data: data_of(served, &row.endpoints, world),
            probability: row.probability.0,
        });
        Self {
            rows: rows.collect(),
            some_answer: case.expect.outcome() == "answer",
            size: case.expect.subset_size(),
            scope: scope(case, served),
            seen: RefCell::default(),
        }
    }

    /// Whether every query has the same answer.
    pub(super) fn is_certain(&self) -> bool {
        self.rows.len() <= 1 && self.size.is_none()
    }

    /// Whether one of the rows is this answer.
    pub(super) fn permits(&self, answer: &Answer) -> bool {
        if self.rows.is_empty() {
            return self.some_answer != answer.data.is_empty();
        }
        self.row_of(answer).is_some()
    }

    /// Notes an answer; whether all likely rows have been seen by now.
    pub(super) fn saw(&self, answer: &Answer) -> bool {
        if let Some(row) = self.row_of(answer) {
            *self.seen.borrow_mut().entry(row).or_default() += 1;
        }
        self.unseen().is_empty()
    }

    /// Rows of probability 1/8 and more that have not been seen.
    pub(super) fn unseen(&self) -> Vec<String> {
        let eighth = BigRational::new(1.into(), 8.into());
        let seen = self.seen.borrow();
        let rows = self.rows.iter().enumerate();
        rows.filter(|(index, row)| row.probability >= eighth && !seen.contains_key(index))
            .map(|(_, row)| format!("never answered {:?}", row.data))
            .collect()
    }

    fn row_of(&self, answer: &Answer) -> Option<usize> {
        self.rows.iter().position(|row| match self.size {
            Some(size) if row.data.len() > size => {
                answer.data.len() == size && answer.data.iter().all(|d| row.data.contains(d))
            }
            _ => row.data == answer.data,
        })
    }
}

/// The record data of endpoints, sorted.
fn data_of(served: &Served, endpoints: &[String], world: &World) -> Vec<RData> {
    let policy = &served.version.policy;
    let named = |name: &String| policy.endpoints().iter().find(|e| e.name == *name).unwrap();
    let values = endpoints
        .iter()
        .flat_map(|name| named(name).values_of(served.record_type));
    let mut data: Vec<RData> = values
        .map(|value| world.data(value, served.record_type))
        .collect();
    sort(&mut data);
    data
}

/// The scope that the reply must have. That of a client without a location
/// is how far the test's database knows of no one, which no case states.
fn scope(case: &Case, served: &Served) -> Option<u8> {
    let scope = case.expect.scope?;
    let unmapped = served.own_network
        && case
            .client()
            .is_none_or(|client| client.contains_key("unmapped"));
    let (expected, nowhere) = match served.network {
        IpNet::V4(_) => (scope.ipv4, scope.ipv4 == 0),
        IpNet::V6(_) => (scope.ipv6, scope.ipv6 == 0),
    };
    (!unmapped || nowhere).then_some(expected)
}
