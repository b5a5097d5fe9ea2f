//! `TrafficPolicy` document to Route 53 document.
//!
//! What Route 53 can express in another way is rewritten: more than two
//! failover tiers as nested rules, a health check of an endpoint as that of
//! the items that lead to it, several places of a branch as several
//! locations. Everything else is refused, all of it at once.

mod endpoint;
mod item;
mod rule;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use watershed_compile::{References, compile_policy};
use watershed_crd::document::{RecordType, TrafficPolicyDocument};
use watershed_policy::{Code, Diagnostic, Limits, Path, Severity};

use crate::format::FormatVersion;
use crate::import::import_value;

/// Writes a document in a version of Route 53's format.
///
/// Comments are left out, since the format has none, and so are rules beside
/// `startEndpoint`, which nothing leads to.
///
/// # Errors
/// Every fault of the document and everything in it that Route 53 cannot
/// express, with its path. What only shows in the result, such as a rule with
/// more than 100 items, has a path in Route 53's members.
pub fn export(
    document: &TrafficPolicyDocument,
    version: FormatVersion,
) -> Result<Value, Vec<Diagnostic>> {
    let mut faults = faults_of(document);
    let mut export = Export::new(document, version);
    let value = export.document();
    faults.append(&mut export.faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    // Whatever was overlooked above must not leave this function.
    import_value(&value).map(|_| value)
}

/// A document for one of the record types of another. Route 53 serves one
/// type per document, so that a policy of A and AAAA needs two.
pub fn for_record_type(
    document: &TrafficPolicyDocument,
    record_type: RecordType,
) -> TrafficPolicyDocument {
    let mut single = document.clone();
    single.record_types = vec![record_type];
    let is_ipv6 = match record_type {
        RecordType::A => false,
        RecordType::AAAA => true,
        _ => return single,
    };
    for endpoint in single.endpoints.values_mut() {
        if let Some(addresses) = &mut endpoint.addresses {
            addresses.retain(|address| address.contains(':') == is_ipv6);
        }
    }
    single
}

/// Faults of the document itself. Health checks and objects it refers to are
/// not at hand and need not be.
fn faults_of(document: &TrafficPolicyDocument) -> Vec<Diagnostic> {
    let (_, findings) = compile_policy(document, &References::none(), &Limits::unlimited());
    let is_fault =
        |d: &Diagnostic| d.severity() == Severity::Error && d.code != Code::UnknownReference;
    findings.into_iter().filter(is_fault).collect()
}

/// The state of one export.
struct Export<'a> {
    document: &'a TrafficPolicyDocument,
    version: FormatVersion,
    record_type: Option<RecordType>,
    faults: Vec<Diagnostic>,
    /// Rules that the document has in other words.
    rules: Map<String, Value>,
    /// The rules that carry an endpoint's own health check, by endpoint.
    checked: BTreeMap<&'a str, String>,
}

impl<'a> Export<'a> {
    fn new(document: &'a TrafficPolicyDocument, version: FormatVersion) -> Self {
        Self {
            document,
            version,
            record_type: None,
            faults: Vec::new(),
            rules: Map::new(),
            checked: BTreeMap::new(),
        }
    }

    /// Notes something that Route 53 does not have.
    fn refuse(&mut self, path: Path, message: impl Into<String>) {
        self.faults
            .push(Diagnostic::new(Code::MisplacedField, path, message));
    }

    fn document(&mut self) -> Value {
        let mut top = Map::new();
        top.insert(
            "AWSPolicyFormatVersion".into(),
            self.version.as_str().into(),
        );
        self.record_type = self.single_type();
        if let Some(record_type) = self.record_type {
            top.insert("RecordType".into(), record_type.as_str().into());
        }
        let endpoints = self.endpoints();
        if let Some(id) = &self.document.start_endpoint {
            top.insert("StartEndpoint".into(), id.as_str().into());
            top.insert("Endpoints".into(), endpoints);
        } else {
            top.insert("StartRule".into(), json!(self.document.start_rule));
            top.insert("Endpoints".into(), endpoints);
            self.all_rules();
            top.insert("Rules".into(), std::mem::take(&mut self.rules).into());
        }
        top.into()
    }

    fn single_type(&mut self) -> Option<RecordType> {
        match self.document.record_types.as_slice() {
            [record_type] => Some(*record_type),
            // That a type is missing is a fault of the document itself.
            [] => None,
            _ => {
                self.refuse(
                    Path::Document(Some("recordTypes")),
                    "Route 53 serves one record type per document: export A and AAAA one by one",
                );
                None
            }
        }
    }

    fn endpoints(&mut self) -> Value {
        let document = self.document;
        let mut endpoints = Map::new();
        for (name, endpoint) in &document.endpoints {
            if let Some(value) = self.endpoint(name, endpoint) {
                endpoints.insert(name.clone(), value);
            }
        }
        endpoints.into()
    }

    fn all_rules(&mut self) {
        let document = self.document;
        for (name, rule) in &document.rules {
            if let Some(value) = self.rule(name, rule) {
                self.rules.insert(name.clone(), value);
            }
        }
    }

    /// A name for a rule that the document does not have, like `wanted`.
    fn free_rule_name(&self, wanted: &str) -> String {
        let taken =
            |name: &str| self.document.rules.contains_key(name) || self.rules.contains_key(name);
        let mut name = wanted.to_owned();
        let mut number = 2;
        while taken(&name) {
            name = format!("{wanted}-{number}");
            number += 1;
        }
        name
    }
}
