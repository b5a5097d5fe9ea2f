//! Which versions to make of working documents, and which to remove.

use std::collections::BTreeSet;

use watershed_crd::traffic_policy::TrafficPolicySpec;
use watershed_crd::traffic_policy_version::{Origin, TrafficPolicyVersionSpec};
use watershed_policy::{Code, Diagnostic};

use crate::digest::{Digest, digest};
use crate::object::ObjectKey;
use crate::resources::{Object, Resources};
use crate::version::check_document;

/// The largest number of a version, as the custom resource has it.
pub const MAX_VERSION: u32 = 1_000_000;

/// What is to be done about a policy's document.
#[derive(Clone, Debug, PartialEq)]
pub enum Mint {
    /// There is no document: the versions are authored.
    NoDocument,
    /// The version of this number holds the document.
    Holds(u32),
    /// This version is to be made.
    Make(Box<NewVersion>),
    /// The document becomes no version.
    Refused(Refusal),
}

/// A version to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewVersion {
    /// Namespace and name of the version.
    pub key: ObjectKey,
    /// Its content.
    pub spec: TrafficPolicyVersionSpec,
    /// Digest of its document.
    pub digest: Digest,
}

/// Why a document becomes no version.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// It has faults.
    Invalid(Vec<Diagnostic>),
    /// It refers to what is not there (yet).
    Unresolved(Vec<Diagnostic>),
    /// The declared number has another document.
    VersionConflict {
        /// The declared number.
        number: u32,
        /// Digest of the version.
        existing: Digest,
    },
    /// The declared number, or a higher one, was given before.
    NumberTooLow {
        /// The declared number.
        number: i32,
        /// The highest number ever given.
        highest: u32,
    },
    /// All numbers are given.
    NumbersExhausted,
}

impl Refusal {
    /// The field at fault, and a sentence about it.
    pub fn explain(&self) -> (&'static str, String) {
        match self {
            Self::Invalid(findings) | Self::Unresolved(findings) => {
                let first = findings.first().map(ToString::to_string);
                ("spec.document", first.unwrap_or_default())
            }
            Self::VersionConflict { number, existing } => (
                "spec.version",
                format!(
                    "version {number} has been made with another document ({existing}) and may \
                     not change: set spec.version to a new number"
                ),
            ),
            Self::NumberTooLow { number, highest } => (
                "spec.version",
                format!(
                    "{number} cannot be given: numbers up to {highest} were given before and are \
                     not used again; set spec.version to {} or more",
                    highest.saturating_add(1)
                ),
            ),
            Self::NumbersExhausted => (
                "spec.version",
                format!("numbers end at {MAX_VERSION}; begin a new policy"),
            ),
        }
    }
}

/// What is to be done about every policy, by policy.
pub fn plan(resources: &Resources) -> Vec<(ObjectKey, Mint)> {
    (resources.traffic_policies.iter())
        .map(|(key, policy)| (key.clone(), plan_one(resources, policy)))
        .collect()
}

/// What is to be done about one policy.
///
/// A declared number (`spec.version`) is the author's: it exists with this
/// very document, or is new and higher than any before, or is refused. Going
/// back to an earlier number with its document is no change. Without a
/// declared number, a document that any version holds makes nothing; another
/// gets the next number. Invalid documents, and those whose references do not
/// resolve, are never made versions of.
pub fn plan_one(resources: &Resources, policy: &Object<TrafficPolicySpec>) -> Mint {
    let Some(document) = &policy.spec.document else {
        return Mint::NoDocument;
    };
    let digest = digest(document);
    let number = match number(resources, policy, digest) {
        Ok(Number::Held(number)) => return Mint::Holds(number),
        Ok(Number::New(number)) => number,
        Err(refusal) => return Mint::Refused(refusal),
    };
    if let Some(refusal) = refusal(resources, policy) {
        return Mint::Refused(refusal);
    }
    Mint::Make(Box::new(NewVersion {
        key: crate::resources::version_key(&policy.key, number),
        spec: TrafficPolicyVersionSpec {
            policy_name: policy.key.name.clone(),
            version: i32::try_from(number).unwrap_or(i32::MAX),
            description: policy.spec.description.clone(),
            document: document.clone(),
        },
        digest,
    }))
}

enum Number {
    Held(u32),
    New(u32),
}

fn number(
    resources: &Resources,
    policy: &Object<TrafficPolicySpec>,
    digest: Digest,
) -> Result<Number, Refusal> {
    let highest = resources.highest_number(&policy.key);
    let Some(declared) = policy.spec.version else {
        let holders = resources.versions_of(&policy.key);
        let holders = holders.filter(|(_, version)| version.spec.digest == digest);
        return match holders.map(|(number, _)| number).max() {
            Some(number) => Ok(Number::Held(number)),
            None if highest >= MAX_VERSION => Err(Refusal::NumbersExhausted),
            None => Ok(Number::New(highest + 1)),
        };
    };
    let number = u32::try_from(declared).unwrap_or(0);
    match resources.version(&policy.key, number) {
        Some(version) if version.spec.digest == digest => Ok(Number::Held(number)),
        Some(version) => Err(Refusal::VersionConflict {
            number,
            existing: version.spec.digest,
        }),
        None if number > MAX_VERSION => Err(Refusal::NumbersExhausted),
        None if number > highest => Ok(Number::New(number)),
        None => Err(Refusal::NumberTooLow {
            number: declared,
            highest,
        }),
    }
}

/// What stands against the document itself.
fn refusal(resources: &Resources, policy: &Object<TrafficPolicySpec>) -> Option<Refusal> {
    let document = policy.spec.document.as_ref()?;
    let (_, findings) = check_document(resources, &policy.key.namespace, document);
    let (errors, _) = crate::verdict::errors(findings);
    if errors.is_empty() {
        return None;
    }
    let unresolved = errors.iter().all(|e| e.code == Code::UnknownReference);
    Some(if unresolved {
        Refusal::Unresolved(errors)
    } else {
        Refusal::Invalid(errors)
    })
}

/// The minted versions of a policy that may be removed: those beyond the
/// newest `versionHistoryLimit` of the ones that nothing uses. In use is what
/// `in_use` has (versions that records serve, ask for, or list in their
/// history), what a channel names, and what holds the working document.
pub fn prune(
    resources: &Resources,
    policy: &Object<TrafficPolicySpec>,
    in_use: &BTreeSet<u32>,
) -> Vec<u32> {
    let working = policy.spec.document.as_ref().map(digest);
    let named = |number: u32| {
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        policy.spec.channels.values().any(|named| *named == number)
    };
    let latest = resources.versions_of(&policy.key).map(|(n, _)| n).max();
    let unused = resources
        .versions_of(&policy.key)
        .filter(|(number, version)| {
            version.spec.origin == Origin::Minted
                && Some(version.spec.digest) != working
                && Some(*number) != latest
                && !in_use.contains(number)
                && !named(*number)
        });
    let mut numbers: Vec<u32> = unused.map(|(number, _)| number).collect();
    numbers.sort_unstable();
    let keep = usize::try_from(policy.spec.version_history_limit).unwrap_or(0);
    numbers.truncate(numbers.len().saturating_sub(keep));
    numbers
}
