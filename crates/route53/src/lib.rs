//! Route 53 traffic policy documents: import and export.
//!
//! A Route 53 traffic policy is a JSON document in one of two versions of a
//! format (API Reference, "Traffic Policy Document Format"). [`import`] turns
//! one into a `TrafficPolicy` document and reports every fault at once, as
//! Route 53 does; [`export`] goes the other way and lists what Route 53 cannot
//! express. `docs/route53.md` has the mapping and the differences.

mod escapes;
mod export;
mod format;
mod hosts;
mod import;
mod json;
mod members;
mod merge;
mod names;
mod place;
mod regions;

pub use export::{export, for_record_type};
pub use format::FormatVersion;
pub use import::{Import, import, import_value};
pub use merge::merge_places;
pub use names::{Rename, Renamed, portable_names};
pub use place::{fault_line, fault_text};
