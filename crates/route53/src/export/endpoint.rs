//! Endpoints: one value each, or an alias whose type its host name tells.

use serde_json::{Value, json};
use watershed_crd::document::{Endpoint, RecordType};
use watershed_policy::Path;

use super::Export;
use crate::escapes;
use crate::hosts::{AliasType, s3_website};

impl Export<'_> {
    pub(super) fn endpoint(&mut self, name: &str, endpoint: &Endpoint) -> Option<Value> {
        let path = |field| Path::Endpoint(name.to_owned(), Some(field));
        if endpoint.drain == Some(true) {
            self.refuse(
                path("drain"),
                "Route 53 has no drain: remove the branches that lead here, or fail its health check",
            );
        }
        for (field, present) in [
            ("objectRef", endpoint.object_ref.is_some()),
            ("policyRecordRef", endpoint.policy_record_ref.is_some()),
        ] {
            if present {
                let message =
                    "Route 53 cannot follow a Kubernetes object: write its address or host name";
                self.refuse(path(field), message);
            }
        }
        let record_type = self.record_type?;
        let hostname = endpoint.hostname.as_deref();
        match (record_type, hostname) {
            (RecordType::A | RecordType::AAAA, Some(host)) => self.alias(name, host),
            (RecordType::A | RecordType::AAAA, None) => {
                self.single_value(name, "addresses", endpoint.addresses.as_deref()?)
            }
            (RecordType::CNAME, Some(host)) => Some(value(&escapes::to_octal(host))),
            _ => self.single_value(name, "values", endpoint.values.as_deref()?),
        }
    }

    fn single_value(&mut self, name: &str, field: &'static str, all: &[String]) -> Option<Value> {
        if let [text] = all {
            return Some(value(&escapes::to_octal(text)));
        }
        let path = Path::Endpoint(name.to_owned(), Some(field));
        let count = all.len();
        self.refuse(
            path,
            format!("A Route 53 endpoint has one value of the record type, this one has {count}"),
        );
        None
    }

    fn alias(&mut self, name: &str, host: &str) -> Option<Value> {
        let Some(alias) = AliasType::of_host(host) else {
            let path = Path::Endpoint(name.to_owned(), Some("hostname"));
            self.refuse(
                path,
                format!(
                    "Route 53 aliases lead to AWS resources only, and {host} is not the name of one"
                ),
            );
            return None;
        };
        let mut value = json!({"Type": alias.as_str()});
        if alias == AliasType::S3Website {
            value["Region"] = json!(s3_website(host));
        }
        value["Value"] = json!(host);
        Some(value)
    }

    /// The type of alias that an endpoint is, if it is one.
    pub(super) fn alias_of(&self, endpoint: &Endpoint) -> Option<AliasType> {
        matches!(self.record_type, Some(RecordType::A | RecordType::AAAA))
            .then_some(endpoint.hostname.as_deref())
            .flatten()
            .and_then(AliasType::of_host)
    }
}

fn value(text: &str) -> Value {
    json!({"Type": "value", "Value": text})
}
