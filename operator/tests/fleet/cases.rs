//! What the publisher does, case by case.

use std::time::Duration;

use watershed_operator::fleet::Cause;
use watershed_proto::{Location, NEWEST_FORMAT};
use watershed_snapshot::{Digest, SnapshotId, Term};

use crate::content::{put, put_in_format, put_zone, record_name, remove, zone};
use crate::world::{Fate, World, node_name};

/// No nodes.
const NOBODY: [usize; 0] = [];

/// Three nodes that serve record 0, and the operator that leads.
fn three_nodes() -> World {
    let mut world = World::new(3, 2);
    world.desire(vec![put_zone(), put(0, 0)], |_| true);
    world.lead(0, 1, |_| {});
    world.settle(0);
    world
}

fn edit(world: &mut World, record: u8, edition: u8) {
    world.desire(vec![put(record, edition)], |operator| operator == 0);
}

/// The nodes that serve a record as desired.
fn with_desired(world: &World, record: u8) -> Vec<usize> {
    let desired = world.desired_set();
    let name = record_name(record);
    let form = desired.get(&name).map(Digest::of);
    (0..world.nodes.len())
        .filter(|node| form.is_some() && world.form(*node, &name) == form)
        .collect()
}

fn recorded(world: &World) -> SnapshotId {
    world.record().expect("a record").held.id
}

#[test]
fn what_is_desired_comes_to_all_and_is_counted() {
    let mut world = three_nodes();
    assert_eq!(with_desired(&world, 0), [0, 1, 2]);
    let first = recorded(&world);
    edit(&mut world, 1, 1);
    world.pass(Duration::from_millis(300));
    world.flow();
    assert_eq!(with_desired(&world, 1), [0, 1, 2]);
    let second = recorded(&world);
    assert_eq!(
        (second.epoch, second.generation),
        (first.epoch, first.generation + 1)
    );
    let progress = world.progress(0, &record_name(1));
    assert_eq!(progress.id, Some(second));
    assert_eq!((progress.programmed, progress.live), (3, 3));
    assert_eq!(progress.complete_after, Some(Duration::from_millis(300)));
    let other = world.progress(0, &record_name(0));
    assert_eq!((other.id, other.programmed), (Some(first), 3));
}

#[test]
fn the_same_content_again_makes_no_generation() {
    let mut world = three_nodes();
    let before = recorded(&world);
    edit(&mut world, 0, 0);
    world.settle(0);
    assert_eq!(recorded(&world), before);
    edit(&mut world, 0, 1);
    world.settle(0);
    edit(&mut world, 0, 0);
    world.settle(0);
    assert_eq!(recorded(&world).generation, before.generation + 2);
    let progress = world.progress(0, &record_name(0));
    assert_eq!(progress.id, Some(recorded(&world)));
    assert_eq!(progress.programmed, 3);
}

#[test]
fn changes_of_a_generation_on_its_way_go_together_in_the_next() {
    let mut world = three_nodes();
    let before = recorded(&world).generation;
    for edition in 1..=5 {
        edit(&mut world, 0, edition);
        edit(&mut world, 1, edition);
    }
    world.settle(0);
    assert_eq!(with_desired(&world, 0), [0, 1, 2]);
    assert_eq!(with_desired(&world, 1), [0, 1, 2]);
    assert_eq!(recorded(&world).generation, before + 2);
}

#[test]
fn a_stuck_node_holds_up_nobody_beyond_the_deadline() {
    let mut world = three_nodes();
    world.nodes[1].stuck = true;
    edit(&mut world, 1, 1);
    world.flow();
    world.pass(Duration::from_millis(1900));
    world.flow();
    assert_eq!(
        with_desired(&world, 1),
        NOBODY,
        "all wait until the deadline"
    );
    world.pass(Duration::from_millis(200));
    world.flow();
    assert_eq!(with_desired(&world, 1), [0, 2]);
    // The next ones do not wait for it at all.
    edit(&mut world, 1, 2);
    world.flow();
    assert_eq!(with_desired(&world, 1), [0, 2]);
    let progress = world.progress(0, &record_name(1));
    assert_eq!((progress.programmed, progress.live), (2, 3));
    assert_eq!(progress.complete_after, None);
    assert!(world.view(0).nodes[1].lagging);
    // It loses its stream in the end, and begins anew.
    world.nodes[1].stuck = false;
    world.run(0, Duration::from_secs(130));
    assert_eq!(with_desired(&world, 1), [0, 1, 2]);
    assert!(!world.view(0).nodes[1].lagging);
}

