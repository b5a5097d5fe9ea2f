//! What a node does with what an operator says, message by message.

use std::sync::Arc;

use watershed_dns::fleet::{Builder, Effect, Kept, Subscriber};
use watershed_proto::{NackReason, NodeMessage, OperatorMessage, StagePart};
use watershed_snapshot::{Digest, Held, ResourceKind, ResourceSet, Term};

use crate::support::content::{
    Resources, address, assembled, edition, encoded, held, id, identity, name, oversized, parts,
    policy, record, subscriber, zone,
};
use crate::support::operator::welcome;

/// A node on a stream with an operator of term 1.
fn connected() -> Subscriber {
    let mut node = subscriber();
    node.connect();
    node.handle(welcome(1));
    node
}

/// The one message that the node sends.
fn said(effects: Vec<Effect>) -> NodeMessage {
    let mut messages = effects.into_iter().filter_map(|effect| match effect {
        Effect::Send(message) => Some(message),
        _ => None,
    });
    let message = messages.next().expect("the node says nothing");
    assert!(messages.next().is_none());
    message
}

fn stage_all(node: &mut Subscriber, parts: Vec<StagePart>) -> Vec<Effect> {
    let messages = parts.into_iter().map(OperatorMessage::Stage);
    messages.flat_map(|message| node.handle(message)).collect()
}

fn stage(node: &mut Subscriber, offer: Held, to: &ResourceSet) -> NodeMessage {
    said(stage_all(node, parts(offer, Term(1), None, to)))
}

fn activate(node: &mut Subscriber, offer: Held) -> Vec<Effect> {
    let (id, term) = (offer.id, Term(1));
    node.handle(OperatorMessage::Activate { id, term })
}

/// Makes the node serve these resources.
fn serve(node: &mut Subscriber, generation: u64, resources: &Resources) -> ResourceSet {
    let to = encoded(resources);
    let offer = held(1, generation, &to);
    assert_eq!(stage(node, offer, &to), NodeMessage::Staged(offer));
    activate(node, offer);
    assert_eq!(node.served().unwrap().held(), &offer);
    to
}

fn reason(message: NodeMessage) -> NackReason {
    match message {
        NodeMessage::Nack(nack) => nack.reason,
        other => panic!("{other:?} is no refusal"),
    }
}

#[test]
fn a_state_is_served_when_it_is_activated_and_not_before() {
    let mut node = connected();
    let to = encoded(&edition(1));
    let offer = held(1, 1, &to);
    assert_eq!(stage(&mut node, offer, &to), NodeMessage::Staged(offer));
    assert!(node.served().is_none());
    let effects = activate(&mut node, offer);
    let [
        Effect::Swap(snapshot),
        Effect::ReportApplied(applied),
        Effect::Keep(kept),
    ] = effects.as_slice()
    else {
        panic!("{effects:?}");
    };
    assert_eq!(snapshot, assembled(&edition(1)).snapshot());
    assert_eq!((*applied, kept.held), (offer, Some(offer)));
    assert_eq!((&kept.resources, kept.term), (&to, Term(1)));
}

#[test]
fn a_difference_is_enough_and_may_come_in_parts() {
    let mut node = connected();
    let first = serve(&mut node, 1, &edition(1));
    let mut next = edition(2);
    next.extend(policy("shop"));
    let to = encoded(&next);
    let offer = held(1, 2, &to);
    // One change in each part.
    let whole = first.diff(&to);
    let count = u32::try_from(whole.put.len()).unwrap();
    assert!(count > 2);
    let parts = (0..).zip(whole.put).map(|(part, put)| StagePart {
        offer,
        term: Term(1),
        base: Some(first.digest()),
        part,
        parts: count,
        delta: Arc::new(watershed_snapshot::Delta {
            put: vec![put],
            remove: Vec::new(),
        }),
    });
    let effects = stage_all(&mut node, parts.collect());
    assert_eq!(said(effects), NodeMessage::Staged(offer));
    let effects = activate(&mut node, offer);
    let Some(Effect::Swap(snapshot)) = effects.first() else {
        panic!("{effects:?}");
    };
    assert_eq!(snapshot, assembled(&next).snapshot());
}

