//! What people want to know of a change of status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::Notice;

/// The events that a change of conditions is worth: trouble that somebody must
/// see to, and its end.
pub(super) fn of_conditions(before: &[Condition], now: &[Condition]) -> Vec<Notice> {
    let holding = |conditions: &[Condition], kind: &str| {
        let mut found = conditions
            .iter()
            .filter(|c| c.type_ == kind && c.status == "True");
        found.next().cloned()
    };
    let mut notices = Vec::new();
    if let Some(stalled) = holding(now, "Stalled") {
        let known = holding(before, "Stalled").is_some_and(|known| known.reason == stalled.reason);
        if !known {
            notices.push(Notice::warning(stalled.reason, stalled.message));
        }
    } else if let Some(ready) = holding(now, "Ready")
        && holding(before, "Stalled").is_some()
    {
        notices.push(Notice::normal("Ready", ready.message));
    }
    notices
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn condition(kind: &str, status: &str, reason: &str) -> Condition {
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        }
    }

    fn reasons(before: &[Condition], now: &[Condition]) -> Vec<String> {
        let notices = of_conditions(before, now).into_iter();
        notices.map(|notice| notice.reason).collect()
    }

    #[test]
    fn trouble_is_told_once_and_so_is_its_end() {
        let waiting = [
            condition("Ready", "False", "Pending"),
            condition("Reconciling", "True", "Pending"),
        ];
        let stuck = [
            condition("Ready", "False", "NameConflict"),
            condition("Stalled", "True", "NameConflict"),
        ];
        let well = [condition("Ready", "True", "Programmed")];
        assert!(reasons(&[], &waiting).is_empty());
        assert_eq!(reasons(&waiting, &stuck), ["NameConflict"]);
        assert!(reasons(&stuck, &stuck).is_empty());
        assert_eq!(reasons(&stuck, &well), ["Ready"]);
        assert!(reasons(&waiting, &well).is_empty(), "there was no trouble");
        assert!(reasons(&well, &well).is_empty());
    }
}
