//! AWS Regions and Local Zones by their bare codes.

use watershed_geo::{CloudRegion, Provider, region};

/// The AWS Region or Local Zone of that code, such as `us-east-1`. Names with
/// a provider before them are not Route 53's.
pub(crate) fn aws_region(code: &str) -> Option<&'static CloudRegion> {
    region(code).filter(|found| found.provider == Provider::Aws && found.name == code)
}

/// Whether `code` is an AWS Region to which Route 53 routes by latency.
pub(crate) fn is_latency_region(code: &str) -> bool {
    aws_region(code).is_some_and(|found| found.latency_routing)
}
