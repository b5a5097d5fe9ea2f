//! `watershed health`: what is healthy, since when, and by whose word.
//!
//! There is one [`Report`], and two places that it is from:
//! the state directory of a running `watershed serve`, and the status of
//! objects in a cluster.

pub mod report;
pub(crate) mod status;
pub(crate) mod table;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::ListParams;
use watershed_crd::{HealthCheck, PolicyRecord, TrafficPolicyVersion};

use crate::cluster::{self, ClusterArgs, answered};
use crate::console::{self, Printed, Status};
use crate::serve::recorded_health;
use report::Report;

/// `watershed health`.
#[derive(Debug, Args)]
#[command(after_help = "\
Given the directory that a `watershed serve` of this user serves, or its state directory, it says \
what that server's own probes found. Otherwise it asks a cluster for what the fleet's verdicts are, \
as HealthChecks, TrafficPolicyVersions and PolicyRecords have them in their status.

Examples:
  watershed health examples/getting-started
  watershed health -n shop
  watershed health -A -o json | jq '.targets[] | select(.countsAs == \"Unhealthy\")'
  watershed health --fail > /dev/null || echo 'something is down'

Exit status: 0 when health could be read, 1 when it could not; with --fail also 1 when something is \
unhealthy.")]
pub struct HealthArgs {
    /// Directory that is served on this machine; without it, a cluster is asked
    #[arg(value_name = "DIR", conflicts_with_all = ["context", "all_namespaces"])]
    pub directory: Option<PathBuf>,

    /// State directory of the server, where it has another than the default one
    #[arg(long, value_name = "DIR", conflicts_with_all = ["context", "all_namespaces"])]
    pub state: Option<PathBuf>,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,

    /// All namespaces of the cluster
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,

    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Output::Table, value_name = "FORMAT")]
    pub output: Output,

    /// End with status 1 when something is unhealthy
    #[arg(long)]
    pub fail: bool,
}

/// For people, or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For programs
    Json,
    /// For programs, and for people, too
    Yaml,
}

/// Prints the health of all targets.
pub(crate) fn run(args: &HealthArgs) -> Printed {
    let (report, note) = match read(args) {
        Ok(read) => read,
        Err(error) => return Printed::failure(&error),
    };
    let mut printed = Printed::result(match args.output {
        Output::Table => table::tables(&report),
        Output::Json => console::json(&report),
        Output::Yaml => console::yaml(&report),
    });
    if let Some(note) = note {
        printed.note(note);
    }
    if args.fail && report.unhealthy() > 0 {
        printed.status = Status::Faults;
    }
    printed
}

/// The report, and what one should know about it.
fn read(args: &HealthArgs) -> anyhow::Result<(Report, Option<String>)> {
    if args.directory.is_none() && args.state.is_none() {
        return cluster::run(of_cluster(args)).map(|report| (report, None));
    }
    let recorded = recorded_health(args.state.as_deref(), args.directory.as_deref())?;
    let report = match &args.cluster.namespace {
        Some(namespace) => recorded.report.of_namespace(namespace),
        None => recorded.report,
    };
    let note = (!recorded.is_served).then(|| {
        let time = report.time.0;
        format!("no server is running there: this is what the last one knew at {time}")
    });
    Ok((report, note))
}

async fn of_cluster(args: &HealthArgs) -> anyhow::Result<Report> {
    let cluster = args.cluster.connect().await?;
    let namespace = (!args.all_namespaces).then_some(cluster.namespace.as_str());
    let checks = list::<HealthCheck>(&cluster.client, namespace, "HealthChecks");
    let versions =
        list::<TrafficPolicyVersion>(&cluster.client, namespace, "TrafficPolicyVersions");
    let records = list::<PolicyRecord>(&cluster.client, namespace, "PolicyRecords");
    let (checks, versions, records) = tokio::try_join!(checks, versions, records)?;
    Ok(status::report(
        &checks,
        &versions,
        &records,
        Timestamp::now(),
    ))
}

/// How many objects are asked for at once.
const PAGE: u32 = 500;

async fn list<K>(
    client: &kube::Client,
    namespace: Option<&str>,
    what: &str,
) -> anyhow::Result<Vec<K>>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let mut objects = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = answered(api.list(&params).await, what)?;
        objects.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(objects),
        }
    }
}

/// A report as a file has it.
///
/// # Errors
/// When it is not one.
pub(crate) fn parse(text: &str) -> anyhow::Result<Report> {
    serde_json::from_str(text).context("this is not what `watershed serve` writes")
}
