//! Endpoints and their values.

use std::collections::BTreeSet;
use std::net::IpAddr;

use watershed_crd::document::{Endpoint, ObjectReference, RecordType};
use watershed_policy::{Code, Diagnostic, EndpointKind, EndpointSpec, Path, Value};

use super::{Context, host_name, report};
use crate::object_address::{NoAddresses, ObjectAddress};
use crate::rdata;

/// Which of an endpoint's fields holds its values.
#[derive(Clone, Copy)]
enum Source<'a> {
    Addresses(&'a [String]),
    Hostname(&'a str),
    Values(&'a [String]),
    Object(&'a ObjectReference),
    PolicyRecord(&'a str),
}

impl<'a> Source<'a> {
    /// The fields that are set.
    fn all(endpoint: &'a Endpoint) -> Vec<Self> {
        let record = endpoint.policy_record_ref.as_ref();
        let sources = [
            endpoint.addresses.as_deref().map(Self::Addresses),
            endpoint.hostname.as_deref().map(Self::Hostname),
            endpoint.values.as_deref().map(Self::Values),
            endpoint.object_ref.as_ref().map(Self::Object),
            record.map(|record| Self::PolicyRecord(&record.name)),
        ];
        sources.into_iter().flatten().collect()
    }

    fn field(self) -> &'static str {
        match self {
            Self::Addresses(_) => "addresses",
            Self::Hostname(_) => "hostname",
            Self::Values(_) => "values",
            Self::Object(_) => "objectRef",
            Self::PolicyRecord(_) => "policyRecordRef",
        }
    }

    /// Whether this field can give answers of a type.
    fn fits(self, record_type: RecordType) -> bool {
        match record_type {
            RecordType::A | RecordType::AAAA => !matches!(self, Self::Values(_)),
            RecordType::CNAME => matches!(self, Self::Hostname(_)),
            _ => matches!(self, Self::Values(_)),
        }
    }
}

/// What an endpoint of a type needs, as the end of a sentence.
fn needs(record_type: RecordType) -> &'static str {
    match record_type {
        RecordType::A | RecordType::AAAA => "addresses, hostname, objectRef or policyRecordRef",
        RecordType::CNAME => "hostname",
        _ => "values",
    }
}

pub(super) fn convert(
    context: Context<'_, '_>,
    name: &str,
    endpoint: &Endpoint,
    findings: &mut Vec<Diagnostic>,
) -> EndpointSpec {
    let part = Part {
        context,
        name,
        types: &context.document.record_types,
    };
    let source = part.source(endpoint, findings);
    let values = source.map_or_else(Vec::new, |source| part.values(source, findings));
    // Without any address an object is out of reach, and clients are better
    // led elsewhere.
    let empty = matches!(source, Some(Source::Object(_))) && values.is_empty();
    let check = endpoint.health_check_ref.as_ref();
    EndpointSpec {
        name: name.to_owned(),
        kind: source.map_or(EndpointKind::Value, |source| part.kind(source)),
        values,
        check: check.map(|check| (context.references.check_id)(&check.name)),
        drain: endpoint.drain.unwrap_or(false) || empty,
    }
}

/// An endpoint under conversion.
struct Part<'a, 'r> {
    context: Context<'a, 'r>,
    name: &'a str,
    types: &'a [RecordType],
}

impl Part<'_, '_> {
    fn path(&self, field: Option<&'static str>) -> Path {
        Path::Endpoint(self.name.to_owned(), field)
    }

    /// The one field that holds the values.
    fn source<'e>(
        &self,
        endpoint: &'e Endpoint,
        findings: &mut Vec<Diagnostic>,
    ) -> Option<Source<'e>> {
        match Source::all(endpoint).as_slice() {
            [source] => self.fitting(*source, findings),
            [] => {
                let needed = self.types.first().copied().map_or("a value", needs);
                let message = format!("an endpoint needs {needed}");
                report(findings, Code::MissingField, self.path(None), message);
                None
            }
            several => {
                let fields: Vec<&str> = several.iter().map(|source| source.field()).collect();
                let message = format!("{} exclude each other; keep one", fields.join(" and "));
                report(findings, Code::FieldConflict, self.path(None), message);
                None
            }
        }
    }

    fn fitting<'e>(
        &self,
        source: Source<'e>,
        findings: &mut Vec<Diagnostic>,
    ) -> Option<Source<'e>> {
        let Some(&unfit) = self.types.iter().find(|kind| !source.fits(**kind)) else {
            return Some(source);
        };
        let field = source.field();
        let message = format!(
            "a policy of type {unfit} has no endpoint with {field}; write {}",
            needs(unfit)
        );
        report(findings, Code::RecordType, self.path(Some(field)), message);
        None
    }

    /// What is resolved at query time, or follows an object, has a status of
    /// its own. The target of a CNAME is an answer like any other.
    fn kind(&self, source: Source<'_>) -> EndpointKind {
        match source {
            Source::Addresses(_) | Source::Values(_) => EndpointKind::Value,
            Source::Hostname(_) if self.types.contains(&RecordType::CNAME) => EndpointKind::Value,
            Source::Hostname(_) | Source::Object(_) | Source::PolicyRecord(_) => {
                EndpointKind::Alias
            }
        }
    }

    fn values(&self, source: Source<'_>, findings: &mut Vec<Diagnostic>) -> Vec<Value> {
        match source {
            Source::Addresses(texts) => self.addresses(texts, findings),
            Source::Hostname(text) => self.hostname(text, findings).into_iter().collect(),
            Source::Values(texts) => self.rdata(texts, findings),
            Source::Object(object) => self.object(object, findings),
            Source::PolicyRecord(name) => self.policy_record(name, findings).into_iter().collect(),
        }
    }

    fn addresses(&self, texts: &[String], findings: &mut Vec<Diagnostic>) -> Vec<Value> {
        let path = || self.path(Some("addresses"));
        self.at_least_one(texts, "addresses", findings);
        let mut values = Vec::with_capacity(texts.len());
        for text in texts {
            if let Ok(address) = text.parse::<IpAddr>() {
                values.push(ip(address));
            } else {
                let message = format!("`{text}` is not an IPv4 or IPv6 address");
                report(findings, Code::InvalidValue, path(), message);
            }
        }
        self.unique(&values, "addresses", findings);
        self.families(&values, findings);
        values
    }

    /// Addresses of a family that the policy does not serve. One beside fitting
    /// ones may be there for a type that was taken out; alone it is a mistake.
    fn families(&self, values: &[Value], findings: &mut Vec<Diagnostic>) {
        let serves = |value: &&Value| self.types.iter().any(|kind| value.serves(kind.number()));
        let some_fit = values.iter().any(|value| serves(&value));
        if self.types.is_empty() {
            return;
        }
        for value in values.iter().filter(|value| !serves(value)) {
            let types: Vec<&str> = self.types.iter().map(|kind| kind.as_str()).collect();
            let message = format!("{value} is no answer for type {}", types.join(" or "));
            let code = if some_fit {
                Code::Ignored
            } else {
                Code::RecordType
            };
            report(findings, code, self.path(Some("addresses")), message);
        }
    }

    fn hostname(&self, text: &str, findings: &mut Vec<Diagnostic>) -> Option<Value> {
        match host_name(text) {
            Ok(_) => Some(Value::Hostname(text.to_owned())),
            Err(message) => {
                let path = self.path(Some("hostname"));
                report(findings, Code::InvalidValue, path, message);
                None
            }
        }
    }

    fn rdata(&self, texts: &[String], findings: &mut Vec<Diagnostic>) -> Vec<Value> {
        self.at_least_one(texts, "values", findings);
        let Some(record_type) = self.types.first() else {
            return Vec::new();
        };
        let mut values = Vec::with_capacity(texts.len());
        for text in texts {
            match rdata::parse_rdata(record_type.number(), text) {
                Ok(wire) => values.push(Value::Rdata {
                    text: text.clone(),
                    wire: wire.into(),
                }),
                Err(error) => {
                    let message = format!("`{text}` is not {record_type} data: {error}");
                    report(
                        findings,
                        Code::InvalidValue,
                        self.path(Some("values")),
                        message,
                    );
                }
            }
        }
        self.unique(&values, "values", findings);
        values
    }

    fn object(&self, object: &ObjectReference, findings: &mut Vec<Diagnostic>) -> Vec<Value> {
        let what = format!("{:?} {}", object.kind, object.name);
        let message = match self.context.references.objects {
            None => format!(
                "objectRef needs a cluster, where the addresses of {what} are known; outside \
                 of one write addresses or hostname"
            ),
            Some(objects) => match objects(object) {
                Ok(addresses) => return addresses.into_iter().map(object_value).collect(),
                Err(NoAddresses::None) => format!("{what} has no addresses"),
                Err(NoAddresses::NotFound) => format!("there is no {what}"),
                Err(NoAddresses::NotPermitted) => {
                    format!("{what} is in another namespace, which does not share it")
                }
            },
        };
        let path = self.path(Some("objectRef"));
        report(findings, Code::UnknownReference, path, message);
        Vec::new()
    }

    fn policy_record(&self, name: &str, findings: &mut Vec<Diagnostic>) -> Option<Value> {
        let host = (self.context.references.policy_records)(name);
        if host.is_none() {
            let path = self.path(Some("policyRecordRef"));
            let message = format!("there is no PolicyRecord `{name}`");
            report(findings, Code::UnknownReference, path, message);
        }
        host.map(Value::Hostname)
    }

    fn at_least_one(&self, texts: &[String], field: &'static str, findings: &mut Vec<Diagnostic>) {
        if texts.is_empty() {
            let message = format!("{field} needs at least one member");
            report(
                findings,
                Code::MissingField,
                self.path(Some(field)),
                message,
            );
        }
    }

    fn unique(&self, values: &[Value], field: &'static str, findings: &mut Vec<Diagnostic>) {
        let mut seen = BTreeSet::new();
        for value in values.iter().filter(|value| !seen.insert(key(value))) {
            let message = format!("{value} is listed twice");
            report(findings, Code::Duplicate, self.path(Some(field)), message);
        }
    }
}

/// What makes two values the same answer: the wire form where there is one.
fn key(value: &Value) -> Value {
    match value {
        Value::Rdata { wire, .. } => Value::Rdata {
            text: String::new(),
            wire: wire.clone(),
        },
        other => other.clone(),
    }
}

fn ip(address: IpAddr) -> Value {
    match address {
        IpAddr::V4(address) => Value::Ipv4(address),
        IpAddr::V6(address) => Value::Ipv6(address),
    }
}

fn object_value(address: ObjectAddress) -> Value {
    match address {
        ObjectAddress::Ip(address) => ip(address),
        ObjectAddress::Hostname(name) => Value::Hostname(name),
    }
}
