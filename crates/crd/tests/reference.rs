//! The pages on the kinds, `docs/api.md` and those of `docs/reference`, say what
//! the definitions say.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use watershed_crd::{
    KINDS, Manifest, definition, reference, reference_file, schema_for, validation_schema,
};

fn page() -> String {
    fs::read_to_string(support::path("../../docs/api.md")).unwrap()
}

/// The sections of the page by title.
fn sections(page: &str) -> BTreeMap<&str, &str> {
    let sections = page.split("\n## ").skip(1);
    sections
        .map(|section| section.split_once('\n').unwrap())
        .collect()
}

#[test]
fn the_reference_is_up_to_date() {
    let directory = support::path("../../docs/reference");
    let mut expected = BTreeSet::from(["README.md".to_owned()]);
    for kind in KINDS {
        let name = reference_file(kind);
        let file = fs::read_to_string(directory.join(&name)).unwrap_or_default();
        let page = reference(kind).unwrap();
        assert!(
            file == page,
            "docs/reference/{name} is stale: run `make generate`"
        );
        expected.insert(name);
    }
    let files = fs::read_dir(directory).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.collect::<BTreeSet<_>>(), expected, "docs/reference");
}

#[test]
fn the_table_has_the_kinds_and_their_short_names() {
    let page = page();
    let (_, table) = page.split_once("| kind | short name |").unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<&str>> = rows
        .map(|row| row.split('|').map(str::trim).collect())
        .collect();
    let listed: Vec<&str> = rows.iter().map(|cells| cells[1]).collect();
    assert_eq!(listed, KINDS);
    for cells in &rows {
        let names = &definition(cells[1]).unwrap()["spec"]["names"];
        let short_name = names["shortNames"][0].as_str().unwrap();
        assert_eq!(cells[2], format!("`{short_name}`"));
    }
}

#[test]
fn every_field_of_a_spec_is_named() {
    let page = page();
    let sections = sections(&page);
    for kind in KINDS {
        let schema = schema_for(kind).unwrap();
        let fields = &schema["properties"]["spec"]["properties"];
        for field in fields.as_object().unwrap().keys() {
            let named = sections[kind].contains(&format!("`{field}`"));
            assert!(named, "docs/api.md does not name {field} of {kind}");
        }
    }
}

/// Fields of rules, branches and endpoints.
#[test]
fn every_field_of_a_document_is_named() {
    let page = page();
    let section = sections(&page)["TrafficPolicy"];
    let schema = schema_for("TrafficPolicy").unwrap();
    let document = "/properties/spec/properties/document";
    let rule = format!("{document}/properties/rules/additionalProperties");
    let places = [
        document.to_owned(),
        format!("{rule}/properties/branches/items"),
        format!("{document}/properties/endpoints/additionalProperties"),
        rule,
    ];
    for place in places {
        let fields = schema.pointer(&format!("{place}/properties")).unwrap();
        for field in fields.as_object().unwrap().keys() {
            let named = section.contains(&format!("`{field}"));
            assert!(named, "docs/api.md does not name {field} of {place}");
        }
    }
}

#[test]
fn every_kind_has_an_example_that_passes() {
    let page = page();
    let sections = sections(&page);
    for kind in KINDS {
        let (_, rest) = sections[kind].split_once("```yaml\n").unwrap();
        let (yaml, _) = rest.split_once("```").unwrap();
        let example: Value = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(example["kind"], kind);
        let schema = jsonschema::validator_for(&validation_schema(kind).unwrap()).unwrap();
        let errors: Vec<_> = schema.iter_errors(&example).collect();
        assert!(errors.is_empty(), "{kind}: {errors:?}");
        let rules = kube_cel::Validator::new().validate_with_defaults(
            &schema_for(kind).unwrap(),
            &example,
            None,
        );
        assert!(rules.is_ok(), "{kind}: {rules:?}");
        assert_eq!(Manifest::from_value(example).unwrap().kind(), kind);
    }
}
