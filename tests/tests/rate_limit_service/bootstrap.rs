//! An Envoy as somebody else may have it: nothing of it is rendered by us.

use postern_e2e::envoy::Ports;
use serde_json::{Value, json};

const RATE_LIMIT: &str = "envoy.filters.http.ratelimit";
const PER_ROUTE: &str = "envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute";
/// A header `x-KEY` becomes a descriptor of one entry.
static KEYS: [&str; 9] =
    ["user", "path", "free", "closed", "tenant", "partner", "tried", "quota", "detail"];

/// Its filter asks the server at `grpc`, and what passes goes to `upstream`.
///
/// | path | is counted by |
/// |---|---|
/// | `/nested` | one descriptor, of the headers `x-outer` and `x-inner` |
/// | `/outer` | `x-outer` alone |
/// | `/weighed` | `x-user`, and counts two |
/// | `/elsewhere` | `x-user`, in the domain `elsewhere` |
/// | any other | a descriptor for each header of [`KEYS`] |
///
/// On every answer `x-told` is what the service told by dynamic metadata, as JSON.
pub(crate) fn of(ports: Ports, upstream: u16, grpc: u16) -> Value {
    let manager = json!({
        "stat_prefix": "e2e",
        "always_set_request_id_in_response": true,
        "http_filters": [
            {"name": RATE_LIMIT, "typed_config": filter()},
            {
                "name": "envoy.filters.http.router",
                "typed_config":
                    typed("envoy.extensions.filters.http.router.v3.Router", json!({})),
            },
        ],
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": routes(),
        }]},
    });
    let manager_type =
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    json!({
        "node": {"id": "e2e", "cluster": "e2e"},
        "admin": {"address": address(ports.admin)},
        "static_resources": {
            "listeners": [{
                "name": "all",
                "address": address(ports.listen),
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": typed(manager_type, manager),
                }]}],
            }],
            "clusters": [
                cluster("upstream", upstream, &json!({})),
                cluster("limits", grpc, &http2()),
            ],
        },
    })
}

/// As our documentation advises, but for the patience that tests need.
fn filter() -> Value {
    let settings = json!({
        "domain": "shop",
        "timeout": "2s",
        "failure_mode_deny": true,
        "status_on_error": {"code": "ServiceUnavailable"},
        "disable_x_envoy_ratelimited_header": true,
        "rate_limited_as_resource_exhausted": true,
        "rate_limit_service": {
            "transport_api_version": "V3",
            "grpc_service": {
                "envoy_grpc": {"cluster_name": "limits"},
                "initial_metadata": [{"key": "x-request-id", "value": "%REQ(x-request-id)%"}],
            },
        },
    });
    typed("envoy.extensions.filters.http.ratelimit.v3.RateLimit", settings)
}

fn routes() -> Value {
    let singles: Vec<&[&str]> = KEYS.iter().map(std::slice::from_ref).collect();
    let twice =
        json!({"rate_limits": [{"actions": [action("user")], "hits_addend": {"number": 2}}]});
    let elsewhere = json!({"domain": "elsewhere"});
    json!([
        route("/nested", &[&["outer", "inner"]], None),
        route("/outer", &[&["outer"]], None),
        route("/weighed", &[], Some(twice)),
        route("/elsewhere", &[&["user"]], Some(elsewhere)),
        route("/", &singles, None),
    ])
}

/// `counted` are descriptors, each with the keys of its entries.
fn route(prefix: &str, counted: &[&[&str]], own: Option<Value>) -> Value {
    let descriptor = |keys: &&[&str]| {
        let actions: Vec<Value> = keys.iter().map(|key| action(key)).collect();
        json!({"actions": actions})
    };
    let rate_limits: Vec<Value> = counted.iter().map(descriptor).collect();
    let told = "%DYNAMIC_METADATA(envoy.filters.http.ratelimit)%";
    let mut route = json!({
        "match": {"prefix": prefix},
        "route": {"cluster": "upstream", "rate_limits": rate_limits},
        "response_headers_to_add": [{"header": {"key": "x-told", "value": told}}],
    });
    if let Some(own) = own {
        route["typed_per_filter_config"] = json!({RATE_LIMIT: typed(PER_ROUTE, own)});
    }
    route
}

fn action(key: &str) -> Value {
    json!({"request_headers": {"header_name": format!("x-{key}"), "descriptor_key": key}})
}

fn cluster(name: &str, port: u16, protocol: &Value) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": protocol,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}],
        },
    })
}

fn http2() -> Value {
    let name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let settings = json!({"explicit_http_config": {"http2_protocol_options": {}}});
    json!({name: typed(name, settings)})
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn typed(name: &str, mut settings: Value) -> Value {
    settings["@type"] = json!(format!("type.googleapis.com/{name}"));
    settings
}
