//! The corpus against a DNS node: UDP queries with a client subnet.
//!
//! All cases are served at once, each at a name of its own, with health
//! checks of its own namespace and clients of a network of its own.

mod resolver;
mod served;
mod world;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use watershed_dns::{Config, Node, Path};

use crate::assert_none;
use crate::corpus::{Case, corpus};
use resolver::{Answer, Resolver};
use served::{Expected, NotOnTheWire, Served};
use world::World;

/// Fewest and most queries for an answer that is drawn. A row of probability
/// 1/8 is missed by 400 draws once in 10^23.
const DRAWS: std::ops::RangeInclusive<usize> = 32..=400;

/// Every case, as it is served.
static CASES: LazyLock<Vec<(Case, Result<Served, NotOnTheWire>)>> = LazyLock::new(|| {
    let cases = corpus().into_iter().enumerate();
    cases
        .map(|(index, case)| {
            let served = Served::of(index, &case);
            (case, served)
        })
        .collect()
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_answers_as_the_corpus_says() {
    let served: Vec<(&Case, &Served)> = CASES
        .iter()
        .filter_map(|(case, served)| Some((case, served.as_ref().ok()?)))
        .collect();
    let world = World::of(&served);
    let node = Node::new(Config::default());
    world.serve(&node);
    let listener = node.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let resolver = Resolver::of(listener.local_addr()).await;
    let mut mismatches = Vec::new();
    for (case, served) in &served {
        node.set_geo(world.geo(case));
        let differences = differences(&resolver, case, served, &world).await;
        mismatches.extend(differences.iter().map(|d| format!("{}: {d}", case.label())));
    }
    listener.shutdown().await.unwrap();
    assert_none(&mismatches, served.len());
}

/// Whatever is drawn, the fast path for UDP and the full responder write the
/// same octets.
#[test]
fn both_paths_write_the_same_octets() {
    let served: Vec<(&Case, &Served)> = CASES
        .iter()
        .filter_map(|(case, served)| Some((case, served.as_ref().ok()?)))
        .collect();
    let world = World::of(&served);
    let node = Node::new(Config::default());
    world.serve(&node);
    let mut responder = node.udp_responder();
    let source = "127.0.0.1:40000".parse().unwrap();
    let (mut fast, mut full) = (Vec::new(), Vec::new());
    let mut on_the_fast_path = 0;
    for (case, served) in &served {
        node.set_geo(world.geo(case));
        let packet = resolver::query(served).to_vec().unwrap();
        for drawn in 0..20_u64 {
            let mut draw = |bound: u64| drawn * bound / 20;
            let path = responder.answer_with(&packet, source, &mut draw, &mut fast);
            on_the_fast_path += usize::from(path == Path::Fast);
            responder.answer_fully(&packet, source, &mut draw, &mut full);
            assert_eq!(fast, full, "{}, draw {drawn}", case.label());
        }
    }
    let all = served.len() * 20;
    assert!(on_the_fast_path * 2 > all, "{on_the_fast_path} of {all}");
}

#[test]
fn what_cannot_be_asked_by_a_query_is_known() {
    let mut reasons: BTreeMap<NotOnTheWire, Vec<&str>> = BTreeMap::new();
    for (case, served) in CASES.iter() {
        if let Err(reason) = served {
            reasons.entry(*reason).or_default().push(&case.name);
        }
    }
    for (reason, names) in &reasons {
        println!("{} cases not on the wire: {reason:?}", names.len());
    }
    let refused = CASES.iter().filter(|(case, _)| case.is_refused());
    let affine = [
        "weighted canary: one in twenty",
        "an affine split of a place is its weights",
    ];
    let expected = [
        (
            NotOnTheWire::Refused,
            refused.map(|(case, _)| &*case.name).collect(),
        ),
        (NotOnTheWire::AffinityWithoutNetwork, affine.to_vec()),
    ];
    assert_eq!(reasons, BTreeMap::from(expected));
}

/// Every way in which the node's answers differ from what a case expects.
async fn differences(
    resolver: &Resolver,
    case: &Case,
    served: &Served,
    world: &World,
) -> Vec<String> {
    let expected = Expected::of(case, served, world);
    let mut found = Vec::new();
    for draw in 1..=*DRAWS.end() {
        let answer = resolver.ask(served).await;
        found.extend(expected.differences(&answer));
        let enough = expected.is_certain() || draw >= *DRAWS.start();
        let complete = expected.saw(&answer) || !found.is_empty();
        if enough && complete {
            return found;
        }
    }
    found.extend(expected.unseen());
    found
}

impl Expected {
    /// What is wrong with one answer.
    fn differences(&self, answer: &Answer) -> Vec<String> {
        let mut found = Vec::new();
        if !self.permits(answer) {
            found.push(format!("answered {:?}", answer.data));
        }
        if let Some(scope) = self.scope
            && answer.scope != Some(scope)
        {
            found.push(format!("scope is {:?}, not {scope}", answer.scope));
        }
        found
    }
}
