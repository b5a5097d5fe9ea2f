//! Formats of resources: which programs can read what.

use watershed_policy::RuleKind;
use watershed_snapshot::{Content, Records, Resource, VersionBinding};

/// The oldest format that this program reads.
pub const OLDEST_FORMAT: u32 = 1;
/// The newest format that this program reads and writes. Format 2 brought
/// CIDR rules; format 3 health checks, failback and TTLs that follow health.
pub const NEWEST_FORMAT: u32 = 3;

/// The oldest format that can express a resource. A program whose newest
/// format is lower would refuse it.
pub fn format_needed(resource: &Resource) -> u32 {
    match resource {
        Resource::Zone(_) => 1,
        Resource::Records(records) => of_records(records),
        Resource::Check(_) => 3,
        Resource::Version(version) => {
            let rules = version.policy.rules().iter();
            rules.map(|rule| of_rule(rule.kind)).max().unwrap_or(1)
        }
    }
}

fn of_records(records: &Records) -> u32 {
    let content = records.placed.iter().map(|placed| &placed.content);
    let formats = content.map(|content| match content {
        Content::Static(_) => 1,
        Content::Policy(binding) => of_binding(binding),
    });
    formats.max().unwrap_or(1)
}

fn of_binding(binding: &VersionBinding) -> u32 {
    let plain = binding.ttl_range.is_none() && binding.failback.is_none();
    if plain { 1 } else { 3 }
}

/// A selector needs no more than its rule: each belongs to one kind of rule,
/// but for the default, which is of format 1.
fn of_rule(kind: RuleKind) -> u32 {
    match kind {
        RuleKind::Failover
        | RuleKind::Weighted { .. }
        | RuleKind::Latency
        | RuleKind::Geolocation
        | RuleKind::Geoproximity
        | RuleKind::MultiValue { .. } => 1,
        RuleKind::Cidr => 2,
    }
}
