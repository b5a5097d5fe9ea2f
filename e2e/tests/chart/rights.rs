//! What the programs may do in the cluster, and what tenants may not.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watershed_e2e::dns::Question;
use watershed_e2e::{Identity, eventually};

use crate::support::{HOME, SOON, Site};

const NODE: &str = "system:serviceaccount:watershed-system:watershed-dns";
const OPERATOR: &str = "system:serviceaccount:watershed-system:watershed-operator";

/// The address at which clouds hand out the credentials of a machine.
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// A zone of the team `shop`, and another team that may publish one name of it.
const OBJECTS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: tenant}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: mallory, namespace: tenant}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: mallory}
---
apiVersion: watershed.dev/v1alpha1
kind: HostedZone
metadata: {name: example-com, namespace: shop}
spec:
  domain: example.com
  nameservers: {names: [ns1.example.net.], glue: None}
  allowedRecords:
  - namespaces: {from: Same}
  - namespaces:
      from: Selector
      selector: {matchLabels: {kubernetes.io/metadata.name: tenant}}
    names: [spy]
    kinds: [PolicyRecord]
---
apiVersion: watershed.dev/v1alpha1
kind: RecordSet
metadata: {name: www, namespace: shop}
spec: {hostedZoneRef: {name: example-com}, name: www, type: A, values: [192.0.2.1]}
";

/// What the other team tries: another name of the zone, and probes of what is not to
/// be reached from outside.
const ATTEMPTS: &str = "
apiVersion: watershed.dev/v1alpha1
kind: RecordSet
metadata: {name: taken, namespace: tenant}
spec:
  hostedZoneRef: {name: example-com, namespace: shop}
  name: taken
  type: A
  values: [192.0.2.66]
---
apiVersion: watershed.dev/v1alpha1
kind: HealthCheck
metadata: {name: metadata, namespace: tenant}
spec: {http: {port: 80, path: /latest/meta-data/}, intervalSeconds: 5}
---
apiVersion: watershed.dev/v1alpha1
kind: HealthCheck
metadata: {name: own, namespace: tenant}
spec: {http: {port: 8080, path: /healthz}, intervalSeconds: 5}
---
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: spy, namespace: tenant}
spec:
  version: 1
  document:
    recordTypes: [A]
    startRule: all
    rules:
      all:
        type: MultiValue
        branches: [{endpoint: metadata}, {endpoint: own}]
    endpoints:
      metadata: {addresses: [169.254.169.254], healthCheckRef: {name: metadata}}
      own: {addresses: [127.0.0.1], healthCheckRef: {name: own}}
---
apiVersion: watershed.dev/v1alpha1
kind: PolicyRecord
metadata: {name: spy, namespace: tenant}
spec:
  hostedZoneRef: {name: example-com, namespace: shop}
  name: spy
  policyRef: {name: spy}
  version: 1
";

#[tokio::test]
async fn nobody_may_more_than_is_needed() -> Result<()> {
    let mut site = Site::start("rights", 1).await?;
    site.install("--set operator.replicas=1 --set dns.replicas=1")
        .await?;
    let dns = site.expose(HOME, "watershed-dns").await?;
    site.cluster.apply(OBJECTS).await?;
    let www = Question::new("www.example.com", "A")?;
    site.answers(dns, &www, &["192.0.2.1"]).await?;

    the_operator_may_little(&site).await?;
    nodes_may_nothing(&site).await?;
    tenants_stay_at_home(&site, dns).await?;
    site.finish(&[], &["tenant", "shop"]).await
}

/// What an account may do, as the API server says: verbs by resource.
async fn rights(site: &Site, account: &str) -> Result<BTreeMap<String, String>> {
    let list = format!("auth can-i --list --no-headers -n {HOME} --as={account}");
    let rights = site.kubectl(&list).await?;
    site.note(&format!("{account} may:\n{rights}"));
    // Columns: resources, URLs, names, verbs; the first may be empty.
    let mut by_resource = BTreeMap::new();
    for line in rights.lines().filter(|line| !line.starts_with(' ')) {
        let (resource, _) = line.split_once(' ').unwrap_or((line, ""));
        let verbs = line.rsplit_once('[').map_or("", |(_, verbs)| verbs);
        let names = line.split('[').nth(2).unwrap_or_default();
        let names = names.trim_end_matches([' ', ']']);
        let key = format!("{resource} {names}").trim_end().to_owned();
        by_resource.insert(key, verbs.trim_end_matches(']').to_owned());
    }
    Ok(by_resource)
}

async fn the_operator_may_little(site: &Site) -> Result<()> {
    let rights = rights(site, OPERATOR).await?;
    ensure!(rights.len() > 10, "too few to be all: {rights:?}");
    for (resource, verbs) in &rights {
        ensure!(
            !resource.contains('*') && !verbs.contains('*'),
            "{resource}: {verbs}"
        );
        let alone = resource.split(' ').next().unwrap_or_default();
        let is_named = resource.contains(' ');
        let forbidden = match alone {
            // Three by their names; new ones may be made.
            "secrets" if is_named => ["list", "watch", "delete"].as_slice(),
            "secrets" => &["get", "list", "watch", "update", "patch", "delete"],
            "pods" | "nodes" | "deployments.apps" | "daemonsets.apps" => {
                &["create", "update", "patch", "delete"]
            }
            _ => &["bind", "escalate", "impersonate"],
        };
        let forbidden = forbidden.iter().find(|verb| has(verbs, verb));
        ensure!(forbidden.is_none(), "{resource}: {verbs}");
    }
    // Nothing at all in the namespaces of others but to read and to tell.
    for question in ["create pods", "get secrets", "create serviceaccounts/token"] {
        refused(site, question, "shop", OPERATOR).await?;
    }
    Ok(())
}

