//! What is said about working documents.

use watershed_crd::traffic_policy::TrafficPolicySpec;

use crate::followed::Objects;
use crate::mint::{Mint, Refusal, plan_one};
use crate::resources::{Object, Resources, version_key};
use crate::untargeted::untargeted;
use crate::verdict::{Problem, Reason, Report, errors};
use crate::version::{missing_checks, summary};
use crate::versions::Versions;

/// Reports on a `TrafficPolicy`.
pub(crate) fn report(
    resources: &Resources,
    versions: &Versions,
    policy: &Object<TrafficPolicySpec>,
) -> Report {
    let mut report = Report::new(policy.generation);
    document(resources, policy, &mut report);
    mint(resources, policy, &mut report);
    channels(resources, versions, policy, &mut report);
    report
}

fn document(resources: &Resources, policy: &Object<TrafficPolicySpec>, report: &mut Report) {
    let Some(document) = &policy.spec.document else {
        return;
    };
    let objects = Objects::new(resources, &policy.key.namespace, document, None);
    let (compiled, findings) = objects.check();
    let (faults, warnings) = errors(findings);
    (report.problems).extend(faults.into_iter().map(|finding| objects.fault(finding)));
    report.warnings = warnings;
    if let Some(compiled) = compiled {
        report.accepted = summary(document, &compiled);
        report.problems.extend(missing_checks(resources, &compiled));
        report.warnings.extend(untargeted(resources, &compiled));
    }
}

fn mint(resources: &Resources, policy: &Object<TrafficPolicySpec>, report: &mut Report) {
    let message = match plan_one(resources, policy) {
        Mint::NoDocument => "versions are authored".to_owned(),
        Mint::Holds(number) => format!("version {number}"),
        Mint::Make(version) => format!("version {} is to be made", version.spec.version),
        // Told already, fault by fault.
        Mint::Refused(Refusal::Invalid(_) | Refusal::Unresolved(_)) => return,
        Mint::Refused(refusal) => {
            let reason = match refusal {
                Refusal::VersionConflict { .. } => Reason::VersionConflict,
                _ => Reason::NumberTooLow,
            };
            let (field, message) = refusal.explain();
            report.problems.push(Problem::new(reason, field, message));
            return;
        }
    };
    report.ready = Some((Reason::Minted, message));
}

/// Channels point at versions that can be served.
fn channels(
    resources: &Resources,
    versions: &Versions,
    policy: &Object<TrafficPolicySpec>,
    report: &mut Report,
) {
    for (channel, number) in &policy.spec.channels {
        let version = version_key(&policy.key, u32::try_from(*number).unwrap_or(0));
        if versions.get(&version).is_some() {
            continue;
        }
        let (reason, what) = if resources.versions.contains_key(&version) {
            (Reason::VersionNotAccepted, "has faults")
        } else {
            (Reason::VersionNotFound, "does not exist")
        };
        let message = format!("version {number} {what}");
        let field = format!("spec.channels.{channel}");
        report.problems.push(Problem::new(reason, field, message));
    }
}
