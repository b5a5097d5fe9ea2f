//! One walk of a scenario's policy: what `simulate`, `explain` and `graph`
//! print.

use std::cell::OnceCell;
use std::path::Path;

use watershed_geo::{GeoDatabase, LatencyTable};
use watershed_policy::{
    CheckUse, Client, Distribution, Health, LatencySource, Policy, Scope, Step, Value, View,
};

use crate::finding::Finding;
use crate::input::Source;
use crate::scenario::{Scenario, names_check};

/// What is configured rather than told by the scenario. The built-in
/// location table is made only when an address is looked up.
#[derive(Debug, Default)]
pub struct Surroundings {
    geo: OnceCell<GeoDatabase>,
    latency: Option<LatencyTable>,
}

impl Surroundings {
    /// Reads a location database in MaxMind DB format and a latency table
    /// (YAML, or CSV if the file is called so).
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub fn load(geo: Option<&Path>, latency: Option<&Path>) -> Result<Self, Vec<Finding>> {
        let mut faults = Vec::new();
        let surroundings = Self::default();
        if let Some(path) = geo {
            match read_geo(path) {
                Ok(database) => drop(surroundings.geo.set(database)),
                Err(fault) => faults.push(fault),
            }
        }
        let latency = latency.and_then(|path| match read_latency(path) {
            Ok(table) => Some(table),
            Err(found) => {
                faults.extend(found);
                None
            }
        });
        if faults.is_empty() {
            Ok(Self {
                latency,
                ..surroundings
            })
        } else {
            Err(faults)
        }
    }

    /// The location database.
    pub fn geo(&self) -> &GeoDatabase {
        self.geo.get_or_init(GeoDatabase::builtin)
    }

    fn latency_source(&self) -> Option<&dyn LatencySource> {
        self.latency.as_ref().map(|table| table as _)
    }
}

pub(crate) fn read_geo(path: &Path) -> Result<GeoDatabase, Finding> {
    let fault = |error: &dyn std::fmt::Display| {
        Finding::unreadable(
            "--geo-database",
            format!("{} cannot be used: {error}", path.display()),
        )
    };
    let bytes = std::fs::read(path).map_err(|error| fault(&error))?;
    GeoDatabase::from_mmdb(bytes).map_err(|error| fault(&error))
}

pub(crate) fn read_latency(path: &Path) -> Result<LatencyTable, Vec<Finding>> {
    let source = Source::File(path.to_owned());
    let text = source
        .read()
        .map_err(|fault| vec![fault.below("--latency")])?;
    let table = if path.extension().is_some_and(|extension| extension == "csv") {
        LatencyTable::from_csv(&text)
    } else {
        LatencyTable::from_yaml(&text)
    };
    table.map_err(|faults| {
        let faults = faults.into_iter();
        faults
            .map(|fault| Finding::unreadable("--latency", format!("{}: {fault}", path.display())))
            .collect()
    })
}

/// What happens to the client of a scenario, and why.
pub struct Walk<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// IANA number of the type asked.
    pub record_type: u16,
    /// The client, located.
    pub client: Client,
    /// Verdicts on the policy's checks and endpoints.
    pub health: Health,
    /// Every possible answer; empty when the policy does not serve the type.
    pub distribution: Distribution,
    /// What the rules on the way did, parents first.
    pub steps: Vec<Step>,
}

impl<'a> Walk<'a> {
    /// Walks a scenario; `None` when it or its policy has a fault.
    pub fn of(scenario: &'a Scenario, surroundings: &Surroundings) -> Option<Self> {
        let policy = scenario.valid_policy()?;
        let client = scenario.client.locate(|| surroundings.geo());
        let health = health(policy, scenario);
        let latency = scenario.latency_source();
        let view = View {
            client: &client,
            health: &health,
            latency: latency.or_else(|| surroundings.latency_source()),
        };
        let asked = scenario.record_type;
        let record_type = asked.or_else(|| policy.record_types().first().copied())?;
        let (distribution, steps) = if policy.record_types().contains(&record_type) {
            policy.explain(record_type, &view)
        } else {
            (no_answer(), Vec::new())
        };
        Some(Self {
            policy,
            record_type,
            client,
            health,
            distribution,
            steps,
        })
    }

    /// The values of an endpoint that answer the question.
    pub fn values(
        &self,
        endpoint: watershed_policy::EndpointId,
    ) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.policy.endpoint(endpoint).values_of(self.record_type)
    }
}

/// What a name gives for a type that its policy does not serve.
fn no_answer() -> Distribution {
    Distribution {
        outcomes: Vec::new(),
        scope: Scope::default(),
    }
}

fn health(policy: &Policy, scenario: &Scenario) -> Health {
    let check = |check: &CheckUse| {
        let id = check.id.as_str();
        let mut verdicts = scenario.health.iter();
        // The full id is more exact than the name alone.
        let exact = scenario.health.get(id).copied();
        exact
            .or_else(|| {
                verdicts.find_map(|(key, healthy)| names_check(key, id).then_some(*healthy))
            })
            .unwrap_or(true)
    };
    let alias = |name: &str| scenario.endpoint_health.get(name).copied().unwrap_or(true);
    Health::new(policy, check, alias)
}
