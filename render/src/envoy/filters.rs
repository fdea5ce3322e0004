//! The HTTP filters, in the order of the design: `ext_authz`, the bundle, Envoy's rate limit
//! filter, faults, `ext_proc`, router. What the bundle turns away is not counted and meets no
//! fault; what a fault turns away is no outcome of the service.

use postern_document::{Document, JwksSource, JwtIssuer, KeysBy, OnFailure};
use postern_request::evidence;
use serde_json::{Value, json};

use super::names::{
    BUNDLE, EXT_AUTHZ, EXT_PROC, FEED_CLUSTER, GRPC_CLUSTER, PUBLIC_CLUSTER, jwks_cluster,
    service_cluster,
};
use super::rendering::Rendering;
use super::{duration, traffic, typed};
use crate::{circuits, feed, rate_limit};

/// Longest time for the server's answer. Its own budgets (the store's 20 ms) are far below.
const SERVER_TIMEOUT_MS: u64 = 250;
/// Within it, other replicas are asked where one is not there, after a pause of this length or less.
const OTHER_REPLICAS: u32 = 2;
const RETRY_PAUSE_MS: u64 = 10;

pub(super) fn render(rendering: &Rendering<'_>) -> Vec<Value> {
    let document = rendering.document;
    let mut filters = Vec::new();
    if rendering.asked.ext_authz {
        filters.push(ext_authz(document));
    }
    filters.push(bundle(rendering));
    if let Some(settings) = rendering.rate_limit_filter() {
        filters.push(rate_limit::filter(settings, &json!({"cluster_name": GRPC_CLUSTER})));
    }
    if rendering.asked.faults {
        filters.push(traffic::fault_filter());
    }
    if rendering.asked.ext_proc {
        filters.push(ext_proc(document));
    }
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": typed("envoy.extensions.filters.http.router.v3.Router", json!({})),
    }));
    filters
}

/// The server, which is told by which document this Envoy wants to be judged: the one that its
/// bundle holds, which takes another one's place together with this filter.
fn grpc_service(document: &Document) -> Value {
    let service = json!({
        "envoy_grpc": {"cluster_name": GRPC_CLUSTER},
        "timeout": duration(SERVER_TIMEOUT_MS),
        "retry_policy": retry_policy(),
        "initial_metadata": [{"key": evidence::DOCUMENT_METADATA, "value": document.digest}],
    });
    circuits::kept_here(document, service)
}

/// Whatever one replica may have seen, and counted, no other is asked.
fn retry_policy() -> Value {
    json!({
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": OTHER_REPLICAS,
        "retry_back_off": {
            "base_interval": duration(RETRY_PAUSE_MS),
            // Envoys take this for the longest time of a single attempt, too:
            // https://github.com/envoyproxy/envoy/issues/38847
            "max_interval": duration(SERVER_TIMEOUT_MS),
        },
        "retry_host_predicate": [{
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": typed(
                "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
                json!({}),
            ),
        }],
        "host_selection_retry_max_attempts": 3,
    })
}

fn ext_authz(document: &Document) -> Value {
    json!({
        "name": EXT_AUTHZ,
        "typed_config": typed(
            "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
            json!({
                "transport_api_version": "V3",
                "grpc_service": grpc_service(document),
                "failure_mode_allow": document.failures.ext_authz == OnFailure::Allow,
                "status_on_error": {"code": "ServiceUnavailable"},
                // As bytes and with repeated ones kept apart: what is joined or re-coded on the
                // way is not what the upstream would see.
                "encode_raw_headers": true,
                "include_peer_certificate": true,
            }),
        ),
    })
}

fn bundle(rendering: &Rendering<'_>) -> Value {
    json!({
        "name": BUNDLE,
        "typed_config": typed(
            "envoy.extensions.filters.http.wasm.v3.Wasm",
            json!({
                "config": {
                    "name": BUNDLE,
                    "root_id": "postern",
                    // A crashed VM answers 503 until it is replaced; never does anything pass.
                    "failure_policy": "FAIL_RELOAD",
                    "vm_config": {
                        "vm_id": "postern",
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {"local": {"filename": rendering.options.wasm}},
                    },
                    "configuration": typed(
                        "google.protobuf.StringValue",
                        json!({"value": bundle_configuration(rendering)}),
                    ),
                },
            }),
        ),
    })
}

/// The document as the bundle reads it, and where it hears of keys and revoked tokens.
fn bundle_configuration(rendering: &Rendering<'_>) -> String {
    let mut configuration = rendering.filter_config.clone();
    let sources: Vec<Value> = rendering
        .issuers
        .iter()
        .enumerate()
        .filter_map(|(issuer, source)| key_source(issuer, source))
        .collect();
    if let Value::Object(members) = &mut configuration {
        // `routes` takes these headers away from upstreams' responses; the rate limit service
        // may have written some of them since.
        let is_clean = rendering.rate_limit_filter().is_none();
        members.insert("clean_responses".to_owned(), json!(is_clean));
        let (document, workload) = (rendering.document, &rendering.workload);
        let feed = feed::configuration(document, FEED_CLUSTER, FEED_CLUSTER, workload);
        if let Some(feed) = feed {
            members.insert("feed".to_owned(), feed);
        }
        if !sources.is_empty() {
            members.insert("key_sources".to_owned(), json!(sources));
        }
    }
    configuration.to_string()
}

/// None where no Envoy fetches them: they stand in the document, or come by the feed.
fn key_source(issuer: usize, source: &JwtIssuer) -> Option<Value> {
    if source.keys_by == KeysBy::Feed {
        return None;
    }
    let (cluster, authority, path, refresh_ms) = match &source.jwks {
        JwksSource::Inline(_) | JwksSource::Discovery { .. } => return None,
        JwksSource::Uri { authority, path, refresh_ms, .. } => {
            (jwks_cluster(issuer), authority.clone(), path, refresh_ms)
        }
        JwksSource::Service { service, path, refresh_ms } => {
            let cluster = if service == "postern" {
                PUBLIC_CLUSTER.to_owned()
            } else {
                service_cluster(service)
            };
            (cluster, service.clone(), path, refresh_ms)
        }
    };
    Some(json!({
        "issuer": issuer,
        "cluster": cluster,
        "authority": authority,
        "path": path,
        "refresh_ms": refresh_ms,
    }))
}

fn ext_proc(document: &Document) -> Value {
    json!({
        "name": EXT_PROC,
        // Off, and switched on by the routes that need it. Envoy's answers to requests that it
        // cannot even read (too many headers, too long a line) belong to no route; an ext_proc
        // that is on would hold them up until the connection is gone.
        "disabled": true,
        "typed_config": typed(
            "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
            json!({
                "grpc_service": grpc_service(document),
                "failure_mode_allow": document.failures.ext_proc == OnFailure::Allow,
                "message_timeout": duration(SERVER_TIMEOUT_MS),
                // Headers only: no rule needs a body yet, and body modes are for those routes. The
                // server asks for the response's headers where it needs them; so a request that
                // the bundle turns away never costs it a call.
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
            }),
        ),
    })
}
