//! A life of the operator under its own account, in which it does everything
//! that it can do.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use watershed_crd::KINDS;
use watershed_e2e::enrol::{AUDIENCE, Token, make_account, make_pod, published_ca};
use watershed_e2e::ports::free_address;
use watershed_e2e::tools::repository;
use watershed_e2e::wait::until;
use watershed_e2e::{Cluster, Identity, Launch, Process, binaries};

use crate::grants::{Grant, OperatorRoles};
use crate::needs;
use crate::objects::custom_api;
use crate::rights::{ACCOUNT, HOME, as_account};

const SOON: Duration = Duration::from_mins(1);
const TEAM: &str = "shop";
const OBJECTS: &str = include_str!("scenario.yaml");

/// The account and the pod of the node.
const NODE_ACCOUNT: &str = "watershed-dns";
const NODE: &str = "dns-0";

/// An operator, and a node that enrols with it.
pub struct Scenario<'c> {
    cluster: &'c Cluster,
    operator: Process,
    node: Process,
    /// The authority that the node believes, in PEM, and where it has it from.
    ca: (String, PathBuf),
}

impl<'c> Scenario<'c> {
    /// Installs all that the operator finds in a cluster, and starts it.
    pub async fn start(cluster: &'c Cluster) -> Result<Self> {
        install(cluster).await?;
        let account = Identity::service_account(HOME, ACCOUNT);
        let kubeconfig = cluster.kubeconfig_for(&account).await?;
        let fleet = free_address()?;
        let operator = Process::start(operator(cluster, &kubeconfig, fleet)?)?;
        let token = Token {
            namespace: HOME,
            account: NODE_ACCOUNT,
            pod: Some(NODE),
            audience: AUDIENCE,
        };
        let (ca_file, token_file) = (cluster.dir().join("ca.crt"), cluster.dir().join("token"));
        let ca = published_ca(cluster, HOME, None).await?;
        fs::write(&ca_file, &ca)?;
        fs::write(&token_file, token.make(cluster).await?)?;
        let node = Process::start(node(cluster, &ca_file, &token_file, fleet)?)?;
        Ok(Self {
            cluster,
            operator,
            node,
            ca: (ca, ca_file),
        })
    }

    /// Everything that it has rights for.
    pub async fn run(&mut self) -> Result<()> {
        self.cluster.apply(OBJECTS).await?;
        let addresses = json!({"status": {"addresses": [{"value": "203.0.113.1"}]}}).to_string();
        let patch = [
            "patch",
            "gateway",
            "public",
            "-n",
            "infra",
            "--subresource=status",
        ]
        .into_iter()
        .chain(["--type=merge", "-p", &addresses]);
        self.cluster.kubectl(patch).await?;
        self.ready("PolicyRecord", "www").await?;
        for kind in KINDS {
            self.told(kind).await.with_context(|| kind.to_owned())?;
        }
        self.versions().await.context("versions")?;
        self.certificates_anew().await.context("certificates")?;
        self.events().await.context("events")?;
        self.removal().await.context("removal")
    }

    /// Ends both, in good order.
    pub async fn end(self) -> Result<()> {
        self.node.kill()?;
        self.operator.stop(Duration::from_secs(20)).await?;
        Ok(())
    }

    /// A version is minted with each edit, taken and left again, and removed
    /// when it is one too many.
    async fn versions(&self) -> Result<()> {
        for number in 2..=4 {
            let fixed = json!({"addresses": [format!("192.0.2.{number}")]});
            let spec = json!({"spec": {"document": {"endpoints": {"fixed": fixed}}}});
            self.patch("TrafficPolicy", "web", spec).await?;
            self.ready("TrafficPolicyVersion", &format!("web-v{number}"))
                .await?;
        }
        for number in [4, 1] {
            let spec = json!({"spec": {"version": number}});
            self.patch("PolicyRecord", "www", spec).await?;
            self.ready("PolicyRecord", "www").await?;
        }
        let versions = custom_api(&self.cluster.client(), "TrafficPolicyVersion", TEAM);
        self.until("web-v2 is pruned", async || {
            Ok(versions.get_opt("web-v2").await?.is_none())
        })
        .await
    }

