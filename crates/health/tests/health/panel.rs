//! The fleet's verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use watershed_health::fleet::{Change, Panel, Report, digest};
use watershed_health::{
    Check, CheckerChoice, EndpointSlices, HttpProbe, ProbeKind, State, WhenStale,
};

use crate::support::{Bench, check, choice, nodes, report, split, target, watched};

fn quorum(quorum_percent: u32) -> Check {
    Check {
        quorum_percent,
        ..check()
    }
}

#[test]
fn the_quorum_decides() {
    // Percent, healthy checkers, unhealthy checkers, verdict.
    let rows = [
        // Route 53: more than 18 % of 16 checkers.
        (18, 3, 13, true),
        (18, 2, 14, false),
        // More than half.
        (50, 4, 1, true),
        (50, 1, 4, false),
        (50, 3, 2, true),
        // Exactly half is not more than half.
        (50, 2, 2, false),
        (50, 8, 8, false),
        // One that can reach it is enough, and all must.
        (0, 1, 15, true),
        (0, 0, 16, false),
        (99, 16, 0, true),
        (99, 15, 1, false),
    ];
    for (percent, healthy, unhealthy, expected) in rows {
        let count = healthy + unhealthy;
        let mut bench = Bench::new(quorum(percent), nodes(count, 1));
        bench.say_all(split(healthy, unhealthy));
        let row = format!("{percent} %: {healthy} of {count}");
        assert_eq!(bench.healthy(), Some(expected), "{row}");
    }
}

#[test]
fn only_assigned_checkers_that_know_count() {
    // Three of six probe; they say healthy, the others unhealthy.
    let three = Check {
        checkers: choice(3),
        ..check()
    };
    let all = nodes(6, 1);
    let chosen = watershed_health::checkers(&target(1), &choice(3), &all);
    let mut bench = Bench::new(three, all);
    for n in 0..6 {
        let up = chosen.contains(&n);
        let state = if up { State::Healthy } else { State::Unhealthy };
        bench.say(&format!("n{n}"), state);
    }
    assert_eq!(bench.healthy(), Some(true));
    let verdict = bench.panel.verdict(&target(1)).unwrap();
    assert_eq!(
        (
            verdict.healthy_checkers,
            verdict.fresh_checkers,
            verdict.assigned_checkers
        ),
        (3, 3, 3)
    );
    // Unknown says nothing either way: two healthy, two unhealthy, then one
    // of the latter no longer knows.
    let mut bench = Bench::new(check(), nodes(4, 1));
    bench.say_all(split(2, 2));
    assert_eq!(bench.healthy(), Some(false));
    bench.say("n3", State::Unknown);
    assert_eq!(bench.healthy(), Some(true));
    // A node that nobody knows.
    bench.say("stranger", State::Unhealthy);
    bench.say("another", State::Unhealthy);
    assert_eq!(bench.healthy(), Some(true));
}

#[test]
fn fewer_than_half_of_the_checkers_form_no_verdict() {
    let mut bench = Bench::new(check(), nodes(5, 1));
    bench.say_all(split(0, 2));
    assert_eq!(bench.healthy(), None);
    assert_eq!(bench.panel.known(), []);
    let changes = bench.say("n2", State::Unhealthy);
    assert_eq!(bench.healthy(), Some(false));
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].before, changes[0].healthy), (None, Some(false)));
}

#[test]
fn reports_must_come_from_enough_locations() {
    let check = |min_locations| Check {
        checkers: CheckerChoice {
            min_locations,
            ..choice(16)
        },
        ..check()
    };
    // Six nodes in three locations; both of l0 say unhealthy, then one of l1.
    let mut bench = Bench::new(check(2), nodes(6, 3));
    for node in ["n0", "n3"] {
        bench.say(node, State::Unhealthy);
    }
    assert_eq!(bench.healthy(), None);
    bench.say("n1", State::Unhealthy);
    assert_eq!(bench.healthy(), Some(false));
    // As many as there are, where there are fewer than demanded.
    let mut bench = Bench::new(check(3), nodes(4, 2));
    bench.say_all(split(0, 3));
    assert_eq!(bench.healthy(), Some(false));
}