#[test]
fn the_last_change_of_a_resource_counts() {
    let mut node = connected();
    let first = serve(&mut node, 1, &edition(1));
    let to = encoded(&edition(2));
    let whole = first.diff(&to);
    let names: Vec<_> = whole.put.iter().map(|(name, _)| name.clone()).collect();
    let garbled = names.iter().map(|name| (name.clone(), [0xFF].into()));
    let (offer, base) = (held(1, 2, &to), Some(first.digest()));
    let deltas = [
        (garbled.collect(), Vec::new()),
        (Vec::new(), names.clone()),
        (whole.put, [names, whole.remove].concat()),
    ];
    let parts = (0..).zip(deltas).map(|(part, (put, remove))| StagePart {
        offer,
        term: Term(1),
        base,
        part,
        parts: 3,
        delta: Arc::new(watershed_snapshot::Delta { put, remove }),
    });
    let effects = stage_all(&mut node, parts.collect());
    assert_eq!(said(effects), NodeMessage::Staged(offer));
}

#[test]
fn what_is_removed_is_gone() {
    let mut node = connected();
    let mut both = edition(1);
    both.push(address("old", 9));
    let first = serve(&mut node, 1, &both);
    let to = encoded(&edition(1));
    let offer = held(1, 2, &to);
    let effects = stage_all(&mut node, parts(offer, Term(1), Some(&first), &to));
    assert_eq!(said(effects), NodeMessage::Staged(offer));
    activate(&mut node, offer);
    let served = node.served().unwrap();
    assert_eq!(&served.snapshot(), assembled(&edition(1)).snapshot());
    assert!(served.resources().get(&record("old")).is_none());
}

#[test]
fn a_difference_to_something_else_is_refused() {
    let mut node = connected();
    let to = encoded(&edition(2));
    let offer = held(1, 2, &to);
    let other = encoded(&edition(7));
    let mut refused = |base: &ResourceSet| {
        let effects = stage_all(&mut node, parts(offer, Term(1), Some(base), &to));
        reason(said(effects))
    };
    assert_eq!(refused(&other), NackReason::Base);
    let mut node = connected();
    serve(&mut node, 1, &edition(1));
    let effects = stage_all(&mut node, parts(offer, Term(1), Some(&other), &to));
    assert_eq!(reason(said(effects)), NackReason::Base);
    assert_eq!(stage(&mut node, offer, &to), NodeMessage::Staged(offer));
}

#[test]
fn a_part_that_is_missing_is_noticed_and_said_once() {
    let mut node = connected();
    let to = encoded(&edition(1));
    let offer = held(1, 1, &to);
    let part = |part| {
        OperatorMessage::Stage(StagePart {
            offer,
            term: Term(1),
            base: None,
            part,
            parts: 4,
            delta: Arc::default(),
        })
    };
    assert!(node.handle(part(0)).is_empty());
    assert_eq!(reason(said(node.handle(part(2)))), NackReason::Base);
    assert!(node.handle(part(3)).is_empty());
    assert_eq!(stage(&mut node, offer, &to), NodeMessage::Staged(offer));
}

#[test]
fn parts_of_two_offers_are_not_mixed() {
    let mut node = connected();
    let (one, two) = (encoded(&edition(1)), encoded(&edition(2)));
    let part = |offer, part, to: &ResourceSet| {
        OperatorMessage::Stage(StagePart {
            offer,
            term: Term(1),
            base: None,
            part,
            parts: 2,
            delta: Arc::new(ResourceSet::new().diff(to)),
        })
    };
    let (first, second) = (held(1, 1, &one), held(1, 2, &two));
    assert!(node.handle(part(first, 0, &one)).is_empty());
    let mixed = said(node.handle(part(second, 1, &two)));
    assert_eq!(reason(mixed), NackReason::Base);
    let rest = said(node.handle(part(first, 1, &one)));
    assert_eq!(reason(rest), NackReason::Base);
}

