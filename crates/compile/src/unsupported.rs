//! Fields that the API has and this release does not act on. Whoever sets one
//! is told, for silence would pass for consent.

use watershed_crd::hosted_zone::{DnssecMode, HostedZoneSpec};
use watershed_crd::policy_record::{AnswerReporting, PolicyRecordSpec, Strategy};
use watershed_policy::{Code, Diagnostic, Path};

/// Warnings about a record.
pub(crate) fn record(spec: &PolicyRecordSpec) -> Vec<Diagnostic> {
    let canary = (spec.rollout.as_ref()).is_some_and(|r| r.strategy == Strategy::Canary);
    let shares = (spec.reporting.as_ref()).is_some_and(|r| r.answers == AnswerReporting::Always);
    warnings([
        (
            canary,
            "spec.rollout",
            "rollouts in steps are not done yet: a new version is served to everyone at once",
        ),
        (
            shares,
            "spec.reporting",
            "shares of answers are not written to status yet",
        ),
    ])
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_asks_for_in_vain_is_told() {
        let told = |answers: &str| {
            let spec = format!(
                "{{hostedZoneRef: {{name: zone}}, name: www, policyRef: {{name: web}}, version: 1, \
                 rollout: {{strategy: Canary}}, reporting: {{answers: {answers}}}}}"
            );
            record(&serde_yaml::from_str(&spec).unwrap()).len()
        };
        assert_eq!(told("Always"), 2);
        assert_eq!(told("DuringRollout"), 1);
    }
}
