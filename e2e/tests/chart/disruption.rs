//! Upgrades, drains, evictions and rollbacks under a steady load: every query
//! that is lost is counted, and none may be lost for longer than a moment.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{EvictParams, ListParams};
use watershed_e2e::dns::{LoadOptions, QueryLoad, Question, Report};
use watershed_e2e::eventually;

use crate::support::{HOME, NEXT, SOON, Site};

const NODES: u8 = 3;

/// Where pods tell about themselves.
const METRICS: u16 = 8080;

/// So many ports ask at once, each 25 times a second: which pod answers depends
/// on the port, and one that goes leaves none of them alone.
const SOCKETS: usize = 8;

/// From one question of a port to its next, at 25 a second.
const BETWEEN: Duration = Duration::from_millis(40);

/// Each of three pods is replaced once, and each machine learns of it twice: when
/// the pod is told to stop, and when it is no longer ready.
const MOMENTS: usize = 6;

const OBJECTS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: watershed.dev/v1alpha1
kind: HostedZone
metadata: {name: example-com, namespace: shop}
spec:
  domain: example.com
  nameservers: {names: [ns1.example.net.], glue: None}
---
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: web, namespace: shop}
spec:
  version: 1
  document:
    recordTypes: [A]
    startEndpoint: one
    endpoints: {one: {addresses: [192.0.2.1]}}
---
apiVersion: watershed.dev/v1alpha1
kind: PolicyRecord
metadata: {name: www, namespace: shop}
spec:
  hostedZoneRef: {name: example-com}
  name: www
  policyRef: {name: web}
  version: 1
";

const ANSWER: &str = "192.0.2.1";

#[tokio::test]
async fn queries_are_answered_while_everything_is_replaced() -> Result<()> {
    let mut site = Site::start("disruption", NODES).await?;
    site.install("").await?;
    let dns = site.expose(HOME, "watershed-dns").await?;
    site.cluster.apply(OBJECTS).await?;
    let question = Question::new("www.example.com", "A")?;
    site.answers(dns, &question, &[ANSWER]).await?;

    let watch = Watch {
        site: &site,
        dns,
        question: &question,
    };
    site.import_next_build()?;
    let operator = site.next_build("operator");
    let upgrade = site.install(&operator);
    watch.during("operator upgrade", upgrade).await?;
    let all = format!("{operator} {}", site.next_build("dns"));
    let upgrade = both_builds(&site, site.install(&all));
    watch.during("upgrade of DNS pods", upgrade).await?;
    let back = format!("rollback watershed 1 --namespace {HOME} --wait --timeout 5m");
    watch.during("helm rollback", site.helm(&back)).await?;
    if site.owns_nodes_for("that a rollback brings the former build back") {
        for component in ["operator", "dns"] {
            let versions = versions(&site, component).await?;
            let is_back = !versions.is_empty() && !versions.contains(NEXT);
            ensure!(is_back, "{component}: {versions:?}");
        }
    }
    watch.during("eviction", evict_one(&site)).await?;
    watch.during("drain of a machine", drain_one(&site)).await?;

    // Objects and definitions outlive the release, and are served as before.
    site.helm(&format!("uninstall watershed --namespace {HOME} --wait"))
        .await?;
    site.forget_services();
    let kept = site.kubectl("get tfr www -n shop -o name").await?;
    ensure!(kept.contains("www"), "{kept}");
    site.install("").await?;
    let dns = site.expose(HOME, "watershed-dns").await?;
    site.answers(dns, &question, &[ANSWER]).await?;
    let versions = site.kubectl("get tfpv -n shop -o name").await?;
    assert_eq!(versions.lines().count(), 1, "{versions}");

    // What gives no notice costs answers: the load sees that.
    let watch = Watch {
        site: &site,
        dns,
        question: &question,
    };
    if site.owns_nodes_for("a power cut") {
        watch.loses_power().await?;
    }
    site.finish(&[], &["shop"]).await
}

/// Who asks what while something is done.
struct Watch<'a> {
    site: &'a Site,
    dns: SocketAddr,
    question: &'a Question,
}

impl Watch<'_> {
    /// A machine is gone from one moment to the next: what was sent to it is
    /// lost until the load balancer has noticed.
    async fn loses_power(&self) -> Result<()> {
        let load = QueryLoad::start(self.load()).await?;
        load.more(100, SOON).await?;
        let homes = homes(self.site).await?;
        let mut machines = self.site.cluster.nodes().iter();
        let machine = machines.find(|machine| homes.contains(machine.name()));
        machine.context("no node with a DNS pod")?.power_off()?;
        load.more(1000, SOON).await?;
        let report = load.stop().await?;
        self.site
            .note(&format!("power cut of a machine: {}", figures(&report)));
        ensure!(
            report.faulty > 0 && report.faulty < report.sent / 2,
            "{}",
            figures(&report)
        );
        Ok(())
    }

    fn load(&self) -> LoadOptions {
        self.site
            .load(self.dns, std::slice::from_ref(self.question), SOCKETS)
            .accept(|_, reply| match reply.values().as_slice() {
                [value] if value == ANSWER => Ok(()),
                _ => Err("not the answer".to_owned()),
            })
    }

    /// Asks while it is done and until what it replaced has gone.
    async fn during<T>(&self, what: &str, work: impl Future<Output = Result<T>>) -> Result<()> {
        let load = QueryLoad::start(self.load()).await?;
        let start = Instant::now();
        load.more(100, SOON).await?;
        work.await.with_context(|| what.to_owned())?;
        settled(self.site).await?;
        load.more(100, SOON).await?;
        let report = load.stop().await?;
        let seconds = start.elapsed().as_secs_f64();
        let figures = figures(&report);
        self.site
            .note(&format!("{what}: {figures}, in {seconds:.0} s"));
        no_loss_lasts(&report).with_context(|| what.to_owned())
    }
}

