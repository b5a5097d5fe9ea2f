//! The corpus and the page that it shows, `docs/semantics.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::assert_none;
use crate::corpus::{corpus, root};

/// The text under each heading of the page.
fn sections() -> BTreeMap<String, String> {
    let page = fs::read_to_string(root().join("docs/semantics.md")).unwrap();
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    let mut heading = String::new();
    for line in page.lines() {
        if line.starts_with('#') {
            line.trim_start_matches('#').trim().clone_into(&mut heading);
        } else {
            let section = sections.entry(heading.clone()).or_default();
            section.push_str(line);
            section.push('\n');
        }
    }
    sections
}

#[test]
fn every_case_shows_a_sentence_of_the_page() {
    let sections = sections();
    let cases = corpus();
    let unknown = cases.iter().filter_map(|case| {
        let known = case
            .shows
            .split_once(": ")
            .is_some_and(|(heading, sentence)| {
                sections
                    .get(heading)
                    .is_some_and(|text| text.contains(sentence))
            });
        (!known).then(|| format!("{}: not in docs/semantics.md: {}", case.label(), case.shows))
    });
    assert_none(&unknown.collect::<Vec<_>>(), cases.len());
}

/// Sentences that no case can show, and the test that does.
const SHOWN_ELSEWHERE: [&str; 4] = [
    // Every reply of a node: `dns/tests/server/clients.rs`.
    "3.3 The client: The client is the network in the query's EDNS Client Subnet",
    // `sticky.rs`, as which branch a network gets is no part of the page.
    "4.3 Client affinity: With `affinity: Client` a weighted rule gives all addresses",
    "4.3 Client affinity: Over many networks the shares are those of the weights",
    // Every refused document of the corpus.
    "6 Reading a simulation: An invalid policy has the outcome `invalid`",
];

#[test]
fn every_rule_of_the_page_is_shown() {
    let cases = corpus();
    let shown: BTreeSet<&str> = cases.iter().map(|case| case.shows.as_str()).collect();
    let sections = sections();
    let rules = sections.iter().flat_map(|(heading, text)| {
        let items = text.lines().filter_map(|line| line.strip_prefix("- "));
        items.map(move |item| format!("{heading}: {item}"))
    });
    // The introduction lists the tags, the rules start with section 1.
    let rules = rules.filter(|rule| rule.starts_with(|c: char| c.is_ascii_digit()));
    let missing = rules.filter(|rule| {
        let by_case = shown.iter().any(|sentence| rule.starts_with(sentence));
        !by_case
            && !SHOWN_ELSEWHERE
                .iter()
                .any(|sentence| rule.starts_with(sentence))
    });
    assert_none(&missing.collect::<Vec<_>>(), cases.len());
}

#[test]
fn the_corpus_is_large_and_its_names_are_unique() {
    let cases = corpus();
    assert!(cases.len() >= 200, "only {} cases", cases.len());
    let decisions = cases.iter().filter(|case| !case.is_refused()).count();
    assert!(decisions >= 200, "only {decisions} decisions");
    let mut names = BTreeSet::new();
    let repeated = cases.iter().filter(|case| !names.insert(&case.name));
    let repeated: Vec<_> = repeated
        .map(|case| format!("{}: twice", case.label()))
        .collect();
    assert_none(&repeated, cases.len());
}
