//! The bundle as the mesh loads it: a TrafficExtension or a WasmPlugin for each place where
//! requests are judged, never both kinds.

use postern_document::{Document, JwksSource, JwtIssuer, KeysBy, from_json};
use serde_json::{Value, json};

use super::destinations::{Destination, Destinations, OWN_SERVICE};
use super::resource::{self, set};
use super::{Context, Placed, RenderError, Rendering, feed_peers};
use crate::feed;

/// Phase AUTHN comes right after CUSTOM authorization, so that the bundle sees its verdict, and
/// before Istio's ALLOW and DENY, so that policies can match the headers that the bundle writes.
const PHASE: &str = "AUTHN";
/// Ahead of other plugins of the phase: none of them gets to see identity headers from outside.
const PRIORITY: i32 = 1000;

pub(super) fn resources(
    rendering: &Rendering<'_>,
    destinations: &Destinations,
) -> Result<Vec<Value>, RenderError> {
    rendering.guards().map(|placed| resource(rendering, placed, destinations)).collect()
}

fn resource(
    rendering: &Rendering<'_>,
    placed: &Placed<'_>,
    destinations: &Destinations,
) -> Result<Value, RenderError> {
    let wasm = wasm(configuration(rendering, placed, destinations)?, rendering);
    let (kind, mut spec) = if rendering.version.has_traffic_extension() {
        let mut spec = json!({});
        set(&mut spec, "wasm", wasm);
        (&resource::TRAFFIC_EXTENSION, spec)
    } else {
        (&resource::WASM_PLUGIN, wasm)
    };
    set(&mut spec, "phase", json!(PHASE));
    set(&mut spec, "priority", json!(PRIORITY));
    placed.attach.policy(&mut spec);
    // Without a mode, a plugin runs on everything, also on what a workload itself calls.
    let mut matched = json!({"mode": placed.context.mode()});
    if !placed.ports.is_empty() {
        let ports: Vec<Value> = placed.ports.iter().map(|port| json!({"number": port})).collect();
        set(&mut matched, "ports", Value::Array(ports));
    }
    set(&mut spec, "match", Value::Array(vec![matched]));
    let name = placed.name("");
    Ok(resource::manifest(rendering.document, kind, &placed.namespace, &name, spec))
}

fn wasm(configuration: Value, rendering: &Rendering<'_>) -> Value {
    let options = rendering.options;
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
    if let Some(secret) = &options.wasm_pull_secret {
        set(&mut wasm, "imagePullSecret", json!(secret));
    }
    set(&mut wasm, "pluginConfig", configuration);
    wasm
}

/// What of the document is judged here, as the bundle reads it, and which clusters to ask for keys
/// and revoked tokens.
fn configuration(
    rendering: &Rendering<'_>,
    placed: &Placed<'_>,
    destinations: &Destinations,
) -> Result<Value, RenderError> {
    let text = rendering.document.filter_config_for(&placed.workload);
    let broken = |problem: String| RenderError::FilterConfig { problem };
    let mut configuration: Value =
        serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
    // As the bundle will read it: the places of issuers are those of what is left.
    let narrowed = from_json(text.as_bytes()).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        broken(problems.join("; "))
    })?;
    let sources = key_sources(rendering, placed, destinations, &narrowed)?;
    if !sources.is_empty() {
        set(&mut configuration, "key_sources", Value::Array(sources));
    }
    // Istio's clusters have no bounds that a waiting call could use up for `ext_authz`.
    let authority = rendering.options.server_host();
    let cluster = rendering.options.grpc_cluster(&authority);
    let feed = feed::configuration(&narrowed, &cluster, &authority, &placed.workload);
    let is_asked = feed_peers::asks(rendering.document, placed, &narrowed);
    if let Some(feed) = feed.filter(|_| is_asked) {
        set(&mut configuration, "feed", feed);
    }
    Ok(configuration)
}

fn key_sources(
    rendering: &Rendering<'_>,
    placed: &Placed<'_>,
    destinations: &Destinations,
    narrowed: &Document,
) -> Result<Vec<Value>, RenderError> {
    let mut sources = Vec::new();
    // Issuers stay in every place: nothing from outside may pass for one of their claims.
    if placed.context == Context::SidecarInbound && !placed.takes_tokens() {
        return Ok(sources);
    }
    for (index, issuer) in narrowed.issuers.iter().enumerate() {
        if issuer.keys_by != KeysBy::Envoy || matches!(issuer.jwks, JwksSource::Inline(_)) {
            continue;
        }
        let destination = match placed.context {
            Context::Gateway => of_gateway(rendering, issuer, destinations).cloned(),
            Context::SidecarInbound => Some(of_sidecar(rendering, placed, issuer)?),
        };
        let source = destination.and_then(|from| key_source(index, &issuer.jwks, &from));
        sources.extend(source);
    }
    Ok(sources)
}

fn of_gateway<'a>(
    rendering: &Rendering<'_>,
    issuer: &JwtIssuer,
    destinations: &'a Destinations,
) -> Option<&'a Destination> {
    let whole = &rendering.document.issuers;
    let index = whole.iter().position(|other| other.issuer.issuer == issuer.issuer.issuer)?;
    destinations.of_issuer(index)
}

/// A sidecar knows the suite. For any other place it would need a ServiceEntry and a
/// DestinationRule in the workload's own namespace, which would be in the way of whatever else
/// runs there; the server can fetch those keys as well.
fn of_sidecar(
    rendering: &Rendering<'_>,
    placed: &Placed<'_>,
    issuer: &JwtIssuer,
) -> Result<Destination, RenderError> {
    match &issuer.jwks {
        JwksSource::Service { service, .. } if service == OWN_SERVICE => {
            Ok(Destinations::own(rendering.options))
        }
        _ => Err(RenderError::Workload {
            workload: placed.workload.clone(),
            problem: format!(
                "its sidecar has no way to the keys of `{}`: write `fetched_by: server` there",
                issuer.issuer.issuer
            ),
        }),
    }
}

fn key_source(index: usize, jwks: &JwksSource, destination: &Destination) -> Option<Value> {
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
