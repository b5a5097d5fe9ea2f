//! Tests of the decision core through its public interface.

mod bounded;
mod checks;
mod properties;
mod support;
