//! What Prometheus is told of health.

use std::sync::Weak;
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use watershed_health::State;

use super::agent::Agent;
use super::handle::Shared;
use super::view::TargetView;

/// Buckets of the time of probes: from 1 ms to 30 s.
const PROBE_BUCKETS: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// What is counted when it happens.
#[derive(Clone)]
pub(crate) struct Counters {
    probes: IntCounterVec,
    seconds: HistogramVec,
}

impl Counters {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let probes = opts(
            "probes_total",
            "Probes that were made, by their result: ok, timeout, refused, status and others",
        );
        let seconds = opts(
            "probe_seconds",
            "From begin to end of a probe, by type of the check",
        );
        let seconds = HistogramOpts::from(seconds).buckets(PROBE_BUCKETS.to_vec());
        Ok(Self {
            probes: IntCounterVec::new(probes, &["kind"])?,
            seconds: HistogramVec::new(seconds, &["type"])?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.clone()))
    }

    /// `kind` is the type of the check; `None` when it is gone.
    pub(super) fn count(&self, result: &watershed_probe::Result, kind: Option<&str>) {
        self.probes.with_label_values(&[result.kind]).inc();
        if let Some(kind) = kind {
            let seconds = self.seconds.with_label_values(&[kind]);
            seconds.observe(Duration::as_secs_f64(&result.took));
        }
    }
}

impl Collector for Counters {
    fn desc(&self) -> Vec<&Desc> {
        [self.probes.desc(), self.seconds.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        [self.probes.collect(), self.seconds.collect()].concat()
    }
}

/// What is looked up when Prometheus asks: so the series of a target end with
/// it.
pub(super) struct Gauges {
    shared: Weak<Shared>,
    described: Series,
}

impl Gauges {
    pub(super) fn new(shared: Weak<Shared>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            shared,
            described: Series::new()?,
        })
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        self.described.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (Some(shared), Ok(series)) = (self.shared.upgrade(), Series::new()) else {
            return Vec::new();
        };
        let (targets, alone) = shared.look(|agent| (Agent::targets(agent), agent.is_alone()));
        series.alone.set(alone.into());
        for target in &targets {
            series.set(target);
        }
        series.collect()
    }
}

/// The gauges, once.
pub(crate) struct Series {
    alone: IntGauge,
    healthy: IntGaugeVec,
    own: IntGaugeVec,
    certificate: IntGaugeVec,
}

impl Series {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let labels = &["check", "address"];
        let alone = opts(
            "health_alone",
            "1 while the node goes by its own probes, for want of an operator",
        );
        let healthy = opts(
            "target_healthy",
            "1 where the node answers as if the target were healthy, 0 otherwise",
        );
        let own = opts(
            "target_own_state",
            "What the node's own probes say: 1 healthy, 0 unhealthy, -1 not known; only of what it probes",
        );
        let certificate = opts(
            "probe_certificate_expiry_timestamp_seconds",
            "When the certificate of the target ends, in Unix time",
        );
        Ok(Self {
            alone: IntGauge::with_opts(alone)?,
            healthy: IntGaugeVec::new(healthy, labels)?,
            own: IntGaugeVec::new(own, labels)?,
            certificate: IntGaugeVec::new(certificate, labels)?,
        })
    }

    fn each(&self) -> [&dyn Collector; 4] {
        [&self.alone, &self.healthy, &self.own, &self.certificate]
    }

    fn set(&self, view: &TargetView) {
        let address = view.target.address.as_ref();
        let address = address.map(ToString::to_string).unwrap_or_default();
        let labels = [view.target.check.as_str(), address.as_str()];
        let healthy = view.served.unwrap_or(true);
        self.healthy.with_label_values(&labels).set(healthy.into());
        if view.probed {
            let own = match view.state {
                State::Healthy => 1,
                State::Unhealthy => 0,
                State::Unknown => -1,
            };
            self.own.with_label_values(&labels).set(own);
        }
        if let Some(expires) = view.certificate_expires {
            self.certificate.with_label_values(&labels).set(expires);
        }
    }
}

impl Collector for Series {
    fn desc(&self) -> Vec<&Desc> {
        self.each().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let each = self.each().into_iter();
        each.flat_map(Collector::collect).collect()
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help)
        .namespace("watershed")
        .subsystem("dns")
}
