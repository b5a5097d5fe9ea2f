//! Health checks, and what records say of health.

use std::sync::Arc;
use std::time::Duration;

use watershed_compile::{Compiled, Kind, ObjectRef, Previous, Reason, compile};
use watershed_health::{
    Address, Calculated, Check, CheckerChoice, DnsProbe, EndpointSlices, Forced, GrpcProbe,
    HttpProbe, MissingData, ProbeKind, PrometheusProbe, TcpProbe, TlsOptions, WhenStale,
};
use watershed_policy::FailbackMode;
use watershed_snapshot::{Binding, OwnerName, RecordFailback};

use crate::support::{POLICY, RECORD, ZONE, apply, complaints, key, resources, run, verdict};

const NONE: [&str; 0] = [];

/// A check of that name with this spec, in flow style without braces.
fn manifest(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: watershed.dev/v1alpha1\nkind: HealthCheck\n\
         metadata: {{name: {name}, namespace: shop}}\nspec: {{{spec}}}\n"
    )
}

fn compiled(spec: &str) -> Compiled {
    compile(&resources(&manifest("hc", spec)), &Previous::none(), 1)
}

fn served<'c>(compiled: &'c Compiled, name: &str) -> Option<&'c Arc<Check>> {
    compiled.snapshot.checks.get(&format!("shop/{name}"))
}

#[track_caller]
fn check(spec: &str) -> Check {
    let compiled = compiled(spec);
    let check = served(&compiled, "hc").unwrap_or_else(|| panic!("{:?}", complaints(&compiled)));
    Check::clone(check)
}

/// What stands against a check, without the object and the reason.
#[track_caller]
fn faults(spec: &str) -> Vec<String> {
    let compiled = compiled(spec);
    assert!(served(&compiled, "hc").is_none(), "{compiled:?}");
    let found = &verdict(&compiled, Kind::HealthCheck, "hc").findings;
    let found = found.iter().map(|f| format!("{}: {}", f.path, f.message));
    found.collect()
}

#[test]
fn defaults_are_filled_in() {
    assert_eq!(
        check("tcp: {port: 443}"),
        Check {
            kind: ProbeKind::Tcp(TcpProbe { port: 443 }),
            address: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(4),
            failure_threshold: 3,
            success_threshold: 3,
            checkers: CheckerChoice {
                per_target: 5,
                min_locations: 2,
                locations: Vec::new(),
            },
            quorum_percent: 50,
            stale_after: Duration::from_mins(1),
            when_stale: WhenStale::KeepLast,
            inverted: false,
            disabled: false,
            forced: None,
        }
    );
}

#[test]
fn what_is_said_is_taken_over() {
    let all = check(
        "tcp: {port: 1}, address: Web.Example.com., intervalSeconds: 30, timeoutSeconds: 20, \
         failureThreshold: 2, successThreshold: 10, quorumPercent: 18, staleSeconds: 5, \
         checkers: {perTarget: 3, minLocations: 1, locations: [eu]}, \
         whenStale: AssumeUnhealthy, inverted: true, disabled: true, \
         forced: {state: Unhealthy, reason: disks, until: '2026-03-01T00:00:00Z'}",
    );
    assert_eq!(
        all,
        Check {
            kind: ProbeKind::Tcp(TcpProbe { port: 1 }),
            address: Some(Address::Host("web.example.com".to_owned())),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(20),
            failure_threshold: 2,
            success_threshold: 10,
            checkers: CheckerChoice {
                per_target: 3,
                min_locations: 1,
                locations: vec!["eu".to_owned()],
            },
            quorum_percent: 18,
            stale_after: Duration::from_secs(5),
            when_stale: WhenStale::AssumeUnhealthy,
            inverted: true,
            disabled: true,
            forced: Some(Forced {
                healthy: false,
                reason: "disks".to_owned(),
                until: Some(1_772_323_200),
            }),
        }
    );
    let by_address = check("tcp: {port: 1}, address: '2001:DB8::1'").address;
    assert_eq!(
        by_address,
        Some(Address::Ip("2001:db8::1".parse().unwrap()))
    );
}

