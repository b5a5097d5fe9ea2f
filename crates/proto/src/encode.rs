//! Resources on their way out.

mod health_check;

use prost::Message as _;
use watershed_policy::{
    Affinity, BranchSpec, Coordinates, Document, EndpointKind, EndpointSpec, FailbackMode, Region,
    RuleKind, RuleSpec, Selector, Target, Value,
};
use watershed_snapshot::{
    Content, OwnerName, Placed, PolicyVersion, RecordFailback, Records, Resource, RrSet,
    VersionBinding, ZoneHead,
};

use crate::fleet_v1 as wire;

/// The octets of a resource, in the format that
/// [`format_needed`](crate::format_needed) tells. Equal resources give equal
/// octets, so that their digests can be compared.
pub fn encode(resource: &Resource) -> Vec<u8> {
    use wire::resource::Content;
    let content = match resource {
        Resource::Zone(head) => Content::Zone(zone(head)),
        Resource::Records(records) => Content::Records(self::records(records)),
        Resource::Version(version) => Content::PolicyVersion(self::version(version)),
        Resource::Check(check) => Content::HealthCheck(health_check::check(check)),
    };
    let resource = wire::Resource {
        content: Some(content),
    };
    resource.encode_to_vec()
}

fn zone(head: &ZoneHead) -> wire::Zone {
    let ZoneHead { apex, soa, ns } = head;
    wire::Zone {
        apex: name(apex),
        soa: Some(rrset(soa)),
        ns: Some(rrset(ns)),
    }
}

fn records(records: &Records) -> wire::Records {
    let Records { zone, placed } = records;
    wire::Records {
        zone: name(zone),
        placed: placed.iter().map(self::placed).collect(),
    }
}

fn placed(placed: &Placed) -> wire::Placed {
    let Placed { owner, content } = placed;
    let content = match content {
        Content::Static(set) => wire::placed::Content::Rrset(rrset(set)),
        Content::Policy(binding) => wire::placed::Content::Binding(self::binding(binding)),
    };
    wire::Placed {
        owner: name(owner),
        content: Some(content),
    }
}

fn binding(binding: &VersionBinding) -> wire::Binding {
    let VersionBinding {
        version,
        record_types,
        ttl,
        ttl_range,
        failback,
    } = binding;
    wire::Binding {
        version: version.to_string(),
        types: numbers(record_types),
        ttl: *ttl,
        ttl_range: ttl_range.map(|(min, max)| wire::TtlRange { min, max }),
        failback: failback.as_deref().and_then(self::failback),
    }
}

/// Automatic failback is what an absent one means.
fn failback(failback: &RecordFailback) -> Option<wire::Failback> {
    use wire::failback::Mode;
    let RecordFailback { record, mode } = failback;
    let mode = match mode {
        FailbackMode::Automatic => return None,
        FailbackMode::After(duration) => {
            Mode::AfterSeconds(u32::try_from(duration.as_secs()).unwrap_or(u32::MAX))
        }
        FailbackMode::Manual => Mode::Manual(wire::Manual {}),
    };
    Some(wire::Failback {
        record: record.clone(),
        mode: Some(mode),
    })
}

fn rrset(set: &RrSet) -> wire::RrSet {
    let RrSet {
        record_type,
        ttl,
        rdata,
    } = set;
    wire::RrSet {
        r#type: u32::from(*record_type),
        ttl: *ttl,
        rdata: rdata.iter().map(|rdata| rdata.to_vec()).collect(),
    }
}

fn version(version: &PolicyVersion) -> wire::PolicyVersion {
    let PolicyVersion {
        namespace,
        policy_name,
        number,
        digest,
        policy,
    } = version;
    wire::PolicyVersion {
        namespace: namespace.clone(),
        policy: policy_name.clone(),
        number: *number,
        digest: digest.clone(),
        document: Some(document(&policy.to_document())),
    }
}

fn document(document: &Document) -> wire::Document {
    let Document {
        record_types,
        start,
        rules,
        endpoints,
    } = document;
    wire::Document {
        record_types: numbers(record_types),
        start: start.as_ref().map(target),
        rules: rules.iter().map(rule).collect(),
        endpoints: endpoints.iter().map(endpoint).collect(),
    }
}