#[test]
fn a_result_with_another_digest_is_refused() {
    let mut node = connected();
    let to = encoded(&edition(1));
    let offer = held(1, 1, &encoded(&edition(2)));
    assert_eq!(reason(stage(&mut node, offer, &to)), NackReason::Digest);
    assert_eq!(reason(said(activate(&mut node, offer))), NackReason::Base);
}

/// The resources that a node finds fault with when it is offered these, as what
/// `base` becomes.
fn faulty(node: &mut Subscriber, base: Option<&ResourceSet>, to: &ResourceSet) -> Vec<String> {
    let parts = parts(held(1, 9, to), Term(1), base, to);
    let NodeMessage::Nack(nack) = said(stage_all(node, parts)) else {
        panic!("garbled octets were taken");
    };
    assert_eq!(nack.reason, NackReason::Resource);
    let faults = nack.faults.iter();
    faults.map(|fault| fault.resource.to_string()).collect()
}

#[test]
fn all_resources_at_fault_are_named_at_once() {
    let records = ["RecordSet/shop/empty", "RecordSet/shop/garbled"];
    let all = [&records[..], &["TrafficPolicyVersion/shop/v"]].concat();
    // So many that they are not read at once.
    let many = (0..1000).map(|number| address(&format!("n{number}"), 1));
    for others in [Vec::new(), many.collect()] {
        let sound = [vec![zone("example.com", 1)], others].concat();
        let mut to = encoded(&sound);
        to.put(&record("garbled"), &[0xFF; 9]);
        to.put(&record("empty"), &[]);
        assert_eq!(faulty(&mut connected(), None, &to), records);
        to.put(&name(ResourceKind::TrafficPolicyVersion, "v"), &[0xFF]);
        assert_eq!(faulty(&mut connected(), None, &to), all);
        // And so when it is a change of what the node serves.
        let mut node = connected();
        let served = serve(&mut node, 1, &edition(1));
        assert_eq!(faulty(&mut node, Some(&served), &to), all);
    }
}

#[test]
fn of_resources_that_do_not_fit_the_later_by_name_is_named() {
    for number in 0..10 {
        let mut resources = edition(1);
        // The same name and type as `www`, by another object.
        let (_, rival) = address("www", 99);
        resources.push((record(&format!("rival-{number}")), rival));
        let found = faulty(&mut connected(), None, &encoded(&resources));
        assert_eq!(found, ["RecordSet/shop/www"]);
    }
}

#[test]
fn what_cannot_be_answered_is_found_before_it_is_served() {
    let mut node = connected();
    let mut resources = edition(1);
    resources.push(oversized("long"));
    let to = encoded(&resources);
    let NodeMessage::Nack(nack) = stage(&mut node, held(1, 1, &to), &to) else {
        panic!("a set that no message holds was taken");
    };
    assert_eq!(nack.reason, NackReason::SelfTest);
    let [fault] = nack.faults.as_slice() else {
        panic!("{:?}", nack.faults);
    };
    assert_eq!(fault.resource, record("long"));
    assert_eq!(fault.message, "long.example.com. type 16: response code 2");
}

#[test]
fn a_resource_that_is_to_be_refused_is() {
    let refused = name(ResourceKind::PolicyRecord, "bad");
    let builder = Builder::new(identity().formats).refusing([refused.clone()]);
    let mut node = Subscriber::new(identity(), builder);
    node.connect();
    node.handle(welcome(1));
    let mut resources = edition(1);
    resources.extend(policy("bad"));
    let to = encoded(&resources);
    let NodeMessage::Nack(nack) = stage(&mut node, held(1, 1, &to), &to) else {
        panic!("it was taken");
    };
    let faulty: Vec<_> = nack.faults.iter().map(|fault| &fault.resource).collect();
    assert_eq!(
        (nack.reason, faulty),
        (NackReason::Resource, vec![&refused])
    );
    serve(&mut node, 2, &edition(2));
}

