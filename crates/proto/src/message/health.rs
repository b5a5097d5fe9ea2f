//! Messages about health, on their way out and in.

use watershed_health::fleet::Report;
use watershed_health::{Checker, Hold, State, Target};

use crate::address;
use crate::error::MessageError;
use crate::fleet_v1 as wire;

/// The most characters of what a probe said.
const MESSAGE: usize = 256;

/// A verdict: its target, whether it is healthy, and whether that may soon
/// change.
type Verdict = (Target, bool, bool);

pub(super) fn report_to_wire(reports: Vec<Report>, whole: bool) -> wire::HealthReport {
    let reports = reports.into_iter().map(Into::into);
    wire::HealthReport {
        reports: reports.collect(),
        whole,
    }
}

pub(super) fn report_from_wire(
    report: wire::HealthReport,
) -> Result<(Vec<Report>, bool), MessageError> {
    let reports = report.reports.into_iter().map(TryInto::try_into);
    Ok((reports.collect::<Result<_, _>>()?, report.whole))
}

pub(super) fn checkers_to_wire(nodes: Vec<Checker>) -> wire::Checkers {
    let nodes = nodes
        .into_iter()
        .map(|Checker { node, location }| wire::Checker { node, location });
    wire::Checkers {
        nodes: nodes.collect(),
    }
}

pub(super) fn checkers_from_wire(checkers: wire::Checkers) -> Result<Vec<Checker>, MessageError> {
    let nodes = checkers.nodes.into_iter().map(|checker| {
        let wire::Checker { node, location } = checker;
        let named = !node.is_empty();
        named
            .then_some(Checker { node, location })
            .ok_or(field("Checkers.nodes.node"))
    });
    nodes.collect()
}

pub(super) fn verdicts_to_wire(
    verdicts: Vec<Verdict>,
    holds: Vec<Hold>,
    whole: bool,
) -> wire::Verdicts {
    let verdicts = verdicts
        .into_iter()
        .map(|(target, healthy, changing)| wire::Verdict {
            target: Some(target_to_wire(&target)),
            healthy,
            changing,
        });
    wire::Verdicts {
        verdicts: verdicts.collect(),
        holds: holds_to_wire(holds),
        whole,
    }
}

pub(super) fn holds_to_wire(holds: Vec<Hold>) -> Vec<wire::Hold> {
    let holds = holds.into_iter().map(|hold| {
        let Hold {
            record,
            rule,
            active,
        } = hold;
        wire::Hold {
            record,
            rule,
            active,
        }
    });
    holds.collect()
}

pub(super) fn holds_from_wire(holds: Vec<wire::Hold>) -> Vec<Hold> {
    let holds = holds.into_iter().map(|hold| {
        let wire::Hold {
            record,
            rule,
            active,
        } = hold;
        Hold {
            record,
            rule,
            active,
        }
    });
    holds.collect()
}

pub(super) fn verdicts_from_wire(
    verdicts: wire::Verdicts,
) -> Result<(Vec<Verdict>, Vec<Hold>, bool), MessageError> {
    let wire::Verdicts {
        verdicts,
        holds,
        whole,
    } = verdicts;
    let verdicts = verdicts.into_iter().map(|verdict| {
        let target = target_from_wire(verdict.target, "Verdicts.verdicts.target")?;
        Ok((target, verdict.healthy, verdict.changing))
    });
    let verdicts = verdicts.collect::<Result<_, _>>()?;
    Ok((verdicts, holds_from_wire(holds), whole))
}

impl From<Report> for wire::TargetReport {
    fn from(report: Report) -> Self {
        let Report {
            target,
            state,
            changing,
            age_ms,
            message,
            certificate_expires,
            served,
        } = report;
        Self {
            target: Some(target_to_wire(&target)),
            state: wire::target_report::State::from(state).into(),
            changing,
            age_ms,
            message: clipped(message),
            certificate_expires,
            served,
        }
    }
}

impl TryFrom<wire::TargetReport> for Report {
    type Error = MessageError;

    fn try_from(report: wire::TargetReport) -> Result<Self, MessageError> {
        use wire::target_report::State as From;
        let state = match report.state() {
            From::Unspecified => return Err(field("HealthReport.reports.state")),
            From::Unknown => State::Unknown,
            From::Healthy => State::Healthy,
            From::Unhealthy => State::Unhealthy,
        };
        Ok(Self {
            target: target_from_wire(report.target, "HealthReport.reports.target")?,
            state,
            changing: report.changing,
            age_ms: report.age_ms,
            // It goes to a status, whoever sent it.
            message: clipped(report.message),
            certificate_expires: report.certificate_expires,
            served: report.served,
        })
    }
}

impl From<State> for wire::target_report::State {
    fn from(state: State) -> Self {
        match state {
            State::Unknown => Self::Unknown,
            State::Healthy => Self::Healthy,
            State::Unhealthy => Self::Unhealthy,
        }
    }
}

fn target_to_wire(target: &Target) -> wire::HealthTarget {
    let Target { check, address } = target;
    wire::HealthTarget {
        check: check.clone(),
        address: address.as_ref().map(Into::into),
    }
}

fn target_from_wire(
    target: Option<wire::HealthTarget>,
    name: &'static str,
) -> Result<Target, MessageError> {
    let wire::HealthTarget { check, address } = target.ok_or(field(name))?;
    if check.is_empty() {
        return Err(field(name));
    }
    let address = match address {
        None => None,
        Some(address) => Some(address::read(address).ok_or(field(name))?),
    };
    Ok(Target { check, address })
}

/// At most so many characters as a status takes.
fn clipped(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MESSAGE) {
        text.truncate(end);
    }
    text
}

fn field(field: &'static str) -> MessageError {
    MessageError::Field { field }
}
