//! `watershed failback`: clients return to what recovered.

#![allow(clippy::doc_markdown, reason = "doc comments are what `--help` prints")]

use std::fmt::Write as _;

use clap::Args;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use watershed_crd::PolicyRecord;

use crate::cluster::{self, ClusterArgs, answered};
use crate::console::Printed;
use crate::health::report::HeldRule;
use crate::health::{status, table};

/// A value that differs from the one released last lets clients return.
pub(crate) const ANNOTATION: &str = "watershed.dev/failback";
/// Who writes it.
const FIELD_MANAGER: &str = "watershed-failback";

/// `watershed failback`.
#[derive(Debug, Args)]
#[command(after_help = "\
Shows which Failover rules of a record keep their clients at a branch that is not the first healthy \
one, and lets them return, once: by setting the annotation watershed.dev/failback of the record to \
the present time. Under `watershed serve`, write that annotation into the record's file.

Examples:
  watershed failback www -n shop --dry-run       what is held, and what would be done
  watershed failback www -n shop

Exit status: 0 when clients return, or nothing is held; 1 when the record cannot be read or written.")]
pub struct FailbackArgs {
    /// Name of the PolicyRecord
    #[arg(value_name = "RECORD")]
    pub record: String,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,

    /// Show what is held, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Lets clients return.
pub(crate) fn run(args: &FailbackArgs) -> Printed {
    match cluster::run(release(args, Timestamp::now())) {
        Ok(printed) => printed,
        Err(error) => Printed::failure(&error),
    }
}

async fn release(args: &FailbackArgs, now: Timestamp) -> anyhow::Result<Printed> {
    let cluster = args.cluster.connect().await?;
    let api: Api<PolicyRecord> = Api::namespaced(cluster.client, &cluster.namespace);
    let name = format!("PolicyRecord {}/{}", cluster.namespace, args.record);
    let record = answered(api.get(&args.record).await, &name)?;
    let held = status::held(&record);
    let release = Release::new(&record, now);
    if !args.dry_run && !held.is_empty() {
        // Not forced: where somebody else keeps the annotation, it is theirs
        // to change.
        let params = PatchParams::apply(FIELD_MANAGER);
        let patched = api
            .patch(&args.record, &params, &Patch::Apply(release.patch()))
            .await;
        match patched {
            Err(kube::Error::Api(status)) if status.code == 409 => {
                anyhow::bail!("{name}: {}\n{}", status.message, release.by_hand());
            }
            patched => answered(patched, &name)?,
        };
    }
    Ok(release.told(&held, args.dry_run))
}

/// What is to be done.
struct Release {
    record: String,
    name: String,
    value: String,
    /// Who else writes the object.
    managers: Vec<String>,
}

impl Release {
    fn new(record: &PolicyRecord, now: Timestamp) -> Self {
        let namespace = record.namespace().unwrap_or_default();
        let name = record.name_any();
        Self {
            record: format!("{namespace}/{name}"),
            name,
            value: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            managers: managers(record),
        }
    }

    fn patch(&self) -> Value {
        json!({
            "apiVersion": watershed_crd::API_VERSION,
            "kind": "PolicyRecord",
            "metadata": {"name": self.name, "annotations": {ANNOTATION: self.value}},
        })
    }

    /// The same as a change of a file.
    fn by_hand(&self) -> String {
        format!(
            "The same as a change of the manifest:\n  metadata:\n    annotations:\n      {ANNOTATION}: \"{}\"",
            self.value
        )
    }

    fn told(&self, held: &[HeldRule], dry_run: bool) -> Printed {
        let record = &self.record;
        if held.is_empty() {
            return Printed::result(format!(
                "Nothing of {record} is held: every Failover rule is at its first healthy branch.\n"
            ));
        }
        let mut out = table::held(held);
        // Writing to a String cannot fail.
        let _ = if dry_run {
            writeln!(
                out,
                "\nNothing was changed. Without --dry-run, clients return."
            )
        } else {
            writeln!(
                out,
                "\nReleased with {ANNOTATION}={}: clients return.",
                self.value
            )
        };
        let mut printed = Printed::result(out);
        if !self.managers.is_empty() {
            let managers = self.managers.join(", ");
            printed.note(format_args!(
                "{record} is also written by {managers}. {}",
                self.by_hand()
            ));
        }
        printed
    }
}

/// Who wrote more than status, but for kubectl's own editing and this command:
/// tools that may set the object back to what they hold.
fn managers(record: &PolicyRecord) -> Vec<String> {
    let fields = record.metadata.managed_fields.iter().flatten();
    let others = fields.filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty());
    let names = others.filter_map(|entry| entry.manager.clone());
    let mut names: Vec<String> = names
        .filter(|name| name != FIELD_MANAGER && !name.starts_with("kubectl"))
        .collect();
    names.sort();
    names.dedup();
    names
}
