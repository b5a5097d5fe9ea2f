//! The pages of the documentation: what they tell people to do with a cluster
//! works, and prints what they show. `checks/tests/commands.rs` sees to it that
//! every page with blocks for this suite is here.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use watershed_e2e::page::{Page, Shell};
use watershed_e2e::tools::repository;
use watershed_e2e::{Cluster, Options, Version};

use crate::support::{Fleet, Setup};

const SUITE: &str = "operator";

/// A directory like the checkout, which commands may write into.
fn workplace(cluster: &Cluster) -> Result<PathBuf> {
    let directory = cluster.dir().join("workplace");
    fs::create_dir(&directory)?;
    for name in ["crds", "deploy", "examples"] {
        symlink(
            repository().canonicalize()?.join(name),
            directory.join(name),
        )?;
    }
    Ok(directory)
}

async fn follow(pages: &[&str], shell: &Shell) -> Result<()> {
    for page in pages {
        let commands = Page::read(page)?.run_all(SUITE, shell).await;
        ensure!(
            commands.with_context(|| (*page).to_owned())? > 0,
            "{page} has no commands"
        );
    }
    Ok(())
}

/// Those for a cluster that has a fleet, in which the example is served.
#[tokio::test]
async fn pages_about_what_is_served() -> Result<()> {
    let setup = Setup {
        managed_certificates: true,
        ..Setup::named("pages")
    };
    let fleet = Fleet::start(setup).await?;
    let directory = workplace(&fleet.cluster)?;
    let route53 = repository().join("cli/tests/fixtures/document.json");
    fs::copy(route53, directory.join("policy.json"))?;
    let shell = Shell::at(&directory, &fleet.cluster)?;
    let pages = [
        "docs/operator.md",
        "docs/health.md",
        "docs/troubleshooting.md",
        "docs/validate.md",
        "docs/route53.md",
        "docs/install.md",
    ];
    follow(&pages, &shell).await
}

#[tokio::test]
async fn the_first_page() -> Result<()> {
    let fleet = Fleet::start(Setup::named("first-page")).await?;
    let shell = Shell::at(workplace(&fleet.cluster)?, &fleet.cluster)?;
    follow(&["README.md"], &shell).await
}

/// Those that install definitions and rights.
#[tokio::test]
async fn pages_for_a_cluster_without_anything() -> Result<()> {
    let options = Options::bare(Version::Newest).named("bare-pages");
    let cluster = Cluster::start(options).await?;
    let shell = Shell::at(workplace(&cluster)?, &cluster)?;
    follow(&["docs/api.md", "docs/rbac.md"], &shell).await
}

/// In a repository that is a copy of the example.
#[tokio::test]
async fn the_page_about_versions_in_git() -> Result<()> {
    let fleet = Fleet::start(Setup::named("git-page")).await?;
    let directory = fleet.cluster.dir().join("repository");
    in_shell(
        Path::new("."),
        &format!(
            "cp -r {} {}",
            repository().join("examples/gitops").display(),
            directory.display()
        ),
    )?;
    in_shell(
        &directory,
        "git init --quiet && git add . && \
         git -c user.name=test -c user.email=test@example.com commit --quiet --message first && \
         git update-ref refs/remotes/origin/main HEAD",
    )?;
    let shell = Shell::at(&directory, &fleet.cluster)?;
    shell.run("kubectl create namespace dns").await?;
    shell.run("kubectl create namespace shop").await?;
    follow(&["docs/gitops.md"], &shell).await
}

fn in_shell(directory: &Path, command: &str) -> Result<()> {
    let mut shell = Command::new("sh");
    let status = shell
        .args(["-c", command])
        .current_dir(directory)
        .status()?;
    ensure!(status.success(), "{command}: {status}");
    Ok(())
}
