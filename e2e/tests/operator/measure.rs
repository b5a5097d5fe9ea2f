//! What programs and the API server tell of themselves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use watershed_e2e::cluster::Mark;
use watershed_e2e::fleet::{HOME, OPERATOR};
use watershed_e2e::{AuditEvent, Cluster, eventually};

pub use watershed_e2e::http::get;

/// All metrics of a program at one time, by their series as it is written.
#[derive(Clone, Debug)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// # Errors
    /// When the program does not answer.
    pub async fn of(address: SocketAddr) -> Result<Self> {
        let (code, text) = get(address, "/metrics").await?;
        ensure!(code == 200, "/metrics: {code}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let lines = lines.filter_map(|line| line.rsplit_once(' '));
        let series = lines.map(|(series, value)| Ok((series.to_owned(), value.parse()?)));
        series.collect::<Result<_>>().map(Self)
    }

    /// The sum of all series of a metric that have these labels, each as in
    /// `kind="stage"`.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let of_name = |series: &str| {
            let rest = series.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
        };
        let series = self.0.iter().filter(|(series, _)| of_name(series));
        let series = series.filter(|(series, _)| labels.iter().all(|label| series.contains(label)));
        series.map(|(_, value)| value).sum()
    }
}

/// What operators wrote since a mark, but for the Lease, which they write all
/// the time.
///
/// # Errors
/// When the log cannot be read.
pub fn writes(cluster: &Cluster, mark: Mark) -> Result<Vec<AuditEvent>> {
    cluster.requests_since(mark, |event| {
        event.is_write() && event.user == OPERATOR && event.resource != "leases"
    })
}

/// Statuses that operators wrote since a mark, as `policyrecords shop/www`, and
/// how often.
///
/// # Errors
/// When the log cannot be read.
pub fn statuses(cluster: &Cluster, mark: Mark) -> Result<BTreeMap<String, usize>> {
    let mut written = BTreeMap::new();
    for event in writes(cluster, mark)? {
        if event.subresource == "status" {
            let object = format!("{} {}/{}", event.resource, event.namespace, event.name);
            *written.entry(object).or_default() += 1;
        }
    }
    Ok(written)
}

/// Waits until operators have written nothing for so long. Gives the mark from
/// which on it was quiet.
///
/// # Errors
/// When it is not quiet in time; with what was written last.
pub async fn quiet(cluster: &Cluster, span: Duration, deadline: Duration) -> Result<Mark> {
    let mut since = (cluster.mark()?, Instant::now());
    eventually("operators have nothing to write", deadline, async || {
        let mark = cluster.mark()?;
        let written = writes(cluster, since.0)?;
        if let Some(last) = written.last() {
            since = (mark, Instant::now());
            bail!("the last of {}: {}", written.len(), last.summary());
        }
        ensure!(
            since.1.elapsed() >= span,
            "for {:?} only",
            since.1.elapsed()
        );
        Ok(since.0)
    })
    .await
}

/// Who holds the Lease: the name of a replica.
///
/// # Errors
/// When there is none.
pub async fn holder(cluster: &Cluster) -> Result<String> {
    let leases: Api<Lease> = Api::namespaced(cluster.client(), HOME);
    let spec = leases.get("watershed-operator").await?.spec;
    let holder = spec.and_then(|spec| spec.holder_identity);
    let holder = holder.filter(|holder| !holder.is_empty());
    holder.context("nobody holds the Lease")
}
