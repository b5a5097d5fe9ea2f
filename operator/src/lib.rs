//! The operator: custom resources to a fleet of DNS nodes, and the truth back as status.
