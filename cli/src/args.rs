//! The command line.

#![allow(clippy::doc_markdown, reason = "doc comments are what `--help` prints")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use watershed_crd::document::RecordType;

use crate::failback::FailbackArgs;
use crate::graph::Format as GraphFormat;
use crate::health::HealthArgs;
use crate::input::Source;
use crate::query::QueryArgs;
use crate::serve::ServeArgs;

/// Serve, check and try out DNS traffic policies.
#[derive(Debug, Parser)]
#[command(
    name = "watershed",
    version,
    about,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "\
Examples:
  watershed serve examples/getting-started       answer DNS queries from a directory
  watershed validate policies/                   list every fault of every file
  watershed explain scenario.yaml                see who gets which answer, and why
  watershed health -A                            see what is healthy in a cluster

Exit status: 0 when all is well, 1 when an input has faults, 2 when the command line is wrong."
)]
pub struct Cli {
    /// When to use colours; `auto` is on a terminal unless `NO_COLOR` is set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto, global = true)]
    pub color: Color,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[value(help = None)]
    Auto,
    /// Always.
    #[value(help = None)]
    Always,
    /// Never.
    #[value(help = None)]
    Never,
}

impl Color {
    /// Makes this the choice of the whole process.
    pub fn apply(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::AlwaysAnsi,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer DNS queries from a directory of manifests
    Serve(ServeArgs),
    /// List every fault of manifests, Route 53 documents and scenarios
    Validate(ValidateArgs),
    /// Compute every answer that a client may get, with exact probabilities
    Simulate(SimulateArgs),
    /// Show why a client gets its answers, as a tree
    Explain(ExplainArgs),
    /// Draw a policy
    Graph(GraphArgs),
    /// Turn a policy of another system into manifests
    Import(ImportArgs),
    /// Turn a policy into a document of another system
    Export(ExportArgs),
    /// Show what is healthy, since when, and by whose word
    Health(HealthArgs),
    /// Let clients return to what recovered
    Failback(FailbackArgs),
    /// Ask a DNS server one question
    Query(QueryArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// `watershed validate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Directories are searched for .yaml, .yml and .json files. Objects may refer to each other across \
files: what is given together is checked together.

Examples:
  watershed validate policies/
  watershed validate policy.yaml zone.yaml -o json
  kubectl get trafficpolicies.watershed.dev web -o yaml | watershed validate -

Exit status: 0 without errors (warnings do not count), 1 with errors.")]
pub struct ValidateArgs {
    /// Files or directories; `-` is standard input
    #[arg(required = true, value_name = "FILE|DIR")]
    pub inputs: Vec<Source>,

    /// How to print the findings
    #[arg(short, long, value_enum, default_value_t = TextOrJson::Text, value_name = "FORMAT")]
    pub output: TextOrJson,
}

/// `watershed simulate`.
#[derive(Debug, Args)]
#[command(after_help = "\
A scenario is one YAML or JSON document that has a policy (inline, or the name of its file), a \
client and, if wanted, states of health checks, latencies and the record type asked.

Examples:
  watershed simulate examples/getting-started/scenarios/japan.yaml
  watershed simulate scenario.yaml -o json | jq .answers
  echo '{policyFile: policy.yaml, client: {country: NZ}}' | watershed simulate -

Exit status: 0 when the scenario was simulated, 1 when it or its policy has faults.")]
pub struct SimulateArgs {
    /// What to simulate.
    #[command(flatten)]
    pub scenario: ScenarioArgs,

    /// How to print the result
    #[arg(short, long, value_enum, default_value_t = TableOrJson::Table, value_name = "FORMAT")]
    pub output: TableOrJson,
}

/// `watershed explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
The input is a scenario, as for `watershed simulate`.

Examples:
  watershed explain examples/getting-started/scenarios/japan-primary-down.yaml
  echo '{policyFile: policy.yaml, client: {address: 203.0.113.7}}' | watershed explain -
  watershed explain scenario.yaml -o json | jq '.[].rule'

Exit status: 0 when the scenario was explained, 1 when it or its policy has faults.")]
pub struct ExplainArgs {
    /// What to explain.
    #[command(flatten)]
    pub scenario: ScenarioArgs,

    /// How to print the walk
    #[arg(short, long, value_enum, default_value_t = TextOrJson::Text, value_name = "FORMAT")]
    pub output: TextOrJson,
}

/// A scenario, and what it does not say itself.
#[derive(Debug, Args)]
pub struct ScenarioArgs {
    /// Scenario file; `-` is standard input
    #[arg(value_name = "SCENARIO")]
    pub scenario: Source,

    /// Location database in MaxMind DB format, instead of the built-in country table
    #[arg(long, value_name = "FILE")]
    pub geo_database: Option<PathBuf>,

    /// Measured latency between client areas and regions, YAML or CSV
    #[arg(long, value_name = "FILE")]
    pub latency: Option<PathBuf>,
}

/// `watershed graph`.
#[derive(Debug, Args)]
#[command(after_help = "\
Given a scenario, the picture shows what happens in it: bold lines are taken, dashed lines are \
not, with the share of each branch.

Examples:
  watershed graph policy.yaml
  watershed graph examples/getting-started/scenarios/japan.yaml
  watershed graph policy.yaml --format dot | dot -Tsvg > policy.svg

Exit status: 0 when the policy was drawn, 1 when it has faults.")]
pub struct GraphArgs {
    /// Policy (manifest or Route 53 document) or scenario; `-` is standard input
    #[arg(value_name = "FILE|SCENARIO")]
    pub input: Source,

    /// In what to draw
    #[arg(short, long, value_enum, default_value_t = GraphFormat::Mermaid, value_name = "FORMAT")]
    pub format: GraphFormat,

    /// Location database in MaxMind DB format, instead of the built-in country table
    #[arg(long, value_name = "FILE")]
    pub geo_database: Option<PathBuf>,

    /// Measured latency between client areas and regions, YAML or CSV
    #[arg(long, value_name = "FILE")]
    pub latency: Option<PathBuf>,
}

/// `watershed import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  watershed import route53 policy.json --name web > web.yaml")]
pub struct ImportArgs {
    /// From which system.
    #[command(subcommand)]
    pub system: ImportSystem,
}

/// Systems from which policies are imported.
#[derive(Debug, Subcommand)]
pub enum ImportSystem {
    /// From a Route 53 traffic policy document
    Route53(ImportRoute53Args),
}

/// `watershed import route53`.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints a TrafficPolicy manifest. Ids that are no valid names there are changed, and each change is \
said. Faults are printed as Route 53 reports them: `id: what is wrong`, all at once.

Examples:
  watershed import route53 policy.json --name web --namespace shop > web.yaml
  aws route53 get-traffic-policy --id ID --version 3 | watershed import route53 - --name web

Exit status: 0 when the document was imported, 1 when it has faults.")]
pub struct ImportRoute53Args {
    /// Document, or the answer of `aws route53 get-traffic-policy`; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: Source,

    /// Name of the TrafficPolicy; by default that of the file
    #[arg(long, value_name = "NAME", value_parser = object_name)]
    pub name: Option<String>,

    /// Namespace of the TrafficPolicy
    #[arg(long, value_name = "NAMESPACE", value_parser = object_name)]
    pub namespace: Option<String>,
}

/// `watershed export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  watershed export route53 web.yaml > policy.json")]
pub struct ExportArgs {
    /// To which system.
    #[command(subcommand)]
    pub system: ExportSystem,
}

/// Systems to which policies are exported.
#[derive(Debug, Subcommand)]
pub enum ExportSystem {
    /// To a Route 53 traffic policy document
    Route53(ExportRoute53Args),
}

/// `watershed export route53`.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints the document as JSON. What Route 53 cannot express is listed, and nothing is printed then.

Examples:
  watershed export route53 web.yaml > policy.json
  watershed export route53 web.yaml --record-type AAAA --format-version 2015-10-01

Exit status: 0 when the policy was exported, 1 when it has faults or cannot be expressed.")]
pub struct ExportRoute53Args {
    /// TrafficPolicy or TrafficPolicyVersion manifest; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: Source,

    /// Version of the document format
    #[arg(long, value_enum, default_value_t = FormatVersion::V2023, value_name = "VERSION")]
    pub format_version: FormatVersion,

    /// Which type to export, where the policy serves A and AAAA
    #[arg(long, value_name = "TYPE", value_parser = record_type)]
    pub record_type: Option<RecordType>,
}

/// An object name: a DNS label, or several with dots between (RFC 1123).
fn object_name(name: &str) -> Result<String, &'static str> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(allowed)
    };
    if name.len() <= 200 && name.split('.').all(is_label) {
        return Ok(name.to_owned());
    }
    Err("not the name of an object: use lower case letters, digits and hyphens")
}

fn record_type(text: &str) -> Result<RecordType, String> {
    text.parse()
        .map_err(|()| "not a record type, such as A or AAAA".to_owned())
}

/// Versions of the Route 53 document format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatVersion {
    /// Before Local Zones
    #[value(name = "2015-10-01")]
    V2015,
    /// With Local Zones
    #[value(name = "2023-05-09")]
    V2023,
}

/// `watershed completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  watershed completions bash > ~/.local/share/bash-completion/completions/watershed
  watershed completions fish > ~/.config/fish/completions/watershed.fish
  watershed completions zsh > \"${fpath[1]}/_watershed\"")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// For people, or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    /// For people
    Text,
    /// For programs
    Json,
}

/// For people, or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableOrJson {
    /// For people
    Table,
    /// For programs
    Json,
}
