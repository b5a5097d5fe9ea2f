//! The page about conditions has every reason that the code gives, and no
//! other.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use watershed_checks::tree;

/// Words among the texts of the operator's status that are no reasons: types
/// and states of conditions, and a kind.
const NO_REASONS: [&str; 8] = [
    "False",
    "Healthy",
    "PolicyRecord",
    "Reconciling",
    "ResolvedRefs",
    "Stalled",
    "True",
    "Unknown",
];

#[test]
fn every_reason_of_a_condition_is_explained_and_none_is_invented() -> Result<()> {
    let mut given = reasons_of_the_compiler()?;
    given.extend(reasons_of_the_operator()?);
    let explained = explained()?;
    let missing: Vec<&String> = given.difference(&explained).collect();
    let invented: Vec<&String> = explained.difference(&given).collect();
    ensure!(
        missing.is_empty() && invented.is_empty(),
        "docs/troubleshooting.md lacks {missing:?}, and has without cause {invented:?}"
    );
    Ok(())
}

/// The variants of `Reason`, from the list that makes them.
fn reasons_of_the_compiler() -> Result<BTreeSet<String>> {
    let source = fs::read_to_string(tree::root().join("crates/compile/src/verdict.rs"))?;
    let list = source.split_once("\nreasons! {\n").context("no list")?.1;
    let list = list.split_once("\n}\n").context("no end of the list")?.0;
    let variants = list.lines().filter_map(|line| line.split_once(" => "));
    let reasons: BTreeSet<String> = variants.map(|(name, _)| name.trim().to_owned()).collect();
    ensure!(reasons.contains("NameConflict"), "the list reads otherwise");
    Ok(reasons)
}

/// The texts in the sources of status that are one word in camel case.
fn reasons_of_the_operator() -> Result<BTreeSet<String>> {
    let mut reasons = BTreeSet::new();
    for path in tree::files_with(&tree::root().join("operator/src/status"), "rs")? {
        let source = fs::read_to_string(&path)?;
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        let texts = source
            .lines()
            .flat_map(|line| line.split('"').skip(1).step_by(2));
        let words = texts.filter(|text| is_camel_case(text) && !NO_REASONS.contains(text));
        reasons.extend(words.map(str::to_owned));
    }
    ensure!(reasons.contains("InUse"), "the sources read otherwise");
    Ok(reasons)
}

fn is_camel_case(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_ascii_uppercase())
        && letters.next().is_some_and(|c| c.is_ascii_lowercase())
        && letters.all(|c| c.is_ascii_alphabetic())
}

/// The first cells of the page's tables, each of which is a reason as code.
fn explained() -> Result<BTreeSet<String>> {
    let page = fs::read_to_string(tree::root().join("docs/troubleshooting.md"))?;
    let mut reasons = BTreeSet::new();
    for row in page.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (reason, _) = row
            .split_once("` |")
            .context("a cell with more than code")?;
        ensure!(reasons.insert(reason.to_owned()), "{reason} stands twice");
    }
    Ok(reasons)
}
