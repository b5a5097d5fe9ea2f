//! Nodes: pods run on them, see their clients, and leave nothing behind.

mod gone;
mod pods;
mod power;
