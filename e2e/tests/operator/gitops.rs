//! GitOps tools see no difference where there is none: the code of Flux and of
//! Argo CD applies `examples/gitops`, and compares it while the operator writes
//! statuses, finalizers and versions.

use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watershed_e2e::cluster::parse_manifests;
use watershed_e2e::eventually;
use watershed_e2e::tools::{gitops, repository};

use crate::support::{Fleet, SOON, Setup};

/// What Git has besides the example.
const MORE: &str = include_str!("gitops.yaml");

/// Records of both, all of which are served at last.
const RECORDS: [&str; 4] = ["shop/www", "shop/blog", "shop/cart", "shop/followed"];

/// A fleet, and what Git has for it.
struct Site {
    fleet: Fleet,
    wanted: Vec<Value>,
}

impl Site {
    async fn start(name: &str) -> Result<Self> {
        let fleet = Fleet::start(Setup::named(name)).await?;
        for namespace in ["dns", "shop"] {
            let create = ["create", "namespace", namespace];
            fleet.cluster.kubectl(create).await?;
        }
        let mut wanted = parse_manifests(MORE)?;
        for part in ["platform/zones", "teams/shop/overlays/staging"] {
            let directory = repository().join("examples/gitops").join(part);
            let render = [OsStr::new("kustomize"), directory.as_os_str()];
            wanted.extend(parse_manifests(&fleet.cluster.kubectl(render).await?)?);
        }
        let zone = wanted.iter_mut().find(|o| o["kind"] == "HostedZone");
        let allowed = &mut zone.context("no zone")?["spec"]["allowedRecords"][0]["names"];
        *allowed = serde_json::json!(["*"]);
        Ok(Self { fleet, wanted })
    }

    /// All records are ready, and what the operator writes is written.
    async fn is_served(&self) -> Result<()> {
        for record in RECORDS {
            self.fleet.ready("PolicyRecord", record).await?;
        }
        let minted = "shop/minted-v1";
        self.fleet.ready("TrafficPolicyVersion", minted).await?;
        Ok(())
    }

    /// Runs a tool with these objects, each time in another order. Gives the
    /// lines that it prints.
    async fn tool(&self, args: &[&str], mut objects: Vec<Value>) -> Result<Vec<String>> {
        let shuffle = RandomState::new();
        objects.sort_by_cached_key(|object| shuffle.hash_one(object.to_string()));
        let manifests: Vec<String> = objects.iter().map(ToString::to_string).collect();
        let mut command = Command::new(gitops()?);
        command
            .args(args)
            .envs(self.fleet.cluster.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn()?;
            let mut input = child.stdin.take().context("no input")?;
            input.write_all(manifests.join("\n---\n").as_bytes())?;
            drop(input);
            anyhow::Ok(child.wait_with_output()?)
        });
        let output = output.await??;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{args:?}: {said}");
        let printed = String::from_utf8(output.stdout)?;
        Ok(printed.lines().map(str::to_owned).collect())
    }

    /// Where Flux keeps what it applied.
    fn inventory(&self) -> PathBuf {
        self.fleet.cluster.dir().join("inventory.json")
    }

    async fn flux(&self, objects: Vec<Value>) -> Result<Vec<String>> {
        let inventory = self.inventory();
        let inventory = inventory.to_str().context("no text")?;
        self.tool(&["flux", inventory], objects).await
    }
}

#[tokio::test]
async fn flux_sees_no_drift_and_prunes_what_left_git() -> Result<()> {
    let site = Site::start("flux").await?;
    let said = site.flux(site.wanted.clone()).await?;
    all(&said, site.wanted.len(), "created")?;
    // At any moment, also before all is served.
    let said = site.flux(site.wanted.clone()).await?;
    all(&said, site.wanted.len(), "unchanged")?;
    site.is_served().await?;
    for _ in 0..4 {
        let said = site.flux(site.wanted.clone()).await?;
        all(&said, site.wanted.len(), "unchanged")?;
    }

    // The commit that removes a name, and the one that brings it back.
    let mut without = site.wanted.clone();
    without.retain(|object| object["metadata"]["name"] != "blog");
    let mut said = site.flux(without.clone()).await?;
    ensure!(
        said.pop().as_deref() == Some("PolicyRecord/shop/blog deleted"),
        "{said:#?}"
    );
    all(&said, without.len(), "unchanged")?;
    site.fleet.gone("PolicyRecord", "shop/blog").await?;
    let mut said = site.flux(site.wanted.clone()).await?;
    said.retain(|line| line != "PolicyRecord/shop/blog created");
    all(&said, without.len(), "unchanged")?;
    site.is_served().await?;
    a_version_leaves_with_its_last_record(&site).await
}

/// One commit moves the record and removes the version that it served. That
/// may be refused until the operator has seen the move; the next attempt, as
/// Flux makes it, succeeds.
async fn a_version_leaves_with_its_last_record(site: &Site) -> Result<()> {
    let mut wanted = site.wanted.clone();
    wanted.retain(|object| object["metadata"]["name"] != "web-v2");
    let www = wanted.iter_mut().find(|o| o["metadata"]["name"] == "www");
    www.context("no www")?["spec"]["version"] = 1.into();
    eventually("the version is pruned", SOON, async || {
        let said = site.flux(wanted.clone()).await?;
        let last = said.last().map(String::as_str);
        ensure!(
            last == Some("TrafficPolicyVersion/shop/web-v2 deleted"),
            "{said:#?}"
        );
        Ok(())
    })
    .await?;
    site.fleet
        .gone("TrafficPolicyVersion", "shop/web-v2")
        .await?;
    site.is_served().await?;
    let said = site.flux(wanted.clone()).await?;
    all(&said, wanted.len(), "unchanged")
}

/// As many lines as objects, and each of them ends so.
fn all(said: &[String], objects: usize, action: &str) -> Result<()> {
    let as_expected = said.iter().all(|line| line.ends_with(action));
    ensure!(said.len() == objects && as_expected, "{said:#?}");
    Ok(())
}

#[tokio::test]
async fn argo_cd_finds_no_difference() -> Result<()> {
    let site = Site::start("argocd").await?;
    site.tool(&["argocd", "apply"], site.wanted.clone()).await?;
    no_difference(&site).await?;
    site.is_served().await?;
    no_difference(&site).await?;

    // What somebody edits by hand is one, and is put back.
    let by_hand = serde_json::json!({"spec": {"version": 1}});
    site.fleet.edit("PolicyRecord", "shop/www", by_hand).await?;
    let found = site.tool(&["argocd", "diff"], site.wanted.clone()).await?;
    ensure!(!found.is_empty(), "an edit is not seen");
    for line in found {
        let found: Value = serde_json::from_str(&line)?;
        ensure!(found["object"] == "PolicyRecord/shop/www", "{found:#}");
    }
    site.tool(&["argocd", "apply"], site.wanted.clone()).await?;
    site.is_served().await?;
    no_difference(&site).await
}

async fn no_difference(site: &Site) -> Result<()> {
    let found = site.tool(&["argocd", "diff"], site.wanted.clone()).await?;
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}