fn has(verbs: &str, verb: &str) -> bool {
    verbs.split_whitespace().any(|one| one == verb)
}

async fn refused(site: &Site, what: &str, namespace: &str, account: &str) -> Result<()> {
    let command = format!("auth can-i {what} -n {namespace} --as={account}");
    let kubeconfig = site.cluster.kubeconfig();
    let output = site
        .cluster
        .try_kubectl_as(kubeconfig, command.split_whitespace())
        .await?;
    let answer = String::from_utf8_lossy(&output.stdout);
    ensure!(answer.trim() == "no", "{account} may {what}: {answer}");
    Ok(())
}

/// Only what everybody may who is known to the API server; and they are not
/// known to it, as their token is for another audience.
async fn nodes_may_nothing(site: &Site) -> Result<()> {
    let nodes = rights(site, NODE).await?;
    let nobody = rights(site, "system:serviceaccount:watershed-system:nobody").await?;
    assert_eq!(nodes, nobody);

    let path = "{.items[0].spec.volumes[*].projected.sources[*].serviceAccountToken.audience}";
    let selector = "app.kubernetes.io/component=dns";
    let audiences = site
        .kubectl(&format!(
            "get pods -n {HOME} -l {selector} -o jsonpath={path}"
        ))
        .await?;
    assert!(
        ["", "watershed-operator"].contains(&audiences.as_str()),
        "a token for {audiences}"
    );
    let token = site
        .kubectl(&format!(
            "create token watershed-dns -n {HOME} --audience=watershed-operator"
        ))
        .await?;
    let admin = kube::config::Kubeconfig::read_from(site.cluster.kubeconfig())?;
    let server = &admin.clusters.first().context("a cluster")?.cluster;
    let server = server.as_ref().and_then(|cluster| cluster.server.clone());
    let server = server.context("a server")?;
    let nothing = site.cluster.dir().join("nothing.kubeconfig");
    std::fs::write(&nothing, "{apiVersion: v1, kind: Config}")?;
    let ask = format!(
        "get --raw /api --server={server} --insecure-skip-tls-verify --token={}",
        token.trim()
    );
    let output = site
        .cluster
        .try_kubectl_as(&nothing, ask.split_whitespace())
        .await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        said.contains("Unauthorized") || said.contains("must be logged in"),
        "{said}"
    );
    Ok(())
}

async fn tenants_stay_at_home(site: &Site, dns: SocketAddr) -> Result<()> {
    let mallory = site
        .cluster
        .kubeconfig_for(&Identity::user("mallory", &[]))
        .await?;
    let file = site.cluster.dir().join("attempts.yaml");
    std::fs::write(&file, ATTEMPTS)?;
    let visits = if site.owns_nodes_for("that nobody asks for metadata") {
        Some(Visits::open(site)?)
    } else {
        None
    };
    site.cluster
        .kubectl_as(&mallory, ["apply", "-f", &file.to_string_lossy()])
        .await?;

    // The name is not the tenant's to take.
    let path = "{.status.conditions[?(@.type==\"Accepted\")].reason}";
    let told = async || {
        let reason = site
            .kubectl(&format!("get tfrs taken -n tenant -o jsonpath={path}"))
            .await?;
        ensure!(reason == "NotAllowedByZone", "{reason}");
        Ok(())
    };
    eventually("the zone's word is told", SOON, told).await?;
    let taken = Question::new("taken.example.com", "A")?;
    site.answers(dns, &taken, &[]).await?;

    // Keys are not theirs to read, nor is the zone theirs to change.
    for what in ["get secrets", "get configmaps"] {
        refused(site, what, HOME, "mallory").await?;
    }
    refused(site, "update hostedzones.watershed.dev", "shop", "mallory").await?;
    refused(
        site,
        "create hostedzones.watershed.dev",
        "tenant",
        "mallory",
    )
    .await?;

    // Nothing is sent there, and the status says so.
    for check in ["metadata", "own"] {
        let told = async || {
            let status = site
                .kubectl(&format!(
                    "get tfhc {check} -n tenant -o jsonpath={{.status}}"
                ))
                .await?;
            ensure!(status.contains("--probe-allow"), "{status}");
            Ok(())
        };
        eventually(&format!("{check} is not probed"), SOON, told).await?;
    }
    visits.map_or(Ok(()), |visits| visits.none())
}

/// A service at the metadata address, on the way of every pod to anywhere.
struct Visits {
    listener: std::net::TcpListener,
}

impl Visits {
    fn open(site: &Site) -> Result<Self> {
        let router = site.cluster.lan()?.namespace();
        router.ip(&format!("address add {METADATA}/32 dev lan"))?;
        let address = SocketAddr::from((METADATA, 80));
        let listener = router.within(|| Ok(std::net::TcpListener::bind(address)?))?;
        listener.set_nonblocking(true)?;
        // A node reaches it, and so would its pods.
        let node = site.cluster.nodes().first().context("a node")?;
        node.network().within(|| {
            std::net::TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
            Ok(())
        })?;
        listener.accept().context("the node's own visit")?;
        Ok(Self { listener })
    }

    fn none(&self) -> Result<()> {
        let visit = self.listener.accept();
        ensure!(visit.is_err(), "somebody asked for metadata: {visit:?}");
        Ok(())
    }
}
