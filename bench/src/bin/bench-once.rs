//! Does a work many times without a socket, for Callgrind to count what each
//! time takes; see `bench/callgrind`.
//!
//! `bench-once decision|datagram WORK COUNT [NAMES]`: a decision includes the
//! look-up of the client's location; a datagram goes in, and a reply comes
//! out. WORK is one of those of `bench-node`, or `names`, `policies` or
//! `missing` with as many names, of 1,000 policies.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, bail};
use ipnet::IpNet;
use watershed_bench::{getting_started, works};
use watershed_dns::{Config, Node, Path, UdpResponder};
use watershed_geo::GeoDatabase;
use watershed_policy::{Client, Health, Policy, View};

const USAGE: &str = "bench-once decision|datagram WORK COUNT [NAMES]";
const POLICIES: usize = 1000;
const SOURCE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (kind, work, count, names) = match arguments.as_slice() {
        [kind, work, count] => (kind, work, count.parse()?, 0),
        [kind, work, count, names] => (kind, work, count.parse()?, names.parse()?),
        _ => bail!(USAGE),
    };
    match kind.as_str() {
        "decision" => decisions(work, count),
        "datagram" => datagrams(work, count, names),
        _ => bail!(USAGE),
    }
}

fn decisions(work: &str, count: usize) -> anyhow::Result<()> {
    let policy = match work {
        "weighted" => works::weighted()?,
        "geo" => works::geo()?,
        "failover" => works::failover()?,
        "tree" => works::tree()?,
        "getting-started" => getting_started()?,
        _ => bail!("no decision of the work {work}"),
    };
    let health = Health::new(&policy, |check| check.id != works::DOWN, |_| true);
    let geo = GeoDatabase::builtin();
    let networks: Vec<[u8; 3]> = (0..).map(works::network).take(count).collect();
    // It makes the table, which is not to be counted.
    geo.lookup(Ipv4Addr::LOCALHOST.into());
    let chosen = decide(&policy, &health, &geo, &networks);
    println!("{chosen} endpoints in {count} decisions");
    Ok(())
}

/// What is counted.
#[inline(never)]
fn decide(policy: &Policy, health: &Health, geo: &GeoDatabase, networks: &[[u8; 3]]) -> usize {
    let mut seed = 0_u64;
    let mut draw = |bound| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % bound
    };
    let mut decide = |network: &[u8; 3]| {
        let [a, b, c] = *network;
        let address = IpAddr::V4(Ipv4Addr::new(a, b, c, 0));
        let location = if policy.looks_at_location() {
            geo.lookup(address)
        } else {
            watershed_policy::Location::unmapped()
        };
        let client = Client {
            network: IpNet::new(address, 24).ok(),
            location,
        };
        let view = View {
            client: &client,
            health,
            latency: None,
        };
        policy.decide(1, &view, &mut draw, &mut ()).endpoints.len()
    };
    networks.iter().map(&mut decide).sum()
}

fn datagrams(work: &str, count: usize, names: usize) -> anyhow::Result<()> {
    let node = Node::new(Config::default());
    node.publish(works::snapshot(names, POLICIES)?);
    node.set_health(works::health());
    let mut responder = node.udp_responder();
    let packets = works::queries(work, u32::try_from(names)?)?;
    // What is made with the first query is not to be counted.
    let first = packets.first().context("no query")?;
    responder.answer(first, SOURCE, &mut Vec::new());
    let octets = answer(&mut responder, packets.iter().cycle().take(count))?;
    println!("{octets} octets in {count} replies");
    Ok(())
}

/// What is counted.
#[inline(never)]
fn answer<'p>(
    responder: &mut UdpResponder,
    packets: impl Iterator<Item = &'p Vec<u8>>,
) -> anyhow::Result<usize> {
    let mut reply = Vec::with_capacity(1232);
    let mut octets = 0;
    for packet in packets {
        if responder.answer(packet, SOURCE, &mut reply) != Path::Fast {
            bail!("a query did not take the fast path");
        }
        octets += reply.len();
    }
    Ok(octets)
}
