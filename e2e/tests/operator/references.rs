//! Endpoints that follow Services, Ingresses and Gateways.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use watershed_e2e::dns::Question;
use watershed_e2e::eventually;
use watershed_e2e::tools::repository;

use crate::shop;
use crate::support::{Fleet, SOON};

/// A followed object.
struct Object<'f> {
    fleet: &'f Fleet,
    kind: &'static str,
    namespace: &'static str,
    name: &'static str,
}

impl Object<'_> {
    /// What a load balancer does: it writes addresses into the status.
    async fn has(&self, addresses: &[&str]) -> Result<()> {
        let entries = |field: &str| {
            let entries = addresses.iter().map(|address| json!({field: address}));
            entries.collect::<Vec<Value>>()
        };
        let status = match self.kind {
            "Gateway" => json!({"status": {"addresses": entries("value")}}),
            _ => json!({"status": {"loadBalancer": {"ingress": entries("ip")}}}),
        };
        let patch = status.to_string();
        let object = ["patch", self.kind, self.name, "-n", self.namespace];
        let how = ["--subresource=status", "--type=merge", "-p", &patch];
        self.fleet
            .cluster
            .kubectl(object.into_iter().chain(how))
            .await?;
        Ok(())
    }
}

async fn start(name: &str) -> Result<Fleet> {
    let mut setup = shop::setup(name);
    setup.operator_args = vec!["--grant-grace-seconds=3".to_owned()];
    let fleet = Fleet::start(setup).await?;
    let gateway_api = repository().join("e2e/tests/gateway-api.yaml");
    // The operator runs already, and has to notice.
    fleet.cluster.apply_path(gateway_api).await?;
    fleet.cluster.apply(include_str!("references.yaml")).await?;
    Ok(fleet)
}

#[tokio::test]
async fn answers_follow_the_addresses_of_services_and_ingresses() -> Result<()> {
    let fleet = start("references").await?;
    for (kind, record) in [("Service", "service"), ("Ingress", "ingress")] {
        let object = Object {
            fleet: &fleet,
            kind,
            namespace: "shop",
            name: "lb",
        };
        follow(&object, record).await.context(kind)?;
    }
    Ok(())
}

async fn follow(object: &Object<'_>, record: &str) -> Result<()> {
    let fleet = object.fleet;
    let question = Question::new(&format!("{record}.example.com"), "A")?;
    let version = format!("shop/{record}-v1");
    object.has(&["203.0.113.1"]).await?;
    fleet
        .ready("PolicyRecord", &format!("shop/{record}"))
        .await?;
    fleet
        .answers_everywhere(&question, &["203.0.113.1"])
        .await?;

    object.has(&["203.0.113.2"]).await?;
    fleet
        .answers_everywhere(&question, &["203.0.113.2"])
        .await?;
    resolved(fleet, &version, "True", "Resolved").await?;

    // One that is empty for a moment does not take the name away.
    object.has(&[]).await?;
    resolved(fleet, &version, "False", "AddressesLost").await?;
    fleet
        .answers_everywhere(&question, &["203.0.113.2"])
        .await?;
    object.has(&["203.0.113.3"]).await?;
    fleet
        .answers_everywhere(&question, &["203.0.113.3"])
        .await?;
    resolved(fleet, &version, "True", "Resolved").await
}

#[tokio::test]
async fn another_namespace_has_to_grant_its_gateway() -> Result<()> {
    let fleet = start("grants").await?;
    let gateway = Object {
        fleet: &fleet,
        kind: "Gateway",
        namespace: "infra",
        name: "public",
    };
    gateway.has(&["203.0.113.9"]).await?;
    // No version is made of a document that refers to what it may not.
    let refused = || {
        fleet.fails(
            "TrafficPolicy",
            "shop/gateway",
            "ResolvedRefs",
            "RefNotPermitted",
        )
    };
    refused().await?;
    let question = Question::new("gateway.example.com", "A")?;
    fleet.answers_everywhere(&question, &[]).await?;

    // To somebody else it says nothing.
    grant(&fleet, "blog").await?;
    refused().await?;
    grant(&fleet, "shop").await?;
    resolved(&fleet, "shop/gateway-v1", "True", "Resolved").await?;
    fleet.ready("PolicyRecord", "shop/gateway").await?;
    fleet
        .answers_everywhere(&question, &["203.0.113.9"])
        .await?;

    // Taken back, it has an effect, though not at once: one that is replaced
    // takes nothing away.
    let kind = "referencegrants.gateway.networking.k8s.io";
    let command = ["delete", kind, "shop", "--namespace", "infra"];
    fleet.cluster.kubectl(command).await?;
    fleet
        .answers_everywhere(&question, &["203.0.113.9"])
        .await?;
    resolved(&fleet, "shop/gateway-v1", "False", "RefNotPermitted").await?;
    fleet.answers_everywhere(&question, &[]).await
}

/// Lets policies of a namespace have the Gateway.
async fn grant(fleet: &Fleet, namespace: &str) -> Result<()> {
    let grant = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "ReferenceGrant",
        "metadata": {"name": namespace, "namespace": "infra"},
        "spec": {
            "from": [{"group": "watershed.dev", "kind": "TrafficPolicy", "namespace": namespace}],
            "to": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public"}],
        },
    });
    fleet.cluster.apply(&grant.to_string()).await
}

/// Waits until a version says this of its references.
async fn resolved(fleet: &Fleet, version: &str, status: &str, reason: &str) -> Result<()> {
    let what = format!("{version} says ResolvedRefs {status}, {reason}");
    eventually(&what, SOON, async || {
        let version = fleet.get("TrafficPolicyVersion", version).await?;
        let conditions = version["status"]["conditions"].as_array();
        for condition in conditions.context("no conditions")? {
            if condition["type"] == "ResolvedRefs" {
                let found = condition["status"] == status && condition["reason"] == reason;
                ensure!(found, "{condition}");
                return Ok(());
            }
        }
        bail!("it says nothing of them: {}", version["status"])
    })
    .await
}
