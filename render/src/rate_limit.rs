//! Envoy's own rate limit filter, which asks the suite's rate limit service, shared by both
//! renderings. It stands behind the bundle, so that what the bundle turns away is not counted,
//! and descriptors may name headers that no caller can write.

use postern_document::{DescriptorEntry, OnFailure, RateLimitFilter, Route};
use postern_request::headers;
use serde_json::{Value, json};

use crate::envoy::{duration, typed};

/// The filter's name, by which routes configure it.
pub(crate) const FILTER: &str = "envoy.filters.http.ratelimit";

/// The filter. It is off, and switched on by the routes that have something to tell
/// ([`per_route`]).
pub(crate) fn filter(settings: &RateLimitFilter, envoy_grpc: &Value) -> Value {
    json!({
        "name": FILTER,
        "disabled": true,
        "typed_config": typed(
            "envoy.extensions.filters.http.ratelimit.v3.RateLimit",
            json!({
                "domain": settings.domain,
                "timeout": duration(settings.timeout_ms),
                "failure_mode_deny": settings.on_failure == OnFailure::Deny,
                // It was not the caller's fault, and it may come back.
                "status_on_error": {"code": "ServiceUnavailable"},
                // The service writes these itself, and Envoy would write other ones.
                "enable_x_ratelimit_headers": "OFF",
                "disable_x_envoy_ratelimited_header": true,
                // gRPC callers get the status of all our refusals.
                "rate_limited_as_resource_exhausted": true,
                "rate_limit_service": {
                    "transport_api_version": "V3",
                    "grpc_service": {
                        "envoy_grpc": envoy_grpc,
                        // A refusal names the request that it is of.
                        "initial_metadata": [
                            {"key": "x-request-id", "value": "%REQ(x-request-id)%"},
                        ],
                    },
                },
            }),
        ),
    })
}

/// What the filter tells of a route's requests; none where it is not to ask.
pub(crate) fn per_route(route: &Route) -> Option<Value> {
    if route.descriptors.is_empty() {
        return None;
    }
    let descriptors = route.descriptors.iter();
    let descriptors: Vec<Value> = descriptors
        .map(|entries| {
            let actions = entries.iter().map(|entry| action(entry, route));
            json!({"actions": actions.collect::<Vec<_>>()})
        })
        .collect();
    Some(typed(
        "envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute",
        json!({"rate_limits": descriptors}),
    ))
}

/// A member of a descriptor. Where a header is missing there is no descriptor at all.
fn action(entry: &DescriptorEntry, route: &Route) -> Value {
    let of_header = |key: &str, header: &str| json!({"request_headers": {"header_name": header, "descriptor_key": key}});
    let fixed = |key: &str, value: &str| json!({"generic_key": {"descriptor_key": key, "descriptor_value": value}});
    match entry {
        DescriptorEntry::RemoteAddress => json!({"remote_address": {}}),
        DescriptorEntry::Principal => of_header("principal", headers::SUBJECT),
        DescriptorEntry::Route => fixed("route", &route.name),
        DescriptorEntry::Method => of_header("method", ":method"),
        DescriptorEntry::Header { key, header } => of_header(key, header),
        DescriptorEntry::Fixed { key, value } => fixed(key, value),
    }
}
