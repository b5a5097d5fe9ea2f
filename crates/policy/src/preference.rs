//! Which branches of a rule apply to a client, and in which order it prefers
//! them. Ties keep document order: every sort here is stable.

use ipnet::IpNet;
use smallvec::SmallVec;

use crate::client::{Client, Coordinates, LatencySource, Location, Place};
use crate::document::{Region, Selector};
use crate::evaluate::Branches;
use crate::policy::Rule;

/// How closely a place holds a client; the smallest place is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Specificity {
    Subdivision,
    Country,
    Continent,
    Default,
}

/// Geolocation: the places that hold the client, smallest first, then the
/// default (Developer Guide, "Geolocation routing").
pub(crate) fn by_place<W: Wanted>(rule: &Rule, client: &Client) -> W::Branches {
    W::of(rule, |selector| specificity(selector, &client.location))
}

/// CIDR: the blocks that hold the client's whole network, longest first, then
/// the default. A block inside the client's network does not match
/// (Developer Guide, "IP-based routing").
pub(crate) fn by_block<W: Wanted>(rule: &Rule, client: &Client) -> W::Branches {
    W::of(rule, |selector| match selector {
        Selector::Default => Some(0),
        _ => longest_block(selector, client).map(|block| -1 - i32::from(block.prefix_len())),
    })
}

/// Geoproximity: ascending biased distance; document order for a client of
/// unknown position.
pub(crate) fn by_biased_distance<W: Wanted>(rule: &Rule, client: &Client) -> W::Branches {
    W::of(rule, |selector| {
        Some(Ascending(
            biased_distance_km(selector, client).map_or(0.0, |(_, biased)| biased),
        ))
    })
}

/// Latency: measured regions by ascending latency, then the others by
/// distance, then those of which nothing is known. A region in Beijing always
/// comes first for clients in China (Developer Guide, "Latency-based
/// routing").
pub(crate) fn by_latency<W: Wanted>(
    rule: &Rule,
    client: &Client,
    latency: Option<&dyn LatencySource>,
) -> W::Branches {
    W::of(rule, |selector| {
        let Selector::Region(region) = selector else {
            return Some((Nearness::Unknown, Ascending(0.0)));
        };
        Some(nearness(region, client, latency))
    })
}

/// How the nearness of a region to a client was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nearness {
    ChinaInBeijing,
    Measured,
    Distance,
    Unknown,
}

pub(crate) fn nearness(
    region: &Region,
    client: &Client,
    latency: Option<&dyn LatencySource>,
) -> (Nearness, Ascending) {
    let in_china = client.location.country.is_some_and(|c| c.as_str() == "CN");
    if in_china && matches!(region.name.as_str(), "cn-north-1" | "aws/cn-north-1") {
        return (Nearness::ChinaInBeijing, Ascending(0.0));
    }
    if let Some(micros) = latency.and_then(|l| l.latency_micros(client, &region.name)) {
        return (Nearness::Measured, Ascending(f64::from(micros)));
    }
    match distance_km(client, region.coordinates) {
        Some(km) => (Nearness::Distance, Ascending(km)),
        None => (Nearness::Unknown, Ascending(0.0)),
    }
}

/// How closely a geolocation selector holds a location; `None` when it does
/// not.
pub(crate) fn specificity(selector: &Selector, location: &Location) -> Option<Specificity> {
    match selector {
        Selector::Default => Some(Specificity::Default),
        Selector::Places(places) => {
            let holding = places.iter().filter_map(|place| holds(place, location));
            holding.min()
        }
        _ => None,
    }
}

/// The smallest of `places` that holds a location.
pub(crate) fn smallest_place<'a>(places: &'a [Place], location: &Location) -> Option<&'a Place> {
    let holding = places
        .iter()
        .filter_map(|place| Some((holds(place, location)?, place)));
    holding
        .min_by_key(|(specificity, _)| *specificity)
        .map(|(_, place)| place)
}

