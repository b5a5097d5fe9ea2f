//! One write, carried out.

use std::time::Duration;

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::{Client, Error, ResourceExt};

use crate::leader::Guard;
use crate::object::{FIELD_MANAGER, ObjectId};
use crate::plan::{Configuration, Deletion, StatusWrite, Write};

/// Longest time that a write may take.
const LONGEST: Duration = Duration::from_secs(10);

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, and the object has this version now; 0 when it is not
    /// known.
    Done(u64),
    /// The object is gone, or is another one.
    Gone,
    /// The API server will not have it; why.
    Refused(String),
    /// It may have happened or not; why that is not known.
    Failed(String),
    /// This replica may not write any more.
    Withheld,
}

impl Outcome {
    /// In a word, for metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Gone => "gone",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
            Self::Withheld => "withheld",
        }
    }
}

/// Writes to the API, as long as this replica leads.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    guard: Guard,
}

impl Writer {
    /// A writer that asks `guard` before everything that it sends.
    pub fn new(client: Client, guard: Guard) -> Self {
        Self { client, guard }
    }

    /// Carries out a write. A request does not outlive the lease: what the
    /// server has not answered by then is given up.
    pub async fn write(&self, write: &Write) -> Outcome {
        let limit = self.guard.remaining().min(LONGEST);
        if !self.guard.holds() || limit.is_zero() {
            return Outcome::Withheld;
        }
        let request = async {
            match write {
                Write::Status(write) => self.status(write).await,
                Write::Configuration(write) => self.configure(write).await,
                Write::Deletion(write) => self.delete(write).await,
            }
        };
        match tokio::time::timeout(limit, request).await {
            Ok(Ok(version)) => Outcome::Done(version),
            Ok(Err(error)) => of_error(&error, is_creation(write)),
            Err(_) => Outcome::Failed(format!("no answer within {limit:?}")),
        }
    }

    async fn status(&self, write: &StatusWrite) -> kube::Result<u64> {
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let body = Patch::Apply(write.body());
        let api = self.api(&write.id);
        let object = api
            .patch_status(&write.id.key.name, &parameters, &body)
            .await?;
        Ok(version(&object))
    }

    /// Without force: what somebody else wrote stays as it is.
    async fn configure(&self, write: &Configuration) -> kube::Result<u64> {
        let parameters = PatchParams::apply(FIELD_MANAGER);
        let body = Patch::Apply(write.body());
        let object = self
            .api(&write.id)
            .patch(&write.id.key.name, &parameters, &body)
            .await?;
        Ok(version(&object))
    }

    async fn delete(&self, write: &Deletion) -> kube::Result<u64> {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(write.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        self.api(&write.id)
            .delete(&write.id.key.name, &parameters)
            .await?;
        Ok(0)
    }

    fn api(&self, id: &ObjectId) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &id.key.namespace, &id.kind.resource())
    }
}

fn is_creation(write: &Write) -> bool {
    matches!(write, Write::Configuration(write) if write.uid.is_none())
}

fn of_error(error: &Error, is_creation: bool) -> Outcome {
    let Error::Api(status) = error else {
        return Outcome::Failed(error.to_string());
    };
    let message = status.message.clone();
    match status.code {
        // A conflict of an object that exists: it has another uid.
        404 | 409 if !is_creation => Outcome::Gone,
        429 | 500.. => Outcome::Failed(message),
        _ => Outcome::Refused(message),
    }
}

fn version(object: &DynamicObject) -> u64 {
    let version = object.resource_version();
    version
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn outcome(code: u16, is_creation: bool) -> &'static str {
        let status = Status::failure("said", "Reason").with_code(code);
        of_error(&Error::Api(status.boxed()), is_creation).as_str()
    }

    #[test]
    fn answers_are_told_apart_by_what_to_do_next() {
        assert_eq!(outcome(404, false), "gone");
        assert_eq!(
            outcome(404, true),
            "refused",
            "the namespace or the definition is missing"
        );
        assert_eq!(outcome(409, false), "gone");
        assert_eq!(outcome(409, true), "refused", "somebody else has made it");
        for code in [400, 403, 422] {
            assert_eq!(outcome(code, false), "refused");
        }
        for code in [429, 500, 503, 504] {
            assert_eq!(outcome(code, false), "failed");
        }
    }
}
