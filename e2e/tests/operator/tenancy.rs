//! Whose names are whose.

use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::Api;
use serde_json::{Value, json};
use watershed_e2e::dns::Question;
use watershed_e2e::eventually;
use watershed_e2e::wait::until;

use crate::support::{Fleet, SOON, Setup};

/// A zone of the platform team; two teams, of which one may publish in it.
const OBJECTS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: dns}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {dns.example.com/zone: example-com}}
---
apiVersion: v1
kind: Namespace
metadata: {name: blog}
---
apiVersion: watershed.dev/v1alpha1
kind: HostedZone
metadata: {name: example-com, namespace: dns}
spec:
  domain: example.com
  nameservers: {names: [ns1.example.net.], glue: None}
  allowedRecords:
  - namespaces:
      from: Selector
      selector: {matchLabels: {dns.example.com/zone: example-com}}
    names: [www, '*.shop']
    types: [A, AAAA]
    kinds: [PolicyRecord, RecordSet]
";

fn policy(namespace: &str, address: &str) -> String {
    format!(
        "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {{name: web, namespace: {namespace}}}
spec:
  document:
    recordTypes: [A]
    startEndpoint: one
    endpoints: {{one: {{addresses: [{address}]}}}}
"
    )
}

fn record(namespace: &str, object: &str, name: &str) -> String {
    format!(
        "
apiVersion: watershed.dev/v1alpha1
kind: PolicyRecord
metadata: {{name: {object}, namespace: {namespace}}}
spec:
  hostedZoneRef: {{name: example-com, namespace: dns}}
  name: {name}
  policyRef: {{name: web}}
  version: 1
"
    )
}

#[tokio::test]
async fn a_zone_says_who_may_publish_what() -> Result<()> {
    let fleet = Fleet::start(Setup::named("tenancy")).await?;
    let cluster = &fleet.cluster;
    cluster.apply(OBJECTS).await?;
    cluster.apply(&policy("shop", "192.0.2.1")).await?;
    cluster.apply(&policy("blog", "192.0.2.2")).await?;
    let question = Question::new("www.example.com", "A")?;

    // Another namespace, another name, another type.
    cluster.apply(&record("blog", "www", "www")).await?;
    cluster.apply(&record("shop", "mail", "mail")).await?;
    cluster
        .apply(
            "
apiVersion: watershed.dev/v1alpha1
kind: RecordSet
metadata: {name: text, namespace: shop}
spec:
  hostedZoneRef: {name: example-com, namespace: dns}
  name: www
  type: TXT
  values: ['\"not of a type that is allowed\"']
",
        )
        .await?;
    for (kind, object) in [
        ("PolicyRecord", "blog/www"),
        ("PolicyRecord", "shop/mail"),
        ("RecordSet", "shop/text"),
    ] {
        fleet
            .fails(kind, object, "Accepted", "NotAllowedByZone")
            .await?;
    }
    fleet.answers_everywhere(&question, &[]).await?;
    cluster.apply(&record("shop", "www", "www")).await?;
    fleet.ready("PolicyRecord", "shop/www").await?;
    fleet.answers_everywhere(&question, &["192.0.2.1"]).await?;

    // Labels of namespaces count as they are now; and the record of the other
    // team was there first.
    let label = [
        "label",
        "namespace",
        "blog",
        "dns.example.com/zone=example-com",
    ];
    cluster.kubectl(label).await?;
    fleet.ready("PolicyRecord", "blog/www").await?;
    let message = fleet
        .fails("PolicyRecord", "shop/www", "Accepted", "NameConflict")
        .await?;
    ensure!(
        !message.contains("blog"),
        "it names the other namespace: {message}"
    );
    fleet.answers_everywhere(&question, &["192.0.2.2"]).await?;

    // And as they are not any longer.
    let label = ["label", "namespace", "blog", "dns.example.com/zone-"];
    cluster.kubectl(label).await?;
    let (kind, reason) = ("PolicyRecord", "NotAllowedByZone");
    fleet.fails(kind, "blog/www", "Accepted", reason).await?;
    fleet.ready(kind, "shop/www").await?;
    fleet.answers_everywhere(&question, &["192.0.2.1"]).await
}

