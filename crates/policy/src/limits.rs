//! How large a document may be.

/// Limits on a document. None of them bounds the evaluation, whose work is
/// linear in the size of the document whatever its depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rules in a document.
    pub rules: usize,
    /// Endpoints in a document.
    pub endpoints: usize,
    /// Branches of one rule.
    pub branches_per_rule: usize,
    /// Branches of one geoproximity rule.
    pub geoproximity_branches: usize,
    /// Branches of all rules together.
    pub branches: usize,
    /// Rules on the longest way from the start to an endpoint.
    pub depth: usize,
    /// Largest weight.
    pub weight: u32,
}

impl Limits {
    /// The limits of a `TrafficPolicy` resource. They keep a document within
    /// the cost that a Kubernetes API server grants its validation.
    pub const fn api() -> Self {
        Self {
            rules: 64,
            endpoints: 128,
            branches_per_rule: 64,
            geoproximity_branches: 64,
            branches: 1000,
            depth: 8,
            weight: 10_000,
        }
    }

    /// The limits of a Route 53 traffic policy document: 100 records of one
    /// name and type, 30 for geoproximity (Developer Guide, quotas). Route 53
    /// publishes none for the number of rules and endpoints or for depth.
    pub const fn route53() -> Self {
        Self {
            rules: usize::MAX,
            endpoints: usize::MAX,
            branches_per_rule: 100,
            geoproximity_branches: 30,
            branches: usize::MAX,
            depth: usize::MAX,
            weight: 255,
        }
    }

    /// No limits but the range of a weight.
    pub const fn unlimited() -> Self {
        Self {
            rules: usize::MAX,
            endpoints: usize::MAX,
            branches_per_rule: usize::MAX,
            geoproximity_branches: usize::MAX,
            branches: usize::MAX,
            depth: usize::MAX,
            weight: u32::MAX,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::api()
    }
}
