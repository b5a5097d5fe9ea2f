//! Measured latency between client areas and regions.

mod area;
mod blocks;
mod read;
mod yaml;

use std::collections::HashMap;

use watershed_policy::{Client, LatencySource, Place};

use area::Area;
use blocks::Blocks;

/// Latency by area of the client and region. `docs/location.md` describes the
/// files it is read from.
///
/// For a region, the most specific area that holds the client and names the
/// region decides: the longest block that contains the client's whole
/// network, then its autonomous system, subdivision, country, continent, and
/// at last the default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LatencyTable {
    /// Every name that the table answers to, with and without provider.
    regions: HashMap<String, RegionId>,
    blocks: Blocks<Row>,
    systems: HashMap<u32, Row>,
    places: HashMap<Place, Row>,
    default: Row,
    entries: usize,
}

/// A fault in a latency table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{at}: {message}")]
pub struct LatencyFault {
    /// Where: the line of a CSV file, the path in a YAML file.
    pub at: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// A region within one table.
type RegionId = usize;

/// Latency in microseconds by region.
#[derive(Clone, Debug, Default, PartialEq)]
struct Row(HashMap<RegionId, u32>);

impl LatencyTable {
    /// Reads a YAML mapping of areas to mappings of regions to milliseconds.
    ///
    /// # Errors
    ///
    /// Every fault of the table, by path.
    pub fn from_yaml(text: &str) -> Result<Self, Vec<LatencyFault>> {
        read::yaml(text)
    }

    /// Reads CSV with the columns area, region and milliseconds.
    ///
    /// # Errors
    ///
    /// Every fault of the table, by line.
    pub fn from_csv(text: &str) -> Result<Self, Vec<LatencyFault>> {
        read::csv(text)
    }

    /// What the table holds, for the log.
    pub fn describe(&self) -> String {
        let areas = self.blocks.len() + self.systems.len() + self.places.len();
        let default = if self.default.0.is_empty() {
            "no default"
        } else {
            "a default"
        };
        let entries = self.entries;
        format!("latency table of {entries} entries for {areas} areas and {default}")
    }

    /// The rows that apply to `client`, most specific first.
    fn rows<'a>(&'a self, client: &'a Client) -> impl Iterator<Item = &'a Row> {
        let blocks = client
            .network
            .iter()
            .flat_map(|n| self.blocks.containing(n));
        let system = client.location.asn.and_then(|asn| self.systems.get(&asn));
        let places = places(client).into_iter().flatten();
        let by_place = places.filter_map(|place| self.places.get(&place));
        blocks.chain(system).chain(by_place).chain([&self.default])
    }

    /// The row of an area, made when it is not there yet.
    fn row(&mut self, area: Area) -> &mut Row {
        match area {
            Area::Block(block) => self.blocks.entry(block),
            Area::System(asn) => self.systems.entry(asn).or_default(),
            Area::Place(place) => self.places.entry(place).or_default(),
            Area::Default => &mut self.default,
        }
    }

    /// The id of a region under all its names.
    fn region_id(&mut self, name: &str) -> RegionId {
        if let Some(id) = self.regions.get(name) {
            return *id;
        }
        let id = self.regions.len();
        self.regions.insert(name.to_owned(), id);
        if let Some(known) = crate::region(name) {
            self.regions.insert(known.name.clone(), id);
            self.regions.insert(known.qualified_name(), id);
        }
        id
    }
}

/// The places the client is in, smallest first.
fn places(client: &Client) -> [Option<Place>; 3] {
    let location = &client.location;
    let subdivision = location.country.zip(location.subdivision.clone());
    [
        subdivision.map(|(country, part)| Place::Subdivision(country, part)),
        location.country.map(Place::Country),
        location.continent.map(Place::Continent),
    ]
}

impl LatencySource for LatencyTable {
    fn latency_micros(&self, client: &Client, region: &str) -> Option<u32> {
        let region = self.regions.get(region)?;
        self.rows(client).find_map(|row| row.0.get(region).copied())
    }

    /// No other block than those that apply to the client touches this prefix.
    fn scope_prefix_len(&self, client: &Client) -> u8 {
        let network = client.network.as_ref();
        network.map_or(0, |network| self.blocks.undivided_len(network))
    }
}
