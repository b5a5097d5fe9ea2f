//! Policy documents as text: Route 53's JSON and ours in YAML.

#![no_main]

use libfuzzer_sys::fuzz_target;
use watershed_compile::{References, check_names, compile_policy};
use watershed_crd::document::TrafficPolicyDocument;
use watershed_fuzz::{check_findings, check_policy};
use watershed_policy::{Code, Diagnostic, Limits};
use watershed_route53::{FormatVersion, Import, export, fault_line, import, portable_names};

fuzz_target!(|text: &str| {
    match import(text) {
        Ok(import) => accepted(&import),
        Err(faults) => refused(&faults),
    }
    if let Ok(document) = serde_yaml::from_str::<TrafficPolicyDocument>(text) {
        native(&document);
    }
});

/// What was imported can be built, exported and imported again.
fn accepted(import: &Import) {
    let limits = Limits::route53();
    let (policy, findings) = compile_policy(&import.document, &References::none(), &limits);
    check_findings(policy.as_ref(), &findings);
    check_policy(&policy.expect("an imported document is free of faults"));
    for version in FormatVersion::ALL {
        exported(&import.document, version);
    }
    let (portable, _) = portable_names(&import.document);
    let invalid = check_names(&portable);
    assert!(invalid.is_empty(), "{invalid:?}");
}

/// The same document in other words may exceed the limit on its length, but
/// is free of other faults.
fn exported(document: &TrafficPolicyDocument, version: FormatVersion) {
    let faults = match export(document, version) {
        Ok(value) => watershed_route53::import_value(&value)
            .err()
            .unwrap_or_default(),
        Err(faults) => faults,
    };
    assert!(
        faults.iter().all(|d| d.code == Code::LimitExceeded),
        "{faults:?}"
    );
}

fn refused(faults: &[Diagnostic]) {
    assert!(!faults.is_empty());
    check_findings(None, faults);
    assert!(faults.iter().all(|fault| !fault_line(fault).is_empty()));
}

fn native(document: &TrafficPolicyDocument) {
    let (policy, findings) = compile_policy(document, &References::none(), &Limits::api());
    check_findings(policy.as_ref(), &findings);
    if let Some(policy) = &policy {
        check_policy(policy);
    }
    if let Ok(value) = export(document, FormatVersion::V2023_05_09) {
        assert!(watershed_route53::import_value(&value).is_ok(), "{value}");
    }
}
