//! The HTTP face of it all: `/metrics` and `/health…`.
//!
//! These ports are for scrapers and probes. None of the answers waits for anything but memory
//! and `/proc`.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::clock::Moment;
use crate::drain::Drain;
use crate::health::HealthChecks;
use crate::metrics::{self, MetricsRegistry};
use crate::readiness::Readiness;

/// What a process is watched by. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// All metrics.
    pub metrics: MetricsRegistry,
    /// All checks.
    pub health: Arc<HealthChecks>,
    /// Who is not up yet.
    pub readiness: Readiness,
    /// Whether it goes down.
    pub drain: Drain,
}

impl Telemetry {
    /// Whether new clients should come here: everything is up, and nothing goes down.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.readiness.is_ready() && !self.drain.is_draining()
    }
}

/// The metrics port: `/metrics`, `/health`, `/health/live`, `/health/ready`.
pub fn router(telemetry: Telemetry) -> Router {
    let metrics = Router::new().route("/metrics", get(scrape)).with_state(telemetry.clone());
    health_router(telemetry).merge(metrics)
}

/// The health routes alone, for ports where metrics have no business.
pub fn health_router(telemetry: Telemetry) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(telemetry)
}

async fn scrape(State(telemetry): State<Telemetry>) -> Response {
    match telemetry.metrics.encode(Moment::now().monotonic) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(?error, "metrics are not available");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn health(State(telemetry): State<Telemetry>, RawQuery(query): RawQuery) -> Response {
    let now = Moment::now();
    let report = telemetry.health.report(now);
    let usage = asks_for_details(query.as_deref()).then(|| telemetry.metrics.usage(now.monotonic));
    answer(report.http_status(), report.to_json(usage.as_ref()))
}

/// Alive means that the process answers; whether it can do its work is the others' question.
async fn live() -> Response {
    answer(200, json!({"status": "alive"}))
}

async fn ready(State(telemetry): State<Telemetry>) -> Response {
    let ready = telemetry.is_ready();
    answer(if ready { 200 } else { 503 }, json!({"ready": ready}))
}

fn asks_for_details(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "detailed=true"))
}

fn answer(status: u16, body: Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let no_store = HeaderValue::from_static("no-store");
    (status, [(header::CACHE_CONTROL, no_store)], Json(body)).into_response()
}

#[cfg(test)]
mod tests;
