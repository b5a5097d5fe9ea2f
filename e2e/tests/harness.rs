//! The harness itself: what the other suites rely on.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube::api::{Api, ListParams, PostParams};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::timeout;
use watershed_e2e::cluster::Failures;
use watershed_e2e::wait::until;
use watershed_e2e::{Cluster, Identity, Options, Version};

const SOON: Duration = Duration::from_secs(30);

const SHOP: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: cart, namespace: shop}
data: {size: '3'}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
";

#[tokio::test]
async fn objects_are_applied_in_an_order_that_works() -> Result<()> {
    let cluster = Cluster::start(Options::bare(Version::Newest).named("apply")).await?;
    cluster.apply(SHOP).await?;
    let shown = cluster.kubectl([
        "get",
        "configmap",
        "cart",
        "-n",
        "shop",
        "-o",
        "jsonpath={.data.size}",
    ]);
    assert_eq!(shown.await?, "3");
    cluster.install_crds().await?;
    let kinds = cluster.kubectl(["get", "crds", "-o", "name"]).await?;
    assert!(kinds.contains("policyrecords"), "{kinds}");
    Ok(())
}

#[tokio::test]
async fn all_that_is_refused_is_told_and_the_rest_applied() -> Result<()> {
    let cluster = Cluster::start(Options::bare(Version::Newest).named("refused")).await?;
    let mixed = "\
{apiVersion: v1, kind: ConfigMap, metadata: {name: one}, date: {}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: Two}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: three}}
";
    let error = cluster.apply(mixed).await.unwrap_err();
    let failures: &Failures = error.downcast_ref().context("all failures")?;
    let refused: Vec<_> = failures
        .refused()
        .iter()
        .map(|(object, _)| object.as_str())
        .collect();
    assert_eq!(refused, ["ConfigMap one", "ConfigMap Two"]);
    assert!(
        error.to_string().contains("field not declared in schema"),
        "{error}"
    );
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    maps.get("three").await?;
    Ok(())
}

#[tokio::test]
async fn what_is_stored_outlives_the_api_server() -> Result<()> {
    let cluster = Cluster::start(Options::default().named("restart")).await?;
    cluster.apply(SHOP).await?;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "shop");
    cluster.stop_api_server()?;
    assert!(maps.get("cart").await.is_err(), "nobody is there to answer");
    cluster.start_api_server().await?;
    maps.get("cart").await?;

    // A server that hangs is not one that is gone: nobody refuses, nobody answers.
    cluster.api_server()?.pause()?;
    let waiting = maps.get("cart");
    let mut waiting = std::pin::pin!(waiting);
    assert!(
        timeout(Duration::from_millis(500), &mut waiting)
            .await
            .is_err()
    );
    cluster.api_server()?.resume()?;
    timeout(SOON, waiting).await??;

    // The controllers have come through it.
    cluster
        .apply("{apiVersion: v1, kind: Namespace, metadata: {name: later}}")
        .await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), "later");
    let made = async || Ok(accounts.get_opt("default").await?.is_some());
    until("a new namespace has its account", SOON, made).await
}

#[tokio::test]
async fn everybody_has_the_rights_that_roles_give() -> Result<()> {
    let cluster = Cluster::start(Options::default().named("rights")).await?;
    cluster.apply(SHOP).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), "shop");
    let exists = async || Ok(accounts.get_opt("default").await?.is_some());
    until("the account exists", SOON, exists).await?;
    let binding = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: viewers, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects:
- {kind: ServiceAccount, name: default, namespace: shop}
- {kind: Group, name: buyers, apiGroup: rbac.authorization.k8s.io}
";
    cluster.apply(binding).await?;
    for identity in [
        Identity::service_account("shop", "default"),
        Identity::user("alice", &["sellers", "buyers"]),
    ] {
        let kubeconfig = cluster.kubeconfig_for(&identity).await?;
        let client = cluster.client_of(&kubeconfig).await?;
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "shop");
        maps.get("cart")
            .await
            .with_context(|| format!("{identity:?}"))?;
        let secrets: Api<Secret> = Api::namespaced(client, "shop");
        let refused = secrets.list(&ListParams::default()).await.unwrap_err();
        assert!(is_forbidden(&refused), "{identity:?}: {refused}");
    }
    Ok(())
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

#[tokio::test]
async fn each_write_is_recorded_before_its_answer() -> Result<()> {
    let cluster = Cluster::start(Options::default().named("audit")).await?;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let mine = |event: &watershed_e2e::AuditEvent| event.user == "watershed-e2e";
    for number in 0..20 {
        let mark = cluster.mark()?;
        let name = format!("map-{number}");
        let map = serde_json::from_value(serde_json::json!({"metadata": {"name": name}}))?;
        maps.create(&PostParams::default(), &map).await?;
        maps.get(&name).await?;
        let writes = cluster.requests_since(mark, mine)?;
        let told: Vec<_> = writes
            .iter()
            .map(watershed_e2e::AuditEvent::summary)
            .collect();
        let expected = format!("create configmaps default/{name} by watershed-e2e: 201");
        assert_eq!(told, [expected]);
    }
    assert_eq!(
        cluster
            .requests(mine)?
            .iter()
            .filter(|event| event.resource == "configmaps")
            .count(),
        20
    );
    Ok(())
}

