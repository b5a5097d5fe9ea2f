//! The corpus against `watershed simulate - -o json`.

use std::thread;

use assert_cmd::Command;
use serde_json::Value;

use crate::assert_none;
use crate::corpus::{Case, corpus, root};
use crate::library::Databases;

#[test]
fn the_command_prints_what_the_corpus_says() {
    let databases = Databases::new();
    let cases: Vec<(usize, Case)> = corpus().into_iter().enumerate().collect();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mismatches = thread::scope(|scope| {
        let parts = cases.chunks(cases.len().div_ceil(workers));
        let runs = parts.map(|part| scope.spawn(|| run_all(part, &databases)));
        let runs: Vec<_> = runs.collect();
        runs.into_iter()
            .flat_map(|run| run.join().unwrap())
            .collect::<Vec<String>>()
    });
    assert_none(&mismatches, cases.len());
}

fn run_all(cases: &[(usize, Case)], databases: &Databases) -> Vec<String> {
    let mut mismatches = Vec::new();
    for (index, case) in cases {
        let differences = run(*index, case, databases);
        mismatches.extend(differences.iter().map(|d| format!("{}: {d}", case.label())));
    }
    mismatches
}

fn run(index: usize, case: &Case, databases: &Databases) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watershed"));
    command.current_dir(root());
    command.args(["simulate", "-", "-o", "json"]);
    if let Some(database) = databases.file(index, case) {
        command.arg("--geo-database").arg(database);
    }
    let output = command
        .write_stdin(case.scenario.to_string())
        .output()
        .unwrap();
    let Ok(report) = serde_json::from_slice::<Value>(&output.stdout) else {
        return vec![format!(
            "no JSON: {}",
            String::from_utf8_lossy(&output.stderr)
        )];
    };
    let mut differences = case.expect.differences(&report);
    let status = output.status.code();
    if status != Some(i32::from(case.is_refused())) {
        differences.push(format!("exit status {status:?}"));
    }
    differences
}