#[tokio::test]
async fn of_two_that_claim_a_name_the_older_has_it() -> Result<()> {
    let fleet = Fleet::start(Setup::named("conflict")).await?;
    let cluster = &fleet.cluster;
    cluster.apply(OBJECTS).await?;
    cluster
        .kubectl([
            "label",
            "namespace",
            "blog",
            "dns.example.com/zone=example-com",
        ])
        .await?;
    cluster.apply(&policy("shop", "192.0.2.1")).await?;
    cluster.apply(&policy("blog", "192.0.2.2")).await?;
    let question = Question::new("www.example.com", "A")?;
    cluster.apply(&record("shop", "www", "www")).await?;
    fleet.ready("PolicyRecord", "shop/www").await?;
    // Ages are told in seconds.
    let made = UNIX_EPOCH.elapsed()?.as_secs();
    let later = async || Ok(UNIX_EPOCH.elapsed()?.as_secs() > made);
    until("the next second has begun", SOON, later).await?;
    cluster.apply(&record("blog", "www", "www")).await?;
    let message = fleet
        .fails("PolicyRecord", "blog/www", "Accepted", "NameConflict")
        .await?;
    ensure!(
        !message.contains("shop"),
        "it names the other namespace: {message}"
    );
    let stalled = fleet.get("PolicyRecord", "blog/www").await?;
    let stalled = stalled["status"]["conditions"].to_string();
    ensure!(stalled.contains("Stalled"), "{stalled}");
    fleet.answers_everywhere(&question, &["192.0.2.1"]).await?;

    // Not even an edit of the younger one changes that.
    let ttl = json!({"spec": {"ttlSeconds": 5}});
    fleet.edit("PolicyRecord", "blog/www", ttl).await?;
    fleet
        .fails("PolicyRecord", "blog/www", "Accepted", "NameConflict")
        .await?;
    fleet.answers_everywhere(&question, &["192.0.2.1"]).await?;

    fleet.delete("PolicyRecord", "shop/www").await?;
    fleet.ready("PolicyRecord", "blog/www").await?;
    fleet.answers_everywhere(&question, &["192.0.2.2"]).await
}

/// The page shows a quota; this is that one with these numbers.
fn quota(hard: &[(&str, &str)]) -> Result<String> {
    let page = include_str!("../../../docs/rbac.md");
    let mut blocks = page.split("```yaml\n").skip(1);
    let quota = blocks.find(|block| block.contains("kind: ResourceQuota"));
    let (quota, _) = quota
        .and_then(|block| block.split_once("```"))
        .context("no quota")?;
    let mut quota: Value = serde_yaml::from_str(quota)?;
    for (kind, number) in hard {
        let count = &mut quota["spec"]["hard"][format!("count/{kind}.watershed.dev")];
        ensure!(count.is_string(), "the page does not count {kind}");
        *count = json!(number);
    }
    Ok(quota.to_string())
}

#[tokio::test]
async fn a_quota_says_how_much_a_team_may_make() -> Result<()> {
    let fleet = Fleet::start(Setup::named("quota")).await?;
    let cluster = &fleet.cluster;
    cluster.apply(OBJECTS).await?;
    let few = [("policyrecords", "1"), ("trafficpolicyversions", "1")];
    cluster.apply(&quota(&few)?).await?;
    let quotas: Api<ResourceQuota> = Api::namespaced(cluster.client(), "shop");
    eventually("the quota is in force", SOON, async || {
        let status = quotas.get("watershed").await?.status;
        let used = status.and_then(|status| status.used).unwrap_or_default();
        ensure!(used.len() == 6, "{used:?}");
        Ok(())
    })
    .await?;
    cluster.apply(&policy("shop", "192.0.2.1")).await?;
    cluster.apply(&record("shop", "www", "www")).await?;
    fleet.ready("PolicyRecord", "shop/www").await?;

    // One record more is refused where it is applied.
    let refused = cluster.apply(&record("shop", "shop", "a.shop")).await;
    let refused = format!("{:?}", refused.err().context("the quota is not kept")?);
    let words = "exceeded quota: watershed, requested: count/policyrecords.watershed.dev=1";
    ensure!(refused.contains(words), "{refused}");

    // A version more cannot be made: the policy says so, and what is served stays.
    cluster.apply(&policy("shop", "192.0.2.2")).await?;
    let message = fleet
        .fails("TrafficPolicy", "shop/web", "Ready", "MintRefused")
        .await?;
    let words = "exceeded quota: watershed, requested: count/trafficpolicyversions.watershed.dev=1";
    ensure!(message.contains(words), "{message}");
    let question = Question::new("www.example.com", "A")?;
    fleet.answers_everywhere(&question, &["192.0.2.1"]).await?;

    let more = [("policyrecords", "1"), ("trafficpolicyversions", "2")];
    cluster.apply(&quota(&more)?).await?;
    fleet.ready("TrafficPolicy", "shop/web").await?;
    Ok(())
}
