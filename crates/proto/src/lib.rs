//! The protocol between the operator and DNS nodes.
