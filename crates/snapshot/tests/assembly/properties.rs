//! An assembly is a function of its resources, whatever led to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use watershed_snapshot::record_type::{A, AAAA, CNAME, NS, SOA};
use watershed_snapshot::{
    Assembly, Content, OwnerName, PolicyVersion, Records, Resource, ResourceKind, ResourceName,
    Snapshot,
};

use crate::support::{
    Change, TXT, check, fixed, name, owner, record_name, records, served, version, version_name,
    zone, zone_name,
};

/// What an assembly holds, in the plainest form.
type World = BTreeMap<ResourceName, Resource>;

const APEXES: [&str; 3] = ["example.com", "eu.example.com", "example.net"];
const OWNERS: [&str; 7] = [
    "@",
    "www",
    "a",
    "a.b",
    "x.a.b",
    "*.b",
    "outside.example.org.",
];
const VERSIONS: [&str; 3] = ["v0", "v1", "v2"];
const KINDS: [ResourceKind; 3] = [
    ResourceKind::ZoneRecords,
    ResourceKind::RecordSet,
    ResourceKind::PolicyRecord,
];

fn zones() -> impl Strategy<Value = Change> {
    let head = (prop::sample::select(&APEXES[..]), 0..3_u8);
    let head = head.prop_map(|(apex, serial)| zone(apex, serial));
    // Mostly as many zones as apexes, each with its own.
    let usual = (0..APEXES.len(), 0..3_u8).prop_map(|(index, serial)| {
        (
            zone_name(&format!("z{index}")),
            Some(zone(APEXES[index], serial)),
        )
    });
    let unusual =
        ("z[0-3]", prop::option::of(head)).prop_map(|(name, head)| (zone_name(&name), head));
    prop_oneof![3 => usual, 1 => unusual]
}

fn versions() -> impl Strategy<Value = Change> {
    let types = prop::sample::select(vec![vec![A], vec![A, AAAA], vec![A, AAAA]]);
    let content = prop::option::weighted(0.8, (types, 0..3_u8));
    (prop::sample::select(&VERSIONS[..]), content).prop_map(|(text, content)| {
        let version = content.map(|(types, variant)| version(text, &types, variant));
        (version_name(text), version)
    })
}

fn contents() -> impl Strategy<Value = Content> {
    let types = prop::sample::select(vec![A, A, AAAA, TXT, CNAME, NS]);
    let fixed = (types, 0..3_u8).prop_map(|(record_type, variant)| fixed(record_type, variant));
    let types = prop::sample::select(vec![vec![A], vec![AAAA], vec![A, AAAA]]);
    let served = (prop::sample::select(&VERSIONS[..]), types)
        .prop_map(|(version, types)| served(version, &types));
    prop_oneof![fixed, served]
}

fn placements() -> impl Strategy<Value = Change> {
    let placed = (prop::sample::select(&OWNERS[..]), contents());
    let placed = prop::collection::vec(placed, 0..3);
    let content = (prop::sample::select(&APEXES[..]), placed);
    let content = content.prop_map(|(apex, placed)| records(apex, placed));
    let kind = prop::sample::select(&KINDS[..]);
    (kind, "r[0-5]", prop::option::weighted(0.75, content))
        .prop_map(|(kind, text, content)| (name(kind, &text), content))
}

fn checks() -> impl Strategy<Value = Change> {
    let content = prop::option::weighted(0.75, 1..4_u64);
    ("c[0-3]", content)
        .prop_map(|(text, seconds)| (name(ResourceKind::HealthCheck, &text), seconds.map(check)))
}

/// Batches of changes, and some of a kind that does not go with the name.
fn histories() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let misnamed = (0..3_u8).prop_map(|n| (record_name("r0"), Some(zone(APEXES[0], n))));
    let change = prop_oneof![
        4 => zones(),
        4 => versions(),
        2 => checks(),
        12 => placements(),
        1 => misnamed,
    ];
    prop::collection::vec(prop::collection::vec(change, 1..6), 1..25)
}

fn changed(world: &World, batch: &[Change]) -> World {
    let mut world = world.clone();
    for (name, resource) in batch {
        match resource {
            Some(resource) => world.insert(name.clone(), resource.clone()),
            None => world.remove(name),
        };
    }
    world
}

fn from_scratch(world: &World) -> Assembly {
    let all = world.iter().rev();
    let all = all.map(|(name, resource)| (name.clone(), Some(resource.clone())));
    Assembly::new().apply(all.collect()).unwrap()
}

fn all_records(world: &World) -> impl Iterator<Item = &Records> {
    world.values().filter_map(|resource| match resource {
        Resource::Records(records) => Some(records),
        _ => None,
    })
}

