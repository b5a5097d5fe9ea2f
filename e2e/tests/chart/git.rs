//! Versions in Git: a commit promotes one name, another the rest, and a revert
//! takes all of it back. What is applied is the checkout, as it is.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watershed_e2e::dns::{QueryLoad, Question, Report};
use watershed_e2e::eventually;

use crate::support::{HOME, SOON, Site};

const ZONE: &str = "
apiVersion: watershed.dev/v1alpha1
kind: HostedZone
metadata: {name: example-com, namespace: shop}
spec:
  domain: example.com
  nameservers: {names: [ns1.example.net.], glue: None}
";

const NAMES: [&str; 3] = ["blog", "cart", "www"];

const FORMER: &str = "192.0.2.1";
const LATER: &str = "192.0.2.2";

#[tokio::test]
async fn a_commit_promotes_and_a_revert_takes_it_back() -> Result<()> {
    let mut site = Site::start("git", 1).await?;
    site.install("--set operator.replicas=1 --set dns.replicas=1")
        .await?;
    let dns = site.expose(HOME, "watershed-dns").await?;
    site.kubectl("create namespace shop").await?;
    let git = Checkout::new(&site)?;

    git.write("zone.yaml", ZONE)?;
    git.write("policy.yaml", &policy(1, FORMER))?;
    for name in NAMES {
        git.write(&format!("{name}.yaml"), &record(name, 1))?;
    }
    git.commit("Three names")?;
    git.sync(&site).await?;
    serves(&site, dns, &[FORMER; 3]).await?;
    let questions = questions()?;
    let load = QueryLoad::start(site.load(dns, &questions, 1)).await?;

    git.write("policy.yaml", &policy(2, LATER))?;
    git.commit("Another version, which nobody asks for yet")?;
    git.sync(&site).await?;
    site.kubectl("wait tfpv/web-v2 -n shop --for=condition=Accepted --timeout=60s")
        .await?;
    serves(&site, dns, &[FORMER; 3]).await?;

    git.write("www.yaml", &record("www", 2))?;
    git.commit("Promote www")?;
    git.sync(&site).await?;
    serves(&site, dns, &[FORMER, FORMER, LATER]).await?;

    for name in ["blog", "cart"] {
        git.write(&format!("{name}.yaml"), &record(name, 2))?;
    }
    git.commit("Promote the others")?;
    git.sync(&site).await?;
    serves(&site, dns, &[LATER; 3]).await?;
    applying_again_changes_nothing(&site, &git).await?;

    git.run("revert --no-edit HEAD HEAD~1")?;
    git.sync(&site).await?;
    serves(&site, dns, &[FORMER; 3]).await?;
    applying_again_changes_nothing(&site, &git).await?;

    // Each name went there and back once, with no answer between.
    load.more(20, SOON).await?;
    let report = load.stop().await?;
    site.note(&format!("load meanwhile: {report}"));
    report.clean()?;
    for question in &questions {
        let runs: Vec<_> = answers(&report, dns, question);
        assert_eq!(runs, [FORMER, LATER, FORMER], "{question}");
    }

    git.sync_and_prune(&site).await?;
    git.run("rm --quiet cart.yaml")?;
    git.commit("Take a name out of service")?;
    git.sync_and_prune(&site).await?;
    let gone = Question::new("cart.example.com", "A")?;
    site.answers(dns, &gone, &[]).await?;
    serves_one(&site, dns, "www", FORMER).await?;
    site.finish(&[], &["shop"]).await
}

fn policy(version: u32, address: &str) -> String {
    format!(
        "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {{name: web, namespace: shop}}
spec:
  version: {version}
  document:
    recordTypes: [A]
    startEndpoint: one
    endpoints: {{one: {{addresses: [{address}]}}}}
"
    )
}

fn record(name: &str, version: u32) -> String {
    format!(
        "
apiVersion: watershed.dev/v1alpha1
kind: PolicyRecord
metadata: {{name: {name}, namespace: shop}}
spec:
  hostedZoneRef: {{name: example-com}}
  name: {name}
  policyRef: {{name: web}}
  version: {version}
"
    )
}

fn questions() -> Result<Vec<Question>> {
    let names = NAMES.iter().map(|name| format!("{name}.example.com"));
    names.map(|name| Question::new(&name, "A")).collect()
}

