//! A node that serves the works on the loopback, for load from outside.
//!
//! `bench-node PORT WORKERS [NAMES] [POLICIES]`

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use watershed_bench::works;
use watershed_dns::{Config, Node, UdpOptions};

fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse());
    let mut number = || numbers.next().transpose();
    let port: usize = number()?.context("bench-node PORT WORKERS [NAMES] [POLICIES]")?;
    let workers = number()?.unwrap_or(1);
    let (names, policies) = (number()?.unwrap_or(0), number()?.unwrap_or(1));
    let node = Node::new(Config {
        udp: UdpOptions {
            workers: workers.try_into().ok(),
            ..UdpOptions::default()
        },
        ..Config::default()
    });
    node.publish(works::snapshot(names, policies)?);
    node.set_health(works::health());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port)?));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut listener = node.bind(address).await?;
        println!("{}", listener.local_addr());
        Ok(listener.failed().await?)
    })
}