#[test]
fn a_refused_resource_stays_as_it_was_and_the_others_go_on() {
    let mut world = three_nodes();
    edit(&mut world, 1, 1);
    world.settle(0);
    let former = world.form(0, &record_name(1));
    world.refuse(2, &[record_name(1), record_name(2)]);
    world.start_node(2);
    world.settle(0);
    // Record 1 has an acknowledged form, record 2 has none.
    world.desire(vec![put(1, 2), put(2, 2), put(3, 2)], |operator| {
        operator == 0
    });
    world.settle(0);
    for node in 0..3 {
        assert_eq!(world.form(node, &record_name(1)), former, "n{node}");
        assert_eq!(world.form(node, &record_name(2)), None, "n{node}");
    }
    assert_eq!(with_desired(&world, 3), [0, 1, 2]);
    let view = world.view(0);
    let quarantined: Vec<_> = view
        .quarantined
        .iter()
        .map(|quarantined| (quarantined.name.clone(), quarantined.kept))
        .collect();
    assert_eq!(
        quarantined,
        [(record_name(1), true), (record_name(2), false)]
    );
    let progress = world.progress(0, &record_name(1));
    assert_eq!((progress.id, progress.programmed), (None, 0));
    assert_eq!(progress.rejected.len(), 1);
    assert_eq!(progress.rejected[0].0, node_name(2));
    assert!(progress.rejected[0].1.contains("--refuse"), "{progress:?}");
    // The node is started without the fault: all that was refused goes out.
    world.refuse(2, &[]);
    world.start_node(2);
    world.settle(0);
    assert_eq!(with_desired(&world, 1), [0, 1, 2]);
    assert_eq!(with_desired(&world, 2), [0, 1, 2]);
    assert!(world.view(0).quarantined.is_empty());
}

#[test]
fn a_refusal_is_not_answered_with_the_same_offer_at_once() {
    let mut world = World::new(2, 1);
    world.refuse(1, &[record_name(1)]);
    world.start_node(1);
    world.desire(vec![put_zone(), put(0, 0), put(1, 1)], |_| true);
    world.lead(0, 1, |_| {});
    // Nobody is there, and the generation is activated for whoever comes.
    world.flow();
    world.pass(Duration::from_secs(3));
    world.flow();
    assert!(world.view(0).active);
    // Nothing can be recorded from now on, so that it stays the newest one.
    world.connect(1, 0);
    for _ in 0..20 {
        while world.deliver_up(1) || world.deliver_down(1) {}
        world.answer_request(0, Fate::Failed);
        world.pass(Duration::from_millis(100));
    }
    let sent = world.count_puts(1);
    assert!((3..=9).contains(&sent), "{sent} in two seconds");
    assert!(world.view(0).nodes[0].rejected.is_some());
    world.settle(0);
    assert_eq!(with_desired(&world, 0), [0, 1]);
    assert_eq!(with_desired(&world, 1), NOBODY);
}

#[test]
fn a_new_content_is_tried_even_if_the_former_was_refused() {
    let mut world = World::new(2, 1);
    world.refuse(0, &[record_name(1)]);
    world.start_node(0);
    world.desire(vec![put_zone(), put(1, 1)], |_| true);
    world.lead(0, 1, |_| {});
    world.settle(0);
    assert_eq!(world.view(0).quarantined.len(), 1);
    let before = recorded(&world).generation;
    edit(&mut world, 1, 2);
    world.settle(0);
    assert_eq!(world.view(0).quarantined.len(), 1);
    assert!(
        recorded(&world).generation > before,
        "it was offered once more"
    );
    world.desire(vec![remove(1)], |_| true);
    world.settle(0);
    assert!(world.view(0).quarantined.is_empty());
}

