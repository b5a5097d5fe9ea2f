//! Conditions: what they say, since when, and what follows for Ready,
//! Reconciling and Stalled (kstatus).

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use watershed_compile::{ConditionType, Reason, Verdict};

/// How long what is missing may be on its way, for kinds that do not say.
const PATIENCE: SignedDuration = SignedDuration::from_secs(600);

/// Longest message, in characters: a status holds several, and an event none
/// longer.
const LONGEST: usize = 1000;

/// One condition to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it is about.
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Why, in one word.
    pub reason: &'static str,
    /// Why, in a sentence.
    pub message: String,
    /// What to do while it does not hold.
    pub waiting: Waiting,
}

/// What to do while a condition does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It may come to hold by itself: something is on its way.
    Helps,
    /// Somebody must do something.
    InVain,
}

/// The object whose conditions are written.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The conditions as they are.
    pub before: &'a [Condition],
    /// `metadata.generation`.
    pub generation: i64,
    /// How long waiting helps.
    pub patience: SignedDuration,
    /// The present.
    pub now: Timestamp,
}

/// What was found out about an object.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Found<S> {
    /// Its status as it should be.
    pub status: S,
    /// When it must be looked at again although nothing changed.
    pub again: Option<Timestamp>,
    /// Whether its nodes may still have something to report.
    pub awaits_nodes: bool,
}

impl Draft {
    /// A condition that holds.
    pub fn holds(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            holds: true,
            reason,
            message: message.into(),
            waiting: Waiting::InVain,
        }
    }

    /// A condition that does not hold.
    pub fn fails(
        kind: &'static str,
        reason: &'static str,
        message: impl Into<String>,
        waiting: Waiting,
    ) -> Self {
        Self {
            kind,
            holds: false,
            reason,
            message: message.into(),
            waiting,
        }
    }

    /// What compilation says of an object. References may be on their way, in
    /// whatever order objects are applied; everything else waits for a person.
    pub fn of(verdict: &Verdict, kind: ConditionType) -> Self {
        let condition = verdict.condition(kind);
        let waiting = match kind {
            ConditionType::ResolvedRefs => Waiting::Helps,
            _ => Waiting::InVain,
        };
        Self {
            kind: kind.as_str(),
            holds: condition.status,
            reason: condition.reason.as_str(),
            message: condition.message.clone(),
            waiting,
        }
    }

    /// What is said of an object that cannot be understood.
    pub fn fault(fault: &str) -> Self {
        let message = format!("the object cannot be read, its last good form counts: {fault}");
        let reason = Reason::InvalidSpec.as_str();
        Self::fails("Accepted", reason, message, Waiting::InVain)
    }
}

impl<'a> Subject<'a> {
    /// A subject of a kind that does not say how long waiting helps.
    pub fn new(before: &'a [Condition], generation: i64, now: Timestamp) -> Self {
        Self {
            before,
            generation,
            patience: PATIENCE,
            now,
        }
    }

    /// All conditions of the object: those given, Ready, and while not ready
    /// either Reconciling or Stalled. `ready` is what Ready says when all of
    /// the others hold, `meanwhile` what is served while it does not. Also:
    /// when to look again.
    pub fn conditions(
        self,
        drafts: Vec<Draft>,
        ready: Draft,
        meanwhile: Option<&str>,
    ) -> (Vec<Condition>, Option<Timestamp>) {
        let failing = drafts.iter().chain([&ready]).find(|draft| !draft.holds);
        let failing = failing.cloned();
        let Some(failing) = failing else {
            let all = drafts.into_iter().chain([ready]);
            return (all.map(|draft| self.settle(&draft)).collect(), None);
        };
        let parts = [failing.message.as_str(), meanwhile.unwrap_or_default()];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let message = parts.join("; ");
        let ready = Draft::fails("Ready", failing.reason, message.clone(), failing.waiting);
        let (trouble, again) = self.trouble(&failing, message);
        let all = drafts.into_iter().chain([ready]);
        let mut conditions: Vec<Condition> = all.map(|draft| self.settle(&draft)).collect();
        conditions.push(trouble);
        (conditions, again)
    }

    /// A condition with its times.
    fn settle(&self, draft: &Draft) -> Condition {
        self.state(draft, if draft.holds { "True" } else { "False" })
    }

    /// A condition with its times that may be neither true nor false, and on
    /// which Ready does not depend.
    pub(super) fn state(&self, draft: &Draft, status: &str) -> Condition {
        let former = self
            .former(draft.kind)
            .filter(|former| former.status == status);
        let since = former.map_or(Time(self.now), |former| former.last_transition_time.clone());
        Condition {
            type_: draft.kind.to_owned(),
            status: status.to_owned(),
            reason: draft.reason.to_owned(),
            message: draft.message.chars().take(LONGEST).collect(),
            observed_generation: Some(self.generation),
            last_transition_time: since,
        }
    }

