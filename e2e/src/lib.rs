//! Tests against a real Kubernetes control plane, real DNS nodes and real queries.
//!
//! This library is what the suites in `tests/` are written with:
//!
//! - [`cluster`]: etcd, an API server and controllers on this machine, several
//!   at once, with what a test asks of them;
//! - [`process`]: programs that are started, watched, paused, killed and started
//!   again, and that never outlive the test;
//! - [`dns`]: single queries, and a steady load that records every answer that
//!   is lost or not as expected;
//! - [`fleet`]: such a cluster with operators and DNS nodes in it;
//! - [`enrol`]: what a kubelet would give to nodes that enrol;
//! - [`endpoint`]: endpoints that answer health checks, and fail as told;
//! - [`certs`]: certificates for the stream between operator and DNS nodes;
//! - [`node`]: machines for pods: kubelet, containerd and kube-proxy, each in
//!   namespaces of its own, on one network with the control plane ([`netns`]);
//! - [`image`]: images for them;
//! - [`page`]: what pages of the documentation tell people to do;
//! - [`wait`]: conditions with a deadline, in place of sleeps;
//! - [`http`]: pages that programs serve about themselves;
//! - [`binaries`], [`tools`], [`ports`], [`run_dir`]: where things are.
//!
//! Programs of the control plane are built by `make e2e-tools`, those of the
//! project by `make e2e`. What is missing is an error that names the command.

pub mod binaries;
pub mod certs;
pub mod cluster;
pub mod dns;
pub mod endpoint;
pub mod enrol;
pub mod fleet;
mod forward;
pub mod http;
pub mod image;
pub mod netns;
pub mod node;
pub mod page;
pub mod ports;
pub mod process;
mod reaper;
pub mod run_dir;
pub mod tools;
pub mod wait;

pub use cluster::{Audit, AuditEvent, Cluster, Identity, Options, Version};
pub use fleet::{Fleet, Setup};
pub use process::{Launch, Process};
pub use wait::eventually;
