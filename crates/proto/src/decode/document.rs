//! Policy documents. What the tree as a whole must satisfy is checked by
//! [`Policy::build`](watershed_policy::Policy::build).

use ipnet::IpNet;
use watershed_policy::{
    Affinity, BranchSpec, Coordinates, Document, EndpointKind, EndpointSpec, Place, Region,
    RuleKind, RuleSpec, Selector, Target, Value,
};

use super::{known, needed, record_types, wrong};
use crate::error::DecodeError;
use crate::fleet_v1 as wire;

pub(super) fn read(document: wire::Document) -> Result<Document, DecodeError> {
    let wire::Document {
        record_types: types,
        start,
        rules,
        endpoints,
    } = document;
    let rules = rules.into_iter().enumerate();
    let rules = rules.map(|(index, rule)| self::rule(rule, &format!("document.rules[{index}]")));
    let endpoints = endpoints.into_iter().enumerate();
    let endpoints = endpoints
        .map(|(index, endpoint)| self::endpoint(endpoint, &format!("document.endpoints[{index}]")));
    Ok(Document {
        record_types: record_types(&types, "document.record_types")?,
        start: Some(target(start, "document.start")?),
        rules: rules.collect::<Result<_, _>>()?,
        endpoints: endpoints.collect::<Result<_, _>>()?,
    })
}

fn target(target: Option<wire::Target>, path: &str) -> Result<Target, DecodeError> {
    match known(target.and_then(|target| target.to), path)? {
        wire::target::To::Rule(name) => Ok(Target::Rule(name)),
        wire::target::To::Endpoint(name) => Ok(Target::Endpoint(name)),
    }
}

fn rule(rule: wire::Rule, path: &str) -> Result<RuleSpec, DecodeError> {
    let kind = kind(&rule, path)?;
    let percent = small(rule.min_healthy_percent, path, "min_healthy_percent")?;
    let branches = rule.branches.into_iter().enumerate();
    let branches =
        branches.map(|(index, branch)| self::branch(branch, &format!("{path}.branches[{index}]")));
    Ok(RuleSpec {
        name: rule.name,
        kind,
        min_healthy_percent: Some(percent).filter(|percent| *percent > 0),
        branches: branches.collect::<Result<_, _>>()?,
    })
}

fn kind(rule: &wire::Rule, path: &str) -> Result<RuleKind, DecodeError> {
    use wire::rule::Kind;
    let unknown = || {
        let problem = format!(
            "{} is not a kind of rule that this program knows",
            rule.kind
        );
        wrong(format!("{path}.kind"), problem)
    };
    match Kind::try_from(rule.kind).map_err(|_| unknown())? {
        Kind::Unspecified => Err(unknown()),
        Kind::Failover => Ok(RuleKind::Failover),
        Kind::Weighted => Ok(RuleKind::Weighted {
            affinity: if rule.sticky {
                Affinity::Client
            } else {
                Affinity::None
            },
        }),
        Kind::Latency => Ok(RuleKind::Latency),
        Kind::Geolocation => Ok(RuleKind::Geolocation),
        Kind::Geoproximity => Ok(RuleKind::Geoproximity),
        Kind::MultiValue => Ok(RuleKind::MultiValue {
            max_answers: small(rule.max_answers, path, "max_answers")?,
        }),
        Kind::Cidr => Ok(RuleKind::Cidr),
    }
}

/// A number that must fit in an octet; the narrower range is checked with
/// the document.
fn small(number: u32, path: &str, field: &str) -> Result<u8, DecodeError> {
    u8::try_from(number)
        .map_err(|_| wrong(format!("{path}.{field}"), format!("{number} is too large")))
}

fn branch(branch: wire::Branch, path: &str) -> Result<BranchSpec, DecodeError> {
    let wire::Branch {
        target,
        check,
        evaluate_target_health,
        selector,
    } = branch;
    Ok(BranchSpec {
        target: Some(self::target(target, &format!("{path}.target"))?),
        check: optional(check),
        evaluate_target_health,
        selector: self::selector(selector, &format!("{path}.selector"))?,
    })
}

