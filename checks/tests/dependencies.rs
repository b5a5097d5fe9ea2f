//! Dependencies point one way, as ARCHITECTURE.md says.

use std::collections::BTreeSet;

use anyhow::Result;
use watershed_checks::graph::Graph;

/// Each package with the packages of the workspace that it may name. A new
/// package gets a line here and one in ARCHITECTURE.md.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("watershed-policy", &[]),
    ("watershed-geo", &["watershed-policy"]),
    ("watershed-health", &[]),
    ("watershed-probe", &["watershed-health"]),
    (
        "watershed-snapshot",
        &["watershed-health", "watershed-policy"],
    ),
    ("watershed-crd", &[]),
    (
        "watershed-compile",
        &[
            "watershed-crd",
            "watershed-geo",
            "watershed-health",
            "watershed-policy",
            "watershed-snapshot",
        ],
    ),
    (
        "watershed-route53",
        &[
            "watershed-compile",
            "watershed-crd",
            "watershed-geo",
            "watershed-policy",
        ],
    ),
    (
        "watershed-proto",
        &["watershed-health", "watershed-policy", "watershed-snapshot"],
    ),
    (
        "watershed-dns",
        &[
            "watershed-geo",
            "watershed-health",
            "watershed-policy",
            "watershed-probe",
            "watershed-proto",
            "watershed-snapshot",
        ],
    ),
    (
        "watershed-operator",
        &[
            "watershed-compile",
            "watershed-crd",
            "watershed-health",
            "watershed-policy",
            "watershed-proto",
            "watershed-snapshot",
        ],
    ),
    ("watershed-e2e", &["watershed-crd", "watershed-images"]),
    ("watershed-images", &[]),
    (
        "watershed",
        &[
            "watershed-compile",
            "watershed-crd",
            "watershed-dns",
            "watershed-geo",
            "watershed-health",
            "watershed-policy",
            "watershed-probe",
            "watershed-route53",
            "watershed-snapshot",
        ],
    ),
    (
        "watershed-bench",
        &[
            "watershed-compile",
            "watershed-crd",
            "watershed-dns",
            "watershed-geo",
            "watershed-policy",
            "watershed-proto",
            "watershed-snapshot",
        ],
    ),
    (
        "watershed-bench-propagation",
        &[
            "watershed-health",
            "watershed-operator",
            "watershed-proto",
            "watershed-snapshot",
        ],
    ),
    ("watershed-checks", &[]),
];

/// What performs input and output, or speaks a protocol.
const EDGES: &[&str] = &[
    "tokio",
    "mio",
    "tonic",
    "hyper",
    "rustls",
    "notify",
    "hickory-server",
];
/// Kubernetes, even as mere types.
const KUBERNETES: &[&str] = &[
    "kube",
    "kube-core",
    "kube-derive",
    "kube-client",
    "k8s-openapi",
];
/// Anything of DNS.
const HICKORY: &[&str] = &[
    "hickory-proto",
    "hickory-net",
    "hickory-server",
    "hickory-resolver",
];

/// What must not be in a package's whole tree of dependencies.
const NEVER: &[(&str, &[&[&str]])] = &[
    ("watershed-policy", &[EDGES, KUBERNETES, HICKORY]),
    ("watershed-geo", &[EDGES, KUBERNETES, HICKORY]),
    ("watershed-health", &[EDGES, KUBERNETES, HICKORY]),
    ("watershed-snapshot", &[EDGES, KUBERNETES, HICKORY]),
    (
        "watershed-crd",
        &[EDGES, HICKORY, &["kube-client", "watershed-policy"]],
    ),
    (
        "watershed-compile",
        &[EDGES, &["kube-client", "hickory-net"]],
    ),
    (
        "watershed-route53",
        &[EDGES, &["kube-client", "hickory-net"]],
    ),
    ("watershed-proto", &[KUBERNETES, HICKORY]),
    ("watershed-probe", &[KUBERNETES, &["watershed-policy"]]),
    // A DNS node needs no access to the Kubernetes API and knows nothing of it.
    (
        "watershed-dns",
        &[
            KUBERNETES,
            &["schemars", "watershed-crd", "watershed-compile"],
        ],
    ),
    // The operator answers no queries.
    (
        "watershed-operator",
        &[&["watershed-dns", "hickory-server"]],
    ),
];

#[test]
fn packages_name_only_those_below_them() -> Result<()> {
    let graph = Graph::load()?;
    for member in graph.members() {
        let allowed = MAY_DEPEND_ON.iter().find(|(name, _)| *name == member);
        let Some((_, allowed)) = allowed else {
            panic!("{member} is new: say in MAY_DEPEND_ON and in ARCHITECTURE.md where it stands");
        };
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        let direct = graph.direct_members(member);
        let excess: Vec<_> = direct.difference(&allowed).collect();
        assert!(excess.is_empty(), "{member} must not depend on {excess:?}");
    }
    Ok(())
}

#[test]
fn pure_packages_pull_in_no_edges() -> Result<()> {
    let graph = Graph::load()?;
    for (member, never) in NEVER {
        assert!(
            graph.members().contains(member),
            "{member} is not in the workspace"
        );
        let closure = Graph::closure(member)?;
        let found: Vec<_> = never
            .iter()
            .copied()
            .flatten()
            .filter(|n| closure.contains(**n))
            .collect();
        assert!(
            found.is_empty(),
            "{member} pulls in {found:?}; `cargo tree -p {member} -i` says how"
        );
    }
    Ok(())
}
