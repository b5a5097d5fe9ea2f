//! What GitOps tools make of our objects, and of the layout in
//! `examples/gitops`. `make gitops-test` builds the tools and says where they
//! are in `WATERSHED_KUBECTL` and `WATERSHED_GITOPS`.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watershed_checks::markdown::Page;
use watershed_checks::{binary, tree};

const EXAMPLE: &str = "examples/gitops";
const HEALTH: &str = "deploy/argocd/health.lua";
const EXPRESSIONS: &str = "deploy/flux/health-checks.yaml";
/// Objects whose status the operator's own code made, by what is shown.
const STATUSES: &str = "operator/tests/plan/statuses.yaml";

/// What is found of each object by Argo CD's Lua, by the convention that Flux
/// follows, and by the CEL expressions, which some kinds have.
///
/// They disagree on purpose where an object has no status, which is done by the
/// convention (docs/gitops.md), and in deletion, which expressions do not see.
const VERDICTS: &str = "
blocks, accepted                | Healthy     | Current     | -
fleet, without nodes            | Progressing | InProgress  | -
health check, without targets   | Healthy     | Current     | -
policy, minted                  | Healthy     | Current     | -
record set, served              | Healthy     | Current     | Current
record, edited                  | Progressing | InProgress  | InProgress
record, name taken              | Degraded    | Failed      | Failed
record, not seen yet            | Progressing | Current     | Unknown
record, on one node of three    | Progressing | InProgress  | InProgress
record, served                  | Healthy     | Current     | Current
record, version missing for long| Degraded    | Failed      | Failed
record, version on its way      | Progressing | InProgress  | InProgress
version, accepted               | Healthy     | Current     | -
version, deleted while in use   | Progressing | Terminating | -
zone, deleted while in use      | Progressing | Terminating | Failed
zone, on one node of three      | Progressing | InProgress  | InProgress
zone, served                    | Healthy     | Current     | Current
";

#[test]
fn tools_see_what_the_status_means() -> Result<()> {
    let objects = statuses()?;
    let verdicts = verdicts(objects.values())?;
    let found = objects.keys().zip(&verdicts).map(|(name, found)| {
        let status = |by: &str| found[by]["status"].as_str().unwrap_or("-").to_owned();
        let [argo, kstatus, expressions] = ["argo", "kstatus", "expressions"].map(status);
        vec![name.clone(), argo, kstatus, expressions]
    });
    let expected = VERDICTS.lines().filter(|line| !line.is_empty());
    let expected = expected.map(|line| line.split('|').map(|cell| cell.trim().to_owned()));
    let expected: Vec<Vec<String>> = expected.map(Iterator::collect).collect();
    assert_eq!(found.collect::<Vec<_>>(), expected);
    Ok(())
}

#[test]
fn argo_cd_says_why() -> Result<()> {
    let messages = [
        ("record, served", "version 1 on 3 of 3 nodes"),
        ("record, not seen yet", "the operator has not seen it yet"),
        (
            "record, edited",
            "the operator has not seen the last change yet",
        ),
        (
            "version, deleted while in use",
            "deletion waits: in use by 2 PolicyRecords",
        ),
    ];
    let objects = statuses()?;
    for (name, message) in messages {
        let found = verdicts([&objects[name]])?;
        assert_eq!(found[0]["argo"]["message"], message, "{name}");
    }
    Ok(())
}

fn statuses() -> Result<BTreeMap<String, Value>> {
    let text = fs::read_to_string(tree::root().join(STATUSES))?;
    Ok(serde_yaml::from_str(&text)?)
}

/// What the tools make of each object.
fn verdicts<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Result<Vec<Value>> {
    let lines: Vec<String> = objects.into_iter().map(Value::to_string).collect();
    let mut tool = tool("WATERSHED_GITOPS")?;
    let output = fed(
        tool.args(["health", HEALTH, EXPRESSIONS]),
        &lines.join("\n"),
    )?;
    let found: Result<Vec<Value>, _> = (said(&output)?.lines()).map(serde_json::from_str).collect();
    let found = found?;
    ensure!(
        found.len() == lines.len(),
        "{} verdicts on {} objects",
        found.len(),
        lines.len()
    );
    Ok(found)
}

