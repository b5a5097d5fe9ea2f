//! What Prometheus is told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use watershed_proto::NackReason;
use watershed_snapshot::{Held, SnapshotId, Term};

use super::build::Built;
use crate::counts::QueryCounts;
use crate::handler::Transport;
use crate::health::HealthHandle;
use crate::health::metrics::{Counters, Series};

/// Buckets of the time to swap, which is a pointer's: from 0.1 ms to 3 s.
const APPLY_BUCKETS: [f64; 10] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0];

/// The metrics of a member of a fleet.
pub struct Metrics {
    registry: Registry,
    build: IntGauge,
    epoch: IntGauge,
    generation: IntGauge,
    term: IntGauge,
    zones: IntGauge,
    resources: IntGauge,
    connected: IntGauge,
    connections: IntCounterVec,
    certificate_end: IntGauge,
    enrolments: IntCounterVec,
    nacks: IntCounterVec,
    apply: Histogram,
    persisted: IntGauge,
    persist_failures: IntCounter,
    states: Mutex<States>,
}

/// What is served, and what a restart would find.
#[derive(Default)]
struct States {
    served: Option<SnapshotId>,
    on_disk: Option<SnapshotId>,
}

/// Every metric of a member of a fleet, for the page that lists them.
///
/// # Errors
/// When one is malformed, which none is.
pub fn collectors() -> Result<Vec<Box<dyn Collector>>, prometheus::Error> {
    Ok(vec![
        Box::new(Metrics::new("")?),
        Box::new(query_counters()?),
        Box::new(limited_counters()?),
        Box::new(Counters::new()?),
        Box::new(Series::new()?),
        Box::new(ProcessCollector::for_self()),
    ])
}

impl Metrics {
    /// Metrics with all values 0, in a registry of their own, of a program of this
    /// version.
    ///
    /// # Errors
    /// When a name is malformed or used twice, which none is.
    pub fn new(version: &str) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let add = Adding(&registry);
        let build = Opts::new("watershed_build_info", "1; the program is in the labels");
        let build = build.const_label("program", "watershed-dns");
        let build = build.const_label("version", version);
        let build = add.registered(IntGauge::with_opts(build)?)?;
        build.set(1);
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self {
            build,
            epoch: add.gauge("epoch", "Epoch of the state that is served")?,
            generation: add.gauge("generation", "Generation of the state that is served")?,
            term: add.gauge("operator_term", "Highest term of an operator seen")?,
            zones: add.gauge("zones", "Zones that are served")?,
            resources: add.gauge("resources", "Resources that the served state is made of")?,
            connected: add.gauge(
                "operator_connected",
                "1 while it has a stream to the leader",
            )?,
            connections: add.counters(
                "operator_connections_total",
                "Attempts to connect to an operator: connected, redirected, closed or failed",
                "result",
            )?,
            certificate_end: add.gauge(
                "certificate_expiry_timestamp_seconds",
                "When the certificate for operators expires; 0: there is none",
            )?,
            enrolments: add.counters(
                "enrolments_total",
                "Requests for a certificate to an operator: issued, refused or failed",
                "result",
            )?,
            nacks: add.counters("nacks_total", "States that were refused", "reason")?,
            apply: add.histogram(
                "apply_seconds",
                "From the order to activate a state to its being served",
                &APPLY_BUCKETS,
            )?,
            persisted: add.gauge("persisted", "1 while the served state is on disk")?,
            persist_failures: add.registered(IntCounter::with_opts(opts(
                "persist_failures_total",
                "Failures to write the served state to disk",
            ))?)?,
            states: Mutex::default(),
            registry,
        })
    }

    /// Counts queries besides.
    ///
    /// # Errors
    /// When they are counted already.
    pub fn count_queries(&self, counts: Arc<QueryCounts>) -> Result<(), prometheus::Error> {
        let queries = Queries {
            counts,
            described: [query_counters()?, limited_counters()?],
        };
        self.registry.register(Box::new(queries))
    }

    /// Shows what health checks find besides.
    ///
    /// # Errors
    /// When it is shown already.
    pub fn watch_health(&self, health: &HealthHandle) -> Result<(), prometheus::Error> {
        health.register(&self.registry)
    }

    /// All metrics in the text format of Prometheus.
    ///
    /// # Errors
    /// When a metric cannot be written, which all can.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    pub(super) fn serving(&self, built: &Built) {
        let id = built.held().id;
        self.epoch.set(clamped(id.epoch));
        self.generation.set(clamped(id.generation));
        self.zones.set(clamped(built.snapshot().zones.len()));
        self.resources.set(clamped(built.resources().len()));
        self.compare(|states| states.served = Some(id));
    }

    pub(super) fn applied(&self, time: Duration) {
        self.apply.observe(time.as_secs_f64());
    }

    pub(super) fn nacked(&self, reason: NackReason) {
        self.nacks.with_label_values(&[reason.as_str()]).inc();
    }

    pub(super) fn term(&self, term: Term) {
        self.term.set(clamped(term.0));
    }

    pub(super) fn connected(&self, connected: bool) {
        self.connected.set(i64::from(connected));
    }

    pub(super) fn attempted(&self, result: &str) {
        self.connections.with_label_values(&[result]).inc();
    }

    /// The certificate of the node ends then, in seconds since 1970.
    pub(super) fn certificate_ends(&self, time: i64) {
        self.certificate_end.set(time);
    }

    /// An operator was asked for a certificate.
    pub(super) fn enrolled(&self, result: &str) {
        self.enrolments.with_label_values(&[result]).inc();
    }

    /// This is on the disk now; `None`: nothing that could be served.
    pub(super) fn persisted(&self, held: Option<Held>) {
        self.compare(|states| states.on_disk = held.map(|held| held.id));
    }

    pub(super) fn persist_failed(&self) {
        self.persist_failures.inc();
    }

    fn each(&self) -> [&dyn Collector; 14] {
        [
            &self.build,
            &self.epoch,
            &self.generation,
            &self.term,
            &self.zones,
            &self.resources,
            &self.connected,
            &self.connections,
            &self.certificate_end,
            &self.enrolments,
            &self.nacks,
            &self.apply,
            &self.persisted,
            &self.persist_failures,
        ]
    }

    /// Both sides change in threads of their own, so the gauge is set under
    /// the lock that orders them.
    fn compare(&self, change: impl FnOnce(&mut States)) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut states);
        let same = states.served.is_some() && states.served == states.on_disk;
        self.persisted.set(i64::from(same));
    }
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        self.each().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let each = self.each().into_iter();
        each.flat_map(Collector::collect).collect()
    }
}

