//! What failback holds.

/// A Failover rule of a record that does not prefer the branch that it would
/// prefer by itself, because clients are to return only as the record says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hold {
    /// The `PolicyRecord`: `namespace/name`.
    pub record: String,
    /// Name of the rule.
    pub rule: String,
    /// Name of the rule or endpoint that the active branch leads to.
    pub active: String,
}
