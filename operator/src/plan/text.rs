//! A plan for people to read: one line for each thing, and why.

use std::fmt;

use serde_json::Value;

use super::{Configuration, Plan, StatusWrite, Write};
use crate::world::World;

/// Conditions that only a fleet can tell, which a plan alone does not have.
const OF_FLEETS: [&str; 5] = ["Programmed", "Healthy", "Ready", "Reconciling", "Stalled"];

impl Plan {
    /// What would be done in this world, as text that ends with a line about
    /// how much that is.
    pub fn text(&self, world: &World) -> String {
        let mut lines: Vec<String> = Vec::new();
        for write in &self.writes {
            match write {
                Write::Configuration(write) => lines.push(configuration(write, world)),
                Write::Deletion(write) => {
                    lines.push(format!(
                        "delete   {}  (beyond versionHistoryLimit)",
                        write.id
                    ));
                }
                Write::Status(write) => lines.extend(status(write, world)),
            }
        }
        lines.sort();
        lines.push(match lines.len() {
            0 => "nothing to do".to_owned(),
            1 => "1 thing to do".to_owned(),
            many => format!("{many} things to do"),
        });
        lines.join("\n") + "\n"
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.part(), self.id())
    }
}

fn configuration(write: &Configuration, world: &World) -> String {
    let id = &write.id;
    if write.uid.is_none() {
        let notice = write.notice.as_ref();
        let why = notice.map_or("", |(_, _, notice)| notice.note.as_str());
        return format!("make     {id}  ({why})");
    }
    let owned = world.objects.get(id).is_some_and(|facts| facts.minted);
    match (write.in_use, owned && write.minted.is_none()) {
        (_, true) => format!("let go   {id}  (somebody else has applied it)"),
        (true, false) => format!("hold     {id}  (in use: it cannot be deleted)"),
        (false, false) => format!("release  {id}  (not in use any longer)"),
    }
}

/// What of a status would change for people, nodes apart.
fn status(write: &StatusWrite, world: &World) -> Option<String> {
    let before = world.objects.get(&write.id).map(|facts| &facts.status);
    let mut parts: Vec<String> = Vec::new();
    for condition in conditions(&write.status) {
        let kind = text(condition, "type");
        let former = before
            .into_iter()
            .flat_map(conditions)
            .find(|c| text(c, "type") == kind);
        let same = former.is_some_and(|former| {
            ["status", "reason", "message"]
                .iter()
                .all(|field| former.get(field) == condition.get(field))
        });
        if same || OF_FLEETS.contains(&kind) {
            continue;
        }
        let message = text(condition, "message");
        let message = if message.is_empty() {
            String::new()
        } else {
            format!(": {message}")
        };
        let (status, reason) = (text(condition, "status"), text(condition, "reason"));
        parts.push(format!("{kind}={status} {reason}{message}"));
    }
    if let Some(serving) = serves(write, world) {
        parts.push(serving);
    }
    (!parts.is_empty()).then(|| format!("status   {}  {}", write.id, parts.join(", ")))
}

/// A version that a record would serve, other than its status tells.
fn serves(write: &StatusWrite, world: &World) -> Option<String> {
    let serving = world.verdict(&write.id)?.serving.as_ref()?;
    let facts = world.objects.get(&write.id)?;
    let active = facts.status.get("activeVersion").and_then(Value::as_u64);
    match active {
        Some(active) if active == u64::from(serving.version) => None,
        Some(active) => Some(format!(
            "serves version {} in place of {active}",
            serving.version
        )),
        None => Some(format!("serves version {}", serving.version)),
    }
}

fn conditions(status: &Value) -> impl Iterator<Item = &Value> {
    let list = status.get("conditions").and_then(Value::as_array);
    list.into_iter().flatten()
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
