//! EnvoyFilters: what Istio has no API for.
//!
//! Every patch says what the Envoy rendering says, names the data planes that it was tried with,
//! and is for one side of one kind of Envoy. Merging into an unknown base can only add and
//! overwrite, never reset to zero: see `trusted_proxies`.

mod connection_manager;
mod ext_proc;
mod rate_limit;
mod routes;

use postern_document::Route;
use postern_request::evidence;
use serde_json::{Value, json};

use super::destinations::Destinations;
use super::resource::{self, set};
use super::{Api, Context, IstioOptions, Placed, RenderError, Rendering, gateway_api};
use crate::circuits;
use crate::envoy::traffic::FAULT;
use crate::envoy::typed;
use crate::settlement;

const CONNECTION_MANAGER: &str = "envoy.filters.network.http_connection_manager";
const EXT_AUTHZ: &str = "envoy.filters.http.ext_authz";
const ROUTER: &str = "envoy.filters.http.router";

/// Lower ones are applied first. Gaps leave room for a platform's own.
const PRIORITY_CONNECTION_MANAGER: i32 = 10;
const PRIORITY_HEALTH: i32 = 15;
const PRIORITY_ROUTES: i32 = 20;
const PRIORITY_SETTLEMENT: i32 = 25;
const PRIORITY_EXT_AUTHZ: i32 = 30;
const PRIORITY_RATE_LIMIT: i32 = 35;
const PRIORITY_RATE_LIMIT_ROUTES: i32 = 36;
const PRIORITY_EXT_PROC: i32 = 40;
const PRIORITY_EXT_PROC_ROUTES: i32 = 50;
const PRIORITY_GATEWAY_API_ROUTES: i32 = 60;

pub(super) fn resources(
    rendering: &Rendering<'_>,
    destinations: &Destinations,
) -> Result<Vec<Value>, RenderError> {
    rate_limit::check(rendering)?;
    let mut filters = Vec::new();
    for placed in rendering.guards() {
        let frame = Frame { rendering, placed };
        filters.extend(frame.common());
        match placed.context {
            Context::Gateway => {
                filters.extend(frame.health(destinations));
                filters.extend(frame.of_gateway());
            }
            Context::SidecarInbound => filters.extend(frame.of_sidecar()),
        }
    }
    Ok(filters)
}

/// For whom patches are, and in what they are wrapped.
#[derive(Debug, Clone, Copy)]
struct Frame<'r, 'd> {
    rendering: &'r Rendering<'d>,
    placed: &'r Placed<'d>,
}

impl Frame<'_, '_> {
    /// What is the same wherever requests are judged.
    fn common(&self) -> Vec<Value> {
        let (document, placed) = (self.rendering.document, self.placed);
        let settings = connection_manager::settings(document, placed);
        let mut filters = vec![self.filter(
            "connection-manager",
            PRIORITY_CONNECTION_MANAGER,
            self.connection_manager(&settings),
        )];
        if placed.needs_settlement() {
            let log = settlement::access_log(&server(self.rendering.options));
            let patches = self.connection_manager(&json!({"access_log": [log]}));
            filters.push(self.filter("settlement", PRIORITY_SETTLEMENT, patches));
        }
        if placed.needs_ext_authz() {
            filters.push(self.filter("ext-authz", PRIORITY_EXT_AUTHZ, self.ext_authz()));
        }
        if placed.needs_ext_proc() {
            let filter = ext_proc::filter(document, &server(self.rendering.options));
            let patches = self.before(ROUTER, &filter);
            filters.push(self.filter("ext-proc", PRIORITY_EXT_PROC, patches));
        }
        filters
    }

