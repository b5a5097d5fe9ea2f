//! The commands about one policy: from arguments to what is printed.

use clap::CommandFactory;

use crate::args::{
    Cli, CompletionsArgs, ExplainArgs, GraphArgs, ScenarioArgs, SimulateArgs, TableOrJson,
    TextOrJson,
};
use crate::cidr::CidrCollections;
use crate::console::{self, Printed, Status};
use crate::finding::Finding;
use crate::input::{self, Source};
use crate::policy_input::PolicyInput;
use crate::scenario::Scenario;
use crate::simulate::{self, Report};
use crate::walk::{Surroundings, Walk};
use crate::{explain, graph, table};

/// A scenario with its surroundings, or the faults of the latter.
fn load(args: &ScenarioArgs) -> Result<(Scenario, Surroundings), Vec<Finding>> {
    let surroundings = Surroundings::load(args.geo_database.as_deref(), args.latency.as_deref())?;
    Ok((Scenario::load(&args.scenario), surroundings))
}

/// `watershed simulate`.
pub(crate) fn simulate(args: &SimulateArgs) -> Printed {
    let report = match load(&args.scenario) {
        Ok((scenario, surroundings)) => simulate::simulate(&scenario, &surroundings),
        Err(faults) => Report::invalid(faults),
    };
    let mut printed = match args.output {
        TableOrJson::Json => Printed::result(console::json(&report)),
        TableOrJson::Table => {
            let mut printed = Printed::result(table::report(&report));
            printed.note_all(&report.diagnostics);
            printed
        }
    };
    if report.outcome == simulate::Outcome::Invalid {
        printed.status = Status::Faults;
    }
    printed
}

/// `watershed explain`.
pub(crate) fn explain(args: &ExplainArgs) -> Printed {
    let (scenario, surroundings) = match load(&args.scenario) {
        Ok(loaded) => loaded,
        Err(faults) => return Printed::findings(&faults),
    };
    let mut printed = Printed::findings(&scenario.all_findings());
    if let (Some(walk), Some(document)) = (
        Walk::of(&scenario, &surroundings),
        &scenario.policy.document,
    ) {
        printed.out = match args.output {
            TextOrJson::Json => console::json(&crate::trace::trace(&walk)),
            TextOrJson::Text => explain::text(&walk, document),
        };
    }
    printed
}

/// `watershed graph`.
pub(crate) fn graph(args: &GraphArgs) -> Printed {
    let text = match args.input.read() {
        Ok(text) => text,
        Err(fault) => return Printed::findings(&[fault]),
    };
    let first = input::documents(&text, args.input.syntax())
        .into_iter()
        .next();
    match first {
        Some(Ok(value)) if Scenario::is_recognised(&value) => {
            let surroundings =
                Surroundings::load(args.geo_database.as_deref(), args.latency.as_deref());
            match surroundings {
                Ok(surroundings) => {
                    let scenario = Scenario::from_value(&value, &args.input.base_dir());
                    graph_of_scenario(&scenario, &surroundings, args.format)
                }
                Err(faults) => Printed::findings(&faults),
            }
        }
        _ => graph_of_policy(&text, &args.input, args.format),
    }
}

fn graph_of_scenario(
    scenario: &Scenario,
    surroundings: &Surroundings,
    format: graph::Format,
) -> Printed {
    let mut printed = Printed::findings(&scenario.all_findings());
    if let (Some(walk), Some(document)) =
        (Walk::of(scenario, surroundings), &scenario.policy.document)
    {
        printed.out = graph::draw(walk.policy, document, Some(&walk), format);
    }
    printed
}

fn graph_of_policy(text: &str, source: &Source, format: graph::Format) -> Printed {
    let input = PolicyInput::from_text(text, source.syntax(), &CidrCollections::default());
    let mut printed = Printed::findings(&input.findings);
    if let (Some(policy), Some(document)) = (&input.policy, &input.document) {
        printed.out = graph::draw(policy, document, None, format);
    }
    printed
}

/// `watershed completions`.
pub(crate) fn completions(args: &CompletionsArgs) -> Printed {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "watershed", &mut script);
    Printed::result(String::from_utf8_lossy(&script).into_owned())
}