fn selector(selector: Option<wire::branch::Selector>, path: &str) -> Result<Selector, DecodeError> {
    use wire::branch::Selector as From;
    Ok(match known(selector, path)? {
        From::Always(wire::Always {}) => Selector::Always,
        From::Weight(weight) => Selector::Weight(weight),
        From::Region(wire::Region { name, coordinates }) => {
            let coordinates = coordinates.map(|at| self::coordinates(&at, path));
            Selector::Region(Region {
                name,
                coordinates: coordinates.transpose()?,
            })
        }
        From::Places(wire::Places { places }) => {
            let places = places.iter().map(|text| place(text, path));
            Selector::Places(places.collect::<Result<_, _>>()?)
        }
        From::Position(wire::Position { coordinates, bias }) => Selector::Position {
            coordinates: self::coordinates(&needed(coordinates, path)?, path)?,
            bias,
        },
        From::Blocks(wire::Blocks { blocks }) => {
            let blocks = blocks.iter().map(|text| block(text, path));
            Selector::Blocks(blocks.collect::<Result<_, _>>()?)
        }
        From::Default(wire::Default {}) => Selector::Default,
    })
}

fn coordinates(at: &wire::Coordinates, path: &str) -> Result<Coordinates, DecodeError> {
    let wire::Coordinates {
        latitude,
        longitude,
    } = *at;
    Coordinates::new(latitude, longitude).ok_or_else(|| {
        let problem = format!("{latitude}, {longitude} is not a position on Earth");
        wrong(path, problem)
    })
}

fn place(text: &str, path: &str) -> Result<Place, DecodeError> {
    let place = match text.split_once('/') {
        Some(("continent", code)) => code.parse().ok().map(Place::Continent),
        Some(("country", code)) => match code.split_once('-') {
            None => code.parse().ok().map(Place::Country),
            Some((_, "")) => None,
            Some((country, part)) => {
                let country = country.parse().ok();
                country.map(|country| Place::Subdivision(country, part.to_owned()))
            }
        },
        _ => None,
    };
    place.ok_or_else(|| wrong(path, format!("`{}` is not a place", text.escape_debug())))
}

fn block(text: &str, path: &str) -> Result<IpNet, DecodeError> {
    text.parse().map_err(|_| {
        wrong(
            path,
            format!("`{}` is not a CIDR block", text.escape_debug()),
        )
    })
}

fn endpoint(endpoint: wire::Endpoint, path: &str) -> Result<EndpointSpec, DecodeError> {
    let wire::Endpoint {
        name,
        alias,
        values,
        check,
        drain,
    } = endpoint;
    let values = values.into_iter().enumerate();
    let values =
        values.map(|(index, value)| self::value(value, &format!("{path}.values[{index}]")));
    Ok(EndpointSpec {
        name,
        kind: if alias {
            EndpointKind::Alias
        } else {
            EndpointKind::Value
        },
        values: values.collect::<Result<_, _>>()?,
        check: optional(check),
        drain,
    })
}

fn value(value: wire::Value, path: &str) -> Result<Value, DecodeError> {
    let length = |_| wrong(path, "is not an address of the right length");
    Ok(match known(value.value, path)? {
        wire::value::Value::Ipv4(octets) => {
            Value::Ipv4(<[u8; 4]>::try_from(octets).map_err(length)?.into())
        }
        wire::value::Value::Ipv6(octets) => {
            Value::Ipv6(<[u8; 16]>::try_from(octets).map_err(length)?.into())
        }
        wire::value::Value::Hostname(host) => Value::Hostname(host),
        wire::value::Value::Rdata(wire::Rdata { text, wire }) => {
            if u16::try_from(wire.len()).is_err() {
                return Err(wrong(path, "is longer than record data can be"));
            }
            Value::Rdata {
                text,
                wire: wire.into(),
            }
        }
    })
}

fn optional(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
