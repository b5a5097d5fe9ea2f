//! Where clients and cloud regions are, and how far apart.
//!
//! * [`GeoDatabase`] tells the [`Location`] of an address, from the built-in
//!   country table or from a file in `MaxMind` DB format, together with the
//!   prefix for which it holds.
//! * [`continent_of`], [`country_centroid`] and [`region`] are tables: Route
//!   53's continents, a representative point of each country, the regions of
//!   AWS, GCP and Azure. `data/README.md` tells where each comes from.
//! * [`LatencyTable`] holds measured latency between client areas and regions.
//!
//! Nothing here opens a file or a socket: callers hand in bytes and text.

mod builtin;
mod centroids;
mod continents;
mod database;
mod latency;
mod mmdb;
mod prefix;
mod regions;
mod table;
#[cfg(feature = "testing")]
pub mod testing;

pub use centroids::{country_centroid, country_name, subdivision_centroid};
pub use continents::{continent_of, is_country};
pub use database::{GeoDatabase, GeoError, complete};
pub use latency::{LatencyFault, LatencyTable};
pub use regions::{CloudRegion, Provider, RegionKind, region, regions};
pub use watershed_policy::Location;
