//! The regions of AWS, Google Cloud and Azure: where each is.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use watershed_policy::{Coordinates, CountryCode};

use crate::continents::rows;

const AWS: &str = include_str!("../data/aws-regions.csv");
const AWS_LOCAL_ZONES: &str = include_str!("../data/aws-local-zones.csv");
const GCP: &str = include_str!("../data/gcp-regions.csv");
const AZURE: &str = include_str!("../data/azure-regions.csv");

/// A place where a cloud provider runs other people's machines.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudRegion {
    /// Whose region it is.
    pub provider: Provider,
    /// The provider's code, such as `us-east-1`.
    pub name: String,
    /// City, state or province where usual, country: `Ashburn, VA, US`.
    pub city: String,
    /// Country the region is in.
    pub country: CountryCode,
    /// The city's position, good to some tens of kilometres: providers do not
    /// publish where their buildings are.
    pub coordinates: Coordinates,
    /// A region or a Local Zone.
    pub kind: RegionKind,
    /// Whether Route 53's latency routing takes this region (39 of AWS).
    pub latency_routing: bool,
}

impl CloudRegion {
    /// The name with its provider, such as `aws/us-east-1`.
    pub fn qualified_name(&self) -> String {
        format!("{}/{}", self.provider, self.name)
    }
}

/// A cloud provider whose regions are known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// Amazon Web Services, `aws`.
    Aws,
    /// Google Cloud, `gcp`.
    Gcp,
    /// Microsoft Azure, `azure`.
    Azure,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
        })
    }
}

/// What kind of place a [`CloudRegion`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegionKind {
    /// A region proper.
    Region,
    /// An AWS Local Zone group: an outpost of a region in another city.
    LocalZone,
}

struct Table {
    regions: Vec<CloudRegion>,
    /// Index into `regions` by bare and by qualified name.
    by_name: HashMap<String, usize>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    use Provider::{Aws, Azure, Gcp};
    use RegionKind::{LocalZone, Region};
    let files = [
        (AWS, Aws, Region),
        (AWS_LOCAL_ZONES, Aws, LocalZone),
        (GCP, Gcp, Region),
        (AZURE, Azure, Region),
    ];
    let regions: Vec<CloudRegion> = files
        .into_iter()
        .flat_map(|(text, provider, kind)| read(text, provider, kind))
        .collect();
    let mut by_name = HashMap::new();
    for (index, region) in regions.iter().enumerate() {
        by_name.insert(region.qualified_name(), index);
        by_name.entry(region.name.clone()).or_insert(index);
    }
    Table { regions, by_name }
});

fn read(text: &'static str, provider: Provider, kind: RegionKind) -> Vec<CloudRegion> {
    let header = rows_header(text);
    let column = |name: &str| header.iter().position(|field| *field == name);
    let region = |row: &csv::StringRecord| {
        let field = |name: &str| column(name).and_then(|index| row.get(index));
        Some(CloudRegion {
            provider,
            name: field("region")?.to_owned(),
            city: field("city")?.to_owned(),
            country: field("country")?.parse().ok()?,
            coordinates: Coordinates::new(
                field("lat")?.parse().ok()?,
                field("lon")?.parse().ok()?,
            )?,
            kind,
            latency_routing: field("route53_latency_region") == Some("yes"),
        })
    };
    rows(text).filter_map(|row| region(&row)).collect()
}

fn rows_header(text: &'static str) -> Vec<&'static str> {
    let line = text.lines().find(|line| !line.starts_with('#'));
    line.unwrap_or_default().split(',').collect()
}

/// The region of that name: bare (`us-east-1`, `europe-west1`, `westeurope`,
/// the Local Zone group `us-west-2-lax-1`) or with its provider
/// (`gcp/europe-west1`). Names are lower case, as the providers write them.
pub fn region(name: &str) -> Option<&'static CloudRegion> {
    let table = &*TABLE;
    table.regions.get(*table.by_name.get(name)?)
}

/// Every known region: of AWS, its Local Zones, of Google Cloud, of Azure.
pub fn regions() -> &'static [CloudRegion] {
    &TABLE.regions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read() {
        for text in [AWS, AWS_LOCAL_ZONES, GCP, AZURE] {
            let lines = text.lines().filter(|line| !line.starts_with('#')).count() - 1;
            assert_eq!(read(text, Provider::Aws, RegionKind::Region).len(), lines);
        }
    }

    #[test]
    fn bare_names_belong_to_one_provider() {
        for region in regions() {
            let found = super::region(&region.name).unwrap();
            assert_eq!(found.qualified_name(), region.qualified_name());
        }
    }

    #[test]
    fn route53_latency_routing_takes_39_regions() {
        let taken: Vec<_> = regions().iter().filter(|r| r.latency_routing).collect();
        assert_eq!(taken.len(), 39);
        assert!(taken.iter().all(|r| r.kind == RegionKind::Region));
    }

    #[test]
    fn names_with_and_without_provider_are_the_same_region() {
        for (bare, qualified, country) in [
            ("us-east-1", "aws/us-east-1", "US"),
            ("us-west-2-lax-1", "aws/us-west-2-lax-1", "US"),
            ("europe-west1", "gcp/europe-west1", "BE"),
            ("westeurope", "azure/westeurope", "NL"),
        ] {
            let found = region(bare).unwrap_or_else(|| panic!("{bare}"));
            assert_eq!(Some(found), region(qualified));
            assert_eq!(found.country.as_str(), country);
        }
        for wrong in [
            "azure/us-east-1",
            "US-EAST-1",
            "aws:route53:us-east-1",
            "aws/",
            "",
        ] {
            assert_eq!(region(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn local_zones_lie_within_reach_of_where_they_say() {
        for zone in regions().iter().filter(|r| r.kind == RegionKind::LocalZone) {
            let country = crate::country_centroid(zone.country).unwrap();
            let reach = if zone.country.as_str() == "US" {
                6500.0
            } else {
                3200.0
            };
            assert!(
                zone.coordinates.distance_km(country) < reach,
                "{}",
                zone.name
            );
            let parent = zone.name.rsplitn(3, '-').nth(2).unwrap();
            assert!(region(parent).is_some(), "{}", zone.name);
        }
    }
}