#[tokio::test]
async fn clusters_of_two_versions_stand_side_by_side() -> Result<()> {
    let (newest, oldest) = tokio::try_join!(
        Cluster::start(Options::default().named("newest")),
        Cluster::start(Options {
            version: Version::Oldest,
            ..Options::default().named("oldest")
        }),
    )?;
    let of_newest = newest.client().apiserver_version().await?.git_version;
    let of_oldest = oldest.client().apiserver_version().await?.git_version;
    assert_ne!(of_newest, of_oldest);
    newest.apply(SHOP).await?;
    let maps: Api<ConfigMap> = Api::namespaced(oldest.client(), "shop");
    assert!(maps.get_opt("cart").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn nothing_is_left_but_the_logs() -> Result<()> {
    let cluster = Cluster::start(Options::default().named("gone")).await?;
    let dir = cluster.dir().to_owned();
    assert_eq!(
        processes_of(&dir)?.len(),
        3,
        "etcd, API server, controllers"
    );
    drop(cluster);
    assert_eq!(processes_of(&dir)?, [0; 0]);
    assert!(!dir.join("etcd").exists());
    assert!(fs::metadata(dir.join("kube-apiserver.log"))?.len() > 0);
    Ok(())
}

/// Processes whose command line names a directory.
fn processes_of(dir: &Path) -> Result<Vec<u32>> {
    let dir = dir.to_str().context("a path of text")?;
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let pid = entry.file_name().to_string_lossy().parse();
        // A process that has ended meanwhile has no command line.
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if let Ok(pid) = pid
            && String::from_utf8_lossy(&command).contains(dir)
        {
            found.push(pid);
        }
    }
    Ok(found)
}

/// A development cluster that is ended with the test.
struct DevCluster {
    name: String,
}

impl DevCluster {
    fn run(&self, command: &str) -> Result<Output> {
        let output = Command::new(env!("CARGO_BIN_EXE_watershed-e2e"))
            .args(["dev-cluster", command, "--name", &self.name])
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "dev-cluster {command}: {said}");
        Ok(output)
    }
}

impl Drop for DevCluster {
    fn drop(&mut self) {
        let _ = self.run("down");
    }
}

#[tokio::test]
async fn a_development_cluster_stays_until_it_is_ended() -> Result<()> {
    let name = format!("harness-stays-{}", std::process::id());
    let dev = DevCluster { name };
    let up = String::from_utf8(dev.run("up")?.stdout)?;
    let kubeconfig = up
        .trim()
        .strip_prefix("export KUBECONFIG=")
        .context("for a shell")?;
    let kubeconfig = Path::new(kubeconfig);
    let again = String::from_utf8(dev.run("up")?.stdout)?;
    assert_eq!(up, again, "one that runs is not started again");
    let running = supervised(kubeconfig)?;
    assert!(!running.is_empty());
    dev.run("down")?;
    for pid in running {
        assert!(
            !Path::new(&format!("/proc/{pid}/exe")).exists(),
            "process {pid} still runs"
        );
    }
    assert!(!kubeconfig.exists());
    Ok(())
}

#[tokio::test]
async fn nothing_outlives_a_process_that_is_killed() -> Result<()> {
    let name = format!("harness-killed-{}", std::process::id());
    let dev = DevCluster { name };
    let up = String::from_utf8(dev.run("up")?.stdout)?;
    let kubeconfig = up
        .trim()
        .strip_prefix("export KUBECONFIG=")
        .context("for a shell")?;
    let kubeconfig = Path::new(kubeconfig);
    let running = supervised(kubeconfig)?;
    assert!(running.len() >= 3, "etcd, API server, controllers");
    let supervisor = fs::read_to_string(kubeconfig.with_file_name("pid"))?.parse()?;
    kill(Pid::from_raw(supervisor), Signal::SIGKILL)?;
    let gone = async || Ok(supervised(kubeconfig)?.is_empty());
    until("all have ended with their supervisor", SOON, gone).await
}

/// The processes of a development cluster's control plane: its supervisor's log
/// says where they have their files.
fn supervised(kubeconfig: &Path) -> Result<Vec<u32>> {
    let log = fs::read_to_string(kubeconfig.with_file_name("supervisor.log"))?;
    let dir = log
        .split_once("logs in ")
        .and_then(|(_, rest)| rest.lines().next());
    processes_of(Path::new(dir.context("no directory in the log")?))
}
