//! Where the Lease is: the API server.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1 as k8s;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::lease::{ADDRESS, Found, Lease};
use crate::explain::explain;
use crate::object::FIELD_MANAGER;

/// Why a request was without success.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Somebody else wrote the Lease, made it, or deleted it.
    #[error("the lease was written meanwhile")]
    Conflict,
    /// It did not answer, or refused. It may have done what was asked.
    #[error("{0}")]
    Unknown(String),
}

/// Where one Lease is.
pub trait LeaseStore: Send + Sync {
    /// The Lease, if there is one.
    fn read(&self) -> BoxFuture<'_, Result<Option<Found>, Failure>>;

    /// Writes the Lease in the place of the one with `version`; `None`: where
    /// there is none. Gives its new version.
    fn write<'a>(
        &'a self,
        lease: &'a Lease,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String, Failure>>;
}

/// A Lease of the API server.
#[derive(Clone)]
pub struct KubeLease {
    api: Api<k8s::Lease>,
    name: String,
}

impl KubeLease {
    /// The Lease `name` in `namespace`.
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
        }
    }

    async fn get(&self) -> Result<Option<Found>, Failure> {
        let object = self.api.get_opt(&self.name).await.map_err(failure)?;
        Ok(object.map(found))
    }

    /// A patch that names the `resourceVersion` is a swap: the server refuses
    /// it when the object has another. Unlike an update it leaves alone what
    /// else is in the object.
    async fn put(&self, lease: &Lease, version: Option<&str>) -> Result<String, Failure> {
        let body = body(&self.name, lease, version);
        let written = if version.is_some() {
            let params = PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let patch = Patch::Merge(&body);
            self.api.patch(&self.name, &params, &patch).await
        } else {
            let params = PostParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PostParams::default()
            };
            match serde_json::from_value(body) {
                Ok(object) => self.api.create(&params, &object).await,
                Err(error) => return Err(Failure::Unknown(error.to_string())),
            }
        };
        let version = written.map_err(failure)?.metadata.resource_version;
        Ok(version.unwrap_or_default())
    }
}

impl LeaseStore for KubeLease {
    fn read(&self) -> BoxFuture<'_, Result<Option<Found>, Failure>> {
        self.get().boxed()
    }

    fn write<'a>(
        &'a self,
        lease: &'a Lease,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String, Failure>> {
        self.put(lease, version).boxed()
    }
}

fn failure(error: kube::Error) -> Failure {
    match error {
        // 409 is both "exists already" and "has changed"; 404 is "was deleted".
        kube::Error::Api(status) if status.code == 409 => Failure::Conflict,
        kube::Error::Api(status) if status.code == 404 && status.reason == "NotFound" => {
            missing(&status.message)
        }
        error => Failure::Unknown(explain(&error)),
    }
}

/// A Lease cannot be made in a namespace that is not there, which is worth
/// saying.
fn missing(message: &str) -> Failure {
    if message.contains("namespaces") {
        Failure::Unknown(message.to_owned())
    } else {
        Failure::Conflict
    }
}

fn found(object: k8s::Lease) -> Found {
    let spec = object.spec.unwrap_or_default();
    let annotations = object.metadata.annotations.unwrap_or_default();
    let unsigned = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok());
    let seconds = unsigned(spec.lease_duration_seconds).unwrap_or(0);
    Found {
        lease: Lease {
            holder: spec.holder_identity.unwrap_or_default(),
            address: annotations.get(ADDRESS).cloned(),
            duration: Duration::from_secs(seconds.into()),
            transitions: unsigned(spec.lease_transitions).unwrap_or(0),
            acquired: spec.acquire_time.map(|MicroTime(time)| time),
            renewed: spec.renew_time.map(|MicroTime(time)| time),
        },
        version: object.metadata.resource_version.unwrap_or_default(),
    }
}

/// The object as it is sent: the same for a new one and for a patch.
fn body(name: &str, lease: &Lease, version: Option<&str>) -> Value {
    let mut body = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            "labels": { "app.kubernetes.io/managed-by": "watershed" },
        },
        "spec": {
            "holderIdentity": lease.holder,
            "leaseDurationSeconds": lease.duration.as_secs(),
            "leaseTransitions": lease.transitions,
            "acquireTime": micro(lease.acquired),
            "renewTime": micro(lease.renewed),
        },
    });
    let metadata = &mut body["metadata"];
    if lease.address.is_some() || version.is_some() {
        // In a patch `null` takes the annotation away.
        metadata["annotations"] = json!({ ADDRESS: lease.address });
    }
    if let Some(version) = version {
        metadata["resourceVersion"] = json!(version);
    }
    body
}

fn micro(time: Option<Timestamp>) -> Option<MicroTime> {
    time.map(MicroTime)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease() -> Lease {
        let time = "2026-11-21T10:05:00.123456Z".parse().expect("a time");
        Lease {
            holder: "watershed-operator-1".to_owned(),
            address: Some("192.0.2.1:8443".to_owned()),
            duration: Duration::from_secs(15),
            transitions: 3,
            acquired: Some(time),
            renewed: Some(time),
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut object = body("watershed-operator", &lease(), None);
        assert_eq!(object["spec"]["renewTime"], "2026-11-21T10:05:00.123456Z");
        object["metadata"]["resourceVersion"] = json!("7");
        let object: k8s::Lease = serde_json::from_value(object).expect("a Lease");
        let expected = Found {
            lease: lease(),
            version: "7".to_owned(),
        };
        assert_eq!(found(object), expected);
    }

    #[test]
    fn a_patch_is_a_swap_and_takes_the_address_of_nobody_away() {
        let released = Lease {
            holder: String::new(),
            address: None,
            ..lease()
        };
        let patch = body("watershed-operator", &released, Some("7"));
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(patch["metadata"]["annotations"], json!({ ADDRESS: null }));
        assert_eq!(patch["spec"]["holderIdentity"], "");
    }

    #[test]
    fn a_lease_that_says_nothing_is_nobodys() {
        let found = found(k8s::Lease::default());
        assert_eq!(found.lease.claim(), None);
        assert_eq!(found.lease.duration, Duration::ZERO);
    }
}