#[test]
fn the_default_timeout_fits_into_short_intervals() {
    for (interval, timeout) in [(1, 900), (2, 1800), (4, 3600), (5, 4000)] {
        let check = check(&format!("tcp: {{port: 1}}, intervalSeconds: {interval}"));
        assert_eq!(check.timeout, Duration::from_millis(timeout), "{interval}");
    }
}

fn http(spec: &str) -> HttpProbe {
    match check(&format!("http: {{{spec}}}")).kind {
        ProbeKind::Http(probe) => probe,
        other => panic!("{other:?}"),
    }
}

#[test]
fn requests_are_those_of_route_53() {
    assert_eq!(
        http(""),
        HttpProbe {
            tls: Some(TlsOptions {
                server_name: None,
                verify: true,
            }),
            port: 443,
            path: "/".to_owned(),
            host: None,
            headers: Vec::new(),
            expected_statuses: vec![(200, 399)],
            search_string: None,
        }
    );
    assert_eq!(
        http(
            "scheme: HTTP, path: '/x?y=1', host: WWW.example.com, searchString: ok, \
             expectedStatuses: ['200-299', '304'], headers: [{name: X-A, value: b c}]"
        ),
        HttpProbe {
            tls: None,
            port: 80,
            path: "/x?y=1".to_owned(),
            host: Some("www.example.com".to_owned()),
            headers: vec![("X-A".to_owned(), "b c".to_owned())],
            expected_statuses: vec![(200, 299), (304, 304)],
            search_string: Some("ok".to_owned()),
        }
    );
    let tls = http("host: a.example, port: 8443, tlsVerification: None").tls;
    let expected = TlsOptions {
        server_name: Some("a.example".to_owned()),
        verify: false,
    };
    assert_eq!(tls, Some(expected));
}

#[test]
fn the_other_ways_to_check() {
    let kind = |spec: &str| check(spec).kind;
    assert_eq!(
        kind("grpc: {port: 1, service: a.B, tls: {serverName: Cart.example}}"),
        ProbeKind::Grpc(GrpcProbe {
            port: 1,
            service: "a.B".to_owned(),
            tls: Some(TlsOptions {
                server_name: Some("cart.example".to_owned()),
                verify: true,
            }),
        })
    );
    assert_eq!(
        kind("dns: {query: example.com, type: AAAA}"),
        ProbeKind::Dns(DnsProbe {
            port: 53,
            query: "example.com.".to_owned(),
            record_type: 28,
        })
    );
    assert_eq!(
        kind(
            "prometheus: {url: 'http://[2001:db8::1]:9090/p/', query: up, min: '-1', max: '2.5', \
             onMissing: Unhealthy}"
        ),
        ProbeKind::Prometheus(PrometheusProbe {
            url: "http://[2001:db8::1]:9090/p".to_owned(),
            query: "up".to_owned(),
            min: Some(-1.0),
            max: Some(2.5),
            on_missing: MissingData::Unhealthy,
        })
    );
    assert_eq!(
        kind("endpointSlices: {serviceRef: {name: web, namespace: shop}}"),
        ProbeKind::EndpointSlices(EndpointSlices {
            service: "web".to_owned(),
            min_ready_percent: 1,
        })
    );
}

#[test]
fn every_fault_is_told() {
    assert_eq!(
        faults(
            "http: {port: 0, path: 'a b', host: '*.example.com', expectedStatuses: ['299-200', \
             '99', '600'], headers: [{name: 'a b', value: \"\\n\"}, {name: HOST, value: x}], \
             searchString: ''}, address: 'a b', intervalSeconds: 10, timeoutSeconds: 10, \
             failureThreshold: 11, successThreshold: 0, quorumPercent: 100, staleSeconds: -1, \
             checkers: {perTarget: 0, minLocations: 9}"
        ),
        [
            "spec.http.port: 0 is not 1 to 65535",
            "spec.http.host: `*.example.com` is not a host name: `*` has other characters than \
             letters, digits, `-` and `_`, or begins or ends with `-`",
            "spec.http.path: `a b` is not a path: it begins with `/`, has at most 255 \
             characters, and blanks and the like as `%20`",
            "spec.http.headers[0].name: `a b` is not the name of a header",
            "spec.http.headers[0].value: has other characters than those of ASCII that can be \
             printed",
            "spec.http.headers[1].name: `HOST` cannot be set here: set `http.host` instead",
            "spec.http.expectedStatuses[0]: `299-200` is reversed; write `200-299`",
            "spec.http.expectedStatuses[1]: `99` is not a status or a range such as `200-299`",
            "spec.http.expectedStatuses[2]: `600` is not a status or a range such as `200-299`",
            "spec.http.searchString: must be 1 to 255 octets long",
            "spec.address: `a b` contains white space or a control character",
            "spec.timeoutSeconds: 10 is not less than the interval, 10 seconds",
            "spec.failureThreshold: 11 is not 1 to 10",
            "spec.successThreshold: 0 is not 1 to 10",
            "spec.checkers.perTarget: 0 is not 1 to 32",
            "spec.checkers.minLocations: 9 is not 1 to 8",
            "spec.quorumPercent: 100 is not 0 to 99",
            "spec.staleSeconds: -1 is not 5 to 3600",
        ]
    );
}

