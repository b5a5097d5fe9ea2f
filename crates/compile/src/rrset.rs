//! Static records: of a zone itself, and of `RecordSet` objects.

use watershed_crd::common::AliasTarget;
use watershed_crd::document::RecordType;
use watershed_crd::hosted_zone::StaticRecord;
use watershed_crd::record_set::RecordSetSpec;
use watershed_snapshot::record_type::{A, AAAA, CNAME};
use watershed_snapshot::{Content, OwnerName, RrSet};

use crate::alias::AliasTo;
use crate::attached::referred;
use crate::contents;
use crate::rdata::parse_rdata;
use crate::verdict::{Problem, Reason};
use crate::zone::ttl;

/// What a static record asks for.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// Data of its own.
    Data(Content),
    /// The answers of another name for this type.
    Alias(u16, AliasTo),
}

impl Wanted {
    /// The types it answers.
    pub(crate) fn types(&self) -> Vec<u16> {
        match self {
            Self::Data(content) => contents::types(content),
            Self::Alias(record_type, _) => vec![*record_type],
        }
    }
}

/// The parts that both ways to write static records have.
#[derive(Clone, Copy)]
pub(crate) struct Written<'a> {
    record_type: RecordType,
    ttl_seconds: i32,
    values: Option<&'a Vec<String>>,
    alias_to: Option<&'a AliasTarget>,
}

impl<'a> From<&'a StaticRecord> for Written<'a> {
    fn from(record: &'a StaticRecord) -> Self {
        Self {
            record_type: record.type_,
            ttl_seconds: record.ttl_seconds,
            values: record.values.as_ref(),
            alias_to: record.alias_to.as_ref(),
        }
    }
}

impl<'a> From<&'a RecordSetSpec> for Written<'a> {
    fn from(record: &'a RecordSetSpec) -> Self {
        Self {
            record_type: record.type_,
            ttl_seconds: record.ttl_seconds,
            values: record.values.as_ref(),
            alias_to: record.alias_to.as_ref(),
        }
    }
}

/// Reads a static record of a zone. `field` is where it stands in its object,
/// `namespace` that of the object.
///
/// # Errors
/// Everything wrong with it.
pub(crate) fn read(
    written: Written<'_>,
    apex: &OwnerName,
    namespace: &str,
    field: &str,
) -> Result<Wanted, Vec<Problem>> {
    let fault = |part: &str, message: String| {
        Problem::new(Reason::InvalidSpec, format!("{field}{part}"), message)
    };
    match (written.values, written.alias_to) {
        (Some(values), None) => data(written, values, &fault).map(Wanted::Data),
        (None, Some(alias)) => self::alias(written, alias, apex, namespace, &fault)
            .map(|target| Wanted::Alias(written.record_type.number(), target))
            .map_err(|problem| vec![problem]),
        _ => {
            let message = "exactly one of values and aliasTo must be set".to_owned();
            Err(vec![fault("", message)])
        }
    }
}

fn data(
    written: Written<'_>,
    values: &[String],
    fault: &dyn Fn(&str, String) -> Problem,
) -> Result<Content, Vec<Problem>> {
    let record_type = written.record_type.number();
    let mut problems = Vec::new();
    let mut rdata: Vec<Box<[u8]>> = Vec::with_capacity(values.len());
    for (index, text) in values.iter().enumerate() {
        let part = format!(".values[{index}]");
        match parse_rdata(record_type, text) {
            Ok(wire) if rdata.iter().any(|other| **other == *wire) => {
                problems.push(fault(&part, format!("`{text}` is listed twice")));
            }
            Ok(wire) => rdata.push(wire.into()),
            Err(error) => {
                let message = format!("`{text}` is not {} data: {error}", written.record_type);
                problems.push(fault(&part, message));
            }
        }
    }
    if values.is_empty() {
        problems.push(fault(".values", "needs at least one value".to_owned()));
    }
    if record_type == CNAME && values.len() > 1 {
        problems.push(fault(".values", "a CNAME has one value".to_owned()));
    }
    let ttl =
        ttl(written.ttl_seconds).map_err(|message| problems.push(fault(".ttlSeconds", message)));
    match ttl {
        Ok(ttl) if problems.is_empty() => Ok(Content::Static(RrSet {
            record_type,
            ttl,
            rdata,
        })),
        _ => Err(problems),
    }
}

fn alias(
    written: Written<'_>,
    alias: &AliasTarget,
    apex: &OwnerName,
    namespace: &str,
    fault: &dyn Fn(&str, String) -> Problem,
) -> Result<AliasTo, Problem> {
    if ![A, AAAA].contains(&written.record_type.number()) {
        let message = format!(
            "an alias stands for A or AAAA, not for {}",
            written.record_type
        );
        return Err(fault(".aliasTo", message));
    }
    match (&alias.policy_record_ref, &alias.name) {
        (Some(record), None) => Ok(AliasTo::Record(referred(record, namespace))),
        (None, Some(name)) => OwnerName::from_relative(name, apex)
            .map(AliasTo::Name)
            .map_err(|error| fault(".aliasTo.name", error.to_string())),
        _ => {
            let message = "exactly one of policyRecordRef and name must be set".to_owned();
            Err(fault(".aliasTo", message))
        }
    }
}
