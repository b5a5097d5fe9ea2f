//! What holds for any input.

use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};
use proptest::prelude::*;
use watershed_compile::{
    Previous, References, Resource, Resources, compile, compile_policy, has_errors, parse_rdata,
};
use watershed_crd::document::TrafficPolicyDocument;
use watershed_policy::Limits;

use crate::support::{POLICY, RECORD, ZONE, mint_all, objects};

const TYPES: [u16; 16] = [1, 2, 5, 12, 15, 16, 28, 33, 35, 43, 44, 52, 64, 65, 99, 257];

/// Text that looks like record data often enough to get far.
fn rdata_text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[0-9]{1,5}",
        "[a-z]{1,8}\\.[a-z]{1,8}\\.?",
        "\"[ -~]{0,20}\"",
        "[0-9a-f]{2,8}",
        "(alpn|port|ipv4hint|mandatory|ech|key[0-9]{1,5})(=[ -~]{0,12})?",
        "192\\.0\\.2\\.[0-9]{1,3}",
        "\\PC{0,6}",
    ];
    prop::collection::vec(word, 0..6).prop_map(|words| words.join(" "))
}

/// Documents from small alphabets, so that names meet.
fn document() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    let kind = prop::sample::select(vec![
        "Failover",
        "Weighted",
        "Latency",
        "Geolocation",
        "Geoproximity",
        "MultiValue",
        "CIDR",
    ]);
    let field = prop::sample::select(vec![
        "endpoint: a",
        "endpoint: b",
        "rule: a",
        "rule: b",
        "rule: c",
        "weight: 1",
        "weight: -1",
        "region: eu-west-1",
        "region: nowhere",
        "locations: [continent/EU]",
        "locations: [country/XX]",
        "coordinates: {latitude: '1.5', longitude: '-200'}",
        "bias: 100",
        "cidrs: [192.0.2.0/24]",
        "cidrs: [x]",
        "default: true",
    ]);
    let branch = prop::collection::btree_map(
        field
            .clone()
            .prop_map(|f| f.split(':').next().unwrap_or_default().to_owned()),
        field,
        0..4,
    )
    .prop_map(|fields| {
        let mut seen = std::collections::BTreeMap::new();
        for text in fields.into_values() {
            seen.insert(text.split(':').next().unwrap_or_default(), text);
        }
        format!("{{{}}}", seen.into_values().collect::<Vec<_>>().join(", "))
    });
    let rule = (kind, prop::collection::vec(branch, 0..4)).prop_map(|(kind, branches)| {
        format!("{{type: {kind}, branches: [{}]}}", branches.join(", "))
    });
    let value = prop::sample::select(vec![
        "{addresses: [192.0.2.1]}",
        "{addresses: ['2001:db8::1', x]}",
        "{hostname: lb.example.net}",
        "{values: ['10 mx.example.net']}",
        "{}",
    ]);
    let types = prop::sample::select(vec![
        "[A]",
        "[A, AAAA]",
        "[MX]",
        "[CNAME]",
        "[]",
        "[NS]",
        "[A, MX]",
    ]);
    (
        types,
        prop::collection::btree_map(name.clone(), rule, 0..4),
        prop::collection::btree_map(name, value, 0..4),
    )
        .prop_map(|(types, rules, endpoints)| {
            let join = |map: Vec<String>| map.join(", ");
            let rules = rules
                .iter()
                .map(|(name, rule)| format!("{name}: {rule}"))
                .collect();
            let endpoints = endpoints
                .iter()
                .map(|(name, value)| format!("{name}: {value}"))
                .collect();
            format!(
                "{{recordTypes: {types}, startRule: a, rules: {{{}}}, endpoints: {{{}}}}}",
                join(rules),
                join(endpoints)
            )
        })
}

proptest! {
    #[test]
    fn record_data_is_refused_or_can_be_read_back(text in rdata_text(), index in 0..TYPES.len()) {
        let record_type = TYPES[index];
        if let Ok(wire) = parse_rdata(record_type, &text) {
            let length = u16::try_from(wire.len()).unwrap();
            let mut decoder = BinDecoder::new(&wire);
            let read = RData::read(&mut decoder, RecordType::from(record_type), Restrict::new(length));
            prop_assert!(read.is_ok(), "{text}: {read:?}");
            prop_assert!(decoder.is_empty());
        }
    }

    #[test]
    fn there_is_a_policy_exactly_when_nothing_is_an_error(yaml in document()) {
        let document: TrafficPolicyDocument = serde_yaml::from_str(&yaml).unwrap();
        let (policy, findings) = compile_policy(&document, &References::none(), &Limits::api());
        prop_assert_eq!(policy.is_some(), !has_errors(&findings), "{:?}", findings);
        prop_assert!(findings.is_sorted());
        if let Some(policy) = policy {
            prop_assert_eq!(policy.endpoints().len(), document.endpoints.len());
        }
    }

    #[test]
    fn the_order_of_objects_does_not_matter(order in Just(twins()).prop_shuffle()) {
        let compiled = |order: Vec<Resource>| {
            let mut resources = Resources::new();
            for object in order {
                resources.apply(object);
            }
            mint_all(&mut resources);
            compile(&resources, &Previous::none(), 1)
        };
        let (shuffled, sorted) = (compiled(order), compiled(twins()));
        prop_assert_eq!(shuffled.snapshot, sorted.snapshot);
        prop_assert_eq!(shuffled.verdicts, sorted.verdicts);
    }
}

/// Objects that compete for zones and names.
fn twins() -> Vec<Resource> {
    let twin = |yaml: &str, from: &str, to: &str| yaml.replace(from, to);
    objects(
        &[
            ZONE,
            &twin(ZONE, "name: example-com", "name: twin"),
            &twin(
                ZONE,
                "name: example-com, namespace: shop",
                "name: other, namespace: blog",
            ),
            POLICY,
            &twin(POLICY, "name: web", "name: broken").replace("192.0.2.1", "x"),
            RECORD,
            &twin(RECORD, "{name: www,", "{name: twin,"),
            &twin(RECORD, "{name: www,", "{name: lost,").replace("version: 1", "version: 2"),
        ]
        .join("---"),
    )
}