fn apexes(world: &World) -> Vec<&OwnerName> {
    let apexes = world.values().filter_map(|resource| match resource {
        Resource::Zone(head) => Some(&head.apex),
        _ => None,
    });
    apexes.collect()
}

fn version_of<'w>(world: &'w World, name: &ResourceName) -> Option<&'w Arc<PolicyVersion>> {
    match world.get(name) {
        Some(Resource::Version(version)) => Some(version),
        _ => None,
    }
}

/// Whether these resources can be served, by the plainest possible check.
fn is_sound(world: &World) -> bool {
    let apexes = apexes(world);
    let distinct: BTreeSet<_> = apexes.iter().collect();
    let mut types: BTreeMap<(&OwnerName, &OwnerName), Vec<u16>> = BTreeMap::new();
    for apex in &apexes {
        types.insert((apex, apex), vec![SOA, NS]);
    }
    let mut sound = distinct.len() == apexes.len();
    for (name, resource) in world {
        sound &= match resource {
            Resource::Zone(_) => name.kind() == ResourceKind::HostedZone,
            Resource::Version(_) => name.kind() == ResourceKind::TrafficPolicyVersion,
            Resource::Records(_) => KINDS.contains(&name.kind()),
            Resource::Check(_) => name.kind() == ResourceKind::HealthCheck,
        };
    }
    for records in all_records(world) {
        for placed in &records.placed {
            let here = match &placed.content {
                Content::Static(set) => vec![set.record_type],
                Content::Policy(binding) => {
                    let has = version_of(world, &binding.version).map(|v| v.policy.record_types());
                    let mut types = binding.record_types.iter();
                    sound &= types.all(|t| has.is_some_and(|has| has.contains(t)));
                    binding.record_types.clone()
                }
            };
            sound &= distinct.contains(&&records.zone);
            sound &= placed.owner.is_at_or_below(&records.zone);
            sound &= !(placed.owner.is_wildcard() && here.contains(&NS));
            types
                .entry((&records.zone, &placed.owner))
                .or_default()
                .extend(here);
        }
    }
    sound
        && types.into_values().all(|mut types| {
            let count = types.len();
            types.sort_unstable();
            types.dedup();
            types.len() == count && !(types.contains(&CNAME) && count > 1)
        })
}

/// Checks a snapshot against the resources, name by name.
fn check_content(world: &World, snapshot: &Snapshot) -> Result<(), TestCaseError> {
    let mut held: Vec<_> = snapshot.zones.keys().collect();
    let mut apexes = apexes(world);
    held.sort_unstable();
    apexes.sort_unstable();
    prop_assert_eq!(&held, &apexes);
    for apex in apexes {
        let zone = &snapshot.zones[apex];
        let mut expected: BTreeSet<OwnerName> = BTreeSet::from([apex.clone()]);
        let mut sets = 2;
        let mut bindings = 0;
        for placed in all_records(world)
            .filter(|records| records.zone == *apex)
            .flat_map(|records| &records.placed)
        {
            let above = std::iter::successors(Some(placed.owner.clone()), OwnerName::parent);
            expected.extend(above.take_while(|name| name.is_below(apex)));
            let node = zone.node(&placed.owner).unwrap();
            match &placed.content {
                Content::Static(set) => {
                    prop_assert_eq!(node.rrset(set.record_type), Some(set));
                    sets += 1;
                }
                Content::Policy(binding) => {
                    let version = version_of(world, &binding.version).unwrap();
                    for record_type in &binding.record_types {
                        prop_assert_eq!(&node.policy(*record_type).unwrap().version, version);
                    }
                    bindings += 1;
                }
            }
        }
        let names: BTreeSet<OwnerName> = zone.names().map(|(name, _)| name.clone()).collect();
        prop_assert_eq!(names, expected);
        let counted = zone
            .names()
            .map(|(_, node)| (node.rrsets.len(), node.policies.len()));
        let counted = counted.fold((0, 0), |sum, node| (sum.0 + node.0, sum.1 + node.1));
        prop_assert_eq!(counted, (sets, bindings));
    }
    let checks = world.iter().filter_map(|(name, resource)| match resource {
        Resource::Check(check) => Some((
            format!("{}/{}", name.namespace(), name.name()),
            Arc::clone(check),
        )),
        _ => None,
    });
    let expected = checks.collect::<BTreeMap<_, _>>();
    prop_assert!(snapshot.checks.iter().eq(&expected));
    check_versions(snapshot)
}

