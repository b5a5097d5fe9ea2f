//! Route 53 document to `TrafficPolicy` document.
//!
//! One walk over the JSON value notes every fault of the format and converts
//! what it can. The shared checks of the tree then run over that conversion,
//! whole or partial, so that a cycle is reported beside a misspelled member.

mod endpoint;
mod geo;
mod geoproximity;
mod item;
mod tree;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use watershed_crd::document::{RecordType, Rule, TrafficPolicyDocument};
use watershed_policy::{Code, Diagnostic, Severity};

use crate::format::{FormatVersion, MAX_DOCUMENT_CHARS, RuleKind, TOP_MEMBERS};
use crate::hosts::AliasType;
use crate::json;
use crate::members::{Members, wrong_kind};
use crate::place::Place;

/// An imported document.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// The same policy as a `TrafficPolicy` document. Ids are kept as they
    /// were, even where they are no valid names there; see
    /// [`portable_names`](crate::portable_names).
    pub document: TrafficPolicyDocument,
    /// The version of the format that it was written in.
    pub format_version: FormatVersion,
    /// Warnings. Their paths are in Route 53's members.
    pub findings: Vec<Diagnostic>,
}

/// Imports the text of a document, or the answer of
/// `aws route53 get-traffic-policy` that holds one.
///
/// # Errors
/// Every fault of the document, with paths in Route 53's members such as
/// `Rules.r.Items[1].Weight`.
pub fn import(text: &str) -> Result<Import, Vec<Diagnostic>> {
    let (value, faults) = json::read(text).map_err(|fault| vec![fault])?;
    import_with(&value, faults)
}

/// Imports a document that was read already. Members that occurred twice in
/// the text cannot be noticed here.
///
/// # Errors
/// As [`import`].
pub fn import_value(value: &Value) -> Result<Import, Vec<Diagnostic>> {
    let too_long = value.to_string().chars().count() > MAX_DOCUMENT_CHARS;
    import_with(value, too_long.then(json::too_long).into_iter().collect())
}

fn import_with(value: &Value, faults: Vec<Diagnostic>) -> Result<Import, Vec<Diagnostic>> {
    let mut walk = Walk::new(faults);
    walk.document(value);
    let tree = tree::check(&walk);
    walk.faults.extend(tree);
    let (faults, findings): (Vec<_>, Vec<_>) = walk
        .faults
        .into_iter()
        .partition(|d| d.severity() == Severity::Error);
    match walk.version {
        Some(format_version) if faults.is_empty() => Ok(Import {
            document: walk.document,
            format_version,
            findings,
        }),
        _ => Err(faults),
    }
}

/// The state of one walk over a document.
struct Walk {
    faults: Vec<Diagnostic>,
    version: Option<FormatVersion>,
    record_type: Option<RecordType>,
    document: TrafficPolicyDocument,
    /// What the alias endpoints are aliases of, by endpoint id.
    aliases: BTreeMap<String, AliasType>,
    /// Where in its rule each branch came from, by rule id.
    items: BTreeMap<String, Vec<Place>>,
}

impl Walk {
    fn new(faults: Vec<Diagnostic>) -> Self {
        Self {
            faults,
            version: None,
            record_type: None,
            document: TrafficPolicyDocument::default(),
            aliases: BTreeMap::new(),
            items: BTreeMap::new(),
        }
    }

    fn fault(&mut self, place: &Place, code: Code, message: impl Into<String>) {
        self.faults.push(place.fault(code, message));
    }

    fn document(&mut self, value: &Value) {
        let top = Members::read(value, Place::document(), &[TOP_MEMBERS], &mut self.faults);
        let Some(top) = top else { return };
        self.version(&top);
        self.record_type(&top);
        self.start(&top);
        if let Some(endpoints) = top.required("Endpoints", &mut self.faults) {
            self.endpoints(endpoints);
        }
        if let Some(rules) = top.get("Rules") {
            self.rules(rules);
        }
    }

    fn version(&mut self, top: &Members<'_>) {
        if top
            .required("AWSPolicyFormatVersion", &mut self.faults)
            .is_none()
        {
            return;
        }
        let Some(text) = top.text("AWSPolicyFormatVersion", &mut self.faults) else {
            return;
        };
        self.version = FormatVersion::from_text(text);
        if self.version.is_none() {
            let message =
                format!("AWSPolicyFormatVersion must be 2015-10-01 or 2023-05-09, not {text:?}");
            self.fault(
                &top.place.member("AWSPolicyFormatVersion"),
                Code::InvalidValue,
                message,
            );
        }
    }

    fn record_type(&mut self, top: &Members<'_>) {
        if top.required("RecordType", &mut self.faults).is_none() {
            return;
        }
        let Some(text) = top.text("RecordType", &mut self.faults) else {
            return;
        };
        self.record_type = text.parse().ok().filter(|t: &RecordType| t.is_routed());
        self.document.record_types = self.record_type.into_iter().collect();
        if self.record_type.is_none() {
            let routed = RecordType::ALL.into_iter().filter(|t| t.is_routed());
            let all: Vec<&str> = routed.map(RecordType::as_str).collect();
            let message = format!(
                "RecordType {text:?} cannot be served by a traffic policy; the types are {}",
                all.join(", ")
            );
            self.fault(&top.place.member("RecordType"), Code::RecordType, message);
        }
    }

