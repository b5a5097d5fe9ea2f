//! The words of the format: versions, rule types and their members.

use std::fmt;

use watershed_crd::document::RuleType as PolicyRuleType;

/// Version of the format of a traffic policy document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FormatVersion {
    /// `2015-10-01`: a geoproximity location is `Region` or `Latitude` and
    /// `Longitude`.
    V2015_10_01,
    /// `2023-05-09`: a geoproximity location is a `Location` object, which
    /// may name a Local Zone.
    V2023_05_09,
}

impl FormatVersion {
    /// Both versions, older first.
    pub const ALL: [Self; 2] = [Self::V2015_10_01, Self::V2023_05_09];

    /// The value of `AWSPolicyFormatVersion`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2015_10_01 => "2015-10-01",
            Self::V2023_05_09 => "2023-05-09",
        }
    }

    /// The version of that `AWSPolicyFormatVersion`.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.as_str() == text)
    }
}

impl fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Most characters of a document (API Reference, `CreateTrafficPolicy`).
pub(crate) const MAX_DOCUMENT_CHARS: usize = 102_400;

/// Most characters of a health check id (API Reference, `HealthCheckId`).
pub(crate) const MAX_HEALTH_CHECK_CHARS: usize = 64;

/// Prefix of a region in a geoproximity location.
pub(crate) const REGION_PREFIX: &str = "aws:route53:";

/// Countries for which Route 53 has no location records (Developer Guide,
/// values for geolocation records).
pub(crate) const COUNTRIES_WITHOUT_RECORDS: [&str; 4] = ["BV", "CX", "EH", "HM"];

/// States of the US and the District of Columbia (ISO 3166-2:US). Puerto Rico
/// and the other territories are countries of their own in Route 53.
pub(crate) const US_STATES: [&str; 51] = [
    "AK", "AL", "AR", "AZ", "CA", "CO", "CT", "DC", "DE", "FL", "GA", "HI", "IA", "ID", "IL", "IN",
    "KS", "KY", "LA", "MA", "MD", "ME", "MI", "MN", "MO", "MS", "MT", "NC", "ND", "NE", "NH", "NJ",
    "NM", "NV", "NY", "OH", "OK", "OR", "PA", "RI", "SC", "SD", "TN", "TX", "UT", "VA", "VT", "WA",
    "WI", "WV", "WY",
];

pub(crate) const TOP_MEMBERS: &[&str] = &[
    "AWSPolicyFormatVersion",
    "RecordType",
    "StartEndpoint",
    "StartRule",
    "Endpoints",
    "Rules",
];

pub(crate) const ENDPOINT_MEMBERS: &[&str] = &["Type", "Region", "Value"];

/// A kind of rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleKind {
    Failover,
    Geo,
    Geoproximity,
    Latency,
    Multivalue,
    Weighted,
}

impl RuleKind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Failover,
        Self::Geo,
        Self::Geoproximity,
        Self::Latency,
        Self::Multivalue,
        Self::Weighted,
    ];

    /// The value of `RuleType`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Geo => "geo",
            Self::Geoproximity => "geoproximity",
            Self::Latency => "latency",
            Self::Multivalue => "multivalue",
            Self::Weighted => "weighted",
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    pub(crate) fn of_policy(kind: PolicyRuleType) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.to_policy() == kind)
    }

    pub(crate) fn to_policy(self) -> PolicyRuleType {
        match self {
            Self::Failover => PolicyRuleType::Failover,
            Self::Geo => PolicyRuleType::Geolocation,
            Self::Geoproximity => PolicyRuleType::Geoproximity,
            Self::Latency => PolicyRuleType::Latency,
            Self::Multivalue => PolicyRuleType::MultiValue,
            Self::Weighted => PolicyRuleType::Weighted,
        }
    }

    /// The members of the rule that hold its items: one array, or the two
    /// tiers of failover.
    pub(crate) fn item_holders(self) -> &'static [&'static str] {
        match self {
            Self::Failover => &["Primary", "Secondary"],
            Self::Geo => &["Locations"],
            Self::Geoproximity => &["GeoproximityLocations"],
            Self::Latency => &["Regions"],
            Self::Multivalue | Self::Weighted => &["Items"],
        }
    }

    /// Every member that some kind of rule has.
    pub(crate) const ANY_RULE_MEMBERS: &'static [&'static str] = &[
        "RuleType",
        "Primary",
        "Secondary",
        "Locations",
        "GeoproximityLocations",
        "Regions",
        "Items",
    ];

    /// The members of the rule.
    pub(crate) fn rule_members(self) -> &'static [&'static str] {
        match self {
            Self::Failover => &["RuleType", "Primary", "Secondary"],
            Self::Geo => &["RuleType", "Locations"],
            Self::Geoproximity => &["RuleType", "GeoproximityLocations"],
            Self::Latency => &["RuleType", "Regions"],
            Self::Multivalue | Self::Weighted => &["RuleType", "Items"],
        }
    }

    /// The members of an item that only this kind has. Those of both versions
    /// when the document's version is not known.
    pub(crate) fn item_members(self, version: Option<FormatVersion>) -> &'static [&'static str] {
        match (self, version) {
            (Self::Failover | Self::Multivalue, _) => &[],
            (Self::Geo, _) => &["IsDefault", "Continent", "Country", "Subdivision"],
            (Self::Geoproximity, Some(FormatVersion::V2015_10_01)) => {
                &["Region", "Latitude", "Longitude", "Bias"]
            }
            (Self::Geoproximity, Some(FormatVersion::V2023_05_09)) => &["Location", "Bias"],
            (Self::Geoproximity, None) => &["Location", "Region", "Latitude", "Longitude", "Bias"],
            (Self::Latency, _) => &["Region"],
            (Self::Weighted, _) => &["Weight"],
        }
    }

    /// The members that an item of any kind has: where it leads and whether
    /// it is healthy.
    pub(crate) fn common_members(self) -> &'static [&'static str] {
        match self {
            Self::Multivalue => &["EndpointReference", "HealthCheck"],
            _ => &[
                "EndpointReference",
                "RuleReference",
                "EvaluateTargetHealth",
                "HealthCheck",
            ],
        }
    }
}

/// Every member name of the format, to tell a misplaced member from an
/// unknown one.
pub(crate) const ALL_MEMBERS: &[&str] = &[
    "AWSPolicyFormatVersion",
    "Bias",
    "Continent",
    "Country",
    "EndpointReference",
    "Endpoints",
    "EvaluateTargetHealth",
    "GeoproximityLocations",
    "HealthCheck",
    "IsDefault",
    "Items",
    "Latitude",
    "Location",
    "LocationName",
    "Locations",
    "Longitude",
    "Primary",
    "RecordType",
    "Region",
    "Regions",
    "RuleReference",
    "Rules",
    "RuleType",
    "Secondary",
    "StartEndpoint",
    "StartRule",
    "Subdivision",
    "Type",
    "Value",
    "Weight",
];
