//! `ext_proc`: off, on for everything that has a route, and off again for the routes that have
//! nothing for it.
//!
//! Envoy's answers to requests that it cannot even read (too many headers, too long a line) belong
//! to no route; an `ext_proc` that is on would hold them up until the connection is gone. Routes
//! are taken out by name rather than put in: a patch that finds no route (renamed, or not there
//! yet) would leave one without its rules, and so it costs a needless call.

use postern_document::{Document, OnFailure};
use postern_request::evidence;
use serde_json::{Value, json};

use super::super::mesh_config::SERVER_TIMEOUT_MS;
use super::super::virtual_service::NO_ROUTE;
use super::super::{Api, Rendering};
use crate::circuits;
use crate::envoy::{duration, typed};

const EXT_PROC: &str = "envoy.filters.http.ext_proc";
const PER_ROUTE: &str = "envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute";

pub(super) fn filter(document: &Document, server: &Value) -> Value {
    let service = json!({"envoy_grpc": server, "timeout": duration(SERVER_TIMEOUT_MS)});
    let settings = json!({
        "grpc_service": circuits::kept_here(document, service),
        "failure_mode_allow": document.failures.ext_proc == OnFailure::Allow,
        "message_timeout": duration(SERVER_TIMEOUT_MS),
        // Headers only: no rule needs a body yet, and body modes are for those routes. The server
        // asks for the response's headers where it needs them.
        "allow_mode_override": true,
        "processing_mode": {
            "request_header_mode": "SEND",
            "response_header_mode": "SKIP",
            "request_body_mode": "NONE",
            "response_body_mode": "NONE",
            "request_trailer_mode": "SKIP",
            "response_trailer_mode": "SKIP",
        },
        "metadata_options": {
            "forwarding_namespaces": {"untyped": [evidence::METADATA_NAMESPACE]},
        },
    });
    json!({
        "name": EXT_PROC,
        "disabled": true,
        "typed_config": typed(
            "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
            settings,
        ),
    })
}

/// For all routes. Settings switch the filter on; istiod refuses the general `FilterConfig` with an
/// empty `config`, and Envoy one without. They tell the server by which document this Envoy wants to
/// be judged: with the routes rather than the filter, for which connections would be closed.
pub(super) fn on(document: &Document) -> Value {
    let told = json!([{"key": evidence::DOCUMENT_METADATA, "value": document.digest}]);
    let settings = typed(PER_ROUTE, json!({"overrides": {"grpc_initial_metadata": told}}));
    json!({"typed_per_filter_config": {EXT_PROC: settings}})
}

/// For each of the gateway's routes that has nothing for it here, by name. What no route of the
/// document is for has one of its own in Istio's API alone.
pub(super) fn off(rendering: &Rendering<'_>) -> Vec<(String, Value)> {
    let routes = rendering.document.routes.iter();
    let idle = routes.filter(|route| !route.needs_ext_proc() || route.guarded_by().is_some());
    let mut names: Vec<String> =
        idle.flat_map(|route| super::envoy_routes(rendering, route)).collect();
    if rendering.options.api == Api::Istio {
        names.push(NO_ROUTE.to_owned());
    }
    names.sort_unstable();
    let off = json!({
        "typed_per_filter_config": {EXT_PROC: typed(PER_ROUTE, json!({"disabled": true}))},
    });
    names.into_iter().map(|name| (name, off.clone())).collect()
}
