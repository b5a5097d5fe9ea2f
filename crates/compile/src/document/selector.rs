//! When a branch applies, by the type of its rule.

use watershed_crd::document::RuleType;
use watershed_geo::CloudRegion;
use watershed_policy::{Code, Coordinates, Diagnostic, Path, Region, Selector};

use super::rule::At;
use super::{Context, blocks, coordinates, place, report};

/// The selector of a branch; [`Selector::Missing`] when something of it was
/// reported here.
pub(super) fn convert(
    context: Context<'_, '_>,
    at: At<'_>,
    findings: &mut Vec<Diagnostic>,
) -> Selector {
    let reported = findings.len();
    let selector = match at.rule.type_ {
        RuleType::Failover | RuleType::MultiValue => Some(Selector::Always),
        RuleType::Weighted => weight(at, findings),
        RuleType::Latency => latency(context, at, findings),
        RuleType::Geolocation => geolocation(at, findings),
        RuleType::Geoproximity => geoproximity(context, at, findings),
        RuleType::CIDR => cidr(context, at, findings),
    };
    if selector.is_none() && findings.len() == reported {
        missing(at, findings);
    }
    selector.unwrap_or(Selector::Missing)
}

fn missing(at: At<'_>, findings: &mut Vec<Diagnostic>) {
    let (field, message) = match at.rule.type_ {
        RuleType::Failover | RuleType::MultiValue => return,
        RuleType::Weighted => (Some("weight"), "a branch of a Weighted rule needs a weight"),
        RuleType::Latency => (
            Some("region"),
            "a branch of a Latency rule needs a region, its own or its endpoint's",
        ),
        RuleType::Geolocation => (
            None,
            "a branch of a Geolocation rule needs locations, or default: true",
        ),
        RuleType::Geoproximity => (
            None,
            "a branch of a Geoproximity rule needs a region or coordinates, or a region of its endpoint",
        ),
        RuleType::CIDR => (
            None,
            "a branch of a CIDR rule needs cidrs, a cidrLocation, or default: true",
        ),
    };
    report(findings, Code::MissingField, at.path(field), message);
}

/// The upper bound is one of the limits, which are checked with the tree.
fn weight(at: At<'_>, findings: &mut Vec<Diagnostic>) -> Option<Selector> {
    let weight = at.branch.weight?;
    let Ok(weight) = u32::try_from(weight) else {
        let message = format!("{weight} is negative; a weight is 0 or more");
        report(
            findings,
            Code::InvalidValue,
            at.path(Some("weight")),
            message,
        );
        return None;
    };
    Some(Selector::Weight(weight))
}

/// A region that is not in the tables is accepted: latency may have been
/// measured for it all the same.
fn latency(
    context: Context<'_, '_>,
    at: At<'_>,
    findings: &mut Vec<Diagnostic>,
) -> Option<Selector> {
    let (name, path) = region(context, at)?;
    let coordinates = watershed_geo::region(name).map(|region| region.coordinates);
    if coordinates.is_none() {
        let message = format!(
            "`{name}` is not a region of AWS, Google Cloud or Azure: without measured latency \
             its branch comes last, for its distance is not known"
        );
        report(findings, Code::UnknownRegion, path, message);
    }
    Some(Selector::Region(Region {
        name: name.to_owned(),
        coordinates,
    }))
}

/// The region that a branch names, or else the endpoint it leads to, with the
/// place where it is written.
fn region<'a>(context: Context<'a, '_>, at: At<'a>) -> Option<(&'a str, Path)> {
    if let Some(region) = &at.branch.region {
        return Some((region, at.path(Some("region"))));
    }
    let name = at.branch.endpoint.as_ref()?;
    let region = context.document.endpoints.get(name)?.region.as_deref()?;
    Some((region, Path::Endpoint(name.clone(), Some("region"))))
}

fn geolocation(at: At<'_>, findings: &mut Vec<Diagnostic>) -> Option<Selector> {
    let default = default(at, at.branch.locations.is_some(), "locations", findings);
    let Some(locations) = &at.branch.locations else {
        return default;
    };
    let mut places = Vec::with_capacity(locations.len());
    for text in locations {
        match place::parse(text) {
            Ok(place) => places.push(place),
            Err(message) => {
                let path = at.path(Some("locations"));
                report(findings, Code::InvalidValue, path, message);
            }
        }
    }
    // An empty list is reported by the check of the tree; one that lost a
    // malformed member would be misreported there.
    (places.len() == locations.len()).then_some(Selector::Places(places))
}

