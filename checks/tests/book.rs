//! The documentation site in `target/book` has no broken links. `make book`
//! builds it before; `cargo test` leaves this out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use watershed_checks::tree;

#[test]
fn every_link_of_the_book_leads_somewhere() -> Result<()> {
    let book = tree::root().join("target/book");
    let pages = tree::files_with(&book, "html").context("run `make book`")?;
    let mut broken = Vec::new();
    let mut followed = 0;
    for page in &pages {
        let text = fs::read_to_string(page)?;
        for attribute in ["href", "src"] {
            for link in values(&text, attribute).filter(|link| is_local(link)) {
                followed += 1;
                if !leads_somewhere(page, link)? {
                    let name = page.strip_prefix(&book)?.display();
                    broken.push(format!("{name}: {link}"));
                }
            }
        }
    }
    ensure!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    ensure!(
        pages.len() > 40 && followed > 1000,
        "only {followed} links in {} pages: is this the book?",
        pages.len()
    );
    Ok(())
}

/// The values of an attribute. mdBook writes them in double quotes.
fn values<'a>(text: &'a str, attribute: &str) -> impl Iterator<Item = &'a str> {
    let start = format!(" {attribute}=\"");
    let parts: Vec<&str> = text.split(&start).skip(1).collect();
    parts
        .into_iter()
        .filter_map(|part| part.split_once('"').map(|(value, _)| value))
}

fn is_local(link: &str) -> bool {
    !["http:", "https:", "mailto:", "data:"]
        .iter()
        .any(|scheme| link.starts_with(scheme))
}

fn leads_somewhere(page: &Path, link: &str) -> Result<bool> {
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = match file {
        "" => page.to_path_buf(),
        file => inside(&page.parent().context("no directory")?.join(file)),
    };
    if anchor.is_empty() || !target.is_file() {
        return Ok(target.is_file());
    }
    let ids: BTreeSet<String> = values(&fs::read_to_string(&target)?, "id")
        .map(str::to_owned)
        .collect();
    Ok(ids.contains(anchor))
}

/// The path without `..`, which would also find what is outside of the book.
fn inside(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}
