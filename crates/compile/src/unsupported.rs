//! Fields that the API has and this release does not act on. Whoever sets one
//! is told, for silence would pass for consent.

use watershed_crd::hosted_zone::{DnssecMode, HostedZoneSpec};
use watershed_crd::policy_record::{PolicyRecordSpec, Strategy};
use watershed_policy::{Code, Diagnostic, Path};

/// Warnings about a record.
pub(crate) fn record(spec: &PolicyRecordSpec) -> Vec<Diagnostic> {
    let canary = (spec.rollout.as_ref()).is_some_and(|r| r.strategy == Strategy::Canary);
    warnings([(
        canary,
        "spec.rollout",
        "rollouts in steps are not done yet: a new version is served to everyone at once",
    )])
}

/// Warnings about a zone.
pub(crate) fn zone(spec: &HostedZoneSpec) -> Vec<Diagnostic> {
    let signed = (spec.dnssec.as_ref()).is_some_and(|d| d.mode == DnssecMode::OnlineSigning);
    warnings([(
        signed,
        "spec.dnssec",
        "answers are not signed yet: publish no DS record for this zone",
    )])
}

fn warnings<const N: usize>(fields: [(bool, &str, &str); N]) -> Vec<Diagnostic> {
    let set = fields.into_iter().filter(|(set, ..)| *set);
    set.map(|(_, field, message)| {
        Diagnostic::new(Code::Ignored, Path::Other(field.to_owned()), message)
    })
    .collect()
}
