//! Watershed as Helm installs it: pods on real nodes, Services, certificates
//! and rights, and answers to clients with addresses of their own.
//!
//! Each test has a cluster of its own, in which only the chart installs
//! anything. `WATERSHED_E2E_USE_KUBECONFIG=1` takes the cluster of `KUBECONFIG`
//! instead, see [`support::Site`] for what that must have.

#![allow(unreachable_pub, missing_docs)]

mod disruption;
mod git;
mod install;
mod remote;
mod rights;
mod support;
