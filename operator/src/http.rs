//! `/healthz`, `/readyz` and `/metrics`.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use watershed_operator::leader::{Guard, Role};
use watershed_operator::parts::{Parts, Together};
use watershed_operator::tls::ServerTls;

/// What the process as a whole is at.
#[derive(Clone)]
pub(crate) struct Health {
    /// Whether all that was there at the start is known.
    pub(crate) synced: watch::Receiver<bool>,
    /// The certificate that nodes are let in with, once there is one.
    pub(crate) tls: watch::Receiver<Option<ServerTls>>,
    /// Cancelled when the process is about to end.
    pub(crate) leaving: CancellationToken,
}

/// Whether the replica is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    Unsynced,
    Uncertified,
    Leaving,
}

impl Health {
    pub(crate) fn readiness(&self) -> Readiness {
        if self.leaving.is_cancelled() {
            Readiness::Leaving
        } else if !*self.synced.borrow() {
            Readiness::Unsynced
        } else if self.tls.borrow().is_none() {
            Readiness::Uncertified
        } else {
            Readiness::Ready
        }
    }

    /// Waits until the replica is ready, or will not be any more.
    pub(crate) async fn ready(mut self) -> Readiness {
        // Whoever tells these ends only with the process.
        let _ = self.synced.wait_for(|synced| *synced).await;
        let _ = self.tls.wait_for(Option::is_some).await;
        self.readiness()
    }
}

/// Metrics of the process as a whole.
#[derive(Clone)]
pub(crate) struct Metrics {
    build: IntGauge,
    ready: IntGauge,
    leader: IntGauge,
    term: IntGauge,
    transitions: IntCounterVec,
    expiry: IntGauge,
}

impl Metrics {
    /// Metrics in `registry`.
    ///
    /// # Errors
    /// When it has metrics of these names already.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauge =
            |name: &str, help: &str| IntGauge::new(format!("watershed_operator_{name}"), help);
        let build = Opts::new("watershed_build_info", "1; the program is in the labels.");
        let build = build.const_label("program", "watershed-operator");
        let build = build.const_label("version", crate::VERSION);
        let transitions = Opts::new(
            "watershed_operator_lease_transitions_total",
            "How often this replica began to lead, and how often it ceased to: leading or following.",
        );
        let metrics = Self {
            build: IntGauge::with_opts(build)?,
            ready: gauge("ready", "1 while /readyz is 200.")?,
            leader: gauge(
                "leader",
                "1 while this replica leads, by the guard that every write asks.",
            )?,
            term: gauge("term", "Term in which this replica led last; 0: never.")?,
            transitions: IntCounterVec::new(transitions, &["to"])?,
            expiry: gauge(
                "certificate_expiry_timestamp_seconds",
                "When the certificate for nodes expires; 0: there is none.",
            )?,
        };
        metrics.build.set(1);
        for to in ["leading", "following"] {
            metrics.transitions.with_label_values(&[to]);
        }
        registry.register(Box::new(Together(metrics.clone())))?;
        Ok(metrics)
    }

    /// Counts changes of the role, until nobody tells them any more.
    pub(crate) async fn count(self, mut role: watch::Receiver<Role>) {
        let mut led = false;
        loop {
            let now = role.borrow_and_update().clone();
            if let Role::Leading { term } = now {
                self.term.set(i64::try_from(term.0).unwrap_or(i64::MAX));
            }
            if now.leads() != led {
                led = now.leads();
                let to = if led { "leading" } else { "following" };
                self.transitions.with_label_values(&[to]).inc();
            }
            if role.changed().await.is_err() {
                return;
            }
        }
    }

    /// Looks at what is true at this moment.
    fn observe(&self, health: &Health, guard: &Guard) {
        let ready = health.readiness() == Readiness::Ready;
        self.ready.set(ready.into());
        self.leader.set(guard.holds().into());
        let tls = health.tls.borrow();
        self.expiry.set(tls.as_ref().map_or(0, ServerTls::expires));
    }
}

impl Parts for Metrics {
    fn parts(&self) -> Vec<&dyn Collector> {
        vec![
            &self.build,
            &self.ready,
            &self.leader,
            &self.term,
            &self.transitions,
            &self.expiry,
        ]
    }
}

