//! Makes probes when it is time.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use tokio::sync::{mpsc, watch};
use watershed_health::{Check, Outcome, Target};

use crate::Allowed;
use crate::client::Client;
use crate::rota::{Limits, Rota};

/// How to probe.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which addresses may be probed.
    pub allowed: Allowed,
    /// Probes under way at once, at most.
    pub concurrency: usize,
    /// Probes begun in a second, at most, of targets that are probed on the
    /// node's own account.
    pub unassigned_per_second: u32,
    /// Certificates of authorities (PEM) that count besides the public ones.
    pub authorities: Vec<u8>,
    /// Value of the User-Agent header.
    pub user_agent: String,
}

impl Default for Config {
    /// Public addresses only; 256 probes at once, and 50 a second on the
    /// node's own account.
    fn default() -> Self {
        Self {
            allowed: Allowed::default(),
            concurrency: 256,
            unassigned_per_second: 50,
            authorities: Vec::new(),
            user_agent: "watershed-health-check".to_owned(),
        }
    }
}

/// A target to probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// What, and where.
    pub target: Target,
    /// How.
    pub check: Arc<Check>,
    /// Its place among those who probe it, `0..of`: they take turns, evenly
    /// spread over the interval.
    pub rank: u32,
    /// How many probe it.
    pub of: u32,
    /// Nobody asked for it: a node that is alone probes it to have a result at
    /// all. The interval is three times that of the check, and longer where
    /// [`Config::unassigned_per_second`] does not allow for it.
    pub own_account: bool,
}

/// What came of a probe.
#[derive(Clone, Debug)]
pub struct Result {
    /// Of what.
    pub target: Target,
    /// What it says.
    pub outcome: Outcome,
    /// A word for metrics: `ok`, `status`, `body`, `timeout`, `refused`,
    /// `reset`, `unreachable`, `tls`, `certificate`, `dns`, `protocol`,
    /// `missing`, `out-of-range`, `forbidden`, `overload`.
    pub kind: &'static str,
    /// From begin to end.
    pub took: Duration,
    /// When the certificate ends, in Unix seconds.
    pub certificate_expires: Option<i64>,
}

/// Probes targets in the rhythm of their checks until it is dropped. It needs
/// a tokio runtime.
#[derive(Debug)]
pub struct Prober {
    assignments: watch::Sender<Vec<Assignment>>,
}

impl Prober {
    /// Probes nothing yet; results go to `results`. When nobody takes them,
    /// probing waits; when nobody can, it ends.
    ///
    /// # Errors
    /// When the authorities cannot be read, or the User-Agent is no value of a
    /// header.
    pub fn start(
        config: Config,
        results: mpsc::Sender<Result>,
    ) -> std::result::Result<Self, String> {
        let limits = Limits {
            concurrency: config.concurrency,
            unassigned_per_second: config.unassigned_per_second,
        };
        let client = Arc::new(Client::new(config)?);
        let probe = move |target: Arc<Target>, check: Arc<Check>| {
            let client = Arc::clone(&client);
            async move { client.probe(&target, &check).await }.boxed()
        };
        let (assignments, news) = watch::channel(Vec::new());
        tokio::spawn(Rota::new(limits, unix_time, probe, results).run(news));
        Ok(Self { assignments })
    }

    /// Probes these from now on, and no others. Those that are as before keep
    /// their rhythm; a target whose check changed takes up the new one. Checks
    /// that are not probed ([`Check::is_probed`]) are passed over.
    pub fn assign(&self, assignments: Vec<Assignment>) {
        self.assignments.send_replace(assignments);
    }
}

/// Time since the Unix epoch.
fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