/// Makes metrics and registers them.
struct Adding<'r>(&'r Registry);

impl Adding<'_> {
    fn registered<C: Collector + Clone + 'static>(
        &self,
        metric: C,
    ) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.registered(IntGauge::with_opts(opts(name, help))?)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        label: &str,
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.registered(IntCounterVec::new(opts(name, help), &[label])?)
    }

    fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<Histogram, prometheus::Error> {
        let options = HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec());
        self.registered(Histogram::with_opts(options)?)
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help)
        .namespace("watershed")
        .subsystem("dns")
}

/// Prometheus has gauges of 64 bits with a sign.
fn clamped(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// The counts of queries, copied when they are asked for, so that the query
/// path needs nothing but one addition.
struct Queries {
    counts: Arc<QueryCounts>,
    described: [IntCounterVec; 2],
}

fn query_counters() -> Result<IntCounterVec, prometheus::Error> {
    let options = opts("queries_total", "Queries that were answered");
    IntCounterVec::new(options, &["transport", "rcode"])
}

fn limited_counters() -> Result<IntCounterVec, prometheus::Error> {
    let options = opts(
        "rate_limited_total",
        "Answers by UDP over the rate limit: slipped (sent without records) or dropped",
    );
    IntCounterVec::new(options, &["action"])
}

impl Collector for Queries {
    fn desc(&self) -> Vec<&Desc> {
        self.described.iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (Ok(counters), Ok(limited)) = (query_counters(), limited_counters()) else {
            return Vec::new();
        };
        for (transport, rcode, count) in self.counts.all() {
            let transport = match transport {
                Transport::Udp => "udp",
                Transport::Tcp => "tcp",
            };
            let labels = [transport, rcode.as_str()];
            counters.with_label_values(&labels).inc_by(count);
        }
        for (action, count) in self.counts.limited() {
            limited.with_label_values(&[action.as_str()]).inc_by(count);
        }
        [counters, limited]
            .iter()
            .flat_map(Collector::collect)
            .collect()
    }
}
