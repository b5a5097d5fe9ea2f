//! What the API server was asked, from its audit log.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::options::Audit;

/// A point in the audit log; the default is its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(u64);

/// One request, as it was answered. What does not apply is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// `create`, `update`, `patch`, `delete`, ...
    pub verb: String,
    /// Whose rights counted: the impersonated user's, if one was impersonated.
    pub user: String,
    /// The program's name for itself.
    pub user_agent: String,
    /// API group of the resource, empty for the core group.
    pub group: String,
    /// As in `policyrecords`.
    pub resource: String,
    /// As in `status`.
    pub subresource: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// Status code of the answer.
    pub code: u16,
    /// When it arrived, RFC 3339 with microseconds.
    pub time: String,
}

impl AuditEvent {
    /// Whether it may have changed something.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    /// Whether it was granted and done.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// For messages: `patch policyrecords/status shop/www by operator: 200`.
    pub fn summary(&self) -> String {
        let slash = if self.subresource.is_empty() { "" } else { "/" };
        format!(
            "{} {}{slash}{} {}/{} by {}: {}",
            self.verb,
            self.resource,
            self.subresource,
            self.namespace,
            self.name,
            self.user,
            self.code
        )
    }
}

/// The policy that records these requests, `None` for none.
pub(super) fn policy(what: Audit) -> Option<String> {
    let reads = match what {
        Audit::Off => return None,
        Audit::Writes => "  - {level: None, verbs: [get, list, watch]}\n",
        Audit::All => "",
    };
    Some(format!(
        "apiVersion: audit.k8s.io/v1\n\
         kind: Policy\n\
         omitStages: [RequestReceived, ResponseStarted]\n\
         rules:\n{reads}  - {{level: Metadata}}\n"
    ))
}

/// The present end of the log.
pub(super) fn mark(log: &Path) -> Result<Mark> {
    match log.metadata() {
        Ok(metadata) => Ok(Mark(metadata.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Mark::default()),
        Err(error) => Err(error).context(log.display().to_string()),
    }
}

/// What was recorded since a mark.
pub(super) fn read(
    log: &Path,
    mark: Mark,
    filter: impl Fn(&AuditEvent) -> bool,
) -> Result<Vec<AuditEvent>> {
    let mut file = match File::open(log) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        file => file.with_context(|| log.display().to_string())?,
    };
    file.seek(SeekFrom::Start(mark.0))?;
    let mut events = Vec::new();
    let mut lines = BufReader::new(file);
    let mut line = String::new();
    // A last line without its end is still being written.
    while lines.read_line(&mut line)? > 0 && line.ends_with('\n') {
        let event: Recorded = serde_json::from_str(&line)
            .with_context(|| format!("{} has the line {line}", log.display()))?;
        let event = AuditEvent::from(event);
        if filter(&event) {
            events.push(event);
        }
        line.clear();
    }
    Ok(events)
}

/// The log's own form (audit.k8s.io/v1 Event), as far as it is of use.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    verb: String,
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: Object,
    response_status: Option<Status>,
    request_received_timestamp: String,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Object {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl From<Recorded> for AuditEvent {
    fn from(event: Recorded) -> Self {
        let object = event.object_ref;
        Self {
            verb: event.verb,
            user: event.impersonated_user.unwrap_or(event.user).username,
            user_agent: event.user_agent,
            group: object.api_group,
            resource: object.resource,
            subresource: object.subresource,
            namespace: object.namespace,
            name: object.name,
            code: event.response_status.map_or(0, |status| status.code),
            time: event.request_received_timestamp,
        }
    }
}
