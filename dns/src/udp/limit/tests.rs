//! The limit with a clock that stands where a test puts it.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use watershed_snapshot::{OwnerName, RrSet, Zone, record_type};

use super::*;

const SECOND: u32 = 1_000_000;
/// A hash as good as any.
const ACCOUNT: u64 = 0x0123_4567_89AB_CDEF;

fn at(micros: u32) -> Time {
    Time(micros)
}

/// Of so many answers at one moment, those that are let through.
fn taken(table: &Table, hash: u64, now: Time, count: usize) -> usize {
    (0..count).filter(|_| table.take(hash, now)).count()
}

/// Hashes that are spread as those of a keyed hash are.
fn spread(number: u64) -> u64 {
    let mixed = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

#[test]
fn a_second_of_answers_may_come_at_once_and_no_more() {
    for rate in [1, 2, 7, 10, 100, 300, 999, 1000] {
        let table = Table::new(rate);
        assert_eq!(taken(&table, ACCOUNT, at(0), 5000), rate as usize, "{rate}");
    }
}

#[test]
fn a_flood_gets_the_rate_and_nothing_else() {
    for rate in [1, 7, 10, 100, 1000] {
        let table = Table::new(rate);
        taken(&table, ACCOUNT, at(0), 5000);
        let asked = (100..=10 * SECOND).step_by(100);
        let answered = asked.filter(|now| table.take(ACCOUNT, at(*now))).count();
        assert_eq!(answered, 10 * rate as usize, "{rate}");
    }
}

#[test]
fn who_stays_under_the_rate_always_gets_answers() {
    let table = Table::new(50);
    for now in (0..100 * SECOND).step_by(SECOND as usize / 50) {
        assert!(table.take(ACCOUNT, at(now)));
    }
}

#[test]
fn idleness_pays_the_debt_and_saves_nothing() {
    let table = Table::new(10);
    assert_eq!(taken(&table, ACCOUNT, at(0), 100), 10);
    assert_eq!(taken(&table, ACCOUNT, at(SECOND / 2), 100), 5);
    assert_eq!(taken(&table, ACCOUNT, at(60 * SECOND), 100), 10);
}

#[test]
fn the_clock_may_wrap_around() {
    let table = Table::new(10);
    let before = u32::MAX - SECOND / 4;
    assert_eq!(taken(&table, ACCOUNT, at(before), 100), 10);
    let after = before.wrapping_add(SECOND / 2);
    assert!(after < before);
    assert_eq!(taken(&table, ACCOUNT, at(after), 100), 5);
    // Idle for nearly as long as the clock takes for a turn.
    let later = after.wrapping_sub(3 * SECOND);
    assert_eq!(taken(&table, ACCOUNT, at(later), 100), 10);
}

#[test]
fn threads_that_read_the_clock_at_different_moments_agree() {
    let table = Table::new(10);
    assert_eq!(taken(&table, ACCOUNT, at(5 * SECOND), 100), 10);
    // Another thread began its batch a little earlier.
    assert_eq!(taken(&table, ACCOUNT, at(5 * SECOND - 900), 100), 0);
}

#[test]
fn forged_sources_keep_no_other_from_its_answers_and_free_no_victim() {
    let table = Table::new(10);
    let victim = spread(u64::MAX / 2);
    assert_eq!(taken(&table, victim, at(0), 100), 10);
    // Three times as many as there is room for, at one moment.
    let forged = (0..400_000).map(spread);
    assert!(forged.clone().all(|hash| table.take(hash, at(0))));
    assert_eq!(taken(&table, victim, at(0), 100), 0);
    let honest = (1_000_000..1_010_000).map(spread);
    assert!(honest.clone().all(|hash| table.take(hash, at(10))));
}

#[test]
fn threads_together_get_what_one_would() {
    const THREADS: usize = 4;
    let table = Table::new(1000);
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let taken = taken(&table, ACCOUNT, at(7), 10_000);
                answered.fetch_add(taken, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(answered.into_inner(), 1000);
}

proptest! {
    /// Whatever the moments, a stretch of time has its rate, and a second's
    /// worth besides.
    #[test]
    fn no_stretch_of_time_has_more_than_its_share(
        rate in 1..2000_u32,
        start in any::<u32>(),
        steps in proptest::collection::vec(0..20_000_u32, 1..300),
    ) {
        let table = Table::new(rate);
        let (mut passed, mut answered) = (0, 0_u64);
        for step in steps {
            passed += step;
            answered += u64::from(table.take(ACCOUNT, at(start.wrapping_add(passed))));
            let interval = u64::from(SECOND / rate);
            prop_assert!((answered - 1) * interval <= u64::from(passed + SECOND));
        }
    }
}

fn one_a_second(slip: u8) -> RateLimiter {
    RateLimiter::new(&RateLimit {
        per_second: 1,
        slip,
        exempt: vec!["198.51.100.0/24".parse().unwrap()],
    })
    .unwrap()
}

fn count(limiter: &RateLimiter, source: &str, account: &Account<'_>) -> Option<Limited> {
    let limiting = limiter.at(source.parse().unwrap(), at(0))?;
    limiting.count(account, &mut |bound| bound - 1)
}

#[test]
fn nothing_is_limited_unless_wanted() {
    assert!(RateLimiter::new(&RateLimit::default()).is_none());
}

#[test]
fn networks_are_counted_whole_and_apart() {
    let limiter = one_a_second(1);
    let account = Account::error(Rcode::Refused);
    for (source, limited) in [
        ("192.0.2.1", false),
        ("192.0.2.255", true),
        ("::ffff:192.0.2.7", true),
        ("192.0.3.1", false),
        ("2001:db8:0:ff00::1", false),
        ("2001:db8:0:ffff:ffff::1", true),
        ("2001:db8:0:fe00::1", false),
        // The bits of 192.0.2.0/24, but IPv6.
        ("::c0:2000:0:0:0:0", false),
        // Exempt, whatever comes.
        ("198.51.100.1", false),
        ("198.51.100.1", false),
        ("::ffff:198.51.100.1", false),
    ] {
        let found = count(&limiter, source, &account);
        assert_eq!(found, limited.then_some(Limited::Slipped), "{source}");
    }
}

#[test]
fn what_is_over_the_limit_slips_or_is_dropped_as_wanted() {
    for (slip, draws, slipped) in [(0, 0, 0), (1, 0, 300), (2, 300, 150), (10, 300, 30)] {
        let limiter = one_a_second(slip);
        let source = "192.0.2.1".parse().unwrap();
        let account = Account::error(Rcode::Refused);
        let mut drawn = 0;
        let mut draw = |bound| {
            drawn += 1;
            drawn % bound
        };
        let mut found = || limiter.at(source, at(0))?.count(&account, &mut draw);
        assert_eq!(found(), None);
        let all: Vec<_> = (0..300).map(|_| found()).collect();
        let slips = all.iter().filter(|one| **one == Some(Limited::Slipped));
        assert_eq!(slips.count(), slipped);
        let drops = all.iter().filter(|one| **one == Some(Limited::Dropped));
        assert_eq!(drops.count(), 300 - slipped);
        assert_eq!(drawn, draws);
    }
}

fn name(text: &str) -> Vec<u8> {
    OwnerName::from_text(text).unwrap().as_wire().to_vec()
}

fn zone(apex: &str, owners: &[&str]) -> Zone {
    let set = |record_type, data: Vec<u8>| RrSet {
        record_type,
        ttl: 300,
        rdata: vec![data.into_boxed_slice()],
    };
    let soa = [name("ns"), name("admin"), vec![0; 20]].concat();
    let apex = OwnerName::from_text(apex).unwrap();
    let mut zone = Zone::builder(apex, set(record_type::SOA, soa)).unwrap();
    for owner in owners {
        let owner = OwnerName::from_text(owner).unwrap();
        zone.insert(&owner, set(record_type::A, vec![192, 0, 2, 1]))
            .unwrap();
    }
    zone.build()
}

const DATA: Answered = Answered {
    rcode: Rcode::NoError,
    authoritative: true,
    data: true,
};
const NODATA: Answered = Answered {
    data: false,
    ..DATA
};
const NXDOMAIN: Answered = Answered {
    rcode: Rcode::NxDomain,
    ..NODATA
};
const REFERRAL: Answered = Answered {
    authoritative: false,
    ..NODATA
};

/// Whether two answers are counted together.
fn together(one: (&str, u16, Answered), other: (&str, u16, Answered)) -> bool {
    let zones = [
        zone("example.com", &["www.example.com", "*.wild.example.com"]),
        zone("example.org", &[]),
    ];
    let names = [name(one.0), name(other.0)];
    let account = |asked: &'_ Vec<u8>, record_type, answered| {
        let apex = |zone: &&Zone| asked.ends_with(zone.apex.as_wire());
        let zone = zones.iter().find(apex);
        let account = Account::of(zone, asked, record_type, answered);
        let mut hasher = std::hash::DefaultHasher::new();
        account.hash_with(Network::of("192.0.2.1".parse().unwrap()), &mut hasher);
        hasher.finish()
    };
    account(&names[0], one.1, one.2) == account(&names[1], other.1, other.2)
}

#[test]
fn answers_that_are_alike_are_counted_together() {
    const AAAA: u16 = 28;
    const A: u16 = record_type::A;
    let error = |rcode| Answered { rcode, ..REFERRAL };
    let www = ("www.example.com", A, DATA);
    for (one, other, alike) in [
        (www, www, true),
        (www, ("www.example.com", AAAA, DATA), false),
        (www, ("example.com", A, DATA), false),
        (www, ("www.example.com", A, NODATA), false),
        // Names that a wildcard stands for.
        (
            ("a.wild.example.com", A, DATA),
            ("b.c.wild.example.com", A, DATA),
            true,
        ),
        (
            ("a.wild.example.com", A, DATA),
            ("a.wild.example.com", AAAA, DATA),
            false,
        ),
        (
            ("a.wild.example.com", A, DATA),
            ("wild.example.com", A, DATA),
            false,
        ),
        // What a zone has not, and whom it delegates to.
        (
            ("a.example.com", A, NXDOMAIN),
            ("b.a.example.com", AAAA, NXDOMAIN),
            true,
        ),
        (
            ("a.example.com", A, NXDOMAIN),
            ("a.example.org", A, NXDOMAIN),
            false,
        ),
        (
            ("example.com", A, NODATA),
            ("www.example.com", AAAA, NODATA),
            true,
        ),
        (
            ("a.example.com", A, NODATA),
            ("a.example.com", A, NXDOMAIN),
            false,
        ),
        (
            ("a.example.com", A, REFERRAL),
            ("b.example.com", AAAA, REFERRAL),
            true,
        ),
        (
            ("a.example.com", A, REFERRAL),
            ("a.example.com", A, NODATA),
            false,
        ),
        // Errors, wherever they are.
        (
            ("a.net", A, error(Rcode::Refused)),
            ("example.com", AAAA, error(Rcode::Refused)),
            true,
        ),
        (
            ("a.net", A, error(Rcode::Refused)),
            ("a.net", A, error(Rcode::ServFail)),
            false,
        ),
    ] {
        assert_eq!(together(one, other), alike, "{one:?} {other:?}");
        assert_eq!(together(other, one), alike, "{other:?} {one:?}");
    }
}
