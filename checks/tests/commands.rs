//! Every command that a page tells people to run is run by a test, or the page
//! says why not. A block of commands is fenced as
//!
//! * `console`: run by `cli/tests/docs.rs` and `checks/tests/queries.rs`;
//! * `console suite=NAME`: run by a suite of `e2e/`, from the page;
//! * `console as-in PAGE`: the same commands are in a block of that page which a
//!   suite runs;
//! * `console no-run: REASON`: run by nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use watershed_checks::markdown::{Block, Page};
use watershed_checks::tree;

/// The pages by their paths, with their blocks.
fn pages() -> Result<BTreeMap<String, Vec<Block>>> {
    let paths = tree::files_with(&tree::root(), "md")?;
    let pages = paths.into_iter().map(|path| {
        let text = fs::read_to_string(&path)?;
        Ok((tree::relative(&path), Page::parse(&text).blocks))
    });
    pages.collect()
}

/// The commands of a block, each in its line.
fn commands(block: &Block) -> impl Iterator<Item = &str> {
    (block.text.lines()).filter_map(|line| line.strip_prefix("$ "))
}

#[test]
fn every_block_says_what_it_is() -> Result<()> {
    let mut faults = Vec::new();
    for (page, blocks) in pages()? {
        for block in blocks {
            if let Err(fault) = is_marked(&block) {
                let first = block.text.lines().next().unwrap_or_default();
                faults.push(format!("{page}: `{first}`: {fault}"));
            }
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

fn is_marked(block: &Block) -> Result<()> {
    let (language, mark) = match block.language.split_once(' ') {
        Some((language, mark)) => (language, Some(mark)),
        None => (block.language.as_str(), None),
    };
    ensure!(
        !["", "sh", "bash", "shell"].contains(&language),
        "fence commands as `console`, and what is no language as `text`"
    );
    if language != "console" {
        return Ok(());
    }
    ensure!(commands(block).next().is_some(), "no line begins with `$ `");
    let known = match mark {
        None => true,
        Some(mark) => {
            mark.starts_with("suite=")
                || mark.starts_with("as-in ")
                || (mark.strip_prefix("no-run: ")).is_some_and(|reason| !reason.trim().is_empty())
        }
    };
    ensure!(known, "who runs it? See checks/tests/commands.rs");
    Ok(())
}

/// A suite names the pages that it runs; it fails when one has nothing for it.
#[test]
fn suites_run_the_pages_with_blocks_for_them() -> Result<()> {
    let mut checked = 0;
    for (page, blocks) in pages()? {
        let suites = blocks.iter().filter_map(|block| {
            let (_, suite) = block.language.split_once("suite=")?;
            Some(suite)
        });
        for suite in suites.collect::<BTreeSet<_>>() {
            let directory = tree::root().join("e2e/tests").join(suite);
            let named = tree::files_with(&directory, "rs")?.iter().any(|file| {
                let text = fs::read_to_string(file).unwrap_or_default();
                text.contains(&format!("\"{page}\""))
            });
            ensure!(
                named,
                "{page} has a block for the suite {suite}, which does not run it"
            );
            checked += 1;
        }
    }
    ensure!(checked > 5, "only {checked} pages with blocks for suites");
    Ok(())
}

/// The suite `chart` follows whole sections.
#[test]
fn the_suite_chart_follows_the_sections_with_blocks_for_it() -> Result<()> {
    let page = fs::read_to_string(tree::root().join("docs/install.md"))?;
    let suite = fs::read_to_string(tree::root().join("e2e/tests/chart/install.rs"))?;
    let mut heading = "";
    let mut sections = 0;
    for line in page.lines() {
        if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim();
        } else if line == "```console suite=chart" {
            let call = format!("page.follow(\"{heading}\"");
            ensure!(suite.contains(&call), "no test follows {heading:?}");
            sections += 1;
        }
    }
    ensure!(sections > 1, "only {sections} sections");
    Ok(())
}

#[test]
fn what_is_as_in_another_page_is_there() -> Result<()> {
    let pages = pages()?;
    for (page, blocks) in &pages {
        for block in blocks {
            let Some((_, other)) = block.language.split_once("as-in ") else {
                continue;
            };
            let blocks = pages
                .get(other)
                .with_context(|| format!("{page}: {other}"))?;
            let run = blocks
                .iter()
                .filter(|block| block.language.contains("suite="));
            let run: BTreeSet<&str> = run.flat_map(commands).collect();
            for command in commands(block) {
                ensure!(
                    run.contains(command),
                    "{page}: `{command}` is not in {other}"
                );
            }
        }
    }
    Ok(())
}

/// Of what is not run for the time it takes, at least the names are right.
#[test]
fn what_pages_make_is_in_the_makefile() -> Result<()> {
    let makefile = fs::read_to_string(tree::root().join("Makefile"))?;
    let mut made = 0;
    for (page, blocks) in pages()? {
        for command in blocks.iter().flat_map(commands) {
            let mut words = command.split_whitespace();
            let (Some("make"), Some(target)) = (words.next(), words.next()) else {
                continue;
            };
            let known = makefile.contains(&format!("\n{target}:"));
            ensure!(known, "{page}: `{command}`: there is no such target");
            made += 1;
        }
    }
    ensure!(made > 3, "only {made} commands of make");
    Ok(())
}
