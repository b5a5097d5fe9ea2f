//! Events, which people see with `kubectl events` and `kubectl describe`.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use crate::object::{FIELD_MANAGER, GROUP, ObjectId, VERSION};
use crate::plan::Notice;

/// The longest note that the API takes, in octets.
const LONGEST: usize = 1024;

/// Makes events. They are for people, and the first thing to go when there is
/// too much to do.
#[derive(Clone)]
pub struct Announcer {
    client: Client,
    reporter: Reporter,
}

impl Announcer {
    /// Events of this replica.
    pub fn new(client: Client, instance: &str) -> Self {
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: Some(instance.to_owned()),
        };
        Self { client, reporter }
    }

    /// Name of this replica.
    pub fn instance(&self) -> &str {
        self.reporter.instance.as_deref().unwrap_or_default()
    }

    /// Makes an event about an object.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn announce(&self, id: &ObjectId, uid: &str, notice: &Notice) -> kube::Result<()> {
        let event = Event {
            type_: if notice.is_warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: notice.reason.clone(),
            note: Some(shortened(&notice.note)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let about = ObjectReference {
            api_version: Some(format!("{GROUP}/{VERSION}")),
            kind: Some(id.kind.as_str().to_owned()),
            namespace: Some(id.key.namespace.clone()),
            name: Some(id.key.name.clone()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        };
        // A recorder takes events of one reason for the same, and shows the
        // note of the first. These differ: they tell of changes.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        recorder.publish(&event, &about).await
    }
}

/// The beginning of a note that is too long.
fn shortened(note: &str) -> String {
    if note.len() <= LONGEST {
        return note.to_owned();
    }
    let mut end = LONGEST - '…'.len_utf8();
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &note[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_notes_end_at_a_character() {
        assert_eq!(shortened("short"), "short");
        let long = shortened(&"ü".repeat(1000));
        assert!(long.len() <= LONGEST, "{}", long.len());
        assert!(long.ends_with("ü…"));
    }
}
