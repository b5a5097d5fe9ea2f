//! The health of targets as tables for people.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::report::{HeldRule, Report, TargetHealth};

/// The targets, and below them what failback holds.
pub(super) fn tables(report: &Report) -> String {
    let mut text = if report.targets.is_empty() {
        "There are no health checks.\n".to_owned()
    } else {
        targets(&report.targets)
    };
    if !report.failover.is_empty() {
        text.push('\n');
        text.push_str(&held(&report.failover));
    }
    text
}

fn targets(targets: &[TargetHealth]) -> String {
    let mut table = empty([
        "CHECK",
        "TARGET",
        "HEALTH",
        "SINCE",
        "CHECKERS",
        "LAST RESULT",
        "CERTIFICATE",
    ]);
    for target in targets {
        table.add_row([
            target.check.clone(),
            or_dash(target.target.clone()),
            or_dash(target.health.map(|health| health.as_str().to_owned())),
            or_dash(target.since.as_ref().map(seconds)),
            checkers(target),
            said(target),
            or_dash(target.certificate_expires.as_ref().map(day)),
        ]);
    }
    lines(&table)
}

/// The rules of records that failback holds.
pub(crate) fn held(rules: &[HeldRule]) -> String {
    let mut table = empty(["RECORD", "RULE", "ACTIVE", "PREFERRED", "SINCE", "RETURNS"]);
    for rule in rules {
        let returns = rule.returns_at.as_ref().map(seconds);
        table.add_row([
            rule.record.clone(),
            rule.rule.clone(),
            rule.active.clone(),
            or_dash(rule.preferred.clone()),
            or_dash(rule.since.as_ref().map(seconds)),
            returns.unwrap_or_else(|| "when released".to_owned()),
        ]);
    }
    lines(&table)
}

fn checkers(target: &TargetHealth) -> String {
    match (target.healthy_checkers, target.total_checkers) {
        (Some(healthy), Some(total)) => format!("{healthy}/{total}"),
        _ => or_dash(None),
    }
}

/// What was said last, and what else one must know to read the verdict.
fn said(target: &TargetHealth) -> String {
    let parts = [target.last_result.clone(), target.note.clone()];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    or_dash((!parts.is_empty()).then(|| parts.join("; ")))
}

/// Without fractions: nobody reads them in a table.
fn seconds(time: &Time) -> String {
    time.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn day(time: &Time) -> String {
    format!("until {}", time.0.strftime("%Y-%m-%d"))
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

fn empty<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(header);
    table
}

fn lines(table: &Table) -> String {
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.fold(String::new(), |text, line| text + &line + "\n")
}