async fn serves(site: &Site, dns: SocketAddr, values: &[&str; 3]) -> Result<()> {
    for (name, value) in NAMES.iter().zip(values) {
        serves_one(site, dns, name, value).await?;
    }
    Ok(())
}

async fn serves_one(site: &Site, dns: SocketAddr, name: &str, value: &str) -> Result<()> {
    let question = Question::new(&format!("{name}.example.com"), "A")?;
    site.answers(dns, &question, &[value]).await
}

/// The addresses that a question was answered with, one after the other.
fn answers(report: &Report, dns: SocketAddr, question: &Question) -> Vec<String> {
    let runs = report.runs(dns, question).iter();
    runs.map(|run| run.answer.rsplit(' ').next().unwrap_or_default().to_owned())
        .collect()
}

/// Whoever applies the same again, in whatever order, writes nothing, finds no
/// difference, and no answer changes.
async fn applying_again_changes_nothing(site: &Site, git: &Checkout) -> Result<()> {
    let settled = async || {
        let before = versions(site).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        ensure!(before == versions(site).await?, "statuses still change");
        Ok(before)
    };
    let before = eventually("statuses are settled", SOON, settled).await?;
    let mut files = git.files()?;
    for _ in 0..2 {
        for file in &files {
            let file = file.display();
            site.kubectl(&format!("apply --server-side -f {file}"))
                .await?;
        }
        files.reverse();
    }
    git.sync(site).await?;
    // It fails when there is a difference.
    let dir = git.dir.display();
    site.kubectl(&format!("diff --server-side -f {dir}"))
        .await?;
    let after = versions(site).await?;
    ensure!(before == after, "written anew: {before:?}, then {after:?}");
    Ok(())
}

/// The resource version of each object of ours: it changes with every write.
async fn versions(site: &Site) -> Result<BTreeMap<String, String>> {
    let objects = site.kubectl("get tfr,tfz,tfp,tfpv -n shop -o json").await?;
    let objects: Value = serde_json::from_str(&objects)?;
    let objects = objects["items"].as_array().context("a list")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let versions = objects.iter().map(|object| {
        let (kind, metadata) = (text(&object["kind"]), &object["metadata"]);
        let name = format!("{kind} {}", text(&metadata["name"]));
        (name, text(&metadata["resourceVersion"]))
    });
    Ok(versions.collect())
}

/// A repository with one branch.
struct Checkout {
    dir: PathBuf,
}

impl Checkout {
    fn new(site: &Site) -> Result<Self> {
        let dir = site.cluster.dir().join("checkout");
        fs::create_dir(&dir)?;
        let checkout = Self { dir };
        checkout.run("init --quiet --initial-branch main")?;
        Ok(checkout)
    }

    fn write(&self, file: &str, content: &str) -> Result<()> {
        Ok(fs::write(self.dir.join(file), content)?)
    }

    fn commit(&self, message: &str) -> Result<()> {
        self.run("add --all")?;
        self.git(&["commit", "--quiet", "--message", message])
    }

    fn run(&self, words: &str) -> Result<()> {
        self.git(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// Whoever runs the tests need not have told Git who they are.
    fn git(&self, args: &[&str]) -> Result<()> {
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=Platform",
                "-c",
                "user.email=platform@example.com",
            ])
            .args(args)
            .current_dir(&self.dir)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .context("cannot run git")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git {args:?}: {said}");
        Ok(())
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Applies the checkout.
    async fn sync(&self, site: &Site) -> Result<()> {
        let dir = self.dir.display();
        site.kubectl(&format!("apply --server-side -f {dir}"))
            .await?;
        Ok(())
    }

    /// Applies the checkout, and deletes what was applied in this way before and
    /// is no longer in it (apply sets).
    async fn sync_and_prune(&self, site: &Site) -> Result<()> {
        let mut command = Command::new(site.cluster.kubectl_program());
        command
            .args(["apply", "--server-side", "--namespace", "shop"])
            .args(["--prune", "--applyset=configmaps/shop", "--filename"])
            .arg(&self.dir)
            .envs(site.cluster.environment())
            .env("KUBECTL_APPLYSET", "true");
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl apply --prune: {said}");
        Ok(())
    }
}