#[inline]
fn holds(place: &Place, location: &Location) -> Option<Specificity> {
    match place {
        Place::Country(country) => {
            (location.country == Some(*country)).then_some(Specificity::Country)
        }
        Place::Continent(continent) => {
            (location.continent == Some(*continent)).then_some(Specificity::Continent)
        }
        Place::Subdivision(country, part) => {
            let held = location.subdivision.as_ref();
            let held = held.is_some_and(|held| held.eq_ignore_ascii_case(part));
            (held && location.country == Some(*country)).then_some(Specificity::Subdivision)
        }
    }
}

/// The longest block of a CIDR selector that holds the client's network.
pub(crate) fn longest_block<'a>(selector: &'a Selector, client: &Client) -> Option<&'a IpNet> {
    let (Selector::Blocks(blocks), Some(network)) = (selector, &client.network) else {
        return None;
    };
    let holding = blocks.iter().filter(|block| block.contains(network));
    holding.max_by_key(|block| block.prefix_len())
}

/// Distance to a geoproximity selector in kilometres: as it is, and biased.
pub(crate) fn biased_distance_km(selector: &Selector, client: &Client) -> Option<(f64, f64)> {
    let Selector::Position { coordinates, bias } = selector else {
        return None;
    };
    let distance = distance_km(client, Some(*coordinates))?;
    Some((distance, biased(distance, *bias)))
}

/// The bias formula of the Developer Guide, "Geoproximity routing": a
/// positive bias shrinks the distance, a negative one stretches it.
pub(crate) fn biased(distance: f64, bias: i32) -> f64 {
    let bias = f64::from(bias) / 100.0;
    if bias >= 0.0 {
        distance * (1.0 - bias)
    } else {
        distance / (1.0 + bias)
    }
}

fn distance_km(client: &Client, to: Option<Coordinates>) -> Option<f64> {
    Some(client.location.coordinates?.distance_km(to?))
}

/// A finite number ordered by size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ascending(pub(crate) f64);

impl PartialEq for Ascending {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ascending {}

impl PartialOrd for Ascending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ascending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// What is wanted of the branches that have a key.
pub(crate) trait Wanted {
    type Branches;

    fn of<K: Ord>(rule: &Rule, key: impl Fn(&Selector) -> Option<K>) -> Self::Branches;
}

/// All of them, by ascending key.
pub(crate) struct Sorted;

impl Wanted for Sorted {
    type Branches = Branches;

    fn of<K: Ord>(rule: &Rule, key: impl Fn(&Selector) -> Option<K>) -> Branches {
        let mut keyed: SmallVec<[(K, usize); 8]> = keyed(rule, key).collect();
        // The index makes keys distinct, so an unstable sort keeps document order.
        keyed.sort_unstable();
        keyed.into_iter().map(|(_, index)| index).collect()
    }
}

/// The one with the least key; of several the first in document order.
pub(crate) struct First;

impl Wanted for First {
    type Branches = Option<usize>;

    fn of<K: Ord>(rule: &Rule, key: impl Fn(&Selector) -> Option<K>) -> Option<usize> {
        keyed(rule, key).min().map(|(_, index)| index)
    }
}

fn keyed<K>(rule: &Rule, key: impl Fn(&Selector) -> Option<K>) -> impl Iterator<Item = (K, usize)> {
    let branches = rule.branches.iter().enumerate();
    branches.filter_map(move |(index, branch)| Some((key(&branch.selector)?, index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bias_follows_the_guide() {
        // The guide's worked example: 150 km at +50 is 75 km.
        assert!((biased(150.0, 50) - 75.0).abs() < 1e-9);
        assert!((biased(100.0, 0) - 100.0).abs() < 1e-9);
        assert!((biased(100.0, -99) - 10_000.0).abs() < 1e-6);
        assert!((biased(100.0, 99) - 1.0).abs() < 1e-9);
    }
}