/// No answer is wrong, and no port loses two questions in a row, so that asking
/// again helps at once. What may be lost is on its way at the moment when a
/// machine takes a flow from one pod to another: the kernel has then forgotten
/// where the answer belongs.
fn no_loss_lasts(report: &Report) -> Result<()> {
    let mut moments: Vec<Vec<Instant>> = Vec::new();
    let mut faults = report.faults.iter().collect::<Vec<_>>();
    faults.sort_by_key(|fault| fault.sent);
    for fault in faults {
        ensure!(fault.what.starts_with("lost"), "{report}");
        match moments.last_mut() {
            Some(moment) if fault.sent - moment[0] < BETWEEN => moment.push(fault.sent),
            _ => moments.push(vec![fault.sent]),
        }
    }
    let apart = moments
        .windows(2)
        .all(|pair| pair[1][0] - pair[0][0] > 2 * BETWEEN);
    let largest = moments.iter().map(Vec::len).max().unwrap_or_default();
    ensure!(
        apart && largest <= SOCKETS && moments.len() <= MOMENTS,
        "{report}"
    );
    Ok(())
}

fn figures(report: &Report) -> String {
    format!(
        "{} asked, {} lost or wrong, slowest {:.0?}",
        report.sent, report.faulty, report.slowest
    )
}

fn pods(site: &Site) -> Api<Pod> {
    Api::namespaced(site.cluster.client(), HOME)
}

fn nodes() -> ListParams {
    ListParams::default().labels("app.kubernetes.io/component=dns")
}

/// The names of the machines that DNS pods run on.
async fn homes(site: &Site) -> Result<BTreeSet<String>> {
    let pods = pods(site).list(&nodes()).await?.items;
    let homes = pods.into_iter().filter_map(|pod| pod.spec?.node_name);
    Ok(homes.collect())
}

/// As many pods as there should be, all ready, and none that still goes.
async fn settled(site: &Site) -> Result<()> {
    eventually("the DNS pods are settled", SOON, async || {
        let found = pods(site).list(&nodes()).await?.items;
        let ready = found.iter().filter(|pod| is_ready(pod)).count();
        let all = found.len();
        ensure!(all == 3 && ready == 3, "{ready} of {all} are ready");
        Ok(())
    })
    .await
}

fn is_ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
        && pod.metadata.deletion_timestamp.is_none()
}

/// Upgrades the DNS pods, of which some are of the former build while others are
/// of the next already: both answer, and the operator is of the next.
async fn both_builds(site: &Site, upgrade: impl Future<Output = Result<()>>) -> Result<()> {
    if !site.owns_nodes_for("two builds side by side") {
        return upgrade.await;
    }
    let operator = versions(site, "operator").await?;
    ensure!(operator == [NEXT.to_owned()].into(), "{operator:?}");
    let mut seen = BTreeSet::new();
    let watched = async {
        loop {
            // A pod may go while it is asked.
            if let Ok(versions) = versions(site, "dns").await {
                seen.insert(versions);
            }
            // Pods are replaced over some seconds: this sees every state of them.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        outcome = upgrade => outcome?,
        () = watched => {}
    }
    let last = versions(site, "dns").await?;
    ensure!(last == [NEXT.to_owned()].into(), "not upgraded: {last:?}");
    site.note(&format!(
        "builds of ready DNS pods, one time and another: {seen:?}"
    ));
    let both = |versions: &BTreeSet<String>| versions.len() == 2 && versions.contains(NEXT);
    ensure!(seen.iter().any(both), "never side by side: {seen:?}");
    Ok(())
}

/// What the ready pods of a component say that they are, each for itself.
async fn versions(site: &Site, component: &str) -> Result<BTreeSet<String>> {
    let of_it = format!("app.kubernetes.io/component={component}");
    let found = pods(site)
        .list(&ListParams::default().labels(&of_it))
        .await?;
    let mut versions = BTreeSet::new();
    for pod in found.items.iter().filter(|pod| is_ready(pod)) {
        let name = pod.metadata.name.as_deref().context("a pod without name")?;
        let path = format!("/api/v1/namespaces/{HOME}/pods/{name}:{METRICS}/proxy/metrics");
        let metrics = site.kubectl(&format!("get --raw {path}")).await?;
        let build = metrics
            .lines()
            .find(|line| line.starts_with("watershed_build_info{"));
        let version = build.and_then(|line| line.split("version=\"").nth(1)?.split('"').next());
        versions.insert(version.context("no version")?.to_owned());
    }
    Ok(versions)
}

async fn evict_one(site: &Site) -> Result<()> {
    let found = pods(site).list(&nodes()).await?.items;
    let name = found.first().and_then(|pod| pod.metadata.name.as_deref());
    let name = name.context("no DNS pod")?;
    pods(site).evict(name, &EvictParams::default()).await?;
    Ok(())
}

/// The machine of a DNS pod, which gets pods again afterwards.
async fn drain_one(site: &Site) -> Result<()> {
    let found = pods(site).list(&nodes()).await?.items;
    let spec = found.first().and_then(|pod| pod.spec.as_ref());
    let machine = spec.and_then(|spec| spec.node_name.as_deref());
    let machine = machine.context("no DNS pod on a machine")?;
    site.kubectl(&format!(
        "drain {machine} --ignore-daemonsets --delete-emptydir-data --timeout=180s"
    ))
    .await?;
    settled(site).await?;
    site.kubectl(&format!("uncordon {machine}")).await?;
    Ok(())
}
