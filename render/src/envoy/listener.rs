//! The listener and its connection manager.

use postern_document::{CertificateSource, Document};
use serde_json::{Value, json};

use super::names::{GRPC_CLUSTER, OWN};
use super::rendering::Rendering;
use super::{access_log, filters, local_reply, socket_address, tls, typed};
use crate::settlement;

/// Envoy's advice for an edge proxy: small buffers, so that many connections fit in memory.
const CONNECTION_BUFFER_BYTES: u32 = 1 << 20;

/// Leaves `x-forwarded-client-cert` as it came. What ends mutual TLS in front of a listener does
/// not speak it to the listener, and the other settings take the header from such a connection.
pub(crate) const FORWARD_AS_IT_COMES: &str = "ALWAYS_FORWARD_ONLY";

/// `routes` is how the connection manager comes by its routes: a member's name, and its value.
pub(super) fn render(rendering: &Rendering<'_>, routes: (&str, Value)) -> Value {
    let mut chain = json!({
        "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": typed(
                "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                connection_manager(rendering, routes),
            ),
        }],
    });
    let trust_domain = &rendering.document.mesh.trust_domain;
    let mesh_tls = rendering.options.mesh_tls.as_ref().filter(|_| rendering.sidecar.is_some());
    if let (Value::Object(members), Some(mesh)) = (&mut chain, mesh_tls) {
        members.insert("transport_socket".to_owned(), tls::from_mesh(mesh, trust_domain));
    }
    json!({
        "name": OWN,
        "address": socket_address(rendering.options.listen),
        "per_connection_buffer_limit_bytes": CONNECTION_BUFFER_BYTES,
        "filter_chains": [chain],
    })
}

fn connection_manager(rendering: &Rendering<'_>, routes: (&str, Value)) -> Value {
    let document = rendering.document;
    // Proxies stand in front of the edge; a sidecar is called by the mesh alone.
    let trusted_hops = if rendering.sidecar.is_some() { 0 } else { document.trusted_proxies };
    let mut manager = json!({
        "stat_prefix": OWN,
        "codec_type": "AUTO",
        // The client's address comes from the connection and so many trusted hops before it.
        "use_remote_address": true,
        "xff_num_trusted_hops": trusted_hops,
        "forward_client_cert_details": forward_client_cert(rendering),
        // What is left after this means the same to every reader; the bundle checks it again.
        "normalize_path": true,
        "merge_slashes": true,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {
            "idle_timeout": "300s",
            "max_headers_count": 100,
            // Some servers read `_` as `-`, and would take x_postern_subject for ours.
            "headers_with_underscores_action": "DROP_HEADER",
        },
        "http_protocol_options": {"accept_http_10": false},
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65_536,
            "initial_connection_window_size": 1_048_576,
        },
        "max_request_headers_kb": 60,
        "stream_idle_timeout": "300s",
        "request_headers_timeout": "10s",
        "always_set_request_id_in_response": true,
        // Neither Envoy's name nor an upstream's goes out; routes remove the header.
        "server_header_transformation": "PASS_THROUGH",
        "local_reply_config": local_reply::render(document),
        "access_log": access_logs(rendering),
        "http_filters": filters::render(rendering),
    });
    if let Value::Object(members) = &mut manager {
        let (name, routes) = routes;
        members.insert(name.to_owned(), routes);
        let told = if takes_certificates(rendering) {
            Some(json!({"uri": true}))
        } else if tells_certificates(rendering) {
            // All that a client may be registered by; the hash is always told (RFC 8705 §2).
            Some(json!({"subject": true, "dns": true, "uri": true}))
        } else {
            None
        };
        if let Some(told) = told {
            members.insert("set_current_client_cert_details".to_owned(), told);
        }
    }
    manager
}

/// One for people, and one by which the server learns what it may give back.
fn access_logs(rendering: &Rendering<'_>) -> Vec<Value> {
    let lines = rendering.options.access_log.as_deref().map(access_log::render);
    let settlement = settlement::is_needed(rendering.document)
        .then(|| settlement::access_log(&json!({"cluster_name": GRPC_CLUSTER})));
    lines.into_iter().chain(settlement).collect()
}

/// What becomes of `x-forwarded-client-cert` from outside. Where this Envoy sees who is calling,
/// it says so itself, and nobody else.
fn forward_client_cert(rendering: &Rendering<'_>) -> &'static str {
    if takes_certificates(rendering) || tells_certificates(rendering) {
        "SANITIZE_SET"
    } else if rendering.sidecar.is_none() && takes_forwarded(rendering.document) {
        FORWARD_AS_IT_COMES
    } else {
        "SANITIZE"
    }
}

/// Whether what a proxy in front says of certificates is for somebody behind this Envoy, or for
/// its bundle.
pub(crate) fn takes_forwarded(document: &Document) -> bool {
    let of_clients = document.oauth.as_ref().and_then(|oauth| oauth.mutual_tls);
    let forwarded = Some(CertificateSource::Forwarded);
    document.bound.certificate == forwarded || of_clients == forwarded
}

/// Whether the authorization server is told of certificates that this Envoy has seen.
fn tells_certificates(rendering: &Rendering<'_>) -> bool {
    let of_clients = rendering.document.oauth.as_ref().and_then(|oauth| oauth.mutual_tls);
    rendering.sidecar.is_none() && of_clients == Some(CertificateSource::Connection)
}

fn takes_certificates(rendering: &Rendering<'_>) -> bool {
    rendering.sidecar.is_some() && rendering.options.mesh_tls.is_some()
}
