//! `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::metrics::Metrics;
use super::status::{Readiness, Status};

/// The pages for probes and for Prometheus.
///
/// `/healthz` is 200 while the process works, whatever it serves and whether
/// or not there is an operator: a restart would mend neither. `/readyz` is
/// 200 once a state of the fleet is served.
pub fn router(status: Arc<Status>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(status))
        .route("/metrics", get(scrape).with_state(metrics))
}

async fn ready(State(status): State<Arc<Status>>) -> (StatusCode, &'static str) {
    match status.readiness() {
        Readiness::Ready => (StatusCode::OK, "ok\n"),
        Readiness::Empty => (StatusCode::SERVICE_UNAVAILABLE, "nothing is served yet\n"),
        Readiness::Leaving => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

async fn scrape(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.text() {
        Ok(text) => {
            let kind = [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)];
            (kind, text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