    /// Reconciling while waiting helps and has not taken too long, else
    /// Stalled.
    fn trouble(&self, failing: &Draft, message: String) -> (Condition, Option<Timestamp>) {
        let stalled = Draft::holds("Stalled", failing.reason, message.clone());
        // Another generation has as long again.
        let same = |former: &&Condition| former.observed_generation == Some(self.generation);
        let gave_up = self.former("Stalled").filter(same);
        let gave_up = gave_up.is_some_and(|former| former.reason == failing.reason);
        if failing.waiting == Waiting::InVain || gave_up {
            return (self.settle(&stalled), None);
        }
        let began = self.former("Reconciling").filter(same);
        let began = began.map_or(self.now, |former| former.last_transition_time.0);
        let end = began
            .saturating_add(self.patience)
            .unwrap_or(Timestamp::MAX);
        if end <= self.now {
            return (self.settle(&stalled), None);
        }
        let mut condition = self.settle(&Draft::holds("Reconciling", failing.reason, message));
        condition.last_transition_time = Time(began);
        (condition, Some(end))
    }

    fn former(&self, kind: &str) -> Option<&'a Condition> {
        self.before.iter().find(|condition| condition.type_ == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    fn missing() -> Draft {
        let message = "there is no zone dns/example-com";
        Draft::fails("ResolvedRefs", "ZoneNotFound", message, Waiting::Helps)
    }

    fn ready() -> Draft {
        Draft::holds("Ready", "Ready", "")
    }

    fn shown(conditions: &[Condition]) -> Vec<String> {
        let shown = conditions.iter().map(|condition| {
            let since = condition.last_transition_time.0.as_second();
            let Condition {
                type_,
                status,
                reason,
                ..
            } = condition;
            format!("{type_}={status}/{reason}@{since}")
        });
        shown.collect()
    }

    #[test]
    fn what_is_missing_is_waited_for_and_then_given_up() {
        let subject = Subject::new(&[], 1, at(0));
        let (first, again) = subject.conditions(vec![missing()], ready(), None);
        assert_eq!(again, Some(at(600)));
        assert_eq!(
            shown(&first),
            [
                "ResolvedRefs=False/ZoneNotFound@0",
                "Ready=False/ZoneNotFound@0",
                "Reconciling=True/ZoneNotFound@0"
            ]
        );
        let subject = Subject::new(&first, 1, at(599));
        let (second, again) = subject.conditions(vec![missing()], ready(), None);
        assert_eq!(second, first);
        assert_eq!(again, Some(at(600)));
        let subject = Subject::new(&first, 1, at(600));
        let (third, again) = subject.conditions(vec![missing()], ready(), None);
        assert_eq!(shown(&third)[2], "Stalled=True/ZoneNotFound@600");
        assert_eq!(again, None);
        let subject = Subject::new(&third, 1, at(700));
        assert_eq!(subject.conditions(vec![missing()], ready(), None).0, third);
    }

    #[test]
    fn a_new_generation_has_as_long_again() {
        let subject = Subject::new(&[], 1, at(0));
        let (stalled, _) = Subject {
            now: at(700),
            ..subject
        }
        .conditions(vec![missing()], ready(), None);
        let first = Subject::new(&stalled, 1, at(1400))
            .conditions(vec![missing()], ready(), None)
            .0;
        assert_eq!(shown(&first)[2], "Stalled=True/ZoneNotFound@1400");
        let subject = Subject::new(&first, 2, at(1500));
        let (next, again) = subject.conditions(vec![missing()], ready(), None);
        assert_eq!(shown(&next)[2], "Reconciling=True/ZoneNotFound@1500");
        assert_eq!(again, Some(at(2100)));
    }

    #[test]
    fn what_only_a_person_can_mend_stalls_at_once() {
        let conflict = Draft::fails("Accepted", "NameConflict", "taken", Waiting::InVain);
        let subject = Subject::new(&[], 3, at(5));
        let (conditions, again) =
            subject.conditions(vec![conflict], ready(), Some("nothing is served"));
        assert_eq!(again, None);
        assert_eq!(shown(&conditions)[2], "Stalled=True/NameConflict@5");
        assert_eq!(conditions[1].message, "taken; nothing is served");
        assert_eq!(conditions[1].observed_generation, Some(3));
    }

    #[test]
    fn trouble_goes_when_all_is_well() {
        let subject = Subject::new(&[], 1, at(0));
        let (first, _) = subject.conditions(vec![missing()], ready(), None);
        let found = Draft::holds("ResolvedRefs", "Resolved", "");
        let subject = Subject::new(&first, 1, at(9));
        let (second, again) = subject.conditions(vec![found], ready(), None);
        assert_eq!(
            shown(&second),
            ["ResolvedRefs=True/Resolved@9", "Ready=True/Ready@9"]
        );
        assert_eq!(again, None);
    }
}
