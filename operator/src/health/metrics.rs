//! What the health of the fleets tells about itself.

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts, Registry};
use watershed_health::Target;
use watershed_proto::{NodeMessage, OperatorMessage};

use super::news::{News, Transition};
use crate::fleet::FleetName;
use crate::parts::{Parts, Together};

/// Seconds, from a node's first report to the verdict: with checkers that take
/// turns, up to an interval.
const BUCKETS: [f64; 10] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// Counters and gauges about health. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    healthy: IntGaugeVec,
    transitions: IntCounterVec,
    delays: Histogram,
    reports: IntCounterVec,
    verdicts: IntCounterVec,
}

impl Metrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(format!("watershed_health_{name}"), help), labels)
        };
        let metrics = Self {
            healthy: IntGaugeVec::new(
                Opts::new(
                    "watershed_health_target_healthy",
                    "The fleet's verdict on a target: 1 is healthy, 0 is not. Absent while nothing is known.",
                ),
                &["fleet", "check", "address"],
            )?,
            transitions: counter(
                "transitions_total",
                "Verdicts that changed, to healthy or unhealthy.",
                &["fleet", "to"],
            )?,
            delays: Histogram::with_opts(
                HistogramOpts::new(
                    "watershed_health_verdict_delay_seconds",
                    "From the first report that contradicts a verdict to the next verdict.",
                )
                .buckets(BUCKETS.to_vec()),
            )?,
            reports: counter(
                "reports_total",
                "Reports of nodes about targets.",
                &["fleet"],
            )?,
            verdicts: counter(
                "verdict_messages_total",
                "Messages with verdicts to nodes.",
                &["fleet"],
            )?,
        };
        registry.register(Box::new(Together(metrics.clone())))?;
        Ok(metrics)
    }

    /// A node of this fleet said something.
    pub(crate) fn heard(&self, fleet: &FleetName, message: &NodeMessage) {
        if let NodeMessage::HealthReport { reports, .. } = message {
            let count = u64::try_from(reports.len()).unwrap_or(u64::MAX);
            let counter = self.reports.with_label_values(&[fleet.as_str()]);
            counter.inc_by(count);
        }
    }

    /// A node of this fleet is told this.
    pub(crate) fn sent(&self, fleet: &FleetName, message: &OperatorMessage) {
        if let OperatorMessage::Verdicts { .. } = message {
            self.verdicts.with_label_values(&[fleet.as_str()]).inc();
        }
    }

    /// Something is news.
    pub(crate) fn told(&self, fleet: &FleetName, news: &[News]) {
        for news in news {
            if let News::Verdict(transition) = news {
                self.changed(fleet, transition);
            }
        }
    }

    fn changed(&self, fleet: &FleetName, transition: &Transition) {
        let labels = labels(fleet, &transition.target);
        let labels = [labels.0, labels.1, labels.2.as_str()];
        let Some(healthy) = transition.healthy else {
            // It may never have had a verdict.
            let _ = self.healthy.remove_label_values(&labels);
            return;
        };
        self.healthy
            .with_label_values(&labels)
            .set(i64::from(healthy));
        // What was not known before is no transition.
        if transition.before.is_some() {
            let to = if healthy { "healthy" } else { "unhealthy" };
            self.transitions
                .with_label_values(&[fleet.as_str(), to])
                .inc();
        }
        if let Some(delay) = transition.delay {
            self.delays.observe(delay.as_secs_f64());
        }
    }

    /// This replica does not lead any more, and knows of no target.
    pub(crate) fn forget(&self) {
        self.healthy.reset();
    }
}

impl Parts for Metrics {
    fn parts(&self) -> Vec<&dyn Collector> {
        vec![
            &self.healthy,
            &self.transitions,
            &self.delays,
            &self.reports,
            &self.verdicts,
        ]
    }
}

fn labels<'a>(fleet: &'a FleetName, target: &'a Target) -> (&'a str, &'a str, String) {
    let address = target.address.as_ref();
    let address = address.map_or_else(String::new, ToString::to_string);
    (fleet.as_str(), &target.check, address)
}
