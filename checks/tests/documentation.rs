//! What the pages say about the repository is true.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use watershed_checks::graph::Graph;
use watershed_checks::markdown::Page;
use watershed_checks::{binary, tree};

#[test]
fn links_between_pages_lead_somewhere() -> Result<()> {
    let mut broken = Vec::new();
    for path in tree::files_with(&tree::root(), "md")? {
        let page = Page::parse(&fs::read_to_string(&path)?);
        for link in page.links.iter().filter(|link| is_ours(link)) {
            if !leads_somewhere(&path, link)? {
                broken.push(format!("{}: {link}", tree::relative(&path)));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    Ok(())
}

/// Whether a link leads to something in the repository.
fn is_ours(link: &str) -> bool {
    let elsewhere = ["http://", "https://", "mailto:"];
    in_repository(link).is_some() || !elsewhere.iter().any(|scheme| link.starts_with(scheme))
}

/// The path in the repository of a link by its address, as pages of the book
/// have them for what is not in the book.
fn in_repository(link: &str) -> Option<&str> {
    let path = link.strip_prefix(tree::REPOSITORY)?;
    (path.strip_prefix("/blob/main/")).or_else(|| path.strip_prefix("/tree/main/"))
}

fn leads_somewhere(from: &Path, link: &str) -> Result<bool> {
    let (file, anchor) = link
        .split_once('#')
        .map_or((link, None), |(f, a)| (f, Some(a)));
    let target = match file {
        "" => from.to_path_buf(),
        file => match in_repository(file) {
            Some(path) => tree::root().join(path),
            None => from
                .parent()
                .context("a page without a directory")?
                .join(file),
        },
    };
    let Some(anchor) = anchor.filter(|_| target.extension().is_some_and(|e| e == "md")) else {
        return Ok(target.exists());
    };
    let page = fs::read_to_string(&target).map(|text| Page::parse(&text));
    Ok(page.is_ok_and(|page| page.anchors.iter().any(|a| a == anchor)))
}

#[test]
fn every_page_is_in_its_index() -> Result<()> {
    for directory in ["docs", "docs/decisions", "docs/reference"] {
        let directory = tree::root().join(directory);
        let index = Page::parse(&fs::read_to_string(directory.join("README.md"))?);
        for path in pages_in(&directory)? {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            assert!(
                index.links.contains(&name),
                "{} is not in the index",
                tree::relative(&path)
            );
        }
    }
    Ok(())
}

fn pages_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut pages = tree::files_with(directory, "md")?;
    let is_index = |page: &Path| page.ends_with("README.md") || page.ends_with("SUMMARY.md");
    pages.retain(|p| p.parent() == Some(directory) && !is_index(p));
    Ok(pages)
}

#[test]
fn every_page_is_in_the_book_once() -> Result<()> {
    let docs = tree::root().join("docs");
    let summary = Page::parse(&fs::read_to_string(docs.join("SUMMARY.md"))?);
    let mut listed: Vec<PathBuf> = summary.links.iter().map(|link| docs.join(link)).collect();
    listed.sort();
    let mut pages = tree::files_with(&docs, "md")?;
    pages.retain(|page| !page.ends_with("SUMMARY.md"));
    assert_eq!(listed, pages);
    Ok(())
}

#[test]
fn the_book_leads_to_this_repository() -> Result<()> {
    let book = fs::read_to_string(tree::root().join("book.toml"))?;
    for (key, path) in [
        ("git-repository-url", ""),
        ("edit-url-template", "/edit/main/{path}"),
    ] {
        let line = format!("{key} = \"{}{path}\"", tree::REPOSITORY);
        assert!(book.contains(&line), "book.toml lacks {line}");
    }
    Ok(())
}

#[test]
fn the_architecture_names_every_package() -> Result<()> {
    let architecture = fs::read_to_string(tree::root().join("ARCHITECTURE.md"))?;
    for directory in Graph::load()?.directories() {
        let named = architecture.contains(&format!("`{directory}`"));
        assert!(named, "{directory} is not in ARCHITECTURE.md");
    }
    Ok(())
}

/// `scripts/generate` sets `WATERSHED_GENERATE`: then the picture is written
/// instead of compared.
#[test]
fn the_picture_in_the_readme_is_that_of_the_example() -> Result<()> {
    let path = tree::root().join("README.md");
    let readme = fs::read_to_string(&path)?;
    let picture = binary::output(&["graph", "examples/getting-started/policy.yaml"])?;
    let wanted = format!("```mermaid\n{}\n```", picture.trim_end());
    let shown = block_between(&readme, "```mermaid\n", "\n```").context("no picture")?;
    if std::env::var_os("WATERSHED_GENERATE").is_some() {
        fs::write(&path, readme.replace(shown, &wanted))?;
        return Ok(());
    }
    assert_eq!(
        shown, wanted,
        "the picture in README.md is stale: run `make generate`"
    );
    Ok(())
}

/// The first part of `text` from `start` to the next `end`, both included.
fn block_between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let from = text.find(start)?;
    let length = text.get(from + start.len()..)?.find(end)?;
    text.get(from..from + start.len() + length + end.len())
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() -> Result<()> {
    // Put together here, or this file would be the first to be found.
    let places = ["ro", "ho", "Use", "wo"]
        .into_iter()
        .zip(["ot/", "me/", "rs/", "rk/"]);
    let places: Vec<String> = places.map(|(a, b)| format!("/{a}{b}")).collect();
    let mut found = Vec::new();
    for path in tree::files(&tree::root())? {
        let Ok(text) = fs::read_to_string(&path) else {
            continue; // Not text.
        };
        for (number, line) in text.lines().enumerate() {
            if places.iter().any(|place| names_a_place(line, place)) {
                found.push(format!("{}:{}: {line}", tree::relative(&path), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "absolute paths:\n{}", found.join("\n"));
    Ok(())
}

/// Whether `line` has `place` as the start of a path, not as a part of one.
fn names_a_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        before.is_none_or(|c| matches!(c, ' ' | '"' | '\'' | '`' | '(' | '=' | ':'))
    })
}
