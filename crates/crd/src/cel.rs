//! CEL rules that are too long for an attribute.
//!
//! They run inside the API server, which bounds their estimated cost: few
//! passes over the branches, and every list and string has a maximal length.
//! For the same reason the messages are fixed texts: map keys have no bound on
//! their length, so that a message made from them would cost too much.
//!
//! By the estimate of the API server's own library (1.32) the dearest rule,
//! [`acyclic`], costs 0.43 million of the 10 million that a rule may, and all
//! of a kind at most 0.9 of 100 million. Estimate anew when a bound grows.

/// How many rules may follow each other on the way from the start to an
/// endpoint.
const MAX_DEPTH: usize = 8;

/// Every branch leads to another rule or to an endpoint that exists.
pub(crate) const TARGETS_EXIST: &str = "!has(self.rules) || self.rules.all(n, \
    self.rules[n].branches.all(b, has(b.rule) ? (b.rule in self.rules && b.rule != n) \
    : (has(b.endpoint) && b.endpoint in self.endpoints)))";

/// Every branch that is chosen by distance or latency has a position: its
/// own, or that of the endpoint it leads to. A rule cannot see the endpoints,
/// so the document checks it.
pub(crate) const POSITIONS_KNOWN: &str = "!has(self.rules) || self.rules.all(n, \
    !(self.rules[n].type in ['Latency','Geoproximity']) || self.rules[n].branches.all(b, \
    has(b.region) || has(b.coordinates) || (has(b.endpoint) && b.endpoint in self.endpoints \
    && has(self.endpoints[b.endpoint].region))))";

/// Endpoints have the kind of value that the record type needs.
pub(crate) const VALUES_FIT: &str = "self.recordTypes.exists(t, t in ['A','AAAA','CNAME']) \
    ? self.endpoints.all(n, !has(self.endpoints[n].values)) : self.endpoints.all(n, \
    has(self.endpoints[n].values) || has(self.endpoints[n].policyRecordRef))";

/// Branches have what the type of their rule needs.
pub(crate) const BRANCHES_COMPLETE: &str = "\
    self.type == 'Weighted' ? self.branches.all(b, has(b.weight)) : \
    self.type == 'Geolocation' ? self.branches.all(b, has(b.locations) != has(b.default)) : \
    self.type == 'Geoproximity' ? self.branches.all(b, !(has(b.region) && has(b.coordinates))) : \
    self.type == 'CIDR' ? self.branches.all(b, (has(b.cidrs) || has(b.cidrLocation)) \
    != has(b.default)) : \
    self.type == 'Failover' ? self.branches.size() >= 2 : true";

/// What [`BRANCHES_COMPLETE`] says.
pub(crate) const BRANCHES_COMPLETE_MESSAGE: &str = "branches lack what the rule type needs: \
    Weighted `weight`; Geolocation one of `locations` and `default`; Geoproximity not both of \
    `region` and `coordinates`; CIDR `default` or else `cidrs` or `cidrLocation`; Failover 2 or \
    more branches";

/// Branches have nothing that belongs to another type of rule.
pub(crate) const BRANCHES_PURE: &str = "self.branches.all(b, \
    (self.type == 'Weighted' || !has(b.weight)) \
    && (self.type in ['Latency','Geoproximity'] || !has(b.region)) \
    && (self.type == 'Geolocation' || !has(b.locations)) \
    && (self.type == 'Geoproximity' || !(has(b.coordinates) || has(b.bias))) \
    && (self.type == 'CIDR' || !(has(b.cidrs) || has(b.cidrLocation))) \
    && (self.type in ['Geolocation','CIDR'] || !has(b.default)) \
    && (!has(b.cidrLocation) || has(self.cidrCollectionRef)))";

/// What [`BRANCHES_PURE`] says.
pub(crate) const BRANCHES_PURE_MESSAGE: &str = "a branch has a field of another rule type \
    (weight: Weighted; region: Latency, Geoproximity; locations: Geolocation; coordinates, bias: \
    Geoproximity; cidrs, cidrLocation: CIDR, the latter with `cidrCollectionRef`; default: \
    Geolocation, CIDR)";

/// The API group that each kind of object lives in.
pub(crate) const GROUP_OF_KIND: &str = "\
    (self.kind == 'Service' && (!has(self.group) || self.group == '')) \
    || (self.kind == 'Gateway' && has(self.group) && self.group == 'gateway.networking.k8s.io') \
    || (self.kind == 'Ingress' && has(self.group) && self.group == 'networking.k8s.io') \
    || (self.kind == 'ServiceImport' && has(self.group) && self.group == 'multicluster.x-k8s.io')";

/// No rule leads back to itself, and none is more than [`MAX_DEPTH`] deep.
///
/// `L0` are the rules that lead only to endpoints, `L1` those that lead only
/// to endpoints and `L0`, and so on. The rules are free of cycles and at most
/// that deep exactly when the last round holds all of them. A rule that does
/// not exist counts for nothing: it is [`TARGETS_EXIST`] that tells. CEL has no
/// variables here, but `[value].all(name, …)` binds one, so that each round is
/// evaluated once.
pub(crate) fn acyclic() -> String {
    let first = "self.rules.filter(n, !self.rules[n].branches.exists(b, has(b.rule)))";
    let round = |round: usize| {
        let before = round - 1;
        format!(
            "[self.rules.filter(n, self.rules[n].branches.all(b, !has(b.rule) \
             || b.rule in L{before} || !(b.rule in self.rules)))].all(L{round}, "
        )
    };
    let rounds: String = (1..MAX_DEPTH).map(round).collect();
    let last = MAX_DEPTH - 1;
    let close = ")".repeat(MAX_DEPTH);
    format!(
        "!has(self.rules) || [{first}].all(L0, {rounds}L{last}.size() == self.rules.size(){close}"
    )
}

/// The members of the given rule that belong to one type of rule only.
pub(crate) const RULE_PURE: &str = "(!has(self.affinity) || self.type == 'Weighted') \
    && (!has(self.maxAnswers) || self.type == 'MultiValue') \
    && (!has(self.cidrCollectionRef) || self.type == 'CIDR')";

/// Map keys have no pattern in a structural schema.
pub(crate) const NODE_NAMES: &str =
    "self.all(k, k.matches('^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$'))";