    /// Without an authority there is a new one at the next start, and all
    /// certificates are of it. The node finds it where the former was, and
    /// comes back by itself.
    async fn certificates_anew(&mut self) -> Result<()> {
        self.operator.stop(Duration::from_secs(20)).await?;
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client(), HOME);
        let before = secrets.get("watershed-dns-tls").await?;
        secrets
            .delete("watershed-ca", &DeleteParams::default())
            .await?;
        self.operator.restart()?;
        self.until("the certificate of the nodes is a new one", async || {
            Ok(secrets.get("watershed-dns-tls").await?.data != before.data)
        })
        .await?;
        let (ca, file) = &mut self.ca;
        *ca = published_ca(self.cluster, HOME, Some(ca)).await?;
        fs::write(file, ca)?;
        Ok(())
    }

    /// Every change of what is served is told with its own words.
    async fn events(&self) -> Result<()> {
        let events: Api<Event> = Api::namespaced(self.cluster.client(), TEAM);
        for number in [4, 1, 4, 1] {
            let spec = json!({"spec": {"version": number}});
            self.patch("PolicyRecord", "www", spec).await?;
            self.ready("PolicyRecord", "www").await?;
        }
        let told = |event: &Event| {
            let note = event.note.clone().unwrap_or_default();
            note.starts_with("version 1 is served") && note.ends_with("after version 4")
        };
        self.until("both ways back are told", async || {
            let list = events.list(&ListParams::default()).await?;
            Ok(list.items.iter().filter(|event| told(event)).count() >= 2)
        })
        .await
    }

    /// What is in use is held until it is not.
    async fn removal(&self) -> Result<()> {
        for kind in ["TrafficPolicyVersion", "TrafficPolicy", "HostedZone"] {
            let api = custom_api(&self.cluster.client(), kind, TEAM);
            let name = name_of(kind)?;
            self.until(&format!("{kind} {name} is held"), async || {
                let object = api.get(&name).await?;
                let finalizers = object.metadata.finalizers.unwrap_or_default();
                Ok(finalizers
                    .iter()
                    .any(|held| held.starts_with("watershed.dev/")))
            })
            .await?;
        }
        for kind in ["PolicyRecord", "RecordSet", "HostedZone", "TrafficPolicy"] {
            self.remove(kind, &name_of(kind)?).await.context(kind)?;
        }
        // The garbage collector takes minted versions along.
        let versions = custom_api(&self.cluster.client(), "TrafficPolicyVersion", TEAM);
        self.until("the versions are gone with their policy", async || {
            Ok(versions
                .list(&ListParams::default())
                .await?
                .items
                .is_empty())
        })
        .await
    }

    /// Deletes an object as soon as admission lets it go, and waits until it
    /// is gone.
    async fn remove(&self, kind: &str, name: &str) -> Result<()> {
        let api = custom_api(&self.cluster.client(), kind, TEAM);
        let parameters = DeleteParams::default();
        self.until(&format!("{kind} {name} may go"), async || {
            Ok(api.delete(name, &parameters).await.map(|_| true)?)
        })
        .await?;
        self.until(&format!("{kind} {name} is gone"), async || {
            Ok(api.get_opt(name).await?.is_none())
        })
        .await
    }

    async fn patch(&self, kind: &str, name: &str, patch: Value) -> Result<()> {
        let api = custom_api(&self.cluster.client(), kind, TEAM);
        let patch = Patch::Merge(patch);
        api.patch(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Waits until an object is ready in its present form.
    async fn ready(&self, kind: &str, name: &str) -> Result<()> {
        let api = custom_api(&self.cluster.client(), kind, TEAM);
        let what = format!("{kind} {name} is ready");
        let probe = async || {
            let object = api.get(name).await?;
            ensure!(is_ready(&object), "its status: {}", object.data["status"]);
            Ok(())
        };
        self.operator.eventually(&what, SOON, probe).await
    }

    /// Waits until all objects of a kind have a status.
    async fn told(&self, kind: &str) -> Result<()> {
        let namespace = if kind == "DNSFleet" { HOME } else { TEAM };
        let api = custom_api(&self.cluster.client(), kind, namespace);
        self.until(&format!("all of kind {kind} have a status"), async || {
            let list = api.list(&ListParams::default()).await?;
            let told = list
                .items
                .iter()
                .all(|object| object.data.pointer("/status/observedGeneration").is_some());
            Ok(told && !list.items.is_empty())
        })
        .await
    }

    async fn until(&self, what: &str, mut probe: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
        let probe = async || probe().await?.then_some(()).context("not so yet");
        self.operator.eventually(what, SOON, probe).await
    }
}

/// Whether a status says of the present generation that it is ready.
fn is_ready(object: &DynamicObject) -> bool {
    let conditions = object.data.pointer("/status/conditions");
    let conditions = conditions.and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        condition["type"] == "Ready"
            && condition["status"] == "True"
            && condition["observedGeneration"].as_i64() == object.metadata.generation
    })
}

