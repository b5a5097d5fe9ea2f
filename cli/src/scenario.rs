//! A scenario: a policy, a client and the state of the world, as one document.
//!
//! Its members are those of `docs/simulate.md`. Reading one never stops at the
//! first fault: everything that does not fit is in [`Scenario::findings`].

mod client;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use watershed_policy::{Code, LatencySource, Policy};

use crate::cidr::CidrCollections;
use crate::finding::{Finding, has_errors, join};
use crate::input::{self, Source, Syntax};
use crate::latency::FixedLatency;
use crate::members::{Members, describe};
use crate::policy_input::{self, PolicyInput};
use crate::record_type;

pub use client::ClientSpec;

/// The members of a scenario.
const MEMBERS: &[&str] = &[
    "policy",
    "policyFile",
    "client",
    "health",
    "endpointHealth",
    "latency",
    "cidrCollections",
    "recordType",
];

/// One question about a policy.
#[derive(Debug)]
pub struct Scenario {
    /// The policy asked about, with its own findings.
    pub policy: PolicyInput,
    /// Who asks.
    pub client: ClientSpec,
    /// Verdicts of health checks by id; `true` is healthy. Unlisted checks
    /// are healthy.
    pub health: BTreeMap<String, bool>,
    /// Own status of alias endpoints by name, likewise.
    pub endpoint_health: BTreeMap<String, bool>,
    /// Latency of this client to regions. Replaces any table.
    pub latency: Option<FixedLatency>,
    /// IANA number of the type asked; the policy's first one if absent.
    pub record_type: Option<u16>,
    /// What is wrong with the scenario apart from its policy.
    pub findings: Vec<Finding>,
}

impl Scenario {
    /// Reads the scenario of a file or of standard input.
    pub fn load(source: &Source) -> Self {
        match source.read() {
            Ok(text) => Self::from_text(&text, source.syntax(), &source.base_dir()),
            Err(fault) => Self::broken(fault),
        }
    }

    /// Reads a scenario; `policyFile` is relative to `base_dir`.
    pub fn from_text(text: &str, syntax: Syntax, base_dir: &Path) -> Self {
        match input::document(text, syntax) {
            Ok(value) => Self::from_value(&value, base_dir),
            Err(fault) => Self::broken(fault),
        }
    }

    /// Reads a scenario that is parsed already; `policyFile` is relative to
    /// `base_dir`.
    pub fn from_value(value: &Value, base_dir: &Path) -> Self {
        if !Self::is_recognised(value) && policy_input::is_policy(value) {
            let message = "This is a policy, not a scenario: a scenario has it as `policy`, or \
                           the name of its file as `policyFile`";
            return Self::broken(Finding::error(Code::MissingField, "", message));
        }
        let mut findings = Vec::new();
        let Some(mut members) = Members::of(value, "", &mut findings) else {
            return Self {
                findings,
                ..Self::empty()
            };
        };
        members.only(MEMBERS);
        let collections = CidrCollections::read(&mut members);
        let scenario = Self {
            policy: policy(&mut members, base_dir, &collections),
            client: client(&mut members),
            health: health(&mut members, "health"),
            endpoint_health: health(&mut members, "endpointHealth"),
            latency: latency(&mut members),
            record_type: members.parsed("recordType", record_type::parse),
            findings: Vec::new(),
        };
        let mut scenario = Self {
            findings,
            ..scenario
        };
        scenario.check_against_policy();
        scenario
    }

    /// Whether a document looks like a scenario rather than a policy.
    pub fn is_recognised(value: &Value) -> bool {
        value.as_object().is_some_and(|members| {
            !members.contains_key("kind")
                && (members.contains_key("policy") || members.contains_key("policyFile"))
        })
    }

    /// The policy, if neither it nor the scenario has a fault.
    pub fn valid_policy(&self) -> Option<&Policy> {
        if has_errors(&self.findings) || has_errors(&self.policy.findings) {
            return None;
        }
        self.policy.policy.as_ref()
    }

    /// Everything that is wrong: with the scenario, then with the policy.
    pub fn all_findings(&self) -> Vec<Finding> {
        let findings = self.findings.iter().chain(&self.policy.findings);
        findings.cloned().collect()
    }

    /// Latency of this client, as the scenario gives it.
    pub fn latency_source(&self) -> Option<&dyn LatencySource> {
        self.latency.as_ref().map(|latency| latency as _)
    }

    fn empty() -> Self {
        Self {
            policy: PolicyInput::absent(),
            client: ClientSpec::default(),
            health: BTreeMap::new(),
            endpoint_health: BTreeMap::new(),
            latency: None,
            record_type: None,
            findings: Vec::new(),
        }
    }

    fn broken(fault: Finding) -> Self {
        Self {
            findings: vec![fault],
            ..Self::empty()
        }
    }

