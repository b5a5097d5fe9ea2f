//! Tests against a real Kubernetes control plane, real DNS nodes and real queries.