#[test]
fn silence_is_judged_as_the_check_says() {
    let rows = [
        (WhenStale::KeepLast, true, true),
        (WhenStale::KeepLast, false, false),
        (WhenStale::AssumeHealthy, false, true),
        (WhenStale::AssumeUnhealthy, true, false),
    ];
    for (when_stale, last, expected) in rows {
        let check = Check {
            when_stale,
            ..check()
        };
        let mut bench = Bench::new(check.clone(), nodes(3, 1));
        let counts = if last { (3, 0) } else { (0, 3) };
        bench.say_all(split(counts.0, counts.1));
        assert_eq!(bench.pass(14), []);
        assert_eq!(bench.healthy(), Some(last));
        let changes = bench.pass(1);
        assert_eq!(
            changes.len(),
            usize::from(last != expected),
            "{when_stale:?}"
        );
        assert_eq!(bench.healthy(), Some(expected), "{when_stale:?}");
        assert_eq!(bench.pass(60), []);
        // Nobody ever said anything: nothing is known.
        let mut bench = Bench::new(check, nodes(3, 1));
        assert_eq!(bench.pass(60), []);
        assert_eq!(bench.healthy(), None);
    }
}

#[test]
fn silence_is_judged_also_when_all_nodes_leave() {
    let check = Check {
        when_stale: WhenStale::AssumeUnhealthy,
        ..check()
    };
    let mut bench = Bench::new(check, nodes(3, 1));
    bench.say_all(split(3, 0));
    bench.pass(10);
    assert_eq!(bench.panel.nodes(bench.now, Vec::new()), []);
    assert_eq!(bench.pass(4), []);
    assert_eq!(bench.pass(1).len(), 1);
    assert_eq!(bench.healthy(), Some(false));
}

#[test]
fn a_silent_checker_ceases_to_count_and_comes_back() {
    // Two healthy, three unhealthy; one of these falls silent.
    let mut bench = Bench::new(check(), nodes(5, 1));
    bench.say_all(split(2, 3));
    assert_eq!(bench.healthy(), Some(false));
    let beats = |bench: &mut Bench, up: usize, count: usize| {
        for n in 0..count {
            let state = if n < up {
                State::Healthy
            } else {
                State::Unhealthy
            };
            let digest = digest([(&target(1), state, false)].into_iter());
            assert!(bench.panel.beat(bench.now, &format!("n{n}"), digest));
        }
    };
    bench.pass(10);
    beats(&mut bench, 2, 3);
    bench.pass(5);
    // Only n0, n1 and n2 are fresh: two of three.
    assert_eq!(bench.healthy(), Some(true));
    beats(&mut bench, 2, 5);
    assert_eq!(bench.pass(0).len(), 1);
    assert_eq!(bench.healthy(), Some(false));
}

#[test]
fn a_beat_counts_only_with_the_right_digest() {
    let mut bench = Bench::new(check(), nodes(1, 1));
    let of = |state, changing| digest([(&target(1), state, changing)].into_iter());
    assert!(
        !bench
            .panel
            .beat(bench.now, "n0", digest(std::iter::empty()))
    );
    bench.say("n0", State::Healthy);
    assert!(bench.panel.beat(bench.now, "n0", of(State::Healthy, false)));
    assert!(!bench.panel.beat(bench.now, "n0", of(State::Healthy, true)));
    assert!(
        !bench
            .panel
            .beat(bench.now, "n0", of(State::Unhealthy, false))
    );
    bench.say("n0", State::Unhealthy);
    assert!(
        bench
            .panel
            .beat(bench.now, "n0", of(State::Unhealthy, false))
    );
    // A wrong one does not keep a checker fresh.
    bench.pass(10);
    assert!(!bench.panel.beat(bench.now, "n0", 1));
    bench.pass(5);
    assert_eq!(bench.panel.verdict(&target(1)).unwrap().fresh_checkers, 0);
}

#[test]
fn the_digest_does_not_depend_on_order() {
    let (a, b) = (target(1), target(2));
    let up = (&a, State::Healthy, false);
    let down = (&b, State::Unhealthy, true);
    let both = digest([up, down].into_iter());
    assert_eq!(both, digest([down, up].into_iter()));
    assert_ne!(both, digest([up].into_iter()));
    let swapped = [(&b, State::Healthy, false), (&a, State::Unhealthy, true)];
    assert_ne!(both, digest(swapped.into_iter()));
}

