//! `/admin/xds`: which Envoys this server tells what they run, and how they stand with it.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use postern_ads::{Connected, ConnectedKind, Discovery, spelled};
use postern_xds::Kind;
use serde_json::{Map, Value, json};

use super::metrics::Outcome;
use super::refusal::senseless;
use super::{Admin, Caller, wrong_method};
use crate::serve::http;

/// Why a request makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("There is nothing to say in the query")]
struct Query;

#[derive(Clone)]
struct Xds {
    admin: Arc<Admin>,
    discovery: Arc<Discovery>,
}

impl FromRef<Xds> for Arc<Admin> {
    fn from_ref(xds: &Xds) -> Self {
        Self::clone(&xds.admin)
    }
}

/// The routes, without the check of the credential.
pub(super) fn routes(admin: Arc<Admin>, discovery: Arc<Discovery>) -> Router {
    Router::new()
        .route("/admin/xds", get(list).fallback(wrong_method))
        .with_state(Xds { admin, discovery })
}

/// `GET`: who is connected.
async fn list(State(xds): State<Xds>, Extension(caller): Extension<Caller>, uri: Uri) -> Response {
    if uri.query().is_some_and(|query| !query.is_empty()) {
        return xds.admin.invalid(&caller, &senseless(&Query));
    }
    let connected: Vec<Value> = xds.discovery.connected().iter().map(told).collect();
    xds.admin.metrics.answered(Outcome::Listed);
    let body = json!({"success": true, "data": connected});
    http::answer(StatusCode::OK, &caller.correlation_id, &body)
}

fn told(envoy: &Connected) -> Value {
    let types: Map<String, Value> = Kind::ALL
        .into_iter()
        .map(|kind| (kind.as_str().to_owned(), told_of_kind(envoy.kinds.get(kind))))
        .collect();
    json!({
        "id": envoy.id,
        "peer": envoy.peer.to_string(),
        "workload": envoy.workload,
        "version": (!envoy.version.is_empty()).then_some(&envoy.version),
        "protocol": spelled(envoy.protocol),
        "since": envoy.since.0,
        "document": envoy.document,
        "current": envoy.is_current,
        "renderError": envoy.render_error.as_deref(),
        "types": types,
    })
}

fn told_of_kind(kind: &ConnectedKind) -> Value {
    let nack = kind.nack.as_ref().map(|(at, nack)| {
        json!({
            "at": at.0,
            "error": nack.error,
            "resources": nack.resources,
            "example": nack.example.as_deref(),
        })
    });
    json!({
        "version": kind.version.to_string(),
        "current": kind.is_current,
        "refusing": kind.is_refusing,
        "resources": kind.resources,
        "lastNack": nack,
    })
}
