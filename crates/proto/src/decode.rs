//! Resources on their way in. Everything is checked here, so that what comes
//! out can be served as far as one resource alone can tell.

mod document;
mod health_check;

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use watershed_policy::{FailbackMode, Limits, Policy, Severity};
use watershed_snapshot::{
    Content, OwnerName, Placed, PolicyVersion, RecordFailback, Records, Resource, ResourceKind,
    ResourceName, RrSet, VersionBinding, ZoneHead,
};

use crate::error::DecodeError;
use crate::fleet_v1 as wire;

/// Reads a resource of that kind. Fields that this program does not know are
/// left out of account, as the formats of resources allow; kinds of content
/// that it does not know are refused.
///
/// # Errors
/// The first part that cannot be read, or all faults of a policy document.
pub fn decode(kind: ResourceKind, octets: &[u8]) -> Result<Resource, DecodeError> {
    let resource = wire::Resource::decode(octets)
        .map_err(|error| DecodeError::Malformed(error.to_string()))?;
    let content = resource.content.ok_or(DecodeError::UnknownContent)?;
    let resource = match content {
        wire::resource::Content::Zone(head) => Resource::Zone(zone(head)?),
        wire::resource::Content::Records(records) => Resource::Records(self::records(records)?),
        wire::resource::Content::PolicyVersion(version) => {
            Resource::Version(Arc::new(self::version(version)?))
        }
        wire::resource::Content::HealthCheck(check) => {
            Resource::Check(Arc::new(health_check::read(check)?))
        }
    };
    let fits = resource.is_of(kind);
    fits.then_some(resource).ok_or(DecodeError::WrongKind(kind))
}

/// A part that cannot be read.
fn wrong(path: impl Into<String>, problem: impl Into<String>) -> DecodeError {
    DecodeError::Part {
        path: path.into(),
        problem: problem.into(),
    }
}

/// What must be there.
fn needed<T>(part: Option<T>, path: &str) -> Result<T, DecodeError> {
    part.ok_or_else(|| wrong(path, "is missing"))
}

/// What must be there and be of a kind that this program knows.
fn known<T>(part: Option<T>, path: &str) -> Result<T, DecodeError> {
    part.ok_or_else(|| {
        wrong(
            path,
            "is missing, or of a kind that this program does not know",
        )
    })
}

fn zone(head: wire::Zone) -> Result<ZoneHead, DecodeError> {
    let wire::Zone { apex, soa, ns } = head;
    Ok(ZoneHead {
        apex: owner(&apex, "apex")?,
        soa: rrset(needed(soa, "soa")?, "soa")?,
        ns: rrset(needed(ns, "ns")?, "ns")?,
    })
}

fn records(records: wire::Records) -> Result<Records, DecodeError> {
    let wire::Records { zone, placed } = records;
    let placed = placed.into_iter().enumerate();
    let placed = placed.map(|(index, placed)| self::placed(placed, &format!("placed[{index}]")));
    Ok(Records {
        zone: owner(&zone, "zone")?,
        placed: placed.collect::<Result<_, _>>()?,
    })
}

fn placed(placed: wire::Placed, path: &str) -> Result<Placed, DecodeError> {
    let wire::Placed { owner, content } = placed;
    let owner = self::owner(&owner, &format!("{path}.owner"))?;
    let content = match known(content, &format!("{path}.content"))? {
        wire::placed::Content::Rrset(set) => Content::Static(rrset(set, &format!("{path}.rrset"))?),
        wire::placed::Content::Binding(binding) => {
            Content::Policy(self::binding(binding, &format!("{path}.binding"))?)
        }
    };
    Ok(Placed { owner, content })
}

