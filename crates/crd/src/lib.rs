//! Kubernetes API types of the group `watershed.dev`.

pub mod document;
