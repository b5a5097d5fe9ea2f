//! Queries, for tests.
