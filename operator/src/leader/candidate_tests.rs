use super::*;
use crate::leader::MemoryLease;

const DURATION: Duration = Duration::from_secs(15);

fn config(identity: &str) -> LeaderConfig {
    LeaderConfig {
        namespace: "watershed-system".to_owned(),
        name: "watershed-operator".to_owned(),
        identity: identity.to_owned(),
        address: format!("{identity}.example.com:8443"),
        duration: DURATION,
    }
}

/// One replica, its clock and a lease.
struct Stage {
    candidate: Candidate,
    lease: MemoryLease,
    now: Instant,
    wall: Timestamp,
}

impl Stage {
    fn new(lease: &MemoryLease) -> Self {
        let now = Instant::now();
        Self {
            candidate: Candidate::new(config("a"), now),
            lease: lease.clone(),
            now,
            wall: Timestamp::UNIX_EPOCH,
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.wall += Duration::from_secs(seconds);
    }

    fn next(&mut self) -> Action {
        self.candidate.next(self.now, self.wall)
    }

    fn role(&self) -> Role {
        self.candidate.role(self.now)
    }

    fn leads(&self) -> bool {
        self.role().leads()
    }

    /// Lets the API server do what is asked for, until there is nothing to do
    /// at this time.
    fn settle(&mut self) -> Instant {
        loop {
            match self.next() {
                Action::Read(_) => {
                    let found = self.lease.found();
                    self.candidate.read(self.now, Ok(found));
                }
                Action::Write(write) => {
                    let result = self.lease.swap(&write.lease, write.version.as_deref());
                    self.candidate.written(write, self.now, self.now, result);
                }
                Action::Wait(until) => return until,
                Action::Done => return self.now,
            }
        }
    }

    /// The API server does not answer.
    fn fail(&mut self) -> Action {
        let action = self.next();
        let silent = || Failure::Unknown("silence".to_owned());
        match action.clone() {
            Action::Read(_) => self.candidate.read(self.now, Err(silent())),
            Action::Write(write) => {
                self.candidate
                    .written(write, self.now, self.now, Err(silent()));
            }
            Action::Wait(_) | Action::Done => {}
        }
        action
    }

    fn found(&self) -> Lease {
        self.lease.found().expect("a lease").lease
    }

    fn edit(&self, change: impl FnOnce(&mut Lease)) {
        let mut found = self.lease.found().expect("a lease");
        change(&mut found.lease);
        self.lease
            .swap(&found.lease, Some(&found.version))
            .expect("nobody else writes");
    }
}

fn of_another(transitions: u32) -> Lease {
    Lease {
        holder: "b".to_owned(),
        address: Some("b.example.com:8443".to_owned()),
        duration: DURATION,
        transitions,
        acquired: Some(Timestamp::UNIX_EPOCH),
        renewed: Some(Timestamp::UNIX_EPOCH),
    }
}

/// A stage where another replica has the lease.
fn with_another() -> Stage {
    let lease = MemoryLease::default();
    lease.swap(&of_another(6), None).expect("there is none");
    let mut stage = Stage::new(&lease);
    stage.settle();
    stage
}

/// A stage where this replica leads.
fn leading() -> Stage {
    let mut stage = Stage::new(&MemoryLease::default());
    stage.settle();
    assert!(stage.leads());
    stage
}

#[test]
fn where_there_is_no_lease_it_is_made() {
    let mut stage = Stage::new(&MemoryLease::default());
    assert!(matches!(stage.next(), Action::Read(_)));
    stage.settle();
    assert_eq!(stage.role(), Role::Leading { term: Term(1) });
    let lease = stage.found();
    assert_eq!((lease.holder.as_str(), lease.transitions), ("a", 0));
    assert_eq!(lease.address.as_deref(), Some("a.example.com:8443"));
    assert_eq!(lease.duration, DURATION);
}

#[test]
fn a_leader_renews_in_time_and_keeps_its_claim() {
    let mut stage = leading();
    let before = stage.found();
    for _ in 0..10 {
        let next = stage.settle();
        assert_eq!(next - stage.now, Duration::from_secs(2));
        stage.pass(2);
    }
    stage.settle();
    assert_eq!(stage.role(), Role::Leading { term: Term(1) });
    assert_eq!(stage.found().claim(), before.claim());
    assert!(stage.found().renewed > before.renewed);
    let until = stage.candidate.until().expect("it leads");
    assert_eq!(until - stage.now, Duration::from_secs(10));
}

#[test]
fn anothers_lease_is_waited_for_until_it_was_seen_unchanged_for_its_duration() {
    let mut stage = with_another();
    let leader = Some("b.example.com:8443".to_owned());
    assert_eq!(stage.role(), Role::Following { leader });
    for _ in 0..7 {
        stage.pass(2);
        stage.settle();
        assert!(!stage.leads());
    }
    stage.pass(1);
    stage.settle();
    assert_eq!(stage.role(), Role::Leading { term: Term(8) });
    assert_eq!(stage.found().transitions, 7, "one more holder");
}

#[test]
fn each_renewal_of_another_begins_the_wait_anew() {
    let mut stage = with_another();
    for second in 1..60 {
        stage.pass(1);
        if second % 10 == 0 {
            stage.edit(|lease| {
                lease.renewed = lease.renewed.map(|time| time + Duration::from_secs(10));
            });
        }
        stage.settle();
        assert!(!stage.leads(), "after {second} s");
    }
}

#[test]
fn what_another_claims_about_its_duration_counts() {
    let mut stage = with_another();
    stage.edit(|lease| lease.duration = Duration::from_mins(1));
    for _ in 0..30 {
        stage.pass(2);
        stage.settle();
        assert!(!stage.leads());
    }
    stage.pass(2);
    stage.settle();
    assert!(stage.leads());
}

#[test]
fn jumps_of_the_clock_on_the_wall_do_not_matter() {
    for wall in ["1970-01-01T00:00:00Z", "2500-01-01T00:00:00Z"] {
        let wall: Timestamp = wall.parse().expect("a time");
        let mut stage = with_another();
        stage.wall = wall;
        stage.pass(2);
        stage.settle();
        assert!(!stage.leads(), "another's lease has not expired");

        let mut stage = leading();
        stage.wall = wall;
        stage.pass(2);
        stage.settle();
        assert!(stage.leads(), "its own has not, either");
    }
}

#[test]
fn of_two_only_one_acquires_an_expired_lease() {
    let mut stage = with_another();
    stage.pass(15);
    let Action::Write(write) = stage.next() else {
        panic!("the lease has expired");
    };
    stage.edit(|lease| {
        lease.holder = "c".to_owned();
        lease.address = None;
        lease.transitions = 7;
    });
    let result = stage.lease.swap(&write.lease, write.version.as_deref());
    assert_eq!(result, Err(Failure::Conflict));
    stage.candidate.written(write, stage.now, stage.now, result);
    stage.settle();
    assert_eq!(stage.role(), Role::Following { leader: None });
    assert_eq!(stage.found().holder, "c");
}

#[test]
fn a_leader_finds_out_that_the_lease_is_anothers() {
    let mut stage = leading();
    stage.edit(|lease| *lease = of_another(4));
    stage.pass(2);
    stage.settle();
    let leader = Some("b.example.com:8443".to_owned());
    assert_eq!(stage.role(), Role::Following { leader });
    assert_eq!(stage.candidate.loss(), Some(Loss::Taken));
}

#[test]
fn a_leader_goes_on_when_somebody_only_touched_the_lease() {
    let mut stage = leading();
    stage.edit(|lease| lease.address = None);
    stage.pass(2);
    stage.settle();
    assert_eq!(stage.role(), Role::Leading { term: Term(1) });
    assert_eq!(stage.found().address.as_deref(), Some("a.example.com:8443"));
}

#[test]
fn a_leader_without_api_server_stops_before_the_lease_expires() {
    let mut stage = leading();
    let mut requests = 0;
    for _ in 0..9 {
        stage.pass(1);
        let remaining = stage.candidate.until().expect("it leads") - stage.now;
        match stage.fail() {
            Action::Read(within) => assert!(within <= remaining),
            Action::Write(write) => assert!(write.within <= remaining),
            Action::Wait(_) | Action::Done => continue,
        }
        requests += 1;
        assert!(stage.leads());
    }
    assert!(requests >= 5, "it keeps trying: {requests}");
    stage.pass(1);
    assert!(!stage.leads(), "10 s after it wrote the lease");
    stage.fail();
    assert_eq!(stage.candidate.loss(), Some(Loss::Lapsed));
    assert_eq!(stage.candidate.until(), None);
}

#[test]
fn after_a_lapse_it_leads_again_in_another_term() {
    let mut stage = leading();
    stage.pass(2);
    stage.fail();
    stage.pass(60);
    stage.settle();
    assert_eq!(stage.role(), Role::Leading { term: Term(2) });
}

#[test]
fn a_write_without_answer_that_arrived_is_gone_on_with() {
    let mut stage = Stage::new(&MemoryLease::default());
    stage.candidate.read(stage.now, Ok(None));
    let Action::Write(write) = stage.next() else {
        panic!("there is no lease");
    };
    stage.lease.swap(&write.lease, None).expect("it arrives");
    let silent = Err(Failure::Unknown("silence".to_owned()));
    stage.candidate.written(write, stage.now, stage.now, silent);
    assert!(!stage.leads(), "nothing is known yet");
    stage.pass(1);
    stage.settle();
    assert_eq!(stage.role(), Role::Leading { term: Term(1) });
}

#[test]
fn a_write_that_arrives_after_the_next_try_is_the_same_claim() {
    let mut stage = Stage::new(&MemoryLease::default());
    stage.candidate.read(stage.now, Ok(None));
    let Action::Write(late) = stage.fail() else {
        panic!("there is no lease");
    };
    stage.pass(1);
    stage.candidate.read(stage.now, Ok(None));
    let Action::Write(again) = stage.next() else {
        panic!("there is no lease still");
    };
    stage.lease.swap(&late.lease, None).expect("it arrives");
    let result = stage.lease.swap(&again.lease, None);
    assert_eq!(result, Err(Failure::Conflict));
    stage.candidate.written(again, stage.now, stage.now, result);
    stage.settle();
    assert_eq!(stage.role(), Role::Leading { term: Term(1) });
}

#[test]
fn the_lease_of_the_process_before_need_not_expire() {
    let before = leading();
    let mut stage = Stage::new(&before.lease);
    stage.settle();
    assert_eq!(stage.role(), Role::Leading { term: Term(2) });
}

#[test]
fn of_two_with_one_name_the_first_does_not_take_the_lease_back() {
    let mut first = leading();
    let mut twin = Stage::new(&first.lease);
    twin.wall += Duration::from_secs(1);
    twin.settle();
    assert!(twin.leads());
    for _ in 0..5 {
        first.pass(2);
        first.settle();
        assert!(!first.leads());
        twin.pass(2);
        twin.settle();
        assert!(twin.leads());
    }
}

#[test]
fn a_leader_that_ends_leaves_the_lease_to_the_next() {
    let mut stage = leading();
    stage.candidate.stop(stage.now);
    assert_eq!(stage.candidate.until(), None, "before anything is sent");
    stage.settle();
    assert_eq!(stage.next(), Action::Done);
    let lease = stage.found();
    assert_eq!((lease.holder.as_str(), lease.duration.as_secs()), ("", 1));
    assert_eq!(lease.address, None);

    let mut next = Stage::new(&stage.lease);
    next.settle();
    assert_eq!(next.role(), Role::Leading { term: Term(2) });
}

#[test]
fn one_that_does_not_lead_ends_without_a_word() {
    let mut stage = with_another();
    let before = stage.found();
    stage.candidate.stop(stage.now);
    assert_eq!(stage.next(), Action::Done);
    assert_eq!(stage.found(), before);
    let mut fresh = Stage::new(&MemoryLease::default());
    fresh.candidate.stop(fresh.now);
    assert_eq!(fresh.next(), Action::Done);
}

#[test]
fn one_that_ends_while_it_writes_finds_out_and_releases() {
    let mut stage = leading();
    stage.pass(2);
    let Action::Write(write) = stage.next() else {
        panic!("it is time to renew");
    };
    let arrived = stage.lease.swap(&write.lease, write.version.as_deref());
    arrived.expect("it arrives");
    let cut = Err(Failure::Unknown("not waited for".to_owned()));
    stage.candidate.written(write, stage.now, stage.now, cut);
    stage.candidate.stop(stage.now);
    stage.settle();
    assert_eq!(stage.found().holder, "");
}

#[test]
fn one_that_resigns_rests_and_then_campaigns_again() {
    let mut stage = leading();
    stage.candidate.resign(stage.now);
    assert!(!stage.leads());
    stage.settle();
    assert_eq!(stage.found().holder, "", "the lease is released");
    stage.pass(4);
    stage.settle();
    assert!(!stage.leads(), "others have their chance");
    stage.pass(1);
    stage.settle();
    assert_eq!(stage.role(), Role::Leading { term: Term(2) });
}

#[test]
fn one_that_cannot_release_leads_in_another_term_all_the_same() {
    let mut stage = leading();
    stage.candidate.resign(stage.now);
    for _ in 0..5 {
        stage.fail();
        assert!(!stage.leads());
        stage.pass(1);
    }
    stage.settle();
    assert_eq!(stage.role(), Role::Leading { term: Term(2) });
}

#[test]
fn a_deleted_lease_ends_the_reign_and_terms_still_grow() {
    let mut stage = with_another();
    stage.pass(15);
    stage.settle();
    assert_eq!(stage.role(), Role::Leading { term: Term(8) });
    stage.lease = MemoryLease::default();
    stage.pass(2);
    assert!(matches!(stage.next(), Action::Write(_)));
    let Action::Write(write) = stage.next() else {
        panic!("it is time to renew");
    };
    let result = stage.lease.swap(&write.lease, write.version.as_deref());
    stage.candidate.written(write, stage.now, stage.now, result);
    assert!(matches!(stage.next(), Action::Read(_)));
    stage.candidate.read(stage.now, Ok(None));
    assert!(!stage.leads());
    assert_eq!(stage.candidate.loss(), Some(Loss::Deleted));
    stage.settle();
    assert_eq!(stage.role(), Role::Leading { term: Term(9) });
}

#[test]
fn what_is_written_has_whole_microseconds() {
    let mut stage = Stage::new(&MemoryLease::default());
    stage.wall = Timestamp::from_nanosecond(1_790_000_000_123_456_789).expect("a time");
    stage.settle();
    let acquired = stage.found().acquired.expect("a time");
    assert_eq!(acquired.as_nanosecond() % 1000, 0);
}