    fn of_gateway(&self) -> Vec<Value> {
        let (document, options) = (self.rendering.document, self.rendering.options);
        let mut filters = vec![self.for_all_routes()];
        if let Some(settings) = &document.rate_limit_filter {
            let filter = rate_limit::filter(options, settings);
            // As in the Envoy rendering: what is made to go wrong has been counted.
            let patches = self.before(FAULT, &filter);
            filters.push(self.filter("rate-limit", PRIORITY_RATE_LIMIT, patches));
            let routes = self.routes(rate_limit::routes(self.rendering));
            if !routes.is_empty() {
                filters.push(self.filter("rate-limit-routes", PRIORITY_RATE_LIMIT_ROUTES, routes));
            }
        }
        if self.placed.needs_ext_proc() {
            let mut patches = self.route_configuration(&ext_proc::on(document));
            patches.extend(self.routes(ext_proc::off(self.rendering)));
            filters.push(self.filter("ext-proc-routes", PRIORITY_EXT_PROC_ROUTES, patches));
        }
        if options.api == Api::Gateway {
            let routes = self.routes(gateway_api::route_patches(self.rendering));
            if !routes.is_empty() {
                filters.push(self.filter(
                    "gateway-api-routes",
                    PRIORITY_GATEWAY_API_ROUTES,
                    routes,
                ));
            }
        }
        filters
    }

    /// How endpoints are asked whether they are well, at each cluster that the gateway sends to.
    fn health(&self, destinations: &Destinations) -> Option<Value> {
        let patches = destinations.checks.iter().map(|(name, checks)| {
            let matched = json!({"cluster": {"name": name}});
            self.patch("CLUSTER", matched, "MERGE", checks.clone())
        });
        let patches: Vec<Value> = patches.collect();
        (!patches.is_empty()).then(|| self.filter("health", PRIORITY_HEALTH, patches))
    }

    /// A sidecar's routes are Istio's own, one for each port, and have no names. So `ext_proc` is
    /// on for all of them, and the server finds the route of each request.
    fn of_sidecar(&self) -> Vec<Value> {
        let mut filters = vec![self.for_all_routes()];
        if self.placed.needs_ext_proc() {
            let patches = self.route_configuration(&ext_proc::on(self.rendering.document));
            filters.push(self.filter("ext-proc-routes", PRIORITY_EXT_PROC_ROUTES, patches));
        }
        filters
    }

    fn for_all_routes(&self) -> Value {
        let mut settings = routes::for_all(self.rendering.document, self.placed.context);
        if self.placed.needs_ext_authz() {
            set(&mut settings, "typed_per_filter_config", self.which_document());
        }
        self.filter("routes", PRIORITY_ROUTES, self.route_configuration(&settings))
    }

    /// An EnvoyFilter.
    fn filter(&self, name: &str, priority: i32, patches: Vec<Value>) -> Value {
        let mut spec = json!({"priority": priority});
        self.placed.attach.envoy_filter(&mut spec);
        set(&mut spec, "configPatches", Value::Array(patches));
        let (namespace, name) = (&self.placed.namespace, self.placed.name(name));
        let kind = &resource::ENVOY_FILTER;
        resource::manifest(self.rendering.document, kind, namespace, &name, spec)
    }

    /// Merges settings into the connection manager.
    fn connection_manager(&self, settings: &Value) -> Vec<Value> {
        let name =
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
        let mut value = json!({});
        set(&mut value, "typed_config", typed(name, settings.clone()));
        self.listeners("NETWORK_FILTER", None, "MERGE", &value)
    }

    /// Puts a filter in front of one that Istio always has.
    fn before(&self, other: &str, filter: &Value) -> Vec<Value> {
        self.listeners("HTTP_FILTER", Some(other), "INSERT_BEFORE", filter)
    }

    /// What the provider's API leaves out: the caller's certificate, headers as bytes with
    /// repeated ones kept apart, because what is joined or re-coded on the way is not what the
    /// upstream would see, and who keeps circuits.
    fn ext_authz(&self) -> Vec<Value> {
        let mut settings = json!({"include_peer_certificate": true, "encode_raw_headers": true});
        let service = circuits::kept_here(self.rendering.document, json!({}));
        if service.as_object().is_some_and(|members| !members.is_empty()) {
            set(&mut settings, "grpc_service", service);
        }
        let typed = typed("envoy.extensions.filters.http.ext_authz.v3.ExtAuthz", settings);
        let mut value = json!({"name": EXT_AUTHZ});
        set(&mut value, "typed_config", typed);
        self.listeners("HTTP_FILTER", Some(EXT_AUTHZ), "MERGE", &value)
    }

