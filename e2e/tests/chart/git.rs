//! The layout of `examples/gitops` in a repository, applied as the page about
//! GitOps says: a commit promotes one name, another the rest, and a revert takes
//! all of it back.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watershed_e2e::cluster::parse_manifests;
use watershed_e2e::dns::{QueryLoad, Question, Report};
use watershed_e2e::eventually;
use watershed_e2e::tools::repository;

use crate::support::{HOME, Page, SOON, Site};

/// What is applied, besides the zones.
const OVERLAY: &str = "teams/shop/overlays/prod";

const NAMES: [&str; 3] = ["blog", "cart", "www"];

/// A network in California: version 1 sends everyone to Oslo, version 2 each
/// client to the nearer site, which is Portland here.
const CLIENT: &str = "128.32.0.0/16";
const OSLO: &str = "192.0.2.10";
const PORTLAND: &str = "198.51.100.20";

#[tokio::test]
async fn a_commit_promotes_and_a_revert_takes_it_back() -> Result<()> {
    let mut site = Site::start("git", 1).await?;
    site.install("--set operator.replicas=1 --set dns.replicas=1")
        .await?;
    let dns = site.expose(HOME, "watershed-dns").await?;
    for namespace in ["dns", "shop"] {
        site.kubectl(&format!("create namespace {namespace}"))
            .await?;
    }
    let git = Checkout::of_example(&site)?;
    git.sync(&site).await?;
    serves(&site, dns, &[OSLO; 3]).await?;
    let questions = questions()?;
    let load = QueryLoad::start(site.load(dns, &questions, 1)).await?;

    let overlay = format!("{OVERLAY}/kustomization.yaml");
    git.edit(&overlay, "value: 1", "value: 2")?;
    git.commit("Promote www in prod")?;
    git.sync(&site).await?;
    serves(&site, dns, &[OSLO, OSLO, PORTLAND]).await?;

    git.edit("teams/shop/base/policy.yaml", "stable: 1", "stable: 2")?;
    git.commit("Promote the others, which follow the channel")?;
    git.sync(&site).await?;
    serves(&site, dns, &[PORTLAND; 3]).await?;
    applying_again_changes_nothing(&site, &git).await?;

    git.run("revert --no-edit HEAD HEAD~1")?;
    git.sync(&site).await?;
    serves(&site, dns, &[OSLO; 3]).await?;
    applying_again_changes_nothing(&site, &git).await?;

    // Each name went there and back once, with no answer between.
    load.more(20, SOON).await?;
    let report = load.stop().await?;
    site.note(&format!("load meanwhile: {report}"));
    report.clean()?;
    for question in &questions {
        let runs: Vec<_> = answers(&report, dns, question);
        assert_eq!(runs, [OSLO, PORTLAND, OSLO], "{question}");
    }

    git.sync_and_prune(&site).await?;
    git.run("rm --quiet teams/shop/base/records/cart.yaml")?;
    let base = "teams/shop/base/kustomization.yaml";
    git.edit(base, "- records/cart.yaml\n", "")?;
    git.commit("Take a name out of service")?;
    git.sync_and_prune(&site).await?;
    site.answers(dns, &question("cart")?, &[]).await?;
    site.answers(dns, &question("www")?, &[OSLO]).await?;
    site.finish(&[], &["shop", "dns"]).await
}

fn question(name: &str) -> Result<Question> {
    Question::new(&format!("{name}.example.com"), "A")?.from_subnet(CLIENT)
}

fn questions() -> Result<Vec<Question>> {
    NAMES.into_iter().map(question).collect()
}

async fn serves(site: &Site, dns: SocketAddr, values: &[&str; 3]) -> Result<()> {
    for (name, value) in NAMES.iter().zip(values) {
        site.answers(dns, &question(name)?, &[value]).await?;
    }
    Ok(())
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
    let rendered = git.rendered(site).await?;
    for file in rendered.iter().chain(rendered.iter().rev()) {
        let file = file.display();
        site.kubectl(&format!("apply --server-side -f {file}"))
            .await?;
    }
    git.sync(site).await?;
    // It fails when there is a difference.
    let overlay = git.dir.join(OVERLAY);
    site.kubectl(&format!("diff --server-side -k {}", overlay.display()))
        .await?;
    let after = versions(site).await?;
    ensure!(before == after, "written anew: {before:?}, then {after:?}");
    Ok(())
}

/// The resource version of each object of ours: it changes with every write. The
/// status of health checks is about what probes find, whenever that is.
async fn versions(site: &Site) -> Result<BTreeMap<String, String>> {
    let mut versions = BTreeMap::new();
    for of in ["tfr,tfp,tfpv -n shop", "tfz -n dns"] {
        let objects = site.kubectl(&format!("get {of} -o json")).await?;
        let objects: Value = serde_json::from_str(&objects)?;
        let objects = objects["items"].as_array().context("a list")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        versions.extend(objects.iter().map(|object| {
            let (kind, metadata) = (text(&object["kind"]), &object["metadata"]);
            let name = format!("{kind} {}", text(&metadata["name"]));
            (name, text(&metadata["resourceVersion"]))
        }));
    }
    Ok(versions)
}

/// A repository with one branch.
struct Checkout {
    dir: PathBuf,
}

impl Checkout {
    /// Of the example, as it is shipped.
    fn of_example(site: &Site) -> Result<Self> {
        let dir = site.cluster.dir().join("checkout");
        copy(&repository().join("examples/gitops"), &dir)?;
        let checkout = Self { dir };
        checkout.run("init --quiet --initial-branch main")?;
        checkout.commit("The example")?;
        Ok(checkout)
    }

    /// Changes one place of a file.
    fn edit(&self, file: &str, from: &str, to: &str) -> Result<()> {
        let path = self.dir.join(file);
        let text = fs::read_to_string(&path)?;
        ensure!(text.matches(from).count() == 1, "{file}: {from:?}");
        Ok(fs::write(path, text.replace(from, to))?)
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

    /// The objects of the overlay, each in a file beside the checkout.
    async fn rendered(&self, site: &Site) -> Result<Vec<PathBuf>> {
        let overlay = self.dir.join(OVERLAY);
        let rendered = format!("kustomize {}", overlay.display());
        let objects = parse_manifests(&site.kubectl(&rendered).await?)?;
        let dir = site.cluster.dir().join("rendered");
        fs::create_dir_all(&dir)?;
        let mut files = Vec::new();
        for (number, object) in objects.iter().enumerate() {
            let file = dir.join(format!("{number}.json"));
            fs::write(&file, object.to_string())?;
            files.push(file);
        }
        Ok(files)
    }

    /// Applies the checkout, and waits for it, with the commands of the page.
    async fn sync(&self, site: &Site) -> Result<()> {
        let page = Page::read("docs/gitops.md")?;
        page.follow_in(&self.dir, "kubectl", &site.cluster).await?;
        Ok(())
    }

    /// Applies the checkout, and deletes what was applied in this way before and
    /// is no longer in it (apply sets).
    async fn sync_and_prune(&self, site: &Site) -> Result<()> {
        let mut command = Command::new(site.cluster.kubectl_program());
        command
            .args(["apply", "--server-side", "--namespace", "shop"])
            .args(["--prune", "--applyset=configmaps/shop", "--kustomize"])
            .arg(self.dir.join(OVERLAY))
            .envs(site.cluster.environment())
            .env("KUBECTL_APPLYSET", "true");
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl apply --prune: {said}");
        Ok(())
    }
}

/// Copies a directory with all below it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}
