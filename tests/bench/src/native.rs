//! Envoy's own filters, and the module that does nothing, to compare with.

use std::path::Path;

use postern_e2e::keys;
use serde_json::{Value, json};

use crate::rate_limits::{DOMAIN, USER};

/// Signature checks by Envoy itself. The plainest form there is: one provider, no claim becomes
/// a header. `cached`: with its cache of verified tokens, as large as ours.
pub fn jwt_authn(cached: bool) -> Value {
    let mut provider = json!({
        "issuer": keys::ISSUER,
        "audiences": [keys::AUDIENCE],
        "local_jwks": {"inline_string": keys::JWKS.trim()},
        "forward": true,
    });
    if let (true, Value::Object(members)) = (cached, &mut provider) {
        members.insert("jwt_cache_config".to_owned(), json!({"jwt_cache_size": 4096}));
    }
    filter(
        "envoy.filters.http.jwt_authn",
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        json!({
            "providers": {"bench": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "bench"}}],
        }),
    )
}

/// What Istio makes of a RequestAuthentication and of an AuthorizationPolicy that asks for its
/// principal: `jwt_authn` that lets requests without a token pass and leaves the payload in
/// metadata, and RBAC that reads it there.
pub fn request_authentication() -> Vec<Value> {
    let provider = json!({
        "issuer": keys::ISSUER,
        "audiences": [keys::AUDIENCE],
        "local_jwks": {"inline_string": keys::JWKS.trim()},
        "forward": true,
        "payload_in_metadata": "payload",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope", "permission"]},
    });
    let requirements = json!([{"provider_name": "origins-0"}, {"allow_missing": {}}]);
    let authentication = filter(
        "envoy.filters.http.jwt_authn",
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        json!({
            "providers": {"origins-0": provider},
            "rules": [{
                "match": {"prefix": "/"},
                "requires": {"requires_any": {"requirements": requirements}},
            }],
            "bypass_cors_preflight": true,
        }),
    );
    let of_issuer = json!({"metadata": {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": "payload"}, {"key": "iss"}],
        "value": {"string_match": {"exact": keys::ISSUER}},
    }});
    let policy = json!({"permissions": [{"any": true}], "principals": [of_issuer]});
    let policies = filter(
        "envoy.filters.http.rbac",
        "envoy.extensions.filters.http.rbac.v3.RBAC",
        json!({"rules": {"action": "ALLOW", "policies": {"bench": policy}}}),
    );
    vec![authentication, policies]
}

/// One bucket for all requests, which never gets empty.
pub fn local_ratelimit() -> Value {
    let always = |key: &str| {
        json!({
            "runtime_key": key,
            "default_value": {"numerator": 100, "denominator": "HUNDRED"},
        })
    };
    filter(
        "envoy.filters.http.local_ratelimit",
        "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        json!({
            "stat_prefix": "bench",
            "token_bucket": {
                "max_tokens": 1_000_000_000,
                "tokens_per_fill": 1_000_000_000,
                "fill_interval": "1s",
            },
            "filter_enabled": always("bench.local_ratelimit.enabled"),
            "filter_enforced": always("bench.local_ratelimit.enforced"),
        }),
    )
}

/// Every request is asked for at a rate limit service, which counts by the client's name; one that
/// does not answer is a refusal that the load notices.
pub fn ratelimit(cluster: &str) -> Value {
    let user = json!({"request_headers": {"header_name": "x-client", "descriptor_key": USER}});
    filter(
        "envoy.filters.http.ratelimit",
        "envoy.extensions.filters.http.ratelimit.v3.RateLimit",
        json!({
            "domain": DOMAIN,
            "timeout": "1s",
            "failure_mode_deny": true,
            "rate_limit_service": {
                "grpc_service": {"envoy_grpc": {"cluster_name": cluster}},
                "transport_api_version": "V3",
            },
            "rate_limits": [{"actions": [user]}],
        }),
    )
}

/// Answers every request, before the router can ask an upstream.
pub fn answer() -> Value {
    filter(
        "envoy.filters.http.fault",
        "envoy.extensions.filters.http.fault.v3.HTTPFault",
        json!({
            "abort": {
                "http_status": 200,
                "percentage": {"numerator": 100, "denominator": "HUNDRED"},
            },
        }),
    )
}

/// A module, run as `postern render` has the bundle run.
pub fn wasm(module: &Path) -> Value {
    filter(
        "trivial",
        "envoy.extensions.filters.http.wasm.v3.Wasm",
        json!({
            "config": {
                "name": "trivial",
                "root_id": "trivial",
                "failure_policy": "FAIL_RELOAD",
                "vm_config": {
                    "vm_id": "trivial",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": module.display().to_string()}},
                },
            },
        }),
    )
}

/// The end of every chain.
pub fn router() -> Value {
    filter("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", json!({}))
}

fn filter(name: &str, message: &str, config: Value) -> Value {
    json!({"name": name, "typed_config": typed(message, config)})
}

/// A message with its type URL.
pub fn typed(name: &str, mut message: Value) -> Value {
    if let Value::Object(members) = &mut message {
        members.insert("@type".to_owned(), json!(format!("type.googleapis.com/{name}")));
    }
    message
}