#[test]
fn a_whole_report_drops_what_it_does_not_name() {
    let mut bench = Bench::new(check(), nodes(1, 1));
    bench.say("n0", State::Unhealthy);
    let other = vec![report(2, State::Healthy)];
    assert_eq!(bench.panel.report(bench.now, "n0", other, true), []);
    let verdict = bench.panel.verdict(&target(1)).unwrap();
    assert_eq!((verdict.healthy, verdict.fresh_checkers), (Some(false), 0));
    let left = digest([(&target(2), State::Healthy, false)].into_iter());
    assert!(bench.panel.beat(bench.now, "n0", left));
}

#[test]
fn reports_that_come_before_the_watch_count_with_it() {
    let mut bench = Bench::new(check(), nodes(1, 1));
    let early = vec![report(2, State::Unhealthy)];
    assert_eq!(bench.panel.report(bench.now, "n0", early, false), []);
    let mut targets = watched(check());
    targets.insert(target(2), Arc::new(check()));
    let changes = bench.panel.watch(bench.now, targets);
    assert_eq!(changes.len(), 1);
    assert_eq!(
        (&changes[0].target, changes[0].healthy),
        (&target(2), Some(false))
    );
}

#[test]
fn a_node_that_leaves_moves_its_targets_without_a_flap() {
    let five = Check {
        checkers: choice(5),
        ..check()
    };
    let all = nodes(10, 5);
    let chosen = watershed_health::checkers(&target(1), &choice(5), &all);
    let mut bench = Bench::new(five, all.clone());
    for n in &chosen {
        bench.say(&all[*n].node, State::Unhealthy);
    }
    assert_eq!(bench.healthy(), Some(false));
    // One after the other, all that probe are replaced.
    let mut left = all;
    for position in chosen {
        let gone = format!("n{position}");
        left.retain(|node| node.node != gone);
        assert_eq!(bench.panel.nodes(bench.now, left.clone()), [], "{gone}");
        let verdict = bench.panel.verdict(&target(1)).unwrap();
        assert_eq!(verdict.assigned_checkers, 5);
        assert_eq!(verdict.healthy, Some(false));
    }
    // The new ones know nothing yet.
    assert_eq!(bench.panel.verdict(&target(1)).unwrap().fresh_checkers, 0);
}

#[test]
fn an_edited_check_keeps_its_verdict_until_new_reports_come() {
    let mut bench = Bench::new(check(), nodes(2, 1));
    bench.say_all(split(0, 2));
    let other = Check {
        kind: ProbeKind::Http(HttpProbe {
            tls: None,
            port: 80,
            path: "/".to_owned(),
            host: None,
            headers: Vec::new(),
            expected_statuses: vec![(200, 399)],
            search_string: None,
        }),
        ..check()
    };
    assert_eq!(bench.panel.watch(bench.now, watched(other.clone())), []);
    let verdict = bench.panel.verdict(&target(1)).unwrap();
    assert_eq!((verdict.healthy, verdict.fresh_checkers), (Some(false), 0));
    // What was reported must be reported anew.
    let old = digest([(&target(1), State::Unhealthy, false)].into_iter());
    assert!(!bench.panel.beat(bench.now, "n0", old));
    bench.say("n0", State::Unknown);
    assert_eq!(bench.healthy(), Some(false));
    assert_eq!(bench.say("n0", State::Healthy).len(), 1);
    assert_eq!(bench.healthy(), Some(true));
    // What does not concern the probe takes effect at once.
    bench.say("n1", State::Unhealthy);
    assert_eq!(bench.healthy(), Some(false));
    let lenient = Check {
        quorum_percent: 18,
        ..other
    };
    assert_eq!(bench.panel.watch(bench.now, watched(lenient)).len(), 1);
    assert_eq!(bench.healthy(), Some(true));
}