#[test]
fn faults_of_the_other_ways() {
    let cases: [(&str, &[&str]); 9] = [
        (
            "",
            &[
                "spec: one of http, tcp, grpc, dns, calculated, endpointSlices, prometheus must be set",
            ],
        ),
        (
            "tcp: {port: 1}, http: {port: 2}",
            &["spec: http and tcp exclude each other; keep one"],
        ),
        (
            "grpc: {port: 1, tls: {serverName: 'a b'}}",
            &["spec.grpc.tls.serverName: `a b` contains white space or a control character"],
        ),
        (
            "prometheus: {url: 'ftp://x', query: ' ', min: '2', max: '1'}, address: 192.0.2.1",
            &[
                "spec.prometheus.url: `ftp://x` does not begin with `http://` or `https://`",
                "spec.prometheus.min: 2 is greater than max, 1: no value would be healthy",
                "spec.prometheus.query: is empty",
                "spec.address: only http, tcp, grpc and dns are made at an address; remove it",
            ],
        ),
        (
            "prometheus: {url: 'http://a@b', query: up, min: NaN, max: many}",
            &[
                "spec.prometheus.url: `http://a@b` has a user name or password, which cannot be \
                 used",
                "spec.prometheus.min: `NaN` is not a decimal number",
                "spec.prometheus.max: `many` is not a decimal number",
            ],
        ),
        (
            "prometheus: {url: 'http://a:0/x', query: up}",
            &[
                "spec.prometheus.url: `http://a:0/x` has no host, or a port that is none",
                "spec.prometheus: `min` or `max` must be set",
            ],
        ),
        (
            "prometheus: {url: 'http://a/x?y', query: up, min: '1'}",
            &[
                "spec.prometheus.url: `http://a/x?y` is not a base URL: it has no blanks, and \
                 nothing after the path",
            ],
        ),
        (
            "endpointSlices: {serviceRef: {name: web, namespace: blog}, minReadyPercent: 101}",
            &[
                "spec.endpointSlices.minReadyPercent: 101 is not 1 to 100",
                "spec.endpointSlices.serviceRef.namespace: a check sees the Services of its own \
                 namespace, not those of blog; make the check there",
            ],
        ),
        (
            "calculated: {healthChecks: [], minHealthy: 65, mustBeHealthy: [x, x]}",
            &[
                "spec.calculated.healthChecks: is empty; name at least one check",
                "spec.calculated.mustBeHealthy[0]: there is no HealthCheck x; until there is, it \
                 counts as healthy",
                "spec.calculated.mustBeHealthy[1]: `x` is there already",
                "spec.calculated.minHealthy: 65 is not 0 to 64",
                "spec.calculated.minHealthy: 64 is more than the 0 of healthChecks, so that \
                 these have no effect: the check is always unhealthy",
            ],
        ),
    ];
    for (spec, expected) in cases {
        assert_eq!(faults(spec), expected, "{spec}");
    }
}

