//! Container images as OCI archives, without a container engine.
//!
//! An image here is one layer of files ([`layer`]) and three documents that
//! name each other by digest ([`archive`]), as the [image format] of the Open
//! Container Initiative says. Nothing of the machine that it is made on gets
//! in: no clock, no owner, no order of directory entries.
//!
//! [image format]: https://github.com/opencontainers/image-spec/blob/main/image-layout.md

pub mod archive;
pub mod layer;