/// The `default` of a branch, which excludes any other way to select.
fn default(
    at: At<'_>,
    selects_otherwise: bool,
    others: &str,
    findings: &mut Vec<Diagnostic>,
) -> Option<Selector> {
    match at.branch.default? {
        true if selects_otherwise => {
            let message = format!("{others} and default exclude each other; make two branches");
            report(findings, Code::FieldConflict, at.path(None), message);
            None
        }
        true => Some(Selector::Default),
        false => {
            let message = "the only value is true; leave the field out of other branches";
            report(
                findings,
                Code::InvalidValue,
                at.path(Some("default")),
                message,
            );
            None
        }
    }
}

fn geoproximity(
    context: Context<'_, '_>,
    at: At<'_>,
    findings: &mut Vec<Diagnostic>,
) -> Option<Selector> {
    if at.branch.region.is_some() && at.branch.coordinates.is_some() {
        let message = "region and coordinates exclude each other; remove one";
        report(findings, Code::FieldConflict, at.path(None), message);
        return None;
    }
    Some(Selector::Position {
        coordinates: position(context, at, findings)?,
        bias: at.branch.bias.unwrap_or(0),
    })
}

fn position(
    context: Context<'_, '_>,
    at: At<'_>,
    findings: &mut Vec<Diagnostic>,
) -> Option<Coordinates> {
    let Some(written) = &at.branch.coordinates else {
        let (name, path) = region(context, at)?;
        return region_position(name, path, findings);
    };
    match coordinates::parse(written) {
        Ok(coordinates) => Some(coordinates),
        Err(messages) => {
            for message in messages {
                let path = at.path(Some("coordinates"));
                report(findings, Code::InvalidValue, path, message);
            }
            None
        }
    }
}

fn region_position(name: &str, path: Path, findings: &mut Vec<Diagnostic>) -> Option<Coordinates> {
    let found: Option<&CloudRegion> = watershed_geo::region(name);
    if found.is_none() {
        let message = format!(
            "`{name}` is not a region of AWS, Google Cloud or Azure, so that its position is \
             not known; write coordinates"
        );
        report(findings, Code::InvalidValue, path, message);
    }
    found.map(|region| region.coordinates)
}

/// A branch may have blocks of its own and a location of the collection; they
/// add up.
fn cidr(context: Context<'_, '_>, at: At<'_>, findings: &mut Vec<Diagnostic>) -> Option<Selector> {
    let selects = at.branch.cidrs.is_some() || at.branch.cidr_location.is_some();
    let default = default(at, selects, "cidrs or cidrLocation", findings);
    if !selects {
        return default;
    }
    let reported = findings.len();
    let own = at.branch.cidrs.iter().flatten();
    let mut blocks = blocks::parse(own, &at.path(Some("cidrs")), findings);
    if let Some(location) = &at.branch.cidr_location {
        let texts = location_blocks(context, at, location, findings).into_iter();
        let path = at.path(Some("cidrLocation"));
        blocks.extend(blocks::parse(texts.flatten(), &path, findings));
    }
    let sound = !super::has_errors(&findings[reported..]);
    sound.then_some(Selector::Blocks(blocks))
}

/// The blocks of a location of the rule's collection.
fn location_blocks<'r>(
    context: Context<'_, 'r>,
    at: At<'_>,
    location: &str,
    findings: &mut Vec<Diagnostic>,
) -> Option<&'r Vec<String>> {
    let rule_path = Path::Rule(at.name.to_owned(), Some("cidrCollectionRef"));
    let Some(collection) = &at.rule.cidr_collection_ref else {
        let message =
            "a cidrLocation needs the rule's cidrCollectionRef to say of which collection";
        report(findings, Code::MissingField, rule_path, message);
        return None;
    };
    let Some(locations) = (context.references.cidr_collections)(&collection.name) else {
        let message = format!("there is no CIDR collection `{}`", collection.name);
        report(findings, Code::UnknownReference, rule_path, message);
        return None;
    };
    let blocks = locations.get(location);
    if blocks.is_none() {
        let message = format!(
            "the CIDR collection `{}` has no location `{location}`",
            collection.name
        );
        let path = at.path(Some("cidrLocation"));
        report(findings, Code::UnknownReference, path, message);
    }
    blocks
}