#[test]
fn a_check_is_calculated_from_others() {
    let sum = manifest(
        "sum",
        "calculated: {healthChecks: [a, b], minHealthy: 3, mustBeHealthy: [a]}",
    );
    let mut resources = resources(&format!("{sum}---\n{}", manifest("a", "tcp: {port: 1}")));
    let first = compile(&resources, &Previous::none(), 1);
    assert_eq!(
        complaints(&first),
        [
            "HealthCheck shop/sum: HealthCheckNotFound: spec.calculated.healthChecks[1]: there \
             is no HealthCheck b; until there is, it counts as healthy"
        ]
    );
    let expected = ProbeKind::Calculated(Calculated {
        members: vec!["shop/a".to_owned(), "shop/b".to_owned()],
        min_healthy: 3,
        must_be_healthy: vec!["shop/a".to_owned()],
    });
    assert_eq!(served(&first, "sum").unwrap().kind, expected);
    let found = &verdict(&first, Kind::HealthCheck, "sum").findings;
    assert_eq!(
        found.last().unwrap().to_string(),
        "warning: spec.calculated.minHealthy: 3 is more than the 2 of healthChecks, so that \
         these have no effect: the check is always unhealthy [ignored]"
    );
    // A member that becomes calculated itself: what was served stays.
    let nested = "calculated: {healthChecks: [a], minHealthy: 1}";
    apply(&mut resources, &manifest("b", nested));
    let second = compile(&resources, &first.previous, 1);
    assert_eq!(
        complaints(&second),
        [
            "HealthCheck shop/sum: InvalidSpec: spec.calculated.healthChecks[1]: `b` is \
             calculated itself; name the checks that it is made of"
        ]
    );
    assert_eq!(served(&second, "sum").unwrap().kind, expected);
    let fresh = compile(&resources, &Previous::none(), 1);
    assert!(served(&fresh, "sum").is_none());
}

#[test]
fn a_check_with_faults_stays_as_it_was() {
    let mut resources = resources(&manifest("hc", "tcp: {port: 1}"));
    let first = compile(&resources, &Previous::none(), 1);
    apply(&mut resources, &manifest("hc", "tcp: {port: 0}"));
    let second = compile(&resources, &first.previous, 1);
    assert_eq!(
        complaints(&second),
        ["HealthCheck shop/hc: InvalidSpec: spec.tcp.port: 0 is not 1 to 65535"]
    );
    assert_eq!(served(&second, "hc"), served(&first, "hc"));
    // An object that is gone is not.
    resources.delete(&ObjectRef::new(Kind::HealthCheck, key("hc")));
    let third = compile(&resources, &second.previous, 1);
    assert!(served(&third, "hc").is_none());
}

const CHECKED: &str = "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: web, namespace: shop}
spec:
  document:
    recordTypes: [A]
    startRule: r
    rules:
      r:
        type: Failover
        branches:
        - {rule: s, healthCheckRef: {name: hc}}
        - {endpoint: a}
      s:
        type: Failover
        branches: [{endpoint: a, healthCheckRef: {name: hc}}, {endpoint: b}]
    endpoints:
      a: {addresses: [192.0.2.1], healthCheckRef: {name: hc}}
      b: {addresses: [192.0.2.2]}
";

#[test]
fn a_check_without_a_target_is_told() {
    let mut resources = resources(&format!(
        "{CHECKED}---\n{}",
        manifest("hc", "calculated: {healthChecks: [port], minHealthy: 1}")
    ));
    let warnings = |compiled: &Compiled| -> Vec<String> {
        let kinds = [
            (Kind::TrafficPolicy, "web"),
            (Kind::TrafficPolicyVersion, "web-v1"),
        ];
        let found = kinds.map(|(kind, name)| {
            let found = verdict(compiled, kind, name).findings.iter();
            let found = found.map(ToString::to_string);
            let found = found.filter(|text| text.contains("no target"));
            found.collect::<Vec<_>>()
        });
        let [policy, version] = found;
        assert_eq!(policy, version);
        version
    };
    let compiled = run(&mut resources, &Previous::none());
    assert_eq!(warnings(&compiled), NONE);
    // The member of the calculated check needs an address.
    apply(&mut resources, &manifest("port", "tcp: {port: 1}"));
    let compiled = run(&mut resources, &compiled.previous);
    assert_eq!(
        warnings(&compiled),
        [
            "warning: rules.r.branches[0].healthCheckRef: the check has no target here, and \
             counts as healthy: give it `address` [ignored]"
        ]
    );
    apply(
        &mut resources,
        &manifest("port", "tcp: {port: 1}, address: 192.0.2.9"),
    );
    let compiled = run(&mut resources, &compiled.previous);
    assert_eq!(warnings(&compiled), NONE);
}

