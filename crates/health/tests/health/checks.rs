//! From verdicts on targets to the health of an endpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use watershed_health::{
    Address, Calculated, Check, Checks, EndpointSlices, Forced, ProbeKind, PrometheusProbe, Target,
};

use crate::support::{address, check};

const NOW: i64 = 1_000;

/// Whether `shop/web` is healthy at an endpoint with one address, of which the
/// fleet says this.
fn says(check: Check, verdict: Option<bool>) -> bool {
    let checks = Checks::from_iter([("shop/web".to_owned(), Arc::new(check))]);
    checks.is_healthy("shop/web", &[address(1)], NOW, &|_| verdict)
}

fn forced(healthy: bool, until: Option<i64>) -> Forced {
    Forced {
        healthy,
        reason: "maintenance".to_owned(),
        until,
    }
}

#[test]
fn every_field_says_what_route_53_says() {
    // inverted, disabled, forced; then what unknown, healthy and unhealthy
    // targets make of it.
    let rows = [
        // New checks are healthy until there is enough data; inverted ones
        // unhealthy.
        (false, false, None, [true, true, false]),
        (true, false, None, [false, false, true]),
        // Disabled is always healthy; disabled and inverted is unhealthy.
        (false, true, None, [true, true, true]),
        (true, true, None, [false, false, false]),
        // Forced comes before all of them,
        (false, false, Some(forced(false, None)), [false; 3]),
        (false, false, Some(forced(true, None)), [true; 3]),
        (true, false, Some(forced(true, None)), [true; 3]),
        (false, true, Some(forced(false, None)), [false; 3]),
        (true, true, Some(forced(true, None)), [true; 3]),
        // until it ends.
        (false, false, Some(forced(false, Some(NOW + 1))), [false; 3]),
        (
            false,
            false,
            Some(forced(false, Some(NOW))),
            [true, true, false],
        ),
        (true, true, Some(forced(true, Some(NOW))), [false; 3]),
    ];
    for (row, (inverted, disabled, forced, expected)) in rows.into_iter().enumerate() {
        let check = Check {
            inverted,
            disabled,
            forced,
            ..check()
        };
        let verdicts = [None, Some(true), Some(false)];
        let found = verdicts.map(|verdict| says(check.clone(), verdict));
        assert_eq!(found, expected, "row {row}");
    }
}

#[test]
fn a_check_that_does_not_exist_is_healthy() {
    let checks = Checks::default();
    assert!(checks.is_healthy("shop/web", &[address(1)], NOW, &|_| Some(false)));
    assert_eq!(checks.targets("shop/web", &[address(1)]), []);
}

#[test]
fn one_healthy_address_is_enough() {
    let checks = Checks::from_iter([("shop/web".to_owned(), Arc::new(check()))]);
    let addresses = [address(1), address(2)];
    let healthy = |up: &[u8]| {
        let up: Vec<Option<Address>> = up.iter().map(|last| Some(address(*last))).collect();
        checks.is_healthy("shop/web", &addresses, NOW, &|target| {
            Some(up.contains(&target.address))
        })
    };
    assert!(healthy(&[1, 2]) && healthy(&[2]) && healthy(&[1]));
    assert!(!healthy(&[]));
    // Without an address there is nothing to fail.
    assert!(checks.is_healthy("shop/web", &[], NOW, &|_| Some(false)));
}

/// Ids of four plain members, and whether the fleet says they are healthy.
fn members(healthy: usize) -> (Vec<String>, BTreeMap<String, bool>) {
    let ids: Vec<String> = (0..4).map(|n| format!("shop/m{n}")).collect();
    let verdicts = ids
        .iter()
        .enumerate()
        .map(|(n, id)| (id.clone(), n < healthy));
    let verdicts = verdicts.collect();
    (ids, verdicts)
}

fn calculated(calculated: Calculated) -> Check {
    Check {
        kind: ProbeKind::Calculated(calculated),
        ..check()
    }
}

/// Whether `shop/all` is healthy, with the first so many of four members
/// healthy, and `m0` changed by hand.
fn count(all: Check, healthy: usize, m0: impl FnOnce(&mut Check)) -> bool {
    let (ids, verdicts) = members(healthy);
    let mut first = check();
    m0(&mut first);
    let members = ids.iter().map(|id| (id.clone(), Arc::new(check())));
    let mut all_checks: BTreeMap<String, Arc<Check>> = members.collect();
    all_checks.insert("shop/m0".to_owned(), Arc::new(first));
    all_checks.insert("shop/all".to_owned(), Arc::new(all));
    let checks: Checks = all_checks.into_iter().collect();
    checks.is_healthy("shop/all", &[address(1)], NOW, &|target| {
        verdicts.get(&target.check).copied()
    })
}

#[test]
fn a_calculated_check_counts_its_members() {
    let at_least = |min_healthy| Calculated {
        members: members(0).0,
        min_healthy,
        must_be_healthy: Vec::new(),
    };
    // Healthy members, how many are demanded, and the verdict.
    let rows = [
        (0, 0, true),
        (4, 1, true),
        (2, 2, true),
        (1, 2, false),
        (4, 4, true),
        (3, 4, false),
        // More than there are: always unhealthy.
        (4, 5, false),
    ];
    for (healthy, min, expected) in rows {
        let all = calculated(at_least(min));
        assert_eq!(
            count(all.clone(), healthy, |_| {}),
            expected,
            "{healthy} of {min}"
        );
        let inverted = Check {
            inverted: true,
            ..all
        };
        assert_eq!(count(inverted, healthy, |_| {}), !expected);
    }
}