#[test]
fn a_node_that_refuses_what_others_serve_is_alone_with_it() {
    let mut world = three_nodes();
    world.refuse(2, &[record_name(0)]);
    world.crash_node(2);
    world.wipe_disk(2);
    world.start_node(2);
    world.settle(0);
    assert_eq!(with_desired(&world, 0), [0, 1]);
    let view = world.view(0);
    assert!(view.quarantined.is_empty(), "{view:#?}");
    let rejected = view.nodes[2].rejected.as_deref().expect("it refuses");
    assert!(rejected.contains("RecordSet/shop/r0"), "{rejected}");
    let progress = world.progress(0, &record_name(0));
    assert_eq!((progress.programmed, progress.live), (2, 3));
    assert_eq!(progress.rejected.len(), 1);
    // Changes go on, without it and without delay.
    edit(&mut world, 1, 1);
    world.flow();
    assert_eq!(with_desired(&world, 1), [0, 1]);
}

#[test]
fn what_the_only_node_refuses_is_left_out_for_the_rest() {
    let mut world = World::new(1, 1);
    world.desire(vec![put_zone(), put(0, 0), put(1, 0)], |_| true);
    world.lead(0, 1, |_| {});
    world.settle(0);
    world.refuse(0, &[record_name(0)]);
    world.crash_node(0);
    world.wipe_disk(0);
    world.start_node(0);
    world.settle(0);
    assert_eq!(with_desired(&world, 0), NOBODY);
    assert_eq!(with_desired(&world, 1), [0]);
}

#[test]
fn a_new_leader_goes_on_with_the_same_generation() {
    let mut world = three_nodes();
    let before = world.record().expect("a record");
    world.crash_operator(0);
    world.lead(1, 2, |_| {});
    world.settle(1);
    let after = world.record().expect("a record");
    assert_eq!(after.held, before.held);
    assert!(after.term > before.term);
    let progress = world.progress(1, &record_name(0));
    assert_eq!(progress.id, Some(before.held.id));
    assert_eq!((progress.programmed, progress.live), (3, 3));
    assert_eq!(progress.complete_after, None);
}

#[test]
fn a_new_leader_keeps_what_cannot_be_compiled_now() {
    let mut world = three_nodes();
    edit(&mut world, 1, 1);
    world.settle(0);
    let served = world.form(0, &record_name(1));
    world.crash_operator(0);
    // The compiler of the new leader cannot make record 1, and wants it.
    world.desire(vec![remove(1), put(2, 2)], |_| false);
    world.operators[1].wanted = [record_name(1)].into();
    world.lead(1, 2, |_| {});
    world.settle(1);
    assert_eq!(world.operators[1].recalled, [record_name(1)]);
    for node in 0..3 {
        assert_eq!(world.form(node, &record_name(1)), served, "n{node}");
    }
    assert_eq!(with_desired(&world, 2), [0, 1, 2]);
}

#[test]
fn a_new_leader_learns_what_it_would_publish_otherwise() {
    let (zone, _) = zone();
    for (edition, recalled) in [(1, vec![]), (2, vec![zone.clone(), record_name(1)])] {
        let mut world = three_nodes();
        edit(&mut world, 1, 1);
        world.settle(0);
        let served = world.form(0, &record_name(1));
        world.crash_operator(0);
        // The compiler of the new leader falls back to an older form of record
        // 1; record 0 it has as nodes have it, and so it has the zone's head.
        world.desire(vec![put(1, edition)], |_| false);
        world.operators[1].wanted = [zone.clone(), record_name(0), record_name(1)].into();
        world.lead(1, 2, |_| {});
        world.settle(1);
        assert_eq!(world.operators[1].recalled, recalled);
        for node in 0..3 {
            assert_eq!(world.form(node, &record_name(1)), served, "n{node}");
        }
    }
}

