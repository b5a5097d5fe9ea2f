//! Policy records: which version a name is to serve.

use std::sync::Arc;
use std::time::Duration;

use watershed_crd::policy_record::{self as crd, PolicyRecordSpec};
use watershed_policy::FailbackMode;
use watershed_snapshot::{PolicyVersion, RecordFailback, VersionBinding};

use crate::attached::referred;
use crate::contents::version_name;
use crate::grants;
use crate::object::ObjectKey;
use crate::resources::{Object, Resources, version_key};
use crate::verdict::{Problem, Reason};
use crate::versions::Versions;
use crate::zone::ttl;

/// The channel that every policy has: its highest version that can be served.
pub(crate) const LATEST: &str = "latest";

/// What a record asks for.
///
/// # Errors
/// Everything that stands against it.
pub(crate) fn binding(
    resources: &Resources,
    versions: &Versions,
    record: &Object<PolicyRecordSpec>,
) -> Result<VersionBinding, Vec<Problem>> {
    let manner = Manner::of(record);
    match (version(resources, versions, record), manner) {
        (Ok(version), Ok(manner)) => Ok(manner.bind(&version)),
        (version, manner) => {
            let faults = manner.err().unwrap_or_default();
            Err(version.err().into_iter().chain(faults).collect())
        }
    }
}

/// How a record serves a version, whichever it is.
pub(crate) struct Manner {
    /// TTL in seconds.
    ttl: u32,
    ttl_range: Option<(u32, u32)>,
    failback: Option<Arc<RecordFailback>>,
}

impl Manner {
    /// What a record says.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn of(record: &Object<PolicyRecordSpec>) -> Result<Self, Vec<Problem>> {
        let spec = &record.spec;
        let ttl = seconds(spec.ttl_seconds, "spec.ttlSeconds");
        let ttl_range = ttl_range(spec.ttl.as_ref());
        let failback = failback(spec.failback.as_ref(), &record.key);
        match (ttl, ttl_range, failback) {
            (Ok(ttl), Ok(ttl_range), Ok(failback)) => Ok(Self {
                ttl,
                ttl_range,
                failback,
            }),
            (ttl, ttl_range, failback) => {
                let ranges = ttl_range.err().into_iter().flatten();
                let faults = ttl.err().into_iter().chain(ranges);
                Err(faults.chain(failback.err()).collect())
            }
        }
    }

    /// A version served whole in this manner.
    pub(crate) fn bind(self, version: &PolicyVersion) -> VersionBinding {
        let policy = ObjectKey::new(&version.namespace, &version.policy_name);
        VersionBinding {
            version: version_name(&version_key(&policy, version.number)),
            record_types: version.policy.record_types().to_vec(),
            ttl: self.ttl,
            ttl_range: self.ttl_range,
            failback: self.failback,
        }
    }
}

fn seconds(number: i32, field: &str) -> Result<u32, Problem> {
    ttl(number).map_err(|message| Problem::new(Reason::InvalidSpec, field, message))
}

fn ttl_range(range: Option<&crd::TtlRange>) -> Result<Option<(u32, u32)>, Vec<Problem>> {
    let Some(range) = range else {
        return Ok(None);
    };
    let min = seconds(range.min_seconds, "spec.ttl.minSeconds");
    let max = seconds(range.max_seconds, "spec.ttl.maxSeconds");
    match (min, max) {
        (Ok(min), Ok(max)) if min <= max => Ok(Some((min, max))),
        (Ok(min), Ok(max)) => {
            let message = format!("minSeconds, {min}, is more than maxSeconds, {max}");
            Err(vec![Problem::new(Reason::InvalidSpec, "spec.ttl", message)])
        }
        (min, max) => Err(min.err().into_iter().chain(max.err()).collect()),
    }
}

/// Clients that return at once need no state, so that this is nothing to tell.
fn failback(
    failback: Option<&crd::Failback>,
    record: &ObjectKey,
) -> Result<Option<Arc<RecordFailback>>, Problem> {
    let fault = |message: &str| {
        let field = "spec.failback.durationSeconds";
        Err(Problem::new(Reason::InvalidSpec, field, message))
    };
    let Some(failback) = failback else {
        return Ok(None);
    };
    let mode = match (failback.mode, failback.duration_seconds) {
        (crd::FailbackMode::Automatic, None) => return Ok(None),
        (crd::FailbackMode::Manual, None) => FailbackMode::Manual,
        (crd::FailbackMode::After, Some(seconds @ 1..)) => {
            FailbackMode::After(Duration::from_secs(seconds.unsigned_abs().into()))
        }
        (crd::FailbackMode::After, Some(_)) => return fault("must be at least 1"),
        (crd::FailbackMode::After, None) => return fault("is missing, and `mode` is After"),
        (crd::FailbackMode::Automatic | crd::FailbackMode::Manual, Some(_)) => {
            return fault("belongs to the mode After; remove it");
        }
    };
    let record = record.to_string();
    Ok(Some(Arc::new(RecordFailback { record, mode })))
}

