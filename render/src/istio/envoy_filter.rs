//! EnvoyFilters: what Istio has no API for.
//!
//! Every patch is for gateways and says what the Envoy rendering says. Merging into an unknown
//! base can only add and overwrite, never reset to zero: see `trusted_proxies`.

use postern_document::{CertificateSource, Document, OnFailure};
use postern_request::evidence;
use serde_json::{Value, json};

use super::IstioOptions;
use super::mesh_config::SERVER_TIMEOUT_MS;
use super::resource::{self, set};
use super::virtual_service::NO_ROUTE;
use crate::envoy::{access_log, duration, listener, local_reply, routes, typed};
use crate::settlement;

const CONNECTION_MANAGER: &str = "envoy.filters.network.http_connection_manager";
const EXT_AUTHZ: &str = "envoy.filters.http.ext_authz";
const EXT_PROC: &str = "envoy.filters.http.ext_proc";
const ROUTER: &str = "envoy.filters.http.router";

/// Lower ones are applied first. Gaps leave room for a platform's own.
const PRIORITY_CONNECTION_MANAGER: i32 = 10;
const PRIORITY_ACCESS_LOG: i32 = 15;
const PRIORITY_ROUTES: i32 = 20;
const PRIORITY_SETTLEMENT: i32 = 25;
const PRIORITY_EXT_AUTHZ: i32 = 30;
const PRIORITY_EXT_PROC: i32 = 40;
const PRIORITY_EXT_PROC_ROUTES: i32 = 50;

pub(super) fn resources(document: &Document, options: &IstioOptions) -> Vec<Value> {
    let filter = |name: &str, priority: i32, patches: &[Value]| {
        let spec = json!({
            "workloadSelector": {"labels": options.gateway_selector},
            "priority": priority,
            "configPatches": patches,
        });
        let namespace = &options.gateway_namespace;
        resource::manifest(document, &resource::ENVOY_FILTER, namespace, name, spec)
    };
    let mut filters = vec![
        filter(
            "postern-connection-manager",
            PRIORITY_CONNECTION_MANAGER,
            &[connection_manager(document)],
        ),
        filter("postern-access-log", PRIORITY_ACCESS_LOG, &[one_more_log()]),
        filter("postern-routes", PRIORITY_ROUTES, &[route_configuration(document)]),
    ];
    if settlement::is_needed(document) {
        let log = merged(json!({"access_log": [settlement::access_log(&server(options))]}));
        filters.push(filter("postern-settlement", PRIORITY_SETTLEMENT, &[log]));
    }
    if document.needs_ext_authz() {
        filters.push(filter("postern-ext-authz", PRIORITY_EXT_AUTHZ, &[ext_authz()]));
    }
    if document.needs_ext_proc() {
        filters.push(filter("postern-ext-proc", PRIORITY_EXT_PROC, &[ext_proc(document, options)]));
        filters.push(filter(
            "postern-ext-proc-routes",
            PRIORITY_EXT_PROC_ROUTES,
            &ext_proc_off(document),
        ));
    }
    filters
}

