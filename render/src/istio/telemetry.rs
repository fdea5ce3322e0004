//! Telemetry: what is written down of each request, wherever requests are judged.
//!
//! Named for one kind of Envoy, the provider takes the place of whatever the mesh logs by itself:
//! its own format prints a path with its query, where tokens may stand. No user ids go into
//! metrics or traces.

use serde_json::{Value, json};

use super::{Placed, Rendering, mesh_config, resource};

pub(super) fn resources(rendering: &Rendering<'_>) -> Vec<Value> {
    rendering.guards().map(|placed| resource(rendering, placed)).collect()
}

fn resource(rendering: &Rendering<'_>, placed: &Placed<'_>) -> Value {
    let mut spec = json!({
        "accessLogging": [{
            "match": {"mode": placed.context.mode()},
            "providers": [{"name": mesh_config::LOG_PROVIDER}],
        }],
        // A trace is found by the id that an answer names.
        "tracing": [{
            "customTags": {"correlation_id": {
                "header": {"name": postern_request::headers::CORRELATION_ID},
            }},
        }],
    });
    placed.attach.policy(&mut spec);
    let (document, name) = (rendering.document, placed.name(""));
    resource::manifest(document, &resource::TELEMETRY, &placed.namespace, &name, spec)
}
