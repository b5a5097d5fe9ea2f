//! The record in a `ConfigMap`: one entry for each fleet.

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use watershed_snapshot::{Digest, Held, SnapshotId, Term};

use super::{ClaimError, GenerationStore, Record, StoreError};
use crate::config_map;
use crate::explain::explain;
use crate::fleet::FleetName;

/// Name of the `ConfigMap`, in the operator's own namespace.
pub const RECORD_NAME: &str = "watershed-generation";

/// How often a claim is tried again when another fleet's entry of the same
/// object was written meanwhile. Each round, somebody's write succeeds.
const ROUNDS: usize = 8;

/// Records in one `ConfigMap`, swapped by its `resourceVersion`.
#[derive(Clone)]
pub struct ConfigMapStore {
    api: Api<ConfigMap>,
    namespace: String,
}

/// An entry as it is written: JSON, for people read it too.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    epoch: u64,
    generation: u64,
    digest: String,
    term: u64,
}

impl ConfigMapStore {
    /// Records in `namespace`.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
        }
    }

    fn place(&self, fleet: &FleetName) -> String {
        format!(
            "the entry {fleet} of ConfigMap {}/{RECORD_NAME}",
            self.namespace
        )
    }

    fn unavailable(&self, fleet: &FleetName, error: &kube::Error) -> StoreError {
        StoreError::Unavailable {
            place: self.place(fleet),
            message: explain(error),
        }
    }

    /// The object as it is, and the record of `fleet` in it.
    async fn load(
        &self,
        fleet: &FleetName,
    ) -> Result<(Option<ConfigMap>, Option<Record>), StoreError> {
        let object = self
            .api
            .get_opt(RECORD_NAME)
            .await
            .map_err(|error| self.unavailable(fleet, &error))?;
        let text = object
            .as_ref()
            .and_then(|object| object.data.as_ref()?.get(fleet.as_str()));
        let record = text
            .map(|text| decode(text))
            .transpose()
            .map_err(|message| StoreError::Unreadable {
                place: self.place(fleet),
                message,
            })?;
        Ok((object, record))
    }

    /// Writes `object`, if nobody wrote it since it was read. `false`: somebody
    /// did.
    async fn store(&self, fleet: &FleetName, object: &ConfigMap) -> Result<bool, StoreError> {
        let written = config_map::write(&self.api, RECORD_NAME, object).await;
        match written {
            Ok(_) => Ok(true),
            // 409 is both "exists already" and "has changed"; 404 is "was
            // deleted".
            Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => Ok(false),
            Err(error) => Err(self.unavailable(fleet, &error)),
        }
    }

    async fn swap(
        &self,
        fleet: &FleetName,
        expected: Option<&Record>,
        next: &Record,
    ) -> Result<(), ClaimError> {
        for _ in 0..ROUNDS {
            let (object, found) = self.load(fleet).await?;
            if found.as_ref() != expected {
                return Err(ClaimError::Lost(found));
            }
            let object = with_entry(object, fleet, next);
            if self.store(fleet, &object).await? {
                return Ok(());
            }
        }
        Err(StoreError::Unavailable {
            place: self.place(fleet),
            message: format!("others wrote it {ROUNDS} times while this was tried"),
        }
        .into())
    }
}

impl GenerationStore for ConfigMapStore {
    fn read<'a>(
        &'a self,
        fleet: &'a FleetName,
    ) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        async move { Ok(self.load(fleet).await?.1) }.boxed()
    }

    fn claim<'a>(
        &'a self,
        fleet: &'a FleetName,
        expected: Option<&'a Record>,
        next: &'a Record,
    ) -> BoxFuture<'a, Result<(), ClaimError>> {
        self.swap(fleet, expected, next).boxed()
    }
}

/// `object`, or a new one, with `record` for `fleet`. All else stays, the
/// `resourceVersion` too, which makes the write a swap.
fn with_entry(object: Option<ConfigMap>, fleet: &FleetName, record: &Record) -> ConfigMap {
    let entry = (fleet.as_str(), encode(record));
    config_map::with_entry(object, RECORD_NAME, entry).0
}

fn encode(record: &Record) -> String {
    let entry = Entry {
        epoch: record.held.id.epoch,
        generation: record.held.id.generation,
        digest: record.held.digest.to_string(),
        term: record.term.0,
    };
    // A struct of numbers and a string always has a JSON form.
    serde_json::to_string(&entry).unwrap_or_default()
}

fn decode(text: &str) -> Result<Record, String> {
    let entry: Entry = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let digest = unhex(&entry.digest)
        .and_then(|octets| Digest::from_bytes(&octets))
        .ok_or_else(|| format!("the digest `{}` is not SHA-256 in hex", entry.digest))?;
    Ok(Record {
        held: Held {
            id: SnapshotId {
                epoch: entry.epoch,
                generation: entry.generation,
            },
            digest,
        },
        term: Term(entry.term),
    })
}

/// The octets of lower case hexadecimal digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.bytes().map(|digit| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    });
    let digits: Vec<u8> = digits.collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    let whole = pairs.remainder().is_empty();
    whole.then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            held: Held {
                id: SnapshotId {
                    epoch: 14,
                    generation: 20_391,
                },
                digest: Digest::of(b"content"),
            },
            term: Term(3),
        }
    }

    #[test]
    fn an_entry_reads_back() {
        assert_eq!(decode(&encode(&record())), Ok(record()));
    }

    #[test]
    fn what_is_no_record_is_an_error_and_not_an_absence() {
        for text in [
            "",
            "{}",
            "null",
            r#"{"epoch":1,"generation":2,"digest":"xyz","term":1}"#,
            r#"{"epoch":-1,"generation":2,"digest":"","term":1}"#,
        ] {
            assert!(decode(text).is_err(), "{text:?} was read as a record");
        }
    }

    #[test]
    fn a_write_keeps_what_else_is_in_the_object() {
        let fleet = FleetName::new("default");
        let other = FleetName::new("edge");
        let mut object = with_entry(None, &other, &record());
        object.metadata.resource_version = Some("7".to_owned());
        let object = with_entry(Some(object), &fleet, &record());
        let data = object
            .data
            .as_ref()
            .map_or(0, std::collections::BTreeMap::len);
        assert_eq!(data, 2);
        assert_eq!(object.metadata.resource_version.as_deref(), Some("7"));
    }
}