#[test]
fn members_count_as_they_are_by_themselves() {
    let one = || {
        calculated(Calculated {
            members: vec!["shop/m0".to_owned()],
            min_healthy: 1,
            must_be_healthy: Vec::new(),
        })
    };
    assert!(!count(one(), 0, |_| {}));
    // A disabled member is healthy.
    assert!(count(one(), 0, |m| m.disabled = true));
    assert!(count(one(), 0, |m| m.inverted = true));
    assert!(!count(one(), 1, |m| m.inverted = true));
    assert!(!count(one(), 1, |m| m.forced = Some(forced(false, None))));
    // A calculated member, which is not allowed, counts as healthy.
    let never = Calculated {
        min_healthy: 1,
        ..Calculated::default()
    };
    assert!(count(one(), 0, |m| *m = calculated(never)));
    let nobody = calculated(Calculated {
        members: vec!["shop/nobody".to_owned()],
        min_healthy: 1,
        must_be_healthy: vec!["shop/nobody".to_owned()],
    });
    assert!(count(nobody, 0, |_| {}));
}

#[test]
fn members_that_must_be_healthy_decide() {
    let all = |must: &str| {
        calculated(Calculated {
            members: members(0).0,
            min_healthy: 1,
            must_be_healthy: vec![must.to_owned()],
        })
    };
    assert!(count(all("shop/m0"), 1, |_| {}));
    assert!(!count(all("shop/m3"), 3, |_| {}));
    assert!(count(all("shop/m3"), 4, |_| {}));
}

#[test]
fn a_calculated_check_can_be_forced_and_disabled() {
    let never = Calculated {
        min_healthy: 1,
        ..Calculated::default()
    };
    assert!(!says(calculated(never.clone()), None));
    let disabled = Check {
        disabled: true,
        ..calculated(never.clone())
    };
    assert!(says(disabled, None));
    let by_hand = Check {
        forced: Some(forced(true, None)),
        inverted: true,
        ..calculated(never)
    };
    assert!(says(by_hand, None));
}

#[test]
fn targets_are_a_check_at_each_address() {
    let at = |id: &str, address: Option<Address>| Target {
        check: id.to_owned(),
        address,
    };
    let prometheus = PrometheusProbe {
        url: "http://prometheus.example:9090".to_owned(),
        query: "up".to_owned(),
        min: Some(1.0),
        max: None,
        on_missing: watershed_health::MissingData::KeepLast,
    };
    let slices = EndpointSlices {
        service: "web".to_owned(),
        min_ready_percent: 50,
    };
    let both = Calculated {
        members: vec!["a/tcp".to_owned(), "a/off".to_owned(), "a/both".to_owned()],
        min_healthy: 1,
        must_be_healthy: vec!["a/own".to_owned(), "a/tcp".to_owned()],
    };
    let own = Check {
        address: Some(address(9)),
        ..check()
    };
    let off = Check {
        disabled: true,
        ..check()
    };
    let of_kind = |kind| Check { kind, ..check() };
    let checks = Checks::from_iter(
        [
            ("a/tcp", check()),
            ("a/own", own),
            ("a/off", off),
            ("a/metric", of_kind(ProbeKind::Prometheus(prometheus))),
            ("a/ready", of_kind(ProbeKind::EndpointSlices(slices))),
            ("a/both", calculated(both)),
        ]
        .map(|(id, check)| (id.to_owned(), Arc::new(check))),
    );
    let addresses = [address(2), address(1), address(2)];
    let rows = [
        (
            "a/tcp",
            vec![at("a/tcp", Some(address(1))), at("a/tcp", Some(address(2)))],
        ),
        ("a/own", vec![at("a/own", Some(address(9)))]),
        ("a/off", vec![]),
        ("a/metric", vec![at("a/metric", None)]),
        ("a/ready", vec![at("a/ready", None)]),
        (
            "a/both",
            vec![
                at("a/own", Some(address(9))),
                at("a/tcp", Some(address(1))),
                at("a/tcp", Some(address(2))),
            ],
        ),
    ];
    for (id, expected) in rows {
        assert_eq!(checks.targets(id, &addresses), expected, "{id}");
    }
    assert_eq!(checks.targets("a/tcp", &[]), []);
}

#[test]
fn the_next_expiry_is_the_soonest_still_to_come() {
    let until = |until| Check {
        forced: Some(forced(true, until)),
        ..check()
    };
    let checks = [
        until(Some(5)),
        until(Some(20)),
        until(Some(10)),
        until(None),
    ];
    let ids = checks.into_iter().enumerate();
    let checks: Checks = ids
        .map(|(n, check)| (format!("a/{n}"), Arc::new(check)))
        .collect();
    assert_eq!(checks.next_expiry(4), Some(5));
    assert_eq!(checks.next_expiry(5), Some(10));
    assert_eq!(checks.next_expiry(20), None);
}