fn binding(binding: wire::Binding, path: &str) -> Result<VersionBinding, DecodeError> {
    let wire::Binding {
        version,
        types,
        ttl,
        ttl_range,
        failback,
    } = binding;
    let version = version.parse::<ResourceName>();
    let version = version.map_err(|error| wrong(format!("{path}.version"), error.to_string()))?;
    if version.kind() != ResourceKind::TrafficPolicyVersion {
        let problem = format!("{version} is not a version of a policy");
        return Err(wrong(format!("{path}.version"), problem));
    }
    if types.is_empty() {
        return Err(wrong(format!("{path}.types"), "is empty"));
    }
    Ok(VersionBinding {
        version,
        record_types: record_types(&types, &format!("{path}.types"))?,
        ttl: self::ttl(ttl, path)?,
        ttl_range: self::ttl_range(ttl_range, path)?,
        failback: self::failback(failback, path)?,
    })
}

fn ttl_range(range: Option<wire::TtlRange>, path: &str) -> Result<Option<(u32, u32)>, DecodeError> {
    let Some(wire::TtlRange { min, max }) = range else {
        return Ok(None);
    };
    let path = format!("{path}.ttl_range");
    if min > max {
        return Err(wrong(path, format!("{min} is greater than {max}")));
    }
    Ok(Some((min, ttl(max, &path)?)))
}

fn failback(
    failback: Option<wire::Failback>,
    path: &str,
) -> Result<Option<Arc<RecordFailback>>, DecodeError> {
    use wire::failback::Mode;
    let Some(wire::Failback { record, mode }) = failback else {
        return Ok(None);
    };
    let mode = match known(mode, &format!("{path}.failback.mode"))? {
        Mode::AfterSeconds(seconds) => FailbackMode::After(Duration::from_secs(seconds.into())),
        Mode::Manual(wire::Manual {}) => FailbackMode::Manual,
    };
    Ok(Some(Arc::new(RecordFailback { record, mode })))
}

fn rrset(set: wire::RrSet, path: &str) -> Result<RrSet, DecodeError> {
    let wire::RrSet { r#type, ttl, rdata } = set;
    let set = RrSet {
        record_type: record_type(r#type, &format!("{path}.type"))?,
        ttl: self::ttl(ttl, path)?,
        rdata: rdata.into_iter().map(Vec::into_boxed_slice).collect(),
    };
    if !set.is_well_formed() {
        return Err(wrong(format!("{path}.rdata"), "is missing or malformed"));
    }
    Ok(set)
}

fn version(version: wire::PolicyVersion) -> Result<PolicyVersion, DecodeError> {
    let wire::PolicyVersion {
        namespace,
        policy,
        number,
        digest,
        document,
    } = version;
    let document = document::read(needed(document, "document")?)?;
    let (built, findings) = Policy::build(&document, &Limits::unlimited());
    let built = built.ok_or_else(|| {
        let errors = findings
            .iter()
            .filter(|finding| finding.severity() == Severity::Error);
        DecodeError::Policy(errors.map(ToString::to_string).collect())
    })?;
    Ok(PolicyVersion {
        namespace,
        policy_name: policy,
        number,
        digest,
        policy: built,
    })
}

fn owner(octets: &[u8], path: &str) -> Result<OwnerName, DecodeError> {
    OwnerName::from_wire(octets).map_err(|error| wrong(path, error.to_string()))
}

fn record_types(numbers: &[u32], path: &str) -> Result<Vec<u16>, DecodeError> {
    let numbers = numbers.iter();
    numbers.map(|number| record_type(*number, path)).collect()
}

fn record_type(number: u32, path: &str) -> Result<u16, DecodeError> {
    u16::try_from(number).map_err(|_| wrong(path, format!("{number} is not the number of a type")))
}

/// RFC 2181 section 8: 0 to 2^31 - 1.
fn ttl(ttl: u32, path: &str) -> Result<u32, DecodeError> {
    match i32::try_from(ttl) {
        Ok(_) => Ok(ttl),
        Err(_) => Err(wrong(
            format!("{path}.ttl"),
            format!("{ttl} is more than 2147483647 seconds"),
        )),
    }
}