    fn start(&mut self, top: &Members<'_>) {
        match (top.has("StartEndpoint"), top.has("StartRule")) {
            (true, true) => self.fault(
                &top.place,
                Code::FieldConflict,
                "StartEndpoint and StartRule exclude each other: keep one of them",
            ),
            (false, false) => self.fault(
                &top.place,
                Code::MissingField,
                "StartRule or StartEndpoint is missing",
            ),
            (true, false) => {
                let id = top.text("StartEndpoint", &mut self.faults);
                self.document.start_endpoint = id.map(str::to_owned);
                self.no_rules(top);
            }
            (false, true) => {
                let id = top.text("StartRule", &mut self.faults);
                self.document.start_rule = id.map(str::to_owned);
                top.required("Rules", &mut self.faults);
            }
        }
    }

    fn no_rules(&mut self, top: &Members<'_>) {
        let rules = top.get("Rules").and_then(Value::as_object);
        if rules.is_some_and(|rules| !rules.is_empty()) {
            self.fault(
                &top.place.member("Rules"),
                Code::FieldConflict,
                "Rules have no effect beside StartEndpoint: start at one of them or remove them",
            );
        }
    }

    fn endpoints(&mut self, value: &Value) {
        let place = Place::document().member("Endpoints");
        let Some(endpoints) = self.object(&place, value) else {
            return;
        };
        for (id, value) in endpoints {
            let endpoint = self.endpoint(id, value);
            self.document.endpoints.insert(id.clone(), endpoint);
        }
    }

    fn rules(&mut self, value: &Value) {
        let place = Place::document().member("Rules");
        let Some(rules) = self.object(&place, value) else {
            return;
        };
        for (id, value) in rules {
            let rule = self.rule(id, value);
            self.document.rules.insert(id.clone(), rule);
        }
    }

    fn object<'v>(&mut self, place: &Place, value: &'v Value) -> Option<&'v Map<String, Value>> {
        let object = value.as_object();
        if object.is_none() {
            self.faults.push(wrong_kind(place, "an object", value));
        }
        object
    }

    /// A rule. One whose kind is not known becomes a rule without branches,
    /// so that references to it are not reported as well.
    fn rule(&mut self, id: &str, value: &Value) -> Rule {
        let place = Place::rule(id);
        let kind = self.rule_kind(&place, value);
        let known = kind.map_or(RuleKind::ANY_RULE_MEMBERS, RuleKind::rule_members);
        let members = Members::read(value, place, &[known], &mut self.faults);
        let mut rule = empty_rule(kind.unwrap_or(RuleKind::Failover));
        if let (Some(kind), Some(members)) = (kind, members) {
            for (place, value) in self.items_of(kind, &members) {
                rule.branches.push(self.item(kind, &place, value));
                self.items.entry(id.to_owned()).or_default().push(place);
            }
        }
        rule
    }

    fn rule_kind(&mut self, place: &Place, value: &Value) -> Option<RuleKind> {
        // What is no object is reported when its members are read.
        let object = value.as_object()?;
        let place = place.member("RuleType");
        let Some(value) = object.get("RuleType") else {
            self.fault(&place, Code::MissingField, "RuleType is missing");
            return None;
        };
        let text = value.as_str().unwrap_or_default();
        if let Some(kind) = RuleKind::from_text(text) {
            self.no_cname_in_multivalue(&place, kind);
            return Some(kind);
        }
        let all = RuleKind::ALL.map(RuleKind::as_str).join(", ");
        self.faults
            .push(wrong_kind(&place, &format!("one of {all}"), value));
        RuleKind::from_text(&text.to_ascii_lowercase())
    }

    fn no_cname_in_multivalue(&mut self, place: &Place, kind: RuleKind) {
        if kind == RuleKind::Multivalue && self.record_type == Some(RecordType::CNAME) {
            let message = "A multivalue rule cannot serve CNAME: a name has one CNAME at most";
            self.fault(place, Code::RecordType, message);
        }
    }

    /// The items of a rule and their places.
    fn items_of<'v>(&mut self, kind: RuleKind, rule: &Members<'v>) -> Vec<(Place, &'v Value)> {
        let mut items = Vec::new();
        for holder in kind.item_holders() {
            let Some(value) = rule.required(holder, &mut self.faults) else {
                continue;
            };
            let place = rule.place.member(holder);
            if kind == RuleKind::Failover {
                items.push((place, value));
            } else {
                items.extend(self.array(&place, value));
            }
        }
        items
    }

    fn array<'v>(&mut self, place: &Place, value: &'v Value) -> Vec<(Place, &'v Value)> {
        let Some(array) = value.as_array() else {
            self.faults.push(wrong_kind(place, "an array", value));
            return Vec::new();
        };
        if array.is_empty() {
            let message = format!("{} must have at least one item", place.member);
            self.fault(place, Code::InvalidStructure, message);
        }
        let item = |(index, value)| (place.item(index), value);
        array.iter().enumerate().map(item).collect()
    }
}

fn empty_rule(kind: RuleKind) -> Rule {
    Rule {
        type_: kind.to_policy(),
        comment: None,
        affinity: None,
        max_answers: None,
        min_healthy_percent: None,
        cidr_collection_ref: None,
        branches: Vec::new(),
    }
}