    /// Warns of what the scenario says about things that the policy has not:
    /// most often a misspelled name, which would go unnoticed.
    fn check_against_policy(&mut self) {
        let Some(policy) = &self.policy.policy else {
            return;
        };
        let unknown_checks = self.health.keys().filter(|key| {
            let known = policy.check_ids().iter().any(|id| names_check(key, id));
            !known
        });
        for key in unknown_checks {
            self.findings.push(Finding::warning(
                Code::UnknownReference,
                join("health", key),
                format!("The policy uses no health check `{key}`: this has no effect"),
            ));
        }
        for key in self.endpoint_health.keys() {
            if let Some(message) = endpoint_without_status(policy, key) {
                let path = join("endpointHealth", key);
                let finding = Finding::warning(Code::UnknownReference, path, message);
                self.findings.push(finding);
            }
        }
        if let Some(number) = self.record_type
            && !policy.record_types().contains(&number)
        {
            let name = record_type::name(number);
            self.findings.push(Finding::warning(
                Code::RecordType,
                "recordType",
                format!("The policy does not serve {name}: such a query gets no data"),
            ));
        }
    }
}

/// Whether `key` of a scenario means the health check `id`. Other tools name
/// a check of a manifest `namespace/name`, which is understood too.
pub(crate) fn names_check(key: &str, id: &str) -> bool {
    key == id || key.split_once('/').is_some_and(|(_, name)| name == id)
}

fn endpoint_without_status(policy: &Policy, name: &str) -> Option<String> {
    use watershed_policy::EndpointKind::Value;
    match policy.endpoints().iter().find(|e| e.name == name) {
        None => Some(format!(
            "The policy has no endpoint `{name}`: this has no effect"
        )),
        Some(endpoint) if endpoint.kind == Value => Some(format!(
            "The endpoint `{name}` holds plain values, which have no status of their own: \
             this has no effect; set its health check under `health`"
        )),
        Some(_) => None,
    }
}

fn policy(
    members: &mut Members<'_, '_>,
    base_dir: &Path,
    collections: &CidrCollections,
) -> PolicyInput {
    match (members.get("policy"), members.get("policyFile")) {
        (Some(policy), None) => PolicyInput::from_value(policy, collections),
        (None, Some(_)) => match members.text("policyFile") {
            Some(file) => PolicyInput::load(&base_dir.join(file), collections),
            None => PolicyInput::absent(),
        },
        (None, None) => {
            let message = "A policy is needed: give it as `policy`, or its file as `policyFile`";
            members.fault(Code::MissingField, "policy", message);
            PolicyInput::absent()
        }
        (Some(policy), Some(_)) => {
            let message = "`policy` and `policyFile` exclude each other: remove one of them";
            members.fault(Code::FieldConflict, "policyFile", message);
            PolicyInput::from_value(policy, collections)
        }
    }
}

fn client(members: &mut Members<'_, '_>) -> ClientSpec {
    match members.get("client") {
        Some(value) => ClientSpec::read(value, "client", members.findings()),
        None => ClientSpec::default(),
    }
}

fn health(members: &mut Members<'_, '_>, name: &str) -> BTreeMap<String, bool> {
    let mut verdicts = BTreeMap::new();
    for (id, value, path) in members.entries(name) {
        let healthy = match value.as_str() {
            Some("healthy") => true,
            Some("unhealthy") => false,
            _ => {
                let message = format!(
                    "Either `healthy` or `unhealthy` is expected here, not {}",
                    describe(value)
                );
                let fault = Finding::error(Code::InvalidValue, path, message);
                members.findings().push(fault);
                continue;
            }
        };
        verdicts.insert(id.to_owned(), healthy);
    }
    verdicts
}

fn latency(members: &mut Members<'_, '_>) -> Option<FixedLatency> {
    members.get("latency")?;
    let mut latency = FixedLatency::default();
    for (region, value, path) in members.entries("latency") {
        match value.as_f64() {
            Some(millis) if (0.0..=60_000.0).contains(&millis) => latency.insert(region, millis),
            _ => {
                let message = format!(
                    "A latency in milliseconds, from 0 to 60000, is expected here, not {}",
                    describe(value)
                );
                let fault = Finding::error(Code::InvalidValue, path, message);
                members.findings().push(fault);
            }
        }
    }
    Some(latency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_goes_by_its_name_or_with_its_namespace() {
        assert!(names_check("web", "web"));
        assert!(names_check("shop/web", "web"));
        assert!(!names_check("web", "shop"));
        assert!(!names_check("shop", "web"));
    }

    #[test]
    fn a_scenario_is_told_from_other_documents() {
        let recognised = |text: &str| Scenario::is_recognised(&serde_yaml::from_str(text).unwrap());
        assert!(recognised("policyFile: x.yaml"));
        assert!(recognised("{policy: {}, client: {}}"));
        assert!(!recognised("{kind: TrafficPolicy, policy: {}}"));
        assert!(!recognised("{StartRule: r}"));
    }
}