/// The policy that a record refers to.
pub(crate) fn policy_of(record: &Object<PolicyRecordSpec>) -> ObjectKey {
    referred(&record.spec.policy_ref, &record.key.namespace)
}

fn version(
    resources: &Resources,
    versions: &Versions,
    record: &Object<PolicyRecordSpec>,
) -> Result<Arc<PolicyVersion>, Problem> {
    let spec = &record.spec;
    let policy = policy_of(record);
    if !grants::shares_policy(resources, &policy, &record.key.namespace) {
        let message = format!(
            "policy {policy} is in another namespace, which does not share it; refer to a \
             policy of namespace {}",
            record.key.namespace
        );
        return Err(Problem::new(
            Reason::RefNotPermitted,
            "spec.policyRef",
            message,
        ));
    }
    match (spec.version, &spec.channel) {
        (Some(number), None) => pinned(resources, versions, record, &policy, number),
        (None, Some(_)) if spec.digest.is_some() => {
            let message = "a digest belongs to a version, not to a channel; remove one";
            Err(Problem::new(Reason::InvalidSpec, "spec.digest", message))
        }
        (None, Some(channel)) if channel == LATEST => {
            let latest = versions.latest(resources, &policy).cloned();
            latest.ok_or_else(|| unknown(resources, &policy, "spec.channel", "no version yet"))
        }
        (None, Some(channel)) => followed(resources, versions, &policy, channel),
        _ => {
            let message = "exactly one of version and channel must be set";
            Err(Problem::new(Reason::InvalidSpec, "spec", message))
        }
    }
}

fn pinned(
    resources: &Resources,
    versions: &Versions,
    record: &Object<PolicyRecordSpec>,
    policy: &ObjectKey,
    number: i32,
) -> Result<Arc<PolicyVersion>, Problem> {
    let version = numbered(resources, versions, policy, number, "spec.version")?;
    match &record.spec.digest {
        Some(digest) if *digest != version.digest => {
            let message = format!(
                "version {number} of {} has the digest {}, not this one",
                policy.name, version.digest
            );
            Err(Problem::new(Reason::DigestMismatch, "spec.digest", message))
        }
        _ => Ok(version),
    }
}

fn followed(
    resources: &Resources,
    versions: &Versions,
    policy: &ObjectKey,
    channel: &str,
) -> Result<Arc<PolicyVersion>, Problem> {
    let object = resources.traffic_policies.get(policy);
    let number = object.and_then(|object| object.spec.channels.get(channel));
    let Some(number) = number else {
        let lacks = format!("no channel `{channel}`");
        return Err(unknown(resources, policy, "spec.channel", &lacks));
    };
    numbered(resources, versions, policy, *number, "spec.channel")
}

fn numbered(
    resources: &Resources,
    versions: &Versions,
    policy: &ObjectKey,
    number: i32,
    field: &str,
) -> Result<Arc<PolicyVersion>, Problem> {
    let key = version_key(policy, u32::try_from(number).unwrap_or(0));
    if !resources.versions.contains_key(&key) {
        return Err(unknown(
            resources,
            policy,
            field,
            &format!("no version {number}"),
        ));
    }
    versions.get(&key).cloned().ok_or_else(|| {
        let message = format!("version {number} of policy {} has faults", policy.name);
        Problem::new(Reason::VersionNotAccepted, field, message)
    })
}

/// A policy lacks what is asked for, or is not there at all.
fn unknown(resources: &Resources, policy: &ObjectKey, field: &str, lacks: &str) -> Problem {
    let exists = resources.traffic_policies.contains_key(policy)
        || resources.versions_of(policy).next().is_some();
    if exists {
        let message = format!("policy {} has {lacks}", policy.name);
        Problem::new(Reason::VersionNotFound, field, message)
    } else {
        let message = format!("there is no policy {policy}");
        Problem::new(Reason::PolicyNotFound, "spec.policyRef", message)
    }
}
