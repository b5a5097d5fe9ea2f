//! What goes to nodes, gathered for a moment: a failing region changes many
//! verdicts within milliseconds, and each message goes to every node.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use watershed_health::{Hold, Target};
use watershed_proto::OperatorMessage;

/// The least time between two messages. The first goes at once.
const BETWEEN: Duration = Duration::from_millis(50);

/// Verdicts in one message; far below what a message may hold.
const PER_MESSAGE: usize = 10_000;

/// A verdict as it is sent: whether the target is healthy, and whether that
/// may soon change.
pub(super) type Sent = (Target, bool, bool);

/// What is to be sent to every node.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    verdicts: BTreeMap<Target, (bool, bool)>,
    holds_changed: bool,
    last: Option<Instant>,
}

impl Outbox {
    /// This verdict is to be sent.
    pub(super) fn verdict(&mut self, target: Target, healthy: bool, changing: bool) {
        self.verdicts.insert(target, (healthy, changing));
    }

    /// The holds are to be sent.
    pub(super) fn holds(&mut self) {
        self.holds_changed = true;
    }

    /// Nothing of what waits is to be sent.
    pub(super) fn clear(&mut self) {
        self.verdicts.clear();
        self.holds_changed = false;
    }

    /// What is to be sent now; `None`: nothing, or not yet.
    pub(super) fn take(&mut self, now: Instant) -> Option<Vec<Sent>> {
        let is_early = self.last.is_some_and(|last| now < last + BETWEEN);
        if is_early || (self.verdicts.is_empty() && !self.holds_changed) {
            return None;
        }
        self.last = Some(now);
        self.holds_changed = false;
        let verdicts = std::mem::take(&mut self.verdicts).into_iter();
        let sent = verdicts.map(|(target, (healthy, changing))| (target, healthy, changing));
        Some(sent.collect())
    }
}

/// The messages that tell these verdicts and all holds.
pub(super) fn messages(
    mut verdicts: Vec<Sent>,
    holds: &[Hold],
    whole: bool,
) -> Vec<OperatorMessage> {
    // What is not known counts as healthy: so whatever is not must be in the
    // first message, should there be several.
    verdicts.sort_by_key(|(_, healthy, _)| *healthy);
    let mut rest = verdicts.into_iter();
    let mut messages = Vec::new();
    loop {
        let part: Vec<Sent> = rest.by_ref().take(PER_MESSAGE).collect();
        let is_first = messages.is_empty();
        if part.is_empty() && !is_first {
            return messages;
        }
        messages.push(OperatorMessage::Verdicts {
            verdicts: part,
            holds: holds.to_vec(),
            whole: whole && is_first,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(number: usize) -> Target {
        Target {
            check: format!("shop/check-{number:05}"),
            address: None,
        }
    }

    #[test]
    fn what_changes_within_a_moment_goes_together() {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        outbox.verdict(target(1), false, false);
        assert_eq!(outbox.take(now).map(|sent| sent.len()), Some(1));
        outbox.verdict(target(1), true, false);
        outbox.verdict(target(2), false, true);
        outbox.verdict(target(1), false, false);
        assert_eq!(outbox.take(now + BETWEEN / 2), None);
        let sent = outbox.take(now + BETWEEN).expect("it is time");
        assert_eq!(sent, [(target(1), false, false), (target(2), false, true)]);
        assert_eq!(outbox.take(now + BETWEEN * 9), None);
        outbox.holds();
        assert_eq!(outbox.take(now + BETWEEN * 9), Some(Vec::new()));
    }

    #[test]
    fn of_many_verdicts_the_first_message_has_all_that_are_unhealthy() {
        let number = PER_MESSAGE * 2 + 5;
        let verdicts = (0..number).map(|n| (target(n), n + 3 < number, false));
        let told = messages(verdicts.collect(), &[], true);
        let parts: Vec<(usize, usize, bool)> = told
            .iter()
            .map(|message| match message {
                OperatorMessage::Verdicts {
                    verdicts, whole, ..
                } => {
                    let down = verdicts.iter().filter(|(_, healthy, _)| !healthy).count();
                    (verdicts.len(), down, *whole)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [
            (PER_MESSAGE, 3, true),
            (PER_MESSAGE, 0, false),
            (5, 0, false),
        ];
        assert_eq!(parts, expected);
        assert_eq!(messages(Vec::new(), &[], true).len(), 1, "it says so");
    }
}
