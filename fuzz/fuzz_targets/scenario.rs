//! Scenarios of `watershed simulate`, and everything printed about them.

#![no_main]

use std::cell::OnceCell;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use watershed::input::Syntax;
use watershed::scenario::Scenario;
use watershed::simulate::{Outcome, simulate};
use watershed::walk::Surroundings;
use watershed_fuzz::check_policy;

thread_local! {
    // The location table is made once: it takes longer than a scenario.
    static SURROUNDINGS: OnceCell<Surroundings> = const { OnceCell::new() };
}

fuzz_target!(|text: &str| {
    // A fuzzer must not open whatever file it comes up with.
    if text.contains("policyFile") {
        return;
    }
    let scenario = Scenario::from_text(text, Syntax::Yaml, Path::new("/nonexistent"));
    let report =
        SURROUNDINGS.with(|cell| simulate(&scenario, cell.get_or_init(Surroundings::default)));
    match scenario.valid_policy() {
        Some(policy) => check_policy(policy),
        None => assert_eq!(report.outcome, Outcome::Invalid),
    }
    if report.outcome == Outcome::Invalid {
        assert!(report.answers.is_empty() && !report.diagnostics.is_empty());
    }
    if report.outcome == Outcome::Answer {
        assert!(
            report
                .answers
                .iter()
                .any(|answer| !answer.endpoints.is_empty())
        );
    }
});