#[test]
fn a_check_of_other_data_than_addresses_is_told() {
    let policy = "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: web, namespace: shop}
spec:
  document: {recordTypes: [MX], startEndpoint: a, endpoints: {a: {values: ['10 mx'], healthCheckRef: {name: hc}}}}
";
    let mut resources = resources(&format!(
        "{policy}---\n{}",
        manifest("hc", "tcp: {port: 25}")
    ));
    let compiled = run(&mut resources, &Previous::none());
    let found = &verdict(&compiled, Kind::TrafficPolicyVersion, "web-v1").findings;
    let found: Vec<String> = found.iter().map(|f| f.path.to_string()).collect();
    assert_eq!(found, ["endpoints.a.healthCheckRef"]);
}

/// What is served at the names, after a record with these further fields.
fn bindings(fields: &str) -> (Compiled, Vec<Binding>) {
    let record = RECORD.replace("version: 1", &format!("version: 1, {fields}"));
    let alias = "
apiVersion: watershed.dev/v1alpha1
kind: RecordSet
metadata: {name: pay, namespace: shop}
spec: {hostedZoneRef: {name: example-com}, name: pay, type: A, aliasTo: {policyRecordRef: {name: www}}}
";
    let yaml = format!("{ZONE}---{POLICY}---{record}---{alias}");
    let compiled = run(&mut resources(&yaml), &Previous::none());
    let bindings = ["www", "pay"].map(|name| -> Option<Binding> {
        let name: OwnerName = format!("{name}.example.com").parse().unwrap();
        let zone = compiled.snapshot.zone_for(&name)?;
        zone.node(&name)?.policy(1).cloned()
    });
    let bindings = bindings.into_iter().flatten().collect();
    (compiled, bindings)
}

#[test]
fn a_record_and_its_aliases_share_failback() {
    let (compiled, bindings) = bindings(
        "failback: {mode: After, durationSeconds: 600}, ttl: {minSeconds: 5, maxSeconds: 300}",
    );
    assert_eq!(complaints(&compiled), NONE);
    assert!(
        verdict(&compiled, Kind::PolicyRecord, "www")
            .findings
            .is_empty()
    );
    let failback = RecordFailback {
        record: "shop/www".to_owned(),
        mode: FailbackMode::After(Duration::from_mins(10)),
    };
    assert_eq!(bindings.len(), 2);
    for binding in bindings {
        assert_eq!(binding.failback.as_deref(), Some(&failback));
        assert_eq!(binding.ttl_range, Some((5, 300)));
    }
}

#[test]
fn failback_at_once_is_nothing_to_tell() {
    for fields in ["failback: {mode: Automatic}", "failback: {}"] {
        let (compiled, bindings) = bindings(fields);
        assert_eq!(complaints(&compiled), NONE);
        let none = bindings
            .iter()
            .all(|b| b.failback.is_none() && b.ttl_range.is_none());
        assert!(none && bindings.len() == 2, "{fields}");
    }
    let (_, bindings) = bindings("failback: {mode: Manual}");
    let mode = bindings[0].failback.as_ref().map(|failback| failback.mode);
    assert_eq!(mode, Some(FailbackMode::Manual));
}

#[test]
fn what_a_record_says_of_health_is_checked() {
    let cases = [
        (
            "failback: {mode: After}",
            "spec.failback.durationSeconds: is missing, and `mode` is After",
        ),
        (
            "failback: {mode: After, durationSeconds: 0}",
            "spec.failback.durationSeconds: must be at least 1",
        ),
        (
            "failback: {mode: Manual, durationSeconds: 1}",
            "spec.failback.durationSeconds: belongs to the mode After; remove it",
        ),
        (
            "ttl: {minSeconds: 2, maxSeconds: 1}",
            "spec.ttl: minSeconds, 2, is more than maxSeconds, 1",
        ),
    ];
    for (fields, expected) in cases {
        let (compiled, bindings) = bindings(fields);
        let www = verdict(&compiled, Kind::PolicyRecord, "www");
        let [accepted, ..] = &www.conditions;
        assert_eq!(accepted.reason, Reason::InvalidSpec);
        assert_eq!(accepted.message, expected);
        assert!(bindings.is_empty(), "{fields}");
    }
}
