//! Kubernetes API types of the group `watershed.dev`, version `v1alpha1`.
//!
//! One file for each kind; the CustomResourceDefinitions in `crds/` are
//! generated from these types. There is no client and no run time here.

#![allow(
    unreachable_pub,
    reason = "the schema derive repeats each type in a private place"
)]
#![allow(
    clippy::doc_markdown,
    reason = "the comments are the descriptions that `kubectl explain` prints"
)]
#![allow(
    clippy::duplicated_attributes,
    reason = "several printer columns of one kind have one type"
)]

mod cel;
pub mod cidr_collection;
pub mod common;
pub mod dns_fleet;
pub mod document;
pub mod health_check;
pub mod hosted_zone;
pub mod kinds;
mod names;
pub mod policy_record;
pub mod record_set;
pub mod reference;
pub mod schema;
pub mod traffic_policy;
pub mod traffic_policy_version;

pub use cidr_collection::CIDRCollection;
pub use dns_fleet::DNSFleet;
pub use health_check::HealthCheck;
pub use hosted_zone::HostedZone;
pub use kinds::{API_VERSION, KINDS, Manifest, ManifestError};
pub use policy_record::PolicyRecord;
pub use record_set::RecordSet;
pub use reference::{reference, reference_file};
pub use schema::{definition, definition_yaml, plural, schema_for, validation_schema};
pub use traffic_policy::TrafficPolicy;
pub use traffic_policy_version::TrafficPolicyVersion;
