use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watershed_e2e::dns::{Question, ask_by};
use watershed_e2e::{Cluster, Options, eventually, image, tools};

const SOON: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

/// What a load balancer would have given the Service.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 89, 53, 1);

/// Any address that is not the network's own.
const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

#[tokio::test]
async fn pods_see_the_addresses_of_their_clients() -> Result<()> {
    let cluster = Cluster::start(Options::default().named("pods").with_nodes(2)).await?;
    run_whoami(&cluster).await?;
    let lan = cluster.lan()?;
    let station = lan.station("client", CLIENT)?;

    // The cluster's DNS knows the Service.
    let service = Question::new("whoami.default.svc.cluster.local", "A")?;
    let known = async || {
        let reply = ask_by(&station.udp()?, cluster.dns_address(), &service, SECOND).await?;
        let [address] = reply
            .values()
            .try_into()
            .map_err(|v| anyhow::anyhow!("not one address: {v:?}"))?;
        ensure!(address.starts_with("10.96."), "{address}");
        Ok(())
    };
    eventually("the Service has a name", SOON, known).await?;

    // By way of either node, the pod there sees the client and no node.
    for node in cluster.nodes() {
        lan.route(ADDRESS, [node.address()])?;
        let seen = async || seen_address(&station, (ADDRESS, 53).into()).await;
        let seen = eventually("the pod answers", SOON, seen).await?;
        assert_eq!(seen, CLIENT.to_string(), "by way of {}", node.name());
    }

    // The API server reaches the kubelets.
    let logs = cluster.kubectl(["logs", "daemonset/whoami"]).await?;
    assert!(logs.contains("CoreDNS-"), "{logs}");
    Ok(())
}

async fn run_whoami(cluster: &Cluster) -> Result<()> {
    let archive = cluster.images().join("coredns.tar");
    image::of_program("watershed.dev/e2e/coredns:1", &tools::coredns()?, &archive)?;
    cluster.import(&[archive])?;
    cluster.apply(include_str!("whoami.yaml")).await?;
    let rollout = ["rollout", "status", "daemonset/whoami", "--timeout=60s"];
    cluster.kubectl(rollout).await?;
    let status = format!(r#"{{"status":{{"loadBalancer":{{"ingress":[{{"ip":"{ADDRESS}"}}]}}}}}}"#);
    let patch = [
        "patch",
        "service",
        "whoami",
        "--subresource=status",
        "--type=merge",
        "--patch",
    ];
    cluster
        .kubectl(patch.into_iter().chain([status.as_str()]))
        .await?;
    Ok(())
}

async fn seen_address(
    station: &watershed_e2e::node::Station,
    server: SocketAddr,
) -> Result<String> {
    let question = Question::new("example.com", "A")?;
    let reply = ask_by(&station.udp()?, server, &question, SECOND).await?;
    let mut told = reply.additionals.iter().map(|record| &record.data);
    let address = told.find(|data| data.record_type().to_string() == "A");
    Ok(address.context("no address is told")?.to_string())
}
