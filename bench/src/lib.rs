//! Benchmarks of Watershed.