#[test]
fn a_later_format_than_the_node_reads_is_refused_by_name() {
    let mut old = identity();
    old.formats = 1..=1;
    let mut node = Subscriber::new(old, Builder::new(1..=1));
    assert_eq!(node.connect().formats, 1..=1);
    node.handle(welcome(1));
    let mut resources = edition(1);
    resources.extend(policy("shop"));
    let to = encoded(&resources);
    let NodeMessage::Nack(nack) = stage(&mut node, held(1, 1, &to), &to) else {
        panic!("it was taken");
    };
    let version = name(ResourceKind::TrafficPolicyVersion, "shop-1");
    assert_eq!(nack.faults.first().map(|f| &f.resource), Some(&version));
    serve(&mut node, 2, &edition(2));
}

#[test]
fn another_stage_takes_the_place_of_the_former() {
    let mut node = connected();
    let (one, two) = (encoded(&edition(1)), encoded(&edition(2)));
    let (first, second) = (held(1, 1, &one), held(1, 2, &two));
    stage(&mut node, first, &one);
    stage(&mut node, second, &two);
    assert_eq!(reason(said(activate(&mut node, first))), NackReason::Base);
    assert!(node.served().is_none());
    activate(&mut node, second);
    assert_eq!(node.served().unwrap().held(), &second);
}

#[test]
fn a_new_stream_forgets_what_was_staged() {
    let mut node = connected();
    let to = encoded(&edition(1));
    let offer = held(1, 1, &to);
    stage(&mut node, offer, &to);
    let hello = node.connect();
    assert_eq!((hello.held, hello.term), (None, Term(1)));
    assert_eq!(reason(said(activate(&mut node, offer))), NackReason::Base);
}

#[test]
fn nothing_goes_back() {
    let mut node = connected();
    let five = serve(&mut node, 5, &edition(5));
    let other = encoded(&edition(6));
    let mut refused = |offer| reason(stage(&mut node, offer, &other));
    assert_eq!(refused(held(1, 4, &other)), NackReason::Stale);
    assert_eq!(refused(held(1, 5, &other)), NackReason::Conflict);
    assert_eq!(refused(held(0, 9, &other)), NackReason::Epoch);
    let mut order = |epoch, generation| {
        let id = id(epoch, generation);
        let term = Term(1);
        reason(said(node.handle(OperatorMessage::Activate { id, term })))
    };
    assert_eq!(order(1, 4), NackReason::Stale);
    assert_eq!(order(0, 9), NackReason::Epoch);
    assert_eq!(order(1, 6), NackReason::Base);
    assert_eq!(node.served().unwrap().held(), &held(1, 5, &five));
}

#[test]
fn a_later_epoch_begins_anew() {
    let mut node = connected();
    serve(&mut node, 5, &edition(5));
    let to = encoded(&edition(1));
    let offer = held(2, 1, &to);
    assert_eq!(stage(&mut node, offer, &to), NodeMessage::Staged(offer));
    activate(&mut node, offer);
    assert_eq!(node.served().unwrap().held().id, id(2, 1));
}

#[test]
fn what_is_served_already_is_reported_again() {
    let mut node = connected();
    let to = serve(&mut node, 1, &edition(1));
    let offer = held(1, 1, &to);
    let again = activate(&mut node, offer);
    assert!(matches!(again.as_slice(), [Effect::ReportApplied(it)] if *it == offer));
    let again = stage_all(&mut node, parts(offer, Term(1), None, &to));
    assert!(matches!(again.as_slice(), [Effect::ReportApplied(it)] if *it == offer));
}

