//! Locations that lead to the same thing, put together.

use watershed_crd::document::{Branch, RuleType, TrafficPolicyDocument};

/// Most places of one branch.
const MAX_PLACES: usize = 64;

/// Puts the places of geolocation branches together that lead to the same
/// target with the same health. Route 53 has one place in a location, so that
/// imported rules have many alike. Every client gets the same answers as
/// before.
pub fn merge_places(document: &TrafficPolicyDocument) -> TrafficPolicyDocument {
    let mut merged = document.clone();
    let rules = merged.rules.values_mut();
    for rule in rules.filter(|rule| rule.type_ == RuleType::Geolocation) {
        let mut branches: Vec<Branch> = Vec::new();
        for branch in std::mem::take(&mut rule.branches) {
            match branches.iter_mut().find(|before| fits(before, &branch)) {
                Some(before) => extend(before, branch),
                None => branches.push(branch),
            }
        }
        rule.branches = branches;
    }
    merged
}

/// Whether two branches differ in their places only, and have room for both.
fn fits(one: &Branch, other: &Branch) -> bool {
    let without_places = |branch: &Branch| Branch {
        locations: None,
        ..branch.clone()
    };
    match (&one.locations, &other.locations) {
        (Some(places), Some(more)) => {
            places.len() + more.len() <= MAX_PLACES && without_places(one) == without_places(other)
        }
        _ => false,
    }
}

fn extend(branch: &mut Branch, other: Branch) {
    let places = branch.locations.get_or_insert_default();
    places.extend(other.locations.unwrap_or_default());
}
