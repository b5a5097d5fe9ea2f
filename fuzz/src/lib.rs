//! What holds for every policy, whatever document it came from.

use num_traits::{One, Zero};
use watershed_policy::{
    BigRational, Client, Continent, Coordinates, Diagnostic, Health, Location, Policy, Severity,
    View,
};

/// Every policy has answers for every client, whatever is down, and their
/// probabilities sum to one.
pub fn check_policy(policy: &Policy) {
    let none_healthy = Health::new(policy, |_| false, |_| false);
    for client in [Client::default(), located()] {
        for health in [&Health::all_healthy(policy), &none_healthy] {
            let view = View {
                client: &client,
                health,
                latency: None,
            };
            for record_type in policy.record_types() {
                check_distribution(policy, *record_type, &view);
            }
        }
    }
}

fn check_distribution(policy: &Policy, record_type: u16, view: &View<'_>) {
    let distribution = policy.distribution(record_type, view);
    let sum = |sum: BigRational, p: &BigRational| sum + p;
    let probabilities = distribution.outcomes.iter().map(|o| &o.probability);
    assert!(probabilities.fold(BigRational::zero(), sum).is_one());
    let first = policy.decide(record_type, view, &mut |_: u64| 0, &mut ());
    assert_eq!(first.scope, distribution.scope);
}

fn located() -> Client {
    Client {
        network: "192.0.2.0/24".parse().ok(),
        location: Location {
            country: "US".parse().ok(),
            subdivision: Some("NY".to_owned()),
            continent: Some(Continent::NorthAmerica),
            coordinates: Coordinates::new(42.9, -75.5),
            asn: None,
            prefix_len: Some(20),
        },
    }
}

/// A document is refused exactly when it has a fault, and every fault says
/// something.
pub fn check_findings(policy: Option<&Policy>, findings: &[Diagnostic]) {
    let refused = findings.iter().any(|d| d.severity() == Severity::Error);
    assert_eq!(policy.is_none(), refused, "{findings:?}");
    assert!(findings.iter().all(|d| !d.message.is_empty()));
}
