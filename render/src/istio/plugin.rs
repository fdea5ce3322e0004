//! The bundle as the mesh loads it: a TrafficExtension or a WasmPlugin, never both.

use postern_document::{Document, JwksSource};
use serde_json::{Value, json};

use super::destinations::Destinations;
use super::resource::{self, set};
use super::{IstioOptions, RenderError};
use crate::feed;

/// Phase AUTHN comes right after CUSTOM authorization, so that the bundle sees its verdict, and
/// before Istio's ALLOW and DENY, so that policies can match the headers that the bundle writes.
const PHASE: &str = "AUTHN";
/// Ahead of other plugins of the phase: none of them gets to see identity headers from outside.
const PRIORITY: i32 = 1000;

pub(super) fn resource(
    document: &Document,
    options: &IstioOptions,
    destinations: &Destinations,
) -> Result<Value, RenderError> {
    let wasm = wasm(configuration(document, options, destinations)?, options);
    let (kind, mut spec) = if options.has_traffic_extension() {
        let mut spec = json!({});
        set(&mut spec, "wasm", wasm);
        (&resource::TRAFFIC_EXTENSION, spec)
    } else {
        (&resource::WASM_PLUGIN, wasm)
    };
    set(&mut spec, "phase", json!(PHASE));
    set(&mut spec, "priority", json!(PRIORITY));
    set(&mut spec, "selector", json!({"matchLabels": options.gateway_selector}));
    // A gateway is a client in Istio's terms. Without a mode, a plugin runs on everything.
    set(&mut spec, "match", json!([{"mode": "CLIENT"}]));
    Ok(resource::manifest(document, kind, &options.gateway_namespace, "postern", spec))
}

fn wasm(configuration: Value, options: &IstioOptions) -> Value {
    let mut wasm = json!({
        "url": options.wasm_url,
        "type": "HTTP",
        "imagePullPolicy": "IfNotPresent",
        "pluginName": "postern",
        // No module, no decision: 503 until it can be loaded.
        "failStrategy": "FAIL_CLOSE",
    });
    if let Some(hash) = &options.wasm_sha256 {
        set(&mut wasm, "sha256", json!(hash));
    }
    set(&mut wasm, "pluginConfig", configuration);
    wasm
}

/// The document as the bundle reads it, and which of the gateway's clusters to ask for keys and
/// revoked tokens.
fn configuration(
    document: &Document,
    options: &IstioOptions,
    destinations: &Destinations,
) -> Result<Value, RenderError> {
    let mut configuration: Value = serde_json::from_str(&document.filter_config())
        .map_err(|error| RenderError::FilterConfig { problem: error.to_string() })?;
    let sources: Vec<Value> = document
        .issuers
        .iter()
        .enumerate()
        .filter_map(|(index, issuer)| key_source(index, &issuer.jwks, destinations))
        .collect();
    if !sources.is_empty() {
        set(&mut configuration, "key_sources", Value::Array(sources));
    }
    // Istio's clusters have no bounds that a waiting call could use up for `ext_authz`.
    let authority = options.server_host();
    let cluster = options.grpc_cluster(&authority);
    if let Some(feed) = feed::configuration(document, &cluster, &authority, &options.workload) {
        set(&mut configuration, "feed", feed);
    }
    Ok(configuration)
}

fn key_source(index: usize, jwks: &JwksSource, destinations: &Destinations) -> Option<Value> {
    let destination = destinations.of_issuer(index)?;
    let (authority, path, refresh_ms) = match jwks {
        JwksSource::Inline(_) | JwksSource::Discovery { .. } => return None,
        JwksSource::Uri { authority, path, refresh_ms, .. } => (authority, path, refresh_ms),
        JwksSource::Service { path, refresh_ms, .. } => (&destination.host, path, refresh_ms),
    };
    Some(json!({
        "issuer": index,
        "cluster": destination.cluster(),
        "authority": authority,
        "path": path,
        "refresh_ms": refresh_ms,
    }))
}
