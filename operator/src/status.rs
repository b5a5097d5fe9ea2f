//! Status, as a pure function of what is known: one file for each kind.
//!
//! Every function takes the status as it is and gives the one that should be;
//! equal ones are not written. Times are kept as long as what they are about
//! does not change.

mod carried;
mod cidr_collection;
mod conditions;
mod dns_fleet;
mod health;
mod health_check;
mod hosted_zone;
mod policy_record;
mod record_set;
mod traffic_policy;
mod traffic_policy_version;

pub use carried::Carried;
pub use cidr_collection::cidr_collection;
pub use conditions::{Draft, Found, Subject, Waiting};
pub use dns_fleet::{FleetInput, dns_fleet};
pub use health::{EndpointsSeen, Health};
pub use health_check::{HealthCheckInput, health_check, target_name};
pub use hosted_zone::{ZoneInput, hosted_zone};
pub use policy_record::{Failover, RecordInput, policy_record};
pub use record_set::{RecordSetInput, record_set};
pub use traffic_policy::{PolicyInput, traffic_policy};
pub use traffic_policy_version::{VersionInput, traffic_policy_version};

/// A count as status has it.
pub(crate) fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// `1 node`, `2 nodes`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}
