//! What reconciling tells about itself.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::apply::Outcome;
use crate::object::ObjectKind;
use crate::parts::{Parts, Together};
use crate::plan::Write;
use crate::world::World;

/// Seconds, from a tenth of a millisecond on.
const BUCKETS: [f64; 10] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// What reconciling tells about itself.
#[derive(Clone, Debug)]
pub struct Metrics {
    compilations: Histogram,
    plans: Histogram,
    writes: IntCounterVec,
    waiting: IntGauge,
    objects: IntGaugeVec,
    events: IntCounterVec,
    recalls: IntCounter,
}

impl Metrics {
    /// Metrics in `registry`.
    ///
    /// # Errors
    /// When it has metrics of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let histogram = |name, help| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()))
        };
        let metrics = Self {
            compilations: histogram(
                "watershed_operator_compile_seconds",
                "Time to compile what one batch of changes concerns.",
            )?,
            plans: histogram(
                "watershed_operator_plan_seconds",
                "Time to find out what to write about the objects that a batch concerns.",
            )?,
            writes: IntCounterVec::new(
                Opts::new(
                    "watershed_operator_writes_total",
                    "Writes to the API server; `outcome` is done, gone, refused, failed or withheld.",
                ),
                &["kind", "part", "outcome"],
            )?,
            waiting: IntGauge::new(
                "watershed_operator_writes_waiting",
                "Writes that wait for their turn.",
            )?,
            objects: IntGaugeVec::new(
                Opts::new("watershed_operator_objects", "Objects that are known."),
                &["kind"],
            )?,
            events: IntCounterVec::new(
                Opts::new("watershed_operator_events_total", "Events for people."),
                &["outcome"],
            )?,
            recalls: IntCounter::new(
                "watershed_operator_recalled_resources_total",
                "Resources that nodes gave back to a new leader.",
            )?,
        };
        registry.register(Box::new(Together(metrics.clone())))?;
        Ok(metrics)
    }

    pub(super) fn compiled(&self, took: Duration) {
        self.compilations.observe(took.as_secs_f64());
    }

    pub(super) fn planned(&self, took: Duration) {
        self.plans.observe(took.as_secs_f64());
    }

    pub(super) fn wrote(&self, write: &Write, outcome: &Outcome) {
        let kind = write.id().kind.as_str();
        let part = match write {
            Write::Deletion(_) => "deletion".to_owned(),
            other => other.part().to_string(),
        };
        self.writes
            .with_label_values(&[kind, &part, outcome.as_str()])
            .inc();
    }

    pub(super) fn waiting(&self, waiting: usize) {
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    pub(super) fn announced(&self, outcome: &str) {
        self.events.with_label_values(&[outcome]).inc();
    }

    pub(super) fn recalled(&self, resources: usize) {
        self.recalls
            .inc_by(u64::try_from(resources).unwrap_or(u64::MAX));
    }

    pub(super) fn observe(&self, world: &World) {
        for kind in ObjectKind::ALL {
            let known = i64::try_from(world.of_kind(kind).count()).unwrap_or(i64::MAX);
            self.objects.with_label_values(&[kind.as_str()]).set(known);
        }
    }
}

impl Parts for Metrics {
    fn parts(&self) -> Vec<&dyn Collector> {
        vec![
            &self.compilations,
            &self.plans,
            &self.writes,
            &self.waiting,
            &self.objects,
            &self.events,
            &self.recalls,
        ]
    }
}
