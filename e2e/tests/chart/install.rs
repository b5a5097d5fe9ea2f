//! The page about installation, and what clients get from what it installs.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::timeout;
use watershed_e2e::dns::{Question, ask_by, ask_stream};
use watershed_e2e::eventually;

use crate::support::{HOME, Page, SOON, Site};

/// Clients with addresses of well-known networks, and the endpoints that the
/// example has for them: Germany's own, and the nearest of the others.
const CLIENTS: [(&str, Ipv4Addr, &str); 3] = [
    ("dresden", Ipv4Addr::new(141, 76, 0, 7), "198.51.100.49"),
    ("tokyo", Ipv4Addr::new(133, 11, 0, 7), "203.0.113.11"),
    ("berkeley", Ipv4Addr::new(128, 32, 0, 7), "192.0.2.11"),
];

const ANSWER: Duration = Duration::from_secs(2);

#[tokio::test]
async fn the_page_installs_it_and_serves_a_first_policy() -> Result<()> {
    let mut site = Site::start("install", 2).await?;
    let page = Page::read("docs/install.md")?;
    let outcome = page.follow("Installation", &site.cluster).await;
    let printed = match outcome {
        Ok(printed) => printed,
        Err(error) => return Err(error.context(site.pods().await)),
    };
    ensure!(printed.contains("Phase:          Succeeded"), "{printed}");
    let printed = page.follow("A first policy", &site.cluster).await?;
    ensure!(printed.contains("198.51.100.49"), "{printed}");
    let dns = site.expose(HOME, "watershed-dns").await?;
    if site.owns_nodes_for("what clients get by their own addresses") {
        pods_see_the_addresses_of_their_clients(&site, dns).await?;
    }
    site.finish(&[], &["shop"]).await
}

/// None of these says where it is (no client subnet): the pods see it.
async fn pods_see_the_addresses_of_their_clients(site: &Site, dns: SocketAddr) -> Result<()> {
    let question = Question::new("example.com", "A")?;
    for (name, address, endpoint) in CLIENTS {
        let station = site.cluster.lan()?.station(name, address)?;
        let by_udp = async || {
            let reply = ask_by(&station.udp()?, dns, &question, ANSWER).await?;
            ensure!(reply.values() == [endpoint], "{}", reply.summary());
            Ok(())
        };
        eventually(&format!("{name} gets {endpoint}"), SOON, by_udp).await?;
        let by_tcp = timeout(ANSWER, async {
            ask_stream(station.network().connect(dns).await?, &question).await
        });
        let reply = by_tcp.await??;
        ensure!(reply.values() == [endpoint], "{name}: {}", reply.summary());
    }
    Ok(())
}