#[test]
fn a_new_leader_knows_the_last_form_of_what_is_refused() {
    let mut world = three_nodes();
    let former = world.form(0, &record_name(0));
    world.refuse(2, &[record_name(0)]);
    world.start_node(2);
    world.settle(0);
    edit(&mut world, 0, 1);
    world.settle(0);
    world.crash_operator(0);
    world.lead(1, 2, |_| {});
    world.settle(1);
    for node in 0..3 {
        assert_eq!(world.form(node, &record_name(0)), former, "n{node}");
    }
    let quarantined = world.view(1).quarantined;
    assert_eq!(quarantined.len(), 1);
    assert!(quarantined[0].kept);
}

#[test]
fn a_deposed_leader_learns_it_from_the_record_and_from_nodes() {
    let mut world = three_nodes();
    // Both think that they lead; the nodes are with the second.
    world.lead(1, 2, |_| {});
    for node in 0..3 {
        world.connect(node, 1);
    }
    world.run(1, Duration::from_secs(5));
    edit(&mut world, 1, 1);
    world.flow();
    assert!(world.operators[0].deposed, "the record is of a later term");
    assert_eq!(
        with_desired(&world, 1),
        NOBODY,
        "nobody took the change of the deposed one"
    );
}

#[test]
fn a_lower_term_of_the_lease_does_not_stop_a_leader() {
    let mut world = three_nodes();
    world.lead(0, 9, |_| {});
    world.settle(0);
    // The Lease was deleted, and counts from the beginning.
    world.crash_operator(0);
    world.lead(1, 1, |_| {});
    world.desire(vec![put(1, 1)], |_| true);
    world.settle(1);
    assert_eq!(with_desired(&world, 1), [0, 1, 2]);
    assert!(world.record().expect("a record").term > Term(9));
    // The record is lost as well: the nodes still know.
    world.crash_operator(1);
    world.forget();
    world.pass(Duration::from_secs(2));
    world.lead(0, 1, |_| {});
    world.desire(vec![put(1, 2)], |_| true);
    world.settle(0);
    assert_eq!(with_desired(&world, 1), [0, 1, 2]);
}

#[test]
fn a_lost_record_begins_a_new_epoch() {
    let mut world = three_nodes();
    let before = recorded(&world);
    world.crash_operator(0);
    world.forget();
    world.lead(1, 2, |_| {});
    world.settle(1);
    let after = recorded(&world);
    assert!(after.epoch > before.epoch, "{after} after {before}");
    assert_eq!(after.generation, 1);
    for node in 0..3 {
        let (held, _) = world.serving(node).expect("it serves");
        assert_eq!(held.id, after);
    }
}

#[test]
fn a_claim_that_the_loss_of_the_record_overtook_gives_no_number_twice() {
    let mut world = World::new(2, 2);
    world.desire(vec![put_zone(), put(0, 0)], |_| true);
    // Two leaders see that there is no record, in the same second.
    for operator in 0..2 {
        world.lead(operator, 1 + operator as u64, |_| {});
        world.answer_request(operator, Fate::Answered);
    }
    // One publishes; what the other asks of the store is on its way for long.
    world.answer_request(1, Fate::Answered);
    for node in 0..2 {
        world.connect(node, 1);
        while world.deliver_up(node) || world.deliver_down(node) {}
    }
    for _ in 0..50 {
        world.pass(Duration::from_millis(100));
        world.answer_request(1, Fate::Answered);
        for node in 0..2 {
            while world.deliver_up(node) || world.deliver_down(node) {}
        }
    }
    assert_eq!(with_desired(&world, 0), [0, 1]);
    let before = recorded(&world);
    world.forget();
    world.crash_operator(1);
    world.desire(vec![put(0, 1)], |operator| operator == 0);
    // The world holds each recorded id to be greater than those before.
    world.settle(0);
    assert_eq!(with_desired(&world, 0), [0, 1]);
    assert!(recorded(&world).epoch > before.epoch);
}

