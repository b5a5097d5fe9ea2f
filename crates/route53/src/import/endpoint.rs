//! Endpoints: plain values and aliases of AWS resources.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;
use watershed_crd::document::{Endpoint, RecordType};
use watershed_geo::RegionKind;
use watershed_policy::Code;

use super::Walk;
use crate::escapes;
use crate::format::ENDPOINT_MEMBERS;
use crate::hosts::{AliasType, is_bucket, s3_website, website_of_bucket};
use crate::members::{Members, wrong_kind};
use crate::place::Place;
use crate::regions::aws_region;

/// Most characters of a value (API Reference, `RData`).
const MAX_VALUE_CHARS: usize = 4000;

/// What the members of an endpoint say, each well formed by itself.
#[derive(Clone, Copy)]
enum Kind {
    Value,
    Alias(AliasType),
}

impl Walk {
    /// An endpoint. What is wrong with it is left out, so that references to
    /// it still resolve.
    pub(super) fn endpoint(&mut self, id: &str, value: &Value) -> Endpoint {
        let place = Place::endpoint(id);
        let members = Members::read(value, place, &[ENDPOINT_MEMBERS], &mut self.faults);
        let Some(members) = members else {
            return Endpoint::default();
        };
        let kind = self.endpoint_kind(&members);
        if let Some(Kind::Alias(alias)) = kind {
            self.aliases.insert(id.to_owned(), alias);
        }
        let region = self.endpoint_region(&members, kind);
        if members.required("Value", &mut self.faults).is_none() {
            return Endpoint::default();
        }
        let text = members.text("Value", &mut self.faults);
        let place = members.place.member("Value");
        match (kind, text) {
            (Some(Kind::Value), Some(text)) => self.value(&place, text),
            (Some(Kind::Alias(AliasType::S3Website)), Some(text)) => {
                self.website(&place, text, region)
            }
            (Some(Kind::Alias(alias)), Some(text)) => self.alias(&place, alias, text),
            _ => Endpoint::default(),
        }
    }

    fn endpoint_kind(&mut self, members: &Members<'_>) -> Option<Kind> {
        let value = members.required("Type", &mut self.faults)?;
        let place = members.place.member("Type");
        let text = value.as_str().unwrap_or_default();
        let kind = match text {
            "value" => Some(Kind::Value),
            other => AliasType::from_text(other).map(Kind::Alias),
        };
        match kind {
            None => {
                let aliases = AliasType::ALL.map(AliasType::as_str).join(", ");
                let all = format!("one of value, {aliases}");
                self.faults.push(wrong_kind(&place, &all, value));
            }
            Some(Kind::Alias(alias)) => self.alias_record_type(&place, alias),
            Some(Kind::Value) => {}
        }
        kind
    }

    fn alias_record_type(&mut self, place: &Place, alias: AliasType) {
        let (fits, needed) = match alias {
            AliasType::S3Website => (&[RecordType::A][..], "A"),
            _ => (&[RecordType::A, RecordType::AAAA][..], "A or AAAA"),
        };
        let name = alias.as_str();
        if let Some(actual) = self.record_type.filter(|t| !fits.contains(t)) {
            let actual = actual.as_str();
            self.fault(
                place,
                Code::RecordType,
                format!("Type {name} needs RecordType {needed}, not {actual}"),
            );
        }
    }

    /// The region of the bucket, which only a website has and needs.
    fn endpoint_region<'v>(
        &mut self,
        members: &Members<'v>,
        kind: Option<Kind>,
    ) -> Option<&'v str> {
        let place = members.place.member("Region");
        match kind? {
            Kind::Alias(AliasType::S3Website) => {
                members.required("Region", &mut self.faults)?;
                let code = members.text("Region", &mut self.faults)?;
                if aws_region(code).is_some_and(|region| region.kind == RegionKind::Region) {
                    return Some(code);
                }
                let message = format!("Region {code:?} is not an AWS Region such as us-east-1");
                self.fault(&place, Code::InvalidValue, message);
            }
            _ if members.has("Region") => self.fault(
                &place,
                Code::MisplacedField,
                "Region belongs to endpoints of type s3-website only: remove it",
            ),
            _ => {}
        }
        None
    }

    fn value(&mut self, place: &Place, text: &str) -> Endpoint {
        let Some(record_type) = self.record_type else {
            return Endpoint::default();
        };
        match check_value(record_type, text).and_then(|()| escapes::to_decimal(text)) {
            Ok(text) => value_endpoint(record_type, &text),
            Err(message) => {
                self.fault(place, Code::InvalidValue, message);
                Endpoint::default()
            }
        }
    }

    fn alias(&mut self, place: &Place, alias: AliasType, host: &str) -> Endpoint {
        if !alias.accepts(host) {
            self.fault(place, Code::InvalidValue, alias.refusal());
            return Endpoint::default();
        }
        alias_endpoint(host)
    }

    /// A website, given by its endpoint's host name or by the bucket's name.
    fn website(&mut self, place: &Place, text: &str, region: Option<&str>) -> Endpoint {
        match (s3_website(text), region) {
            (Some(actual), Some(region)) if actual != region => {
                let message = format!("Value is in {actual}, but Region is {region}");
                self.fault(place, Code::FieldConflict, message);
                Endpoint::default()
            }
            (Some(_), _) => self.alias(place, AliasType::S3Website, text),
            (None, Some(region)) if is_bucket(text) => {
                alias_endpoint(&website_of_bucket(text, region))
            }
            // The fault of the region was reported; the value has none.
            (None, None) if is_bucket(text) => Endpoint::default(),
            (None, _) => {
                self.fault(place, Code::InvalidValue, AliasType::S3Website.refusal());
                Endpoint::default()
            }
        }
    }
}

/// An endpoint with a plain value. Addresses and the target of a CNAME have
/// fields of their own.
fn value_endpoint(record_type: RecordType, text: &str) -> Endpoint {
    let mut endpoint = Endpoint::default();
    match record_type {
        RecordType::A | RecordType::AAAA => endpoint.addresses = Some(vec![text.to_owned()]),
        RecordType::CNAME => endpoint.hostname = Some(text.to_owned()),
        _ => endpoint.values = Some(vec![text.to_owned()]),
    }
    endpoint
}

fn alias_endpoint(host: &str) -> Endpoint {
    Endpoint {
        hostname: Some(host.to_owned()),
        ..Endpoint::default()
    }
}

/// Whether a value is record data of the type.
fn check_value(record_type: RecordType, text: &str) -> Result<(), String> {
    if text.chars().count() > MAX_VALUE_CHARS {
        return Err(format!("Value has more than {MAX_VALUE_CHARS} characters"));
    }
    match record_type {
        RecordType::A => text
            .parse::<Ipv4Addr>()
            .map(drop)
            .map_err(|_| format!("Value {text:?} is not a valid IPv4 address")),
        RecordType::AAAA => text
            .parse::<Ipv6Addr>()
            .map(drop)
            .map_err(|_| format!("Value {text:?} is not a valid IPv6 address")),
        // Data of other types is read when the policy is compiled.
        _ => Ok(()),
    }
}