#[test]
fn what_is_no_longer_watched_is_told_once() {
    let mut bench = Bench::new(check(), nodes(1, 1));
    bench.say("n0", State::Unhealthy);
    let gone = Change {
        target: target(1),
        before: Some(false),
        healthy: None,
        changing: false,
    };
    assert_eq!(bench.panel.watch(bench.now, BTreeMap::new()), [gone]);
    assert_eq!(bench.panel.watch(bench.now, BTreeMap::new()), []);
    assert_eq!(bench.panel.verdict(&target(1)), None);
    assert_eq!(bench.panel.targets().count(), 0);
}

#[test]
fn a_verdict_that_may_soon_change_says_so() {
    let mut bench = Bench::new(check(), nodes(3, 1));
    bench.say_all(split(3, 0));
    let wavering = Report {
        changing: true,
        ..report(1, State::Healthy)
    };
    let changes = bench.panel.report(bench.now, "n0", vec![wavering], false);
    assert_eq!(changes.len(), 1);
    assert!(changes[0].changing);
    assert_eq!(
        (changes[0].before, changes[0].healthy),
        (Some(true), Some(true))
    );
    assert_eq!(bench.panel.known(), [(target(1), true, true)]);
    assert!(!bench.say("n0", State::Unhealthy)[0].changing);
}

#[test]
fn the_verdict_tells_where_it_comes_from() {
    let mut bench = Bench::new(check(), nodes(4, 2));
    bench.say_all(split(3, 0));
    bench.now += Duration::from_secs(1);
    let failing = Report {
        message: "connection refused".to_owned(),
        certificate_expires: Some(500),
        ..report(1, State::Unhealthy)
    };
    let earlier = Report {
        certificate_expires: Some(400),
        ..report(1, State::Healthy)
    };
    bench.panel.report(bench.now, "n0", vec![earlier], false);
    bench.panel.report(bench.now, "n3", vec![failing], false);
    let verdict = bench.panel.verdict(&target(1)).unwrap();
    let locations = [("l0".to_owned(), (2, 2)), ("l1".to_owned(), (1, 2))];
    assert_eq!(verdict.locations, BTreeMap::from(locations));
    let error = ("connection refused".to_owned(), "n3".to_owned());
    assert_eq!(verdict.last_error, Some(error));
    assert_eq!(verdict.certificate_expires, Some(400));
    assert!(verdict.since.is_some());
}

#[test]
fn what_may_not_be_probed_says_why() {
    let mut bench = Bench::new(check(), nodes(1, 1));
    let refused = Report {
        message: "probes of 127.0.0.0/8 are not allowed".to_owned(),
        ..report(1, State::Unknown)
    };
    bench.panel.report(bench.now, "n0", vec![refused], false);
    let verdict = bench.panel.verdict(&target(1)).unwrap();
    assert_eq!(verdict.healthy, None);
    assert!(verdict.last_error.unwrap().0.contains("not allowed"));
}

#[test]
fn what_is_told_from_elsewhere_counts_at_once() {
    let slices = Check {
        kind: ProbeKind::EndpointSlices(EndpointSlices {
            service: "web".to_owned(),
            min_ready_percent: 50,
        }),
        ..check()
    };
    let mut bench = Bench::new(slices, nodes(3, 1));
    let mut told = |state, message| bench.panel.state(bench.now, &target(1), state, message);
    assert_eq!(told(State::Unknown, "").len(), 0);
    assert_eq!(told(State::Unhealthy, "0 of 3 are ready").len(), 1);
    assert_eq!(told(State::Unknown, "").len(), 0);
    assert_eq!(told(State::Healthy, "3 of 3 are ready").len(), 1);
    assert_eq!(told(State::Unhealthy, "1 of 3 is ready").len(), 1);
    let verdict = bench.panel.verdict(&target(1)).unwrap();
    assert_eq!(
        (verdict.healthy, verdict.assigned_checkers),
        (Some(false), 0)
    );
    assert_eq!(verdict.last_error.unwrap().0, "1 of 3 is ready");
    assert_eq!(bench.pass(1000), []);
}

#[test]
fn time_never_goes_back() {
    let mut bench = Bench::new(check(), nodes(1, 1));
    bench.say("n0", State::Healthy);
    let back = bench.now;
    bench.pass(20);
    assert_eq!(bench.panel.tick(back), []);
    assert_eq!(bench.panel.verdict(&target(1)).unwrap().fresh_checkers, 0);
    assert_eq!(Panel::new().tick(back), []);
}
