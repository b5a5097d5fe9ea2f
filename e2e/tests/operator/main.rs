//! The operator and its fleet on a real control plane: `kubectl apply` goes in,
//! answers and statuses come out.

#![allow(unreachable_pub, missing_docs)]

mod enrol;
mod failures;
mod fanout;
mod flood;
mod getting_started;
mod gitops;
mod in_use;
mod invalid;
#[path = "../admission/largest.rs"]
mod largest;
mod measure;
mod numbers;
mod pages;
mod references;
mod refusal;
mod shop;
mod skew;
mod support;
mod tenancy;
mod versions;
mod web;