#[test]
fn a_lower_term_ends_the_stream() {
    let mut node = connected();
    let to = serve(&mut node, 1, &edition(1));
    node.connect();
    node.handle(welcome(4));
    node.connect();
    let next = encoded(&edition(2));
    let offer = held(1, 2, &next);
    let stage = parts(offer, Term(3), Some(&to), &next).remove(0);
    let activate = OperatorMessage::Activate {
        id: offer.id,
        term: Term(3),
    };
    for message in [welcome(3), OperatorMessage::Stage(stage), activate] {
        assert_eq!(node.connect().term, Term(4));
        let effects = node.handle(message);
        assert!(matches!(
            effects.as_slice(),
            [Effect::Send(_), Effect::Close(_)]
        ));
        assert_eq!(reason(said(effects)), NackReason::Term);
        // What else was on its way is not listened to.
        assert!(node.handle(welcome(9)).is_empty());
    }
    assert_eq!(
        (node.term(), node.served().unwrap().held().id),
        (Term(4), id(1, 1))
    );
}

#[test]
fn a_higher_term_is_kept_before_anything_is_served() {
    let mut node = subscriber();
    node.connect();
    let effects = node.handle(welcome(3));
    let [Effect::Keep(kept)] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!((kept.held, kept.term), (None, Term(3)));
    assert!(node.handle(welcome(3)).is_empty());
}

#[test]
fn an_operator_of_another_age_is_left() {
    let mut node = subscriber();
    node.connect();
    let effects = node.handle(OperatorMessage::Welcome {
        operator: "operator-0".into(),
        term: Term(1),
        format: 99,
        heartbeat_ms: 1000,
        health: false,
    });
    assert!(
        matches!(effects.as_slice(), [Effect::Close(_)]),
        "{effects:?}"
    );
}

#[test]
fn the_node_tells_what_it_holds() {
    let mut node = connected();
    let to = serve(&mut node, 1, &edition(1));
    let hello = node.connect();
    assert_eq!(hello.held, Some(held(1, 1, &to)));
    assert_eq!(*hello.bucket_digests.unwrap(), to.bucket_digests());
    let www = record("www");
    let content = to.get(&www).unwrap();
    let bucket = ResourceSet::bucket_of(&www);
    let holdings = said(node.handle(OperatorMessage::Inquire(vec![bucket])));
    let NodeMessage::Holdings(holdings) = holdings else {
        panic!("{holdings:?}");
    };
    assert!(holdings.contains(&(www.clone(), Digest::of(content))));
    assert_eq!(holdings.len(), to.entries_of(bucket).count());
    let names = vec![www.clone(), record("unknown")];
    let recalled = said(node.handle(OperatorMessage::Recall(names)));
    let expected = vec![(www, content.into())];
    assert_eq!(recalled, NodeMessage::Recalled(expected));
    let unknown = OperatorMessage::Recall(vec![record("unknown")]);
    assert_eq!(
        said(node.handle(unknown)),
        NodeMessage::Recalled(Vec::new())
    );
}

#[test]
fn a_node_goes_on_with_what_was_kept() {
    let resources = encoded(&edition(3));
    let kept = Kept {
        held: Some(held(1, 3, &resources)),
        resources: resources.clone(),
        term: Term(2),
    };
    let builder = Builder::new(identity().formats);
    let mut node = Subscriber::restore(identity(), builder, kept).unwrap();
    let served = node.served().unwrap();
    assert_eq!(&served.snapshot(), assembled(&edition(3)).snapshot());
    let hello = node.connect();
    assert_eq!(
        (hello.held, hello.term),
        (Some(held(1, 3, &resources)), Term(2))
    );
}

#[test]
fn what_was_kept_and_cannot_be_read_is_told() {
    let mut resources = encoded(&edition(3));
    resources.put(&record("garbled"), &[0xFF; 9]);
    let kept = Kept {
        held: Some(held(1, 3, &resources)),
        resources,
        term: Term(2),
    };
    let builder = Builder::new(identity().formats);
    let restored = Subscriber::restore(identity(), builder, kept)
        .err()
        .unwrap();
    let faulty: Vec<_> = restored.iter().map(|fault| &fault.resource).collect();
    assert_eq!(faulty, [&record("garbled")]);
}