#[test]
fn a_record_that_went_back_is_exceeded() {
    let mut world = three_nodes();
    let old = world.record();
    for edition in 1..=3 {
        edit(&mut world, 0, edition);
        world.settle(0);
    }
    let newest = world.record();
    world.crash_operator(0);
    // As by a restore of the cluster from an old backup.
    let fleet = watershed_operator::fleet::FleetName::new("default");
    let old = old.expect("a record");
    world
        .store
        .swap(&fleet, newest.as_ref(), &old)
        .expect("restored");
    world.lead(1, 2, |_| {});
    world.settle(1);
    assert!(recorded(&world) > newest.expect("a record").held.id);
    let (held, _) = world.serving(0).expect("it serves");
    assert_eq!(held.id, recorded(&world));
}

#[test]
fn the_store_may_fail_for_a_while() {
    let mut world = three_nodes();
    edit(&mut world, 1, 1);
    for fate in [Fate::Failed, Fate::AnswerLost] {
        assert!(world.answer_request(0, fate));
        assert!(world.view(0).problem.is_some());
        world.pass(Duration::from_secs(4));
    }
    world.settle(0);
    assert_eq!(with_desired(&world, 1), [0, 1, 2]);
    assert_eq!(world.view(0).problem, None);
}

#[test]
fn only_what_differs_is_sent_to_a_node_that_was_away() {
    let mut world = three_nodes();
    let many = (10..250).map(|record| put(record, 1)).collect();
    world.desire(many, |operator| operator == 0);
    world.settle(0);
    world.crash_node(1);
    edit(&mut world, 10, 2);
    world.run(0, Duration::from_secs(3));
    // The leader changes too: nobody remembers what the node holds.
    world.crash_operator(0);
    world.lead(1, 2, |_| {});
    world.run(1, Duration::from_secs(10));
    world.start_node(1);
    world.connect(1, 1);
    let sent = world.count_puts(1);
    world.settle(1);
    assert_eq!(with_desired(&world, 10), [0, 1, 2]);
    assert_eq!(world.count_puts(1) - sent, 1);
}

