//! Tests of the compiler: manifests in, findings, plans and snapshots out.

mod digest;
mod documents;
mod minting;
mod serving;
mod support;
