//! How requests are read, and what Envoy's own refusals look like.

use std::collections::BTreeSet;

use postern_document::Document;
use postern_request::headers::IDENTITY_PREFIX;
use serde_json::{Value, json};

use super::super::resource::set;
use super::super::{Context, Placed};
use crate::envoy::{listener, local_reply, typed};

pub(super) fn settings(document: &Document, placed: &Placed<'_>) -> Value {
    let mut settings = json!({
        // What is left after this means the same to every reader; the bundle checks it again.
        "normalize_path": true,
        "merge_slashes": true,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {
            "max_headers_count": 100,
            // Some servers read `_` as `-`, and would take x_postern_subject for ours.
            "headers_with_underscores_action": "DROP_HEADER",
        },
        "max_request_headers_kb": 60,
        "local_reply_config": local_reply::render(document),
        // The plugin takes them away as well. Where somebody deletes it, Istio's policies are what
        // is left, and must not believe callers; nor must a service.
        "early_header_mutation_extensions": [without_identity(document)],
    });
    if placed.context == Context::Gateway {
        at_the_edge(&mut settings, document);
    }
    settings
}

/// What only who speaks to clients has to say: a sidecar speaks to the mesh, where the client's
/// address and certificate have been judged, and waiting is the caller's business.
fn at_the_edge(settings: &mut Value, document: &Document) {
    // The address comes from the connection and so many hops before it. A zero cannot undo what
    // the mesh's own `numTrustedProxies` says.
    set(settings, "use_remote_address", json!(true));
    set(settings, "xff_num_trusted_hops", json!(document.trusted_proxies));
    set(settings, "http2_protocol_options", json!({"max_concurrent_streams": 100}));
    set(settings, "request_headers_timeout", json!("10s"));
    set(settings, "stream_idle_timeout", json!("300s"));
    set(settings, "always_set_request_id_in_response", json!(true));
    // Neither Envoy's name nor an upstream's goes out; the routes remove the header.
    set(settings, "server_header_transformation", json!("PASS_THROUGH"));
    if listener::takes_forwarded(document) {
        // Said only here: with anything else the mesh's own choice stands.
        set(settings, "forward_client_cert_details", json!(listener::FORWARD_AS_IT_COMES));
    }
}

/// Takes identity headers away before any filter runs, and those that claims become.
fn without_identity(document: &Document) -> Value {
    let ours = json!({"remove_on_match": {"key_matcher": {"prefix": IDENTITY_PREFIX}}});
    let of_claims: BTreeSet<&str> = document.claim_headers().collect();
    let mut mutations = vec![ours];
    mutations.extend(of_claims.into_iter().map(|header| json!({"remove": header})));
    json!({
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": typed(
            "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            json!({"mutations": mutations}),
        ),
    })
}