/// What the pages show.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) registry: Registry,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) guard: Guard,
}

/// The pages for probes and for Prometheus.
///
/// `/healthz` is 200 while the process works: a restart mends neither an API
/// server that is away nor a lease that another replica has. `/readyz` is 200
/// when the cluster is known and nodes are let in, whether this replica leads
/// or not: one that follows is ready to take over, and sends nodes to the
/// leader.
pub(crate) fn router(pages: Pages) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .with_state(pages)
}

async fn ready(State(pages): State<Pages>) -> (StatusCode, &'static str) {
    let text = match pages.health.readiness() {
        Readiness::Ready => return (StatusCode::OK, "ok\n"),
        Readiness::Unsynced => "the cluster is not known yet\n",
        Readiness::Uncertified => "there is no certificate for nodes yet\n",
        Readiness::Leaving => "stopping\n",
    };
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

async fn scrape(State(pages): State<Pages>) -> Response {
    pages.metrics.observe(&pages.health, &pages.guard);
    match TextEncoder::new().encode_to_string(&pages.registry.gather()) {
        Ok(text) => {
            let kind = [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)];
            (kind, text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;
    use watershed_operator::tls::{Managed, MemorySecrets};

    use super::*;

    struct Told {
        pages: Pages,
        synced: watch::Sender<bool>,
        tls: watch::Sender<Option<ServerTls>>,
    }

    fn pages() -> Told {
        let (synced, synced_seen) = watch::channel(false);
        let (tls, tls_seen) = watch::channel(None);
        let registry = Registry::new();
        let health = Health {
            synced: synced_seen,
            tls: tls_seen,
            leaving: CancellationToken::new(),
        };
        let pages = Pages {
            metrics: Metrics::register(&registry).expect("new names"),
            registry,
            health,
            guard: Guard::always(),
        };
        Told { pages, synced, tls }
    }

    async fn certificate() -> ServerTls {
        let store = std::sync::Arc::new(MemorySecrets::default());
        let managed = Managed::new(store, vec!["operator.example.com".to_owned()]);
        let bundle = managed.ensure(1_790_000_000).await.expect("made");
        ServerTls::new(&bundle).expect("a server")
    }

    async fn get(pages: &Pages, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = router(pages.clone()).oneshot(request).await;
        let response = response.expect("it never fails");
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        let body = String::from_utf8(body.expect("a body").to_vec());
        (status, body.expect("text"))
    }

    #[tokio::test]
    async fn ready_is_who_knows_the_cluster_and_lets_nodes_in() {
        let told = pages();
        let steps = [
            "the cluster is not known yet\n",
            "there is no certificate for nodes yet\n",
        ];
        for step in steps {
            let answer = get(&told.pages, "/readyz").await;
            assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, step.to_owned()));
            assert_eq!(get(&told.pages, "/healthz").await.0, StatusCode::OK);
            told.synced.send_replace(true);
        }
        told.tls.send_replace(Some(certificate().await));
        assert_eq!(get(&told.pages, "/readyz").await.0, StatusCode::OK);
        told.pages.health.leaving.cancel();
        let answer = get(&told.pages, "/readyz").await;
        assert_eq!(
            answer,
            (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned())
        );
    }

    #[tokio::test]
    async fn metrics_tell_who_leads_and_what_happened() {
        let told = pages();
        let following = Role::Following { leader: None };
        let (role, seen) = watch::channel(following.clone());
        let counting = tokio::spawn(told.pages.metrics.clone().count(seen));
        for next in [
            Role::Leading {
                term: watershed_snapshot::Term(3),
            },
            following,
        ] {
            tokio::task::yield_now().await;
            role.send_replace(next);
            tokio::task::yield_now().await;
        }
        drop(role);
        counting.await.expect("it ends");
        told.tls.send_replace(Some(certificate().await));
        let (_, text) = get(&told.pages, "/metrics").await;
        for line in [
            "watershed_operator_leader 1",
            "watershed_operator_ready 0",
            "watershed_operator_term 3",
            "watershed_operator_lease_transitions_total{to=\"leading\"} 1",
            "watershed_operator_lease_transitions_total{to=\"following\"} 1",
            "watershed_operator_certificate_expiry_timestamp_seconds 1797776000",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