/// The object of a kind in the scenario.
fn name_of(kind: &str) -> Result<String> {
    let name = match kind {
        "TrafficPolicyVersion" => "web-v1",
        "TrafficPolicy" => "web",
        "HostedZone" => "example-com",
        "PolicyRecord" => "www",
        "RecordSet" => "verification",
        _ => anyhow::bail!("no {kind}"),
    };
    Ok(name.to_owned())
}

async fn install(cluster: &Cluster) -> Result<()> {
    cluster
        .apply_path(repository().join("e2e/tests/gateway-api.yaml"))
        .await?;
    for namespace in [TEAM, "infra"] {
        let yaml = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}");
        cluster.apply(&yaml).await?;
    }
    for account in [ACCOUNT, NODE_ACCOUNT] {
        make_account(cluster, HOME, account).await?;
    }
    make_pod(cluster, HOME, NODE, NODE_ACCOUNT).await
}

fn operator(cluster: &Cluster, kubeconfig: &Path, fleet: SocketAddr) -> Result<Launch> {
    let fleet = fleet.to_string();
    let http = free_address()?.to_string();
    let log = cluster.dir().join("operator.log");
    let launch = Launch::new("operator", binaries::operator()?, log).arg("run");
    let launch = launch
        .args(["--namespace", HOME, "--pod-name", "operator-0"])
        .args(["--fleet-listen", &fleet, "--advertise", &fleet])
        .args(["--http", &http, "--lease-seconds", "3"])
        .args(["--enrol", &format!("{HOME}/{NODE_ACCOUNT}=default")]);
    Ok(launch.env("KUBECONFIG", kubeconfig))
}

fn node(cluster: &Cluster, ca: &Path, token: &Path, fleet: SocketAddr) -> Result<Launch> {
    let (dns, http) = (free_address()?.to_string(), free_address()?.to_string());
    let log = cluster.dir().join("node.log");
    let launch = Launch::new("node", binaries::dns()?, log).args(["--node", NODE]);
    let launch = launch
        .args(["--listen", &dns, "--http", &http])
        .args(["--operator", &fleet.to_string()])
        .arg("--ca")
        .arg(ca)
        .arg("--token")
        .arg(token);
    Ok(launch)
}

/// Where the server asks for it, a version can name its policy as its owner
/// only with the right to `trafficpolicies/finalizers`. This is the one right
/// that no request of its own shows.
pub async fn owners_are_asked_for(cluster: &Cluster, roles: &OperatorRoles) -> Result<()> {
    let grant = roles.grants().into_iter();
    let grant = grant.filter(|grant| grant.resource == "trafficpolicies/finalizers");
    let grant: Vec<Grant> = grant.collect();
    let [grant] = grant.as_slice() else {
        anyhow::bail!("{grant:?}");
    };
    let admin = cluster.client();
    let policy = json!({
        "apiVersion": "watershed.dev/v1alpha1",
        "kind": "TrafficPolicy",
        "metadata": {"name": "owner", "namespace": TEAM},
        "spec": {},
    });
    cluster.apply(&policy.to_string()).await?;
    let owner = custom_api(&admin, "TrafficPolicy", TEAM)
        .get("owner")
        .await?;
    let version = owned(owner.metadata.uid.as_deref().unwrap_or_default());
    let operator = as_account(cluster, ACCOUNT).await?;
    let api = custom_api(&operator, "TrafficPolicyVersion", TEAM);
    let parameters = PatchParams {
        dry_run: true,
        ..PatchParams::apply("e2e")
    };
    for (without, expected) in [(Some(grant), false), (None, true)] {
        needs::set_without(&admin, roles, without).await?;
        let what = format!("a version with an owner may be made: {expected}");
        until(&what, SOON, async || {
            let patch = Patch::Apply(&version);
            Ok(api.patch("owner-v1", &parameters, &patch).await.is_ok() == expected)
        })
        .await?;
    }
    Ok(())
}

/// A version as it is minted.
fn owned(uid: &str) -> Value {
    json!({
        "apiVersion": "watershed.dev/v1alpha1",
        "kind": "TrafficPolicyVersion",
        "metadata": {"name": "owner-v1", "namespace": TEAM, "ownerReferences": [{
            "apiVersion": "watershed.dev/v1alpha1",
            "kind": "TrafficPolicy",
            "name": "owner",
            "uid": uid,
            "controller": true,
            "blockOwnerDeletion": true,
        }]},
        "spec": {"policyName": "owner", "version": 1, "document": {
            "recordTypes": ["A"],
            "startEndpoint": "one",
            "endpoints": {"one": {"addresses": ["192.0.2.1"]}},
        }},
    })
}