    /// Tells the server by which document this Envoy wants to be judged: with the routes rather than
    /// the filter, for which connections would be closed whenever there is another document.
    fn which_document(&self) -> Value {
        let digest = &self.rendering.document.digest;
        let told = json!({"context_extensions": {(evidence::DOCUMENT_METADATA): digest}});
        let settings = json!({"check_settings": told});
        let per_route = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute";
        json!({EXT_AUTHZ: typed(per_route, settings)})
    }

    /// A patch of connection managers, or of one of their filters, at each port.
    fn listeners(
        &self,
        apply_to: &str,
        http_filter: Option<&str>,
        operation: &str,
        value: &Value,
    ) -> Vec<Value> {
        let mut filter = json!({"name": CONNECTION_MANAGER});
        if let Some(name) = http_filter {
            set(&mut filter, "subFilter", json!({"name": name}));
        }
        let chain = json!({"filter": filter});
        self.at_each_port("listener", &json!({"filterChain": chain}), |matched| {
            self.patch(apply_to, matched, operation, value.clone())
        })
    }

    /// Merges into what holds for all routes.
    fn route_configuration(&self, value: &Value) -> Vec<Value> {
        self.at_each_port("routeConfiguration", &json!({}), |matched| {
            self.patch("ROUTE_CONFIGURATION", matched, "MERGE", value.clone())
        })
    }

    /// A gateway's ports are all ours; of a workload's, those that the document names. On others
    /// there is no bundle.
    fn at_each_port(
        &self,
        member: &str,
        matched: &Value,
        patch: impl Fn(Value) -> Value,
    ) -> Vec<Value> {
        let whole = |part: Value| {
            let mut whole = json!({});
            if part.as_object().is_some_and(|members| !members.is_empty()) {
                set(&mut whole, member, part);
            }
            patch(whole)
        };
        if self.placed.ports.is_empty() {
            return vec![whole(matched.clone())];
        }
        let ports = self.placed.ports.iter().map(|port| {
            let mut matched = matched.clone();
            set(&mut matched, "portNumber", json!(port));
            whole(matched)
        });
        ports.collect()
    }

    /// Merges into routes by their names.
    fn routes(&self, patches: Vec<(String, Value)>) -> Vec<Value> {
        let patches = patches.into_iter().map(|(name, value)| {
            let matched = json!({"routeConfiguration": {"vhost": {"route": {"name": name}}}});
            self.patch("HTTP_ROUTE", matched, "MERGE", value)
        });
        patches.collect()
    }

    fn patch(&self, apply_to: &str, mut matched: Value, operation: &str, value: Value) -> Value {
        set(&mut matched, "context", json!(self.placed.context.patch()));
        let versions = self.rendering.version.proxy_versions();
        set(&mut matched, "proxy", json!({"proxyVersion": versions}));
        let mut patch = json!({"operation": operation});
        set(&mut patch, "value", value);
        let mut whole = json!({"applyTo": apply_to});
        set(&mut whole, "match", matched);
        set(&mut whole, "patch", patch);
        whole
    }
}

/// What Envoy's routes are called that come of one of the document's.
fn envoy_routes(rendering: &Rendering<'_>, route: &Route) -> Vec<String> {
    match rendering.options.api {
        Api::Istio => vec![route.name.clone()],
        Api::Gateway => gateway_api::rule_names(route),
    }
}

/// `ext_proc` and access logs, as an Envoy of the mesh asks for them: the role `message`, which may
/// run apart from the others.
fn server(options: &IstioOptions) -> Value {
    grpc(options, &options.message_host())
}

fn grpc(options: &IstioOptions, host: &str) -> Value {
    json!({
        "cluster_name": options.grpc_cluster(host),
        // By default it is the cluster's name, whose `|` no server takes.
        "authority": host,
    })
}