#[test]
fn the_page_has_the_script_as_it_is() -> Result<()> {
    let page = fs::read_to_string(tree::root().join("docs/gitops.md"))?;
    let blocks = Page::parse(&page).blocks;
    let mut config = blocks
        .iter()
        .filter(|block| block.text.contains("name: argocd-cm"));
    let config: Value = serde_yaml::from_str(&config.next().context("no argocd-cm")?.text)?;
    let customizations = config["data"]["resource.customizations"].as_str();
    let customizations: Value = serde_yaml::from_str(customizations.context("no text")?)?;
    let script = fs::read_to_string(tree::root().join(HEALTH))?;
    assert_eq!(customizations["watershed.dev/*"]["health.lua"], script);
    Ok(())
}

#[test]
fn overlays_render_to_what_is_valid() -> Result<()> {
    for overlay in ["staging", "prod"] {
        let rendered = [
            kustomize(&tree::root().join(EXAMPLE).join("platform/zones"))?,
            kustomize(&overlay_in(&tree::root().join(EXAMPLE), overlay))?,
        ];
        let rendered = rendered.join("---\n");
        let output = fed(binary::watershed()?.args(["validate", "-"]), &rendered)?;
        let said = said(&output).context(overlay)?;
        assert!(
            said.starts_with("no faults in 8 documents"),
            "{overlay}: {said}"
        );
    }
    Ok(())
}

#[test]
fn a_promotion_changes_one_line() -> Result<()> {
    let copy = tempfile::tempdir()?;
    copy_tree(&tree::root().join(EXAMPLE), copy.path())?;
    let staging = kustomize(&overlay_in(copy.path(), "staging"))?;
    let prod = kustomize(&overlay_in(copy.path(), "prod"))?;
    let differing: Vec<_> = prod
        .lines()
        .zip(staging.lines())
        .filter(|(a, b)| a != b)
        .collect();
    assert_eq!(prod.lines().count(), staging.lines().count());
    assert_eq!(differing, [("  version: 1", "  version: 2")]);

    let file = overlay_in(copy.path(), "prod").join("kustomization.yaml");
    let before = fs::read_to_string(&file)?;
    let after = before.replace("value: 1\n", "value: 2\n");
    ensure!(
        before != after,
        "there is no `value: 1` in {}",
        file.display()
    );
    fs::write(&file, after)?;
    assert_eq!(kustomize(&overlay_in(copy.path(), "prod"))?, staging);
    Ok(())
}

#[test]
fn both_tools_are_pointed_at_what_is_there() -> Result<()> {
    let example = tree::root().join(EXAMPLE);
    let mut paths = 0;
    for tool in ["argocd", "flux"] {
        for file in tree::files_with(&example.join("platform").join(tool), "yaml")? {
            let text = fs::read_to_string(&file)?;
            let lines = text.lines().map(str::trim);
            for path in lines.filter_map(|line| line.strip_prefix("path: ")) {
                kustomize(&example.join(path)).with_context(|| tree::relative(&file))?;
                paths += 1;
            }
        }
    }
    // The zones, staging and prod, for each of both.
    assert_eq!(paths, 6);
    Ok(())
}

fn overlay_in(example: &Path, name: &str) -> PathBuf {
    example.join("teams/shop/overlays").join(name)
}

fn kustomize(directory: &Path) -> Result<String> {
    said(
        &tool("WATERSHED_KUBECTL")?
            .arg("kustomize")
            .arg(directory)
            .output()?,
    )
}

/// The program that a variable names, to be run in the root of the checkout.
fn tool(variable: &str) -> Result<Command> {
    let program = env::var_os(variable)
        .with_context(|| format!("{variable} is not set: run `make gitops-test`"))?;
    let mut command = Command::new(program);
    command.current_dir(tree::root());
    Ok(command)
}

fn fed(command: &mut Command, input: &str) -> Result<Output> {
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child
        .stdin
        .take()
        .context("no input")?
        .write_all(input.as_bytes())?;
    Ok(child.wait_with_output()?)
}

/// What a program printed, if it succeeded.
fn said(output: &Output) -> Result<String> {
    let error = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8(output.stdout.clone())?;
    ensure!(output.status.success(), "{text}{error}");
    Ok(text)
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for file in tree::files(from)? {
        let target = to.join(file.strip_prefix(from)?);
        fs::create_dir_all(target.parent().context("a file without a directory")?)?;
        fs::copy(&file, target)?;
    }
    Ok(())
}