fn target(target: &Target) -> wire::Target {
    use wire::target::To;
    let to = match target {
        Target::Rule(name) => To::Rule(name.clone()),
        Target::Endpoint(name) => To::Endpoint(name.clone()),
    };
    wire::Target { to: Some(to) }
}

fn rule(rule: &RuleSpec) -> wire::Rule {
    let RuleSpec {
        name,
        kind,
        min_healthy_percent,
        branches,
    } = rule;
    let sticky = RuleKind::Weighted {
        affinity: Affinity::Client,
    };
    let max_answers = match kind {
        RuleKind::MultiValue { max_answers } => u32::from(*max_answers),
        _ => 0,
    };
    wire::Rule {
        name: name.clone(),
        kind: kind_of(*kind).into(),
        min_healthy_percent: min_healthy_percent.map_or(0, u32::from),
        branches: branches.iter().map(branch).collect(),
        sticky: *kind == sticky,
        max_answers,
    }
}

fn kind_of(kind: RuleKind) -> wire::rule::Kind {
    use wire::rule::Kind;
    match kind {
        RuleKind::Failover => Kind::Failover,
        RuleKind::Weighted { .. } => Kind::Weighted,
        RuleKind::Latency => Kind::Latency,
        RuleKind::Geolocation => Kind::Geolocation,
        RuleKind::Geoproximity => Kind::Geoproximity,
        RuleKind::MultiValue { .. } => Kind::MultiValue,
        RuleKind::Cidr => Kind::Cidr,
    }
}

fn branch(branch: &BranchSpec) -> wire::Branch {
    let BranchSpec {
        target,
        check,
        evaluate_target_health,
        selector,
    } = branch;
    wire::Branch {
        target: target.as_ref().map(self::target),
        check: check.clone().unwrap_or_default(),
        evaluate_target_health: *evaluate_target_health,
        selector: self::selector(selector),
    }
}

fn selector(selector: &Selector) -> Option<wire::branch::Selector> {
    use wire::branch::Selector as To;
    let to = match selector {
        Selector::Always => To::Always(wire::Always {}),
        Selector::Weight(weight) => To::Weight(*weight),
        Selector::Region(Region { name, coordinates }) => To::Region(wire::Region {
            name: name.clone(),
            coordinates: coordinates.map(self::coordinates),
        }),
        Selector::Places(places) => To::Places(wire::Places {
            places: places.iter().map(ToString::to_string).collect(),
        }),
        Selector::Position { coordinates, bias } => To::Position(wire::Position {
            coordinates: Some(self::coordinates(*coordinates)),
            bias: *bias,
        }),
        Selector::Blocks(blocks) => To::Blocks(wire::Blocks {
            blocks: blocks.iter().map(ToString::to_string).collect(),
        }),
        Selector::Default => To::Default(wire::Default {}),
        // A policy that was built has none.
        Selector::Missing => return None,
    };
    Some(to)
}

fn coordinates(coordinates: Coordinates) -> wire::Coordinates {
    wire::Coordinates {
        latitude: coordinates.latitude(),
        longitude: coordinates.longitude(),
    }
}

fn endpoint(endpoint: &EndpointSpec) -> wire::Endpoint {
    let EndpointSpec {
        name,
        kind,
        values,
        check,
        drain,
    } = endpoint;
    wire::Endpoint {
        name: name.clone(),
        alias: *kind == EndpointKind::Alias,
        values: values.iter().map(value).collect(),
        check: check.clone().unwrap_or_default(),
        drain: *drain,
    }
}

fn value(value: &Value) -> wire::Value {
    use wire::value::Value as To;
    let to = match value {
        Value::Ipv4(address) => To::Ipv4(address.octets().to_vec()),
        Value::Ipv6(address) => To::Ipv6(address.octets().to_vec()),
        Value::Hostname(host) => To::Hostname(host.clone()),
        Value::Rdata { text, wire } => To::Rdata(crate::fleet_v1::Rdata {
            text: text.clone(),
            wire: wire.to_vec(),
        }),
    };
    wire::Value { value: Some(to) }
}

fn name(name: &OwnerName) -> Vec<u8> {
    name.as_wire().to_vec()
}

fn numbers(record_types: &[u16]) -> Vec<u32> {
    record_types.iter().copied().map(u32::from).collect()
}
