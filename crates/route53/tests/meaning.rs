//! Import and export keep the meaning of a document: whatever the client and
//! whatever is down, the same answers come with the same probabilities.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use common::{assert_same_answers, policy, route53_documents, trafficpolicy_documents, views};
use proptest::prelude::*;
use serde_json::Value;
use watershed_route53::{
    FormatVersion, export, fault_text, import, import_value, merge_places, portable_names,
};

fn import_ok(value: &Value) -> watershed_route53::Import {
    import_value(value).unwrap_or_else(|faults| panic!("{}\n{value:#}", fault_text(&faults)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn exporting_what_was_imported_keeps_every_answer(
        value in route53_documents(),
        views in views(),
    ) {
        let first = import_ok(&value);
        for version in FormatVersion::ALL {
            let out = export(&first.document, version).unwrap();
            let second = import_ok(&out);
            prop_assert_eq!(second.format_version, version);
            assert_same_answers(&policy(&first.document), &policy(&second.document), &views);
            // From here on nothing changes any more.
            prop_assert_eq!(export(&second.document, version).unwrap(), out);
        }
    }

    #[test]
    fn what_route_53_lacks_is_rewritten_without_changing_answers(
        document in trafficpolicy_documents(),
        views in views(),
    ) {
        let own = policy(&document);
        for version in FormatVersion::ALL {
            let out = export(&document, version).unwrap();
            assert_same_answers(&own, &policy(&import_ok(&out).document), &views);
        }
    }

    #[test]
    fn the_order_of_members_does_not_matter(value in route53_documents()) {
        let reversed = reversed(&value);
        prop_assert_eq!(import_ok(&value).document, import_ok(&reversed).document);
    }

    #[test]
    fn portable_names_and_merged_places_keep_every_answer(value in route53_documents(), views in views()) {
        let document = import_ok(&value).document;
        let (portable, renames) = portable_names(&document);
        prop_assert!(renames.is_empty(), "{:?}", renames);
        assert_same_answers(&policy(&document), &policy(&portable), &views);
        let merged = merge_places(&document);
        assert_same_answers(&policy(&document), &policy(&merged), &views);
    }

    #[test]
    fn one_broken_member_never_hides_another(
        value in route53_documents(),
        first in any::<prop::sample::Index>(),
        second in any::<prop::sample::Index>(),
    ) {
        let one = broken(&value, first);
        let other = broken(&value, second);
        let both = broken(&one, second);
        let both: Vec<String> = fault_paths(&both);
        for path in fault_paths(&one).iter().chain(&fault_paths(&other)) {
            prop_assert!(both.contains(path), "{path} is not among {both:?}");
        }
    }

    #[test]
    fn no_json_makes_import_panic(value in any_json()) {
        let _ = import_value(&value);
        let text = value.to_string();
        let _ = import(&text);
    }

    #[test]
    fn no_text_makes_import_panic(text in ".{0,200}") {
        let _ = import(&text);
    }
}

fn fault_paths(value: &Value) -> Vec<String> {
    let faults = import_value(value).err().unwrap_or_default();
    faults.iter().map(|fault| fault.path.to_string()).collect()
}

/// The document with an unknown member in one of its endpoints or rules.
fn broken(value: &Value, index: prop::sample::Index) -> Value {
    let mut value = value.clone();
    let named: Vec<(String, String)> = ["Endpoints", "Rules"]
        .iter()
        .flat_map(|holder| {
            let ids = value[*holder]
                .as_object()
                .into_iter()
                .flat_map(|o| o.keys());
            ids.map(|id| ((*holder).to_owned(), id.clone()))
                .collect::<Vec<_>>()
        })
        .collect();
    let (holder, id) = &named[index.index(named.len())];
    value[holder][id]["Bogus"] = Value::Null;
    value
}

fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().rev();
            members
                .map(|(name, value)| (name.clone(), reversed(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(reversed).collect(),
        other => other.clone(),
    }
}

/// JSON with many of the format's own words in it.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "AWSPolicyFormatVersion",
        "2015-10-01",
        "2023-05-09",
        "RecordType",
        "A",
        "CNAME",
        "StartRule",
        "StartEndpoint",
        "Endpoints",
        "Rules",
        "RuleType",
        "failover",
        "Primary",
        "Secondary",
        "geo",
        "Locations",
        "geoproximity",
        "GeoproximityLocations",
        "Location",
        "Type",
        "value",
        "Coordinate",
        "Latitude",
        "latency",
        "Regions",
        "Region",
        "us-east-1",
        "multivalue",
        "weighted",
        "Items",
        "Weight",
        "EndpointReference",
        "RuleReference",
        "HealthCheck",
        "Value",
        "192.0.2.1",
        "Country",
        "Continent",
        "Subdivision",
        "IsDefault",
        "Bias",
        "*",
        "s3-website",
        "a",
        "r",
        "TrafficPolicy",
        "Document",
        "{}",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..8).prop_map(|members| {
                members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            }),
        ]
    })
}