#[test]
fn who_comes_with_nothing_waits_for_a_turn() {
    let mut world = World::new(6, 1);
    world.desire(vec![put_zone(), put(0, 0)], |_| true);
    world.lead(0, 1, |config| config.catching_up = 2);
    let filled = |world: &World| -> Vec<usize> {
        let nodes = 0..world.nodes.len();
        nodes.filter(|node| world.count_puts(*node) > 0).collect()
    };
    world.nodes[0].stuck = true;
    world.nodes[1].stuck = true;
    world.run(0, Duration::from_secs(100));
    assert_eq!(
        filled(&world),
        [0, 1],
        "two at a time, and these do not answer"
    );
    // One gives up its turn, and the others come one after the other.
    world.cut(0, true);
    world.nodes[0].stuck = false;
    world.settle(0);
    assert_eq!(with_desired(&world, 0), [0, 2, 3, 4, 5]);
    // A change goes to all that have caught up at once.
    edit(&mut world, 0, 1);
    world.flow();
    assert_eq!(with_desired(&world, 0), [0, 2, 3, 4, 5]);
    world.nodes[1].stuck = false;
    world.run(0, Duration::from_secs(130));
    assert_eq!(with_desired(&world, 0), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn nobody_waits_for_a_node_that_waits_for_its_turn() {
    let mut world = World::new(3, 1);
    world.desire(vec![put_zone(), put(0, 0)], |_| true);
    world.nodes[1].stuck = true;
    world.lead(0, 1, |config| config.catching_up = 1);
    world.settle(0);
    assert_eq!(with_desired(&world, 0), [0]);
    let view = world.view(0);
    let lagging: Vec<bool> = view.nodes.iter().map(|node| node.lagging).collect();
    assert_eq!(lagging, [false, true, false], "it was sent nothing");
    edit(&mut world, 0, 1);
    world.flow();
    assert_eq!(with_desired(&world, 0), [0], "at once");
}

#[test]
fn a_silent_node_stops_counting_and_a_closed_one_soon() {
    let mut world = three_nodes();
    let live = |world: &World| world.progress(0, &record_name(0)).live;
    world.crash_node(2);
    world.flow();
    world.pass(Duration::from_secs(100));
    assert_eq!(live(&world), 3, "it may come back");
    let view = world.view(0);
    assert!(!view.nodes[2].connected);
    world.pass(Duration::from_secs(30));
    assert_eq!(live(&world), 2);
    world.close(1);
    world.flow();
    assert_eq!(live(&world), 2);
    world.pass(Duration::from_secs(6));
    assert_eq!(live(&world), 1);
}

#[test]
fn a_second_stream_of_a_node_takes_the_place_of_the_first() {
    let mut world = three_nodes();
    let live = world.view(0).nodes.len();
    world.connect(1, 0);
    world.settle(0);
    assert_eq!(world.view(0).nodes.len(), live);
    edit(&mut world, 1, 1);
    world.settle(0);
    assert_eq!(with_desired(&world, 1), [0, 1, 2]);
}

#[test]
fn what_a_node_cannot_read_is_held_back_from_all() {
    let mut world = three_nodes();
    world.limit_format(1, 1);
    world.start_node(1);
    world.settle(0);
    let change = vec![put_in_format(1, 1, 2), put(2, 2)];
    world.desire(change, |operator| operator == 0);
    world.settle(0);
    assert_eq!(with_desired(&world, 1), NOBODY);
    assert_eq!(with_desired(&world, 2), [0, 1, 2]);
    let quarantined = &world.view(0).quarantined[0];
    assert_eq!(quarantined.name, record_name(1));
    let nodes = vec![(node_name(1), 1)];
    let cause = Cause::Format {
        needed: 2,
        operator: NEWEST_FORMAT,
        nodes,
    };
    assert_eq!(quarantined.cause, cause);
    // The node is brought to a newer version.
    world.limit_format(1, 2);
    world.start_node(1);
    world.settle(0);
    assert_eq!(with_desired(&world, 1), [0, 1, 2]);
    // An old one that comes then takes nothing away.
    world.limit_format(1, 1);
    world.start_node(1);
    edit(&mut world, 2, 3);
    world.settle(0);
    assert_eq!(with_desired(&world, 1), [0, 1, 2]);
    assert_eq!(with_desired(&world, 2), [0, 2]);
    let rejected = world.view(0).nodes[1]
        .rejected
        .clone()
        .expect("it cannot read");
    assert!(rejected.contains("formats up to 1"), "{rejected}");
}

#[test]
fn an_operator_of_an_older_format_publishes_what_it_can() {
    let mut world = World::new(2, 1);
    world.desire(vec![put_zone(), put(0, 0), put_in_format(1, 1, 2)], |_| {
        true
    });
    world.lead(0, 1, |config| config.newest_format = 1);
    world.settle(0);
    assert_eq!(with_desired(&world, 0), [0, 1]);
    assert_eq!(with_desired(&world, 1), NOBODY);
    assert_eq!(world.view(0).quarantined.len(), 1);
}

#[test]
fn a_view_says_where_nodes_are() {
    let world = three_nodes();
    let view = world.view(0);
    assert_eq!(view.current, Some(recorded(&world)));
    assert!(view.active);
    let names: Vec<_> = view.nodes.iter().map(|node| node.name.clone()).collect();
    assert_eq!(names, [node_name(0), node_name(1), node_name(2)]);
    assert_eq!(view.nodes[0].location, Location::default());
    assert!(view.nodes.iter().all(|node| node.connected));
    let applied = view.nodes.iter().filter_map(|node| node.applied);
    assert!(applied.map(|held| held.id).eq([recorded(&world); 3]));
}