/// How requests are read, and what Envoy's own refusals look like.
fn connection_manager(document: &Document) -> Value {
    let mut settings = json!({
        // The address comes from the connection and so many hops before it. A zero cannot undo
        // what the mesh's own `numTrustedProxies` says.
        "use_remote_address": true,
        "xff_num_trusted_hops": document.trusted_proxies,
        // What is left after this means the same to every reader; the bundle checks it again.
        "normalize_path": true,
        "merge_slashes": true,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {
            "max_headers_count": 100,
            // Some servers read `_` as `-`, and would take x_postern_subject for ours.
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http2_protocol_options": {"max_concurrent_streams": 100},
        "max_request_headers_kb": 60,
        "request_headers_timeout": "10s",
        "stream_idle_timeout": "300s",
        "always_set_request_id_in_response": true,
        // Neither Envoy's name nor an upstream's goes out; the routes remove the header.
        "server_header_transformation": "PASS_THROUGH",
        "local_reply_config": local_reply::render(document.security_headers),
    });
    if document.bound.certificate == Some(CertificateSource::Forwarded) {
        // Said only here: with anything else the mesh's own choice stands.
        set(&mut settings, "forward_client_cert_details", json!(listener::FORWARD_AS_IT_COMES));
    }
    merged(settings)
}

/// A line for each request, on the pod's standard output, beside whatever the mesh logs: only
/// this one names the bundle's reasons.
fn one_more_log() -> Value {
    merged(json!({"access_log": [access_log::render("/dev/stdout")]}))
}

/// Merges settings into the gateway's connection manager.
fn merged(settings: Value) -> Value {
    let name = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    json!({
        "applyTo": "NETWORK_FILTER",
        "match": {
            "context": "GATEWAY",
            "listener": {"filterChain": {"filter": {"name": CONNECTION_MANAGER}}},
        },
        "patch": {"operation": "MERGE", "value": {"typed_config": typed(name, settings)}},
    })
}

/// What holds for all routes: hosts are compared as the document's matcher compares them, and
/// answers carry the security headers.
fn route_configuration(document: &Document) -> Value {
    json!({
        "applyTo": "ROUTE_CONFIGURATION",
        "match": {"context": "GATEWAY"},
        "patch": {"operation": "MERGE", "value": {
            "ignore_port_in_host_matching": true,
            "most_specific_header_mutations_wins": true,
            "response_headers_to_remove": ["server", "x-powered-by"],
            "response_headers_to_add": routes::security_headers(document.security_headers),
        }},
    })
}

/// What the provider's API leaves out: the caller's certificate, and headers as bytes with
/// repeated ones kept apart, because what is joined or re-coded on the way is not what the
/// upstream would see.
fn ext_authz() -> Value {
    let settings = json!({"include_peer_certificate": true, "encode_raw_headers": true});
    let typed = typed("envoy.extensions.filters.http.ext_authz.v3.ExtAuthz", settings);
    json!({
        "applyTo": "HTTP_FILTER",
        "match": http_filter(EXT_AUTHZ),
        "patch": {"operation": "MERGE", "value": {"name": EXT_AUTHZ, "typed_config": typed}},
    })
}

fn ext_proc(document: &Document, options: &IstioOptions) -> Value {
    let settings = json!({
        "grpc_service": {
            "envoy_grpc": server(options),
            "timeout": duration(SERVER_TIMEOUT_MS),
        },
        "failure_mode_allow": document.failures.ext_proc == OnFailure::Allow,
        "message_timeout": duration(SERVER_TIMEOUT_MS),
        // Headers only: no rule needs a body yet, and body modes are for those routes.
        "processing_mode": {
            "request_header_mode": "SEND",
            "response_header_mode": "SEND",
            "request_body_mode": "NONE",
            "response_body_mode": "NONE",
            "request_trailer_mode": "SKIP",
            "response_trailer_mode": "SKIP",
        },
        "metadata_options": {
            "forwarding_namespaces": {"untyped": [evidence::METADATA_NAMESPACE]},
        },
    });
    let typed = typed("envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor", settings);
    json!({
        "applyTo": "HTTP_FILTER",
        "match": http_filter(ROUTER),
        "patch": {"operation": "INSERT_BEFORE", "value": {"name": EXT_PROC, "typed_config": typed}},
    })
}

/// `ext_proc` and access logs, as an Envoy of the mesh asks for them: the role `message`, which may
/// run apart from the others.
fn server(options: &IstioOptions) -> Value {
    let host = options.message_host();
    json!({
        "cluster_name": options.grpc_cluster(&host),
        // By default it is the cluster's name, whose `|` no server takes.
        "authority": host,
    })
}

/// The filter is on, and switched off by name for the routes that have nothing for it. The other
/// way round, a patch that finds no route (renamed, or not there yet) would leave a route without
/// its rules; this way it costs a needless call.
fn ext_proc_off(document: &Document) -> Vec<Value> {
    let mut names: Vec<&str> = document
        .routes
        .iter()
        .filter(|route| !route.needs_ext_proc())
        .map(|route| route.name.as_str())
        .chain([NO_ROUTE])
        .collect();
    names.sort_unstable();
    let off = typed(
        "envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute",
        json!({"disabled": true}),
    );
    let patch = |name: &str| {
        json!({
            "applyTo": "HTTP_ROUTE",
            "match": {
                "context": "GATEWAY",
                "routeConfiguration": {"vhost": {"route": {"name": name}}},
            },
            "patch": {
                "operation": "MERGE",
                "value": {"typed_per_filter_config": {EXT_PROC: off}},
            },
        })
    };
    names.into_iter().map(patch).collect()
}

/// Where a filter stands among the gateway's HTTP filters.
fn http_filter(name: &str) -> Value {
    json!({
        "context": "GATEWAY",
        "listener": {"filterChain": {"filter": {
            "name": CONNECTION_MANAGER,
            "subFilter": {"name": name},
        }}},
    })
}
