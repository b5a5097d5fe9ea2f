//! What the log says: each thing once, when it changes.

use std::collections::{BTreeMap, BTreeSet};

use watershed_compile::{Condition, ObjectRef, Serving, Verdict};

use super::manifests::Reading;
use crate::validate::Located;

/// More records than this are not logged one by one at once.
const LISTED: usize = 50;

/// What was said last.
#[derive(Default)]
pub(super) struct Log {
    findings: BTreeSet<String>,
    conditions: BTreeMap<ObjectRef, Condition>,
    serving: BTreeMap<ObjectRef, Serving>,
}

impl Log {
    /// Says what is new about files.
    pub(super) fn reading(&mut self, reading: &Reading) {
        let mut findings = BTreeSet::new();
        for located in &reading.findings {
            let line = format!("{}: {}", place(located), located.finding);
            if !self.findings.contains(&line) {
                if located.finding.is_error() {
                    tracing::error!("{line}");
                } else {
                    tracing::warn!("{line}");
                }
            }
            findings.insert(line);
        }
        if findings != self.findings {
            for identity in &reading.kept {
                tracing::warn!("{identity} keeps its last good form");
            }
        }
        self.findings = findings;
    }

    /// Says what is new about objects, and what is served.
    pub(super) fn verdicts(&mut self, verdicts: &[&Verdict]) {
        self.troubles(verdicts);
        self.servings(verdicts);
    }

    fn troubles(&mut self, verdicts: &[&Verdict]) {
        let mut conditions = BTreeMap::new();
        for verdict in verdicts {
            let mut failing = verdict
                .conditions
                .iter()
                .filter(|condition| !condition.status);
            // Ready repeats what the others say, and adds what is served.
            let Some(condition) = failing.next_back() else {
                continue;
            };
            if self.conditions.get(&verdict.object) != Some(condition) {
                let Condition {
                    reason, message, ..
                } = condition;
                tracing::error!(%reason, "{}: {message}", verdict.object);
            }
            conditions.insert(verdict.object.clone(), condition.clone());
        }
        for object in self
            .conditions
            .keys()
            .filter(|object| !conditions.contains_key(object))
        {
            tracing::info!("{object}: in order again");
        }
        self.conditions = conditions;
    }

    fn servings(&mut self, verdicts: &[&Verdict]) {
        let serving: BTreeMap<ObjectRef, Serving> = verdicts
            .iter()
            .filter_map(|verdict| Some((verdict.object.clone(), verdict.serving.clone()?)))
            .collect();
        let changed = serving
            .iter()
            .filter(|(object, now)| self.serving.get(object) != Some(now));
        for (object, now) in changed.clone().take(LISTED) {
            tracing::info!(name = %now.name, version = now.version, "serving {object}");
        }
        let unlisted = changed.count().saturating_sub(LISTED);
        if unlisted > 0 {
            tracing::info!("serving {unlisted} more records");
        }
        let gone = self
            .serving
            .iter()
            .filter(|(object, _)| !serving.contains_key(object));
        for (object, before) in gone.take(LISTED) {
            tracing::info!(name = %before.name, "no longer serving {object}");
        }
        self.serving = serving;
    }
}

fn place(located: &Located) -> String {
    match located.document {
        Some(number) => format!("{}:doc {number}", located.file),
        None => located.file.clone(),
    }
}
