//! Branches, clients and probabilities in words.

use ipnet::IpNet;
use num_traits::ToPrimitive;
use watershed_crd::document::TrafficPolicyDocument;
use watershed_policy::{BigRational, Client, Coordinates, Rule, RuleKind, Scope, Selector};

/// When a branch applies, in a few words; empty where nothing tells the
/// branches of its rule apart. `document` knows the region of a geoproximity
/// branch, of which the policy keeps only the position.
pub(crate) fn selector(document: &TrafficPolicyDocument, rule: &Rule, index: usize) -> String {
    match &rule.branches[index].selector {
        Selector::Always | Selector::Missing => match rule.kind {
            RuleKind::Failover => tier(index),
            _ => String::new(),
        },
        Selector::Weight(weight) => format!("weight {weight}"),
        Selector::Region(region) => region.name.clone(),
        Selector::Places(places) => joined(places),
        Selector::Blocks(blocks) => cidr_location(document, rule, index)
            .map_or_else(|| joined(blocks), |location| format!("location {location}")),
        Selector::Default => "default".to_owned(),
        Selector::Position { coordinates, bias } => {
            let place =
                written_region(document, rule, index).unwrap_or_else(|| degrees(*coordinates));
            match bias {
                0 => place,
                bias => format!("{place}, bias {bias:+}"),
            }
        }
    }
}

fn tier(index: usize) -> String {
    match index {
        0 => "primary".to_owned(),
        1 => "secondary".to_owned(),
        _ => format!("tier {}", index + 1),
    }
}

/// Enough places to recognise the branch; a long list is cut.
fn joined<T: ToString>(items: &[T]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<String> = items.iter().take(SHOWN).map(T::to_string).collect();
    match items.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn written_region(document: &TrafficPolicyDocument, rule: &Rule, index: usize) -> Option<String> {
    let branch = document.rules.get(&rule.name)?.branches.get(index)?;
    if branch.coordinates.is_some() {
        return None;
    }
    branch.region.clone()
}

fn cidr_location(document: &TrafficPolicyDocument, rule: &Rule, index: usize) -> Option<String> {
    let branch = document.rules.get(&rule.name)?.branches.get(index)?;
    branch.cidr_location.clone()
}

/// A position such as `53.35° N, 6.26° W`.
pub(crate) fn degrees(at: Coordinates) -> String {
    let half = |degrees: f64, positive, negative| {
        let side = if degrees < 0.0 { negative } else { positive };
        format!("{}° {side}", (degrees.abs() * 100.0).round() / 100.0)
    };
    format!(
        "{}, {}",
        half(at.latitude(), "N", "S"),
        half(at.longitude(), "E", "W")
    )
}

/// What is known of a client, such as `203.0.113.0/24, country JP`.
pub(crate) fn client(client: &Client) -> String {
    let location = &client.location;
    let country = location.country.map(|code| match &location.subdivision {
        Some(part) => format!("country {code}-{part}"),
        None => format!("country {code}"),
    });
    let parts = [
        client.network.map(|network| network_text(&network)),
        country,
        location.continent.map(|code| format!("continent {code}")),
        location.coordinates.map(|at| format!("at {}", degrees(at))),
        location.asn.map(|asn| format!("AS{asn}")),
    ];
    let mut known: Vec<String> = parts.into_iter().flatten().collect();
    if location.country.is_none() && location.continent.is_none() && location.coordinates.is_none()
    {
        known.push("of unknown location".to_owned());
    }
    known.join(", ")
}

fn network_text(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

/// For which other clients the same holds, as a sentence.
pub(crate) fn scope(scope: Scope, client: &Client) -> String {
    let len = match client.network {
        Some(IpNet::V4(_)) => scope.ipv4,
        Some(IpNet::V6(_)) => scope.ipv6,
        None => 0,
    };
    let network = client.network.filter(|_| scope != Scope::default());
    let around = network.and_then(|network| IpNet::new(network.addr(), len).ok());
    match around.map(|network| network.trunc()) {
        Some(network) if len == 0 => {
            format!("The same holds for every client in {network}: the whole address family.")
        }
        Some(network) => format!("The same holds for every client in {network} (the ECS scope)."),
        None if scope == Scope::default() => {
            "The same holds for every client, wherever it is (ECS scope /0).".to_owned()
        }
        None => format!(
            "The same holds for the clients around it: ECS scope /{} for IPv4, /{} for IPv6.",
            scope.ipv4, scope.ipv6
        ),
    }
}

/// A probability as a percentage, exact where one digit suffices.
pub(crate) fn percent(probability: &BigRational) -> String {
    let percent = probability.to_f64().unwrap_or(f64::NAN) * 100.0;
    let rounded = (percent * 10.0).round() / 10.0;
    let approximate = (percent - rounded).abs() > 1e-9;
    format!("{}{rounded} %", if approximate { "≈ " } else { "" })
}
