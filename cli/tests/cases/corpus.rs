//! Reading the corpus.

use std::fs;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde_json::{Map, Value, json};
use watershed_policy::{Coordinates, Location};

use crate::expect::Expect;

/// Members of a group or a case that are members of a scenario.
const SCENARIO: [&str; 8] = [
    "policy",
    "policyFile",
    "client",
    "health",
    "endpointHealth",
    "latency",
    "cidrCollections",
    "recordType",
];

/// One case, with what it inherits from its group.
pub(crate) struct Case {
    /// File of the corpus, without its directory.
    pub(crate) file: String,
    pub(crate) name: String,
    /// Heading and sentence of `docs/semantics.md`.
    pub(crate) shows: String,
    /// As `watershed simulate` takes it.
    pub(crate) scenario: Value,
    /// What the location database knows.
    pub(crate) locations: Vec<(IpNet, Location)>,
    pub(crate) expect: Expect,
}

impl Case {
    /// For messages.
    pub(crate) fn label(&self) -> String {
        format!("{}: {}", self.file, self.name)
    }

    pub(crate) fn client(&self) -> Option<&Map<String, Value>> {
        self.scenario.get("client").and_then(Value::as_object)
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.expect.outcome() == "invalid"
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every case of every file.
pub(crate) fn corpus() -> Vec<Case> {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("cases"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    files.iter().flat_map(|path| file_cases(path)).collect()
}

fn file_cases(path: &Path) -> Vec<Case> {
    let file = path.file_name().unwrap().to_str().unwrap();
    let text = fs::read_to_string(path).unwrap();
    let groups: Vec<Map<String, Value>> =
        serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{file}: {e}"));
    groups.iter().flat_map(|g| group_cases(file, g)).collect()
}

fn group_cases(file: &str, group: &Map<String, Value>) -> Vec<Case> {
    let mut shared = group.clone();
    let about = shared.remove("about");
    let about = about.unwrap_or_else(|| panic!("{file}: a group without `about`"));
    let cases = shared.remove("cases");
    let Some(Value::Array(cases)) = cases else {
        panic!("{file}: {about}: `cases` is not a list");
    };
    let cases = cases.into_iter().map(|own| {
        let Value::Object(own) = own else {
            panic!("{file}: {about}: a case is not a mapping");
        };
        let mut members = shared.clone();
        members.extend(own);
        case(file, members)
    });
    cases.collect()
}

fn case(file: &str, mut members: Map<String, Value>) -> Case {
    let name = text(&mut members, "name");
    let shows = text(&mut members, "shows");
    let expect = members.remove("expect").unwrap_or_default();
    let expect = serde_json::from_value(expect).unwrap_or_else(|e| panic!("{file}: {name}: {e}"));
    let locations = members.remove("locations");
    if let Some(document) = members.remove("document") {
        members.insert("policy".into(), manifest(&document));
    }
    for member in members.keys() {
        assert!(
            SCENARIO.contains(&member.as_str()),
            "{file}: {name}: unknown `{member}`"
        );
    }
    Case {
        file: file.to_owned(),
        name,
        shows,
        scenario: Value::Object(members),
        locations: locations.iter().flat_map(places).collect(),
        expect,
    }
}

fn text(members: &mut Map<String, Value>, name: &str) -> String {
    match members.remove(name) {
        Some(Value::String(text)) => text,
        other => panic!("`{name}` is {other:?} beside {members:?}"),
    }
}

fn manifest(document: &Value) -> Value {
    json!({
        "apiVersion": "watershed.dev/v1alpha1",
        "kind": "TrafficPolicy",
        "metadata": {"name": "case", "namespace": "cases"},
        "spec": {"document": document},
    })
}

fn places(locations: &Value) -> Vec<(IpNet, Location)> {
    let entries = locations.as_object().unwrap().iter();
    entries
        .map(|(network, place)| {
            (
                network.parse().unwrap(),
                location(place.as_object().unwrap()),
            )
        })
        .collect()
}

/// A location from the members that a client and an entry of `locations`
/// share.
pub(crate) fn location(place: &Map<String, Value>) -> Location {
    let text = |name: &str| place.get(name).and_then(Value::as_str);
    let degrees = |name: &str| place.get(name).and_then(Value::as_f64);
    Location {
        country: text("country").map(|code| code.parse().unwrap()),
        subdivision: text("subdivision").map(str::to_owned),
        continent: text("continent").map(|code| code.parse().unwrap()),
        coordinates: degrees("latitude")
            .zip(degrees("longitude"))
            .map(|(latitude, longitude)| Coordinates::new(latitude, longitude).unwrap()),
        ..Location::default()
    }
}
