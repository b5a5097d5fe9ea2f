//! A simulation as a table for people.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use crate::simulate::{Answer, Outcome, Report};

/// The answers of a report; nothing for an invalid one, whose faults go to
/// standard error.
pub(crate) fn report(report: &Report) -> String {
    let mut text = match report.outcome {
        Outcome::Invalid => return String::new(),
        Outcome::Nodata => "No answer (NODATA).\n".to_owned(),
        Outcome::Answer => answers(&report.answers),
    };
    if let Some(scope) = report.scope {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "\nECS scope: /{} for IPv4, /{} for IPv6",
            scope.ipv4, scope.ipv6
        );
    }
    text
}

fn answers(answers: &[Answer]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(["PROBABILITY", "ENDPOINTS", "VALUES"]);
    for answer in answers {
        table.add_row([
            answer.probability.clone(),
            listed(&answer.endpoints),
            values(answer),
        ]);
    }
    if let Some(column) = table.column_mut(0) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

fn values(answer: &Answer) -> String {
    match &answer.subset {
        Some(subset) => format!("{} at random of {}", subset.size, listed(&subset.of)),
        None => listed(&answer.values),
    }
}

fn listed(items: &[String]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.join(", ")
}