/// Every version bound is in the list once, and nothing else is.
fn check_versions(snapshot: &Snapshot) -> Result<(), TestCaseError> {
    let nodes = snapshot.zones.values().flat_map(|zone| zone.names());
    let bindings = nodes.flat_map(|(_, node)| &node.policies);
    let bound: BTreeSet<_> = bindings
        .map(|binding| Arc::as_ptr(&binding.version))
        .collect();
    let listed: Vec<_> = snapshot.versions.iter().map(Arc::as_ptr).collect();
    prop_assert_eq!(listed.len(), bound.len());
    prop_assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), bound);
    Ok(())
}

/// Apexes of the zones that a batch reaches, through versions too.
fn reached(before: &World, after: &World, batch: &[Change]) -> BTreeSet<OwnerName> {
    let names: BTreeSet<&ResourceName> = batch.iter().map(|(name, _)| name).collect();
    let mut reached = BTreeSet::new();
    for world in [before, after] {
        for (name, resource) in world {
            let changed = names.contains(name);
            match resource {
                Resource::Zone(head) if changed => {
                    reached.insert(head.apex.clone());
                }
                Resource::Records(records)
                    if changed
                        || records.placed.iter().any(|placed| match &placed.content {
                            Content::Policy(binding) => names.contains(&binding.version),
                            Content::Static(_) => false,
                        }) =>
                {
                    reached.insert(records.zone.clone());
                }
                _ => {}
            }
        }
    }
    reached
}

/// What a batch does not reach stays the same in memory.
fn check_sharing(
    (before, world): (&Assembly, &World),
    (after, new_world): (&Assembly, &World),
    batch: &[Change],
) -> Result<(), TestCaseError> {
    let reached = reached(world, new_world, batch);
    for (apex, zone) in before
        .snapshot()
        .zones
        .iter()
        .filter(|z| !reached.contains(z.0))
    {
        prop_assert!(Arc::ptr_eq(zone, &after.snapshot().zones[apex]), "{apex}");
    }
    for (name, resource) in world {
        if let (Resource::Version(old), Some(Resource::Version(new))) =
            (resource, after.resource(name))
            && *old == new
            && let Some(Resource::Version(held)) = before.resource(name)
        {
            prop_assert!(Arc::ptr_eq(&held, &new), "{name}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn history_leaves_no_trace(history in histories()) {
        let (mut assembly, mut world) = (Assembly::new(), World::new());
        for batch in history {
            let mut batch = batch;
            // Faults are named one by one, so leaving out what is at fault
            // leads to something that can be served.
            loop {
                let candidate = changed(&world, &batch);
                let applied = assembly.apply(batch.clone());
                prop_assert_eq!(applied.is_ok(), is_sound(&candidate), "{:?}", applied.err());
                match applied {
                    Ok(applied) => {
                        check_content(&candidate, applied.snapshot())?;
                        check_sharing((&assembly, &world), (&applied, &candidate), &batch)?;
                        prop_assert_eq!(&applied, &from_scratch(&candidate));
                        prop_assert_eq!(applied.len(), candidate.len());
                        (assembly, world) = (applied, candidate);
                        break;
                    }
                    Err(faults) => {
                        let before = batch.len();
                        batch.retain(|(name, _)| faults.iter().all(|f| f.resource != *name));
                        prop_assert!(batch.len() < before, "{:?} are not of the batch", faults);
                    }
                }
            }
        }
    }

    #[test]
    fn the_order_within_a_batch_does_not_matter(batch in prop::collection::vec(
        prop_oneof![zones(), versions(), placements()], 1..20,
    )) {
        let batch: BTreeMap<ResourceName, Option<Resource>> = batch.into_iter().collect();
        let forward: Vec<Change> = batch.clone().into_iter().collect();
        let backward: Vec<Change> = batch.into_iter().rev().collect();
        prop_assert_eq!(Assembly::new().apply(forward), Assembly::new().apply(backward));
    }
}

#[test]
fn a_removed_world_is_an_empty_one() {
    let world: Vec<Change> = vec![
        (zone_name("z"), Some(zone("example.com", 1))),
        (version_name("v0"), Some(version("v0", &[A], 1))),
        (
            record_name("r"),
            Some(records("example.com", vec![("x.y.z", served("v0", &[A]))])),
        ),
    ];
    let full = Assembly::new().apply(world.clone()).unwrap();
    let apex = owner("example.com");
    assert_eq!(full.snapshot().zones[&apex].names().count(), 4);
    let gone = world.into_iter().map(|(name, _)| (name, None)).collect();
    assert_eq!(full.apply(gone), Ok(Assembly::new()));
}
