//! DNS pods as if in another cluster: only the fleet half of the chart, which
//! dials in with a certificate. Who has another authority's is not let in.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use watershed_e2e::certs::Authority;
use watershed_e2e::dns::Question;
use watershed_e2e::{binaries, eventually};

use crate::support::{HOME, SOON, Site};

const PROFILE: &str = "charts/watershed/profiles/fleet-only.yaml";

/// A zone that the fleet `edge` serves and no other.
const OBJECTS: &str = "
apiVersion: watershed.dev/v1alpha1
kind: DNSFleet
metadata: {name: edge, namespace: watershed-system}
spec: {}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: watershed.dev/v1alpha1
kind: HostedZone
metadata: {name: example-com, namespace: shop}
spec:
  domain: example.com
  fleetName: edge
  nameservers: {names: [ns1.example.net.], glue: None}
---
apiVersion: watershed.dev/v1alpha1
kind: RecordSet
metadata: {name: www, namespace: shop}
spec:
  hostedZoneRef: {name: example-com}
  name: www
  type: A
  values: [192.0.2.1]
";

#[tokio::test]
async fn nodes_elsewhere_need_a_certificate_and_nothing_else() -> Result<()> {
    let mut site = Site::start("remote", 1).await?;
    site.install("--set operator.replicas=1 --set dns.enabled=false")
        .await?;
    site.cluster.apply(OBJECTS).await?;

    let dir = site.cluster.dir().join("edge");
    certificate(&site, &dir).await?;
    let release = install_nodes(&site, "edge", &dir, "--wait --timeout 3m").await;
    if let Err(error) = release {
        return Err(error.context(site.pods().await));
    }
    let dns = site.expose("edge", "edge-watershed-dns").await?;
    let question = Question::new("www.example.com", "A")?;
    site.answers(dns, &question, &["192.0.2.1"]).await?;

    let dir = site.cluster.dir().join("stranger");
    let authority = Authority::new("watershed")?;
    authority.write(&dir, &authority.node("edge", "stranger")?)?;
    install_nodes(&site, "stranger", &dir, "").await?;
    is_refused(&site).await?;
    site.finish(&["edge", "stranger"], &["shop"]).await
}

/// The files of a certificate, by the operator's own command.
async fn certificate(site: &Site, dir: &Path) -> Result<()> {
    let mut command = Command::new(binaries::operator()?);
    command
        .args(["certificate", "--namespace", HOME, "--fleet", "edge"])
        .arg("--out")
        .arg(dir)
        .envs(site.cluster.environment());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "certificate: {said}");
    Ok(())
}

/// A release in a namespace of its own, with the files of a certificate.
async fn install_nodes(site: &Site, name: &str, files: &Path, more: &str) -> Result<()> {
    site.kubectl(&format!("create namespace {name}")).await?;
    let files = files.display();
    site.kubectl(&format!(
        "create secret generic watershed-edge-tls -n {name} --from-file={files}"
    ))
    .await?;
    let address = format!("watershed-operator.{HOME}.svc:8443");
    site.helm(&format!(
        "install {name} charts/watershed --namespace {name} --values {PROFILE} \
         --set dns.fleet=edge --set dns.replicas=1 \
         --set dns.controlPlane.address={address} {more}"
    ))
    .await?;
    Ok(())
}

/// It tries, is refused each time, and so is never ready.
async fn is_refused(site: &Site) -> Result<()> {
    let tried = async || {
        let log = site
            .kubectl("logs deployment/stranger-watershed-dns -n stranger")
            .await?;
        ensure!(log.contains("UnknownIssuer"), "{log}");
        Ok(())
    };
    eventually("the stranger says that it is refused", SOON, tried).await?;
    let path = "{.items[*].status.conditions[?(@.type==\"Ready\")].status}";
    let ready = site
        .kubectl(&format!("get pods -n stranger -o jsonpath={path}"))
        .await?;
    ensure!(ready == "False", "the stranger's pod is ready: {ready}");
    let fleet = site
        .kubectl(&format!(
            "get tff edge -n {HOME} -o jsonpath={{.status.nodes.connected}}"
        ))
        .await?;
    ensure!(fleet == "1", "{fleet} nodes are connected");
    Ok(())
}
