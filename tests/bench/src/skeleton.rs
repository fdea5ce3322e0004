//! Envoy configurations that differ in nothing but their filters.
//!
//! What `postern render envoy` makes of a document gives the filters and the routes. The rest
//! is the same for every entry: one listener, routes that Envoy answers by itself, no access
//! log, no header rules of routes, no local replies of ours, no overload manager. Entries with a
//! module also have what the rendering makes Envoy do for it: taking away from responses what the
//! module writes there.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use postern_e2e::envoy::{Ports, config_file};
use postern_e2e::ports;
use serde_json::{Map, Value, json};

use crate::native::{answer, router, typed};
use crate::parts::Parts;

/// The bundle, by its name in rendered configurations.
pub const BUNDLE: &str = "postern";
/// The cluster of the server there.
pub const SERVER: &str = "postern-grpc";
/// The name of the cluster of the server's feed.
const FEED: &str = "postern_feed";
/// The cluster that routes go to instead of being answered.
const UPSTREAM: &str = "upstream";
/// A port that is never connected to.
const NOBODY: u16 = 9;

/// A configuration as `postern render envoy` wrote it.
#[derive(Debug)]
pub struct Rendered(Value);

impl Rendered {
    /// Renders a document; the filters will find the server at this port.
    pub fn of(parts: &Parts, document: &Path, out: &Path, server: u16) -> Result<Self> {
        render(parts, document, out, server, &[]).map(Self)
    }

    /// A filter.
    pub fn filter(&self, name: &str) -> Result<Value> {
        self.named(&connection_manager("http_filters"), name)
    }

    /// The cluster of the server.
    pub fn server(&self) -> Result<Value> {
        self.named("/static_resources/clusters", SERVER)
    }

    /// The cluster of the server's feed.
    pub fn feed(&self) -> Result<Value> {
        self.named("/static_resources/clusters", FEED)
    }

    fn headers_to_remove(&self) -> Result<&Value> {
        let place = connection_manager("route_config/response_headers_to_remove");
        self.0.pointer(&place).with_context(|| format!("the configuration has nothing at {place}"))
    }

    fn virtual_hosts(&self) -> Result<&Vec<Value>> {
        self.list(&connection_manager("route_config/virtual_hosts"))
    }

    fn named(&self, place: &str, name: &str) -> Result<Value> {
        let list = self.list(place)?;
        let found = list.iter().find(|member| text(member, "name") == Some(name));
        found.cloned().with_context(|| format!("the rendered configuration has no `{name}`"))
    }

    fn list(&self, place: &str) -> Result<&Vec<Value>> {
        let list = self.0.pointer(place).and_then(Value::as_array);
        list.with_context(|| format!("the rendered configuration has no list at {place}"))
    }
}

/// What `postern render envoy` makes of a document, with further options of its command line.
pub fn render(
    parts: &Parts,
    document: &Path,
    out: &Path,
    server: u16,
    more: &[String],
) -> Result<Value> {
    let mut command = Command::new(&parts.postern);
    command
        .args(["render", "envoy"])
        .arg(document)
        .arg("--out")
        .arg(out)
        .args(["--server-grpc", &ports::local(server).to_string()])
        .arg("--wasm")
        .arg(&parts.bundle)
        .args(["--access-log", "none"])
        .args(more);
    let output = command.output().context("starting postern render")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("rendering {} ended with {}:\n{errors}", document.display(), output.status);
    }
    let file = config_file(out);
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let value = serde_json::from_str::<Value>(&text);
    value.with_context(|| format!("{} is not JSON", file.display()))
}

fn connection_manager(member: &str) -> String {
    format!("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/{member}")
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// Envoy itself, with 200.
    Envoy,
    /// The same by a filter, on routes that lead to an upstream: Envoy's `ratelimit` passes over
    /// routes that lead nowhere.
    Filter,
    /// An upstream at this port.
    Upstream(u16),
}

/// A bootstrap with these filters (the router comes by itself), on the routes of a rendered
/// configuration.
pub fn bootstrap(
    rendered: &Rendered,
    mut filters: Vec<Value>,
    mut clusters: Vec<Value>,
    answers: Answers,
    ports: Ports,
) -> Result<Value> {
    let has_module = filters.iter().any(|filter| filter.to_string().contains("v3.Wasm"));
    let names: Vec<String> =
        filters.iter().filter_map(|filter| text(filter, "name")).map(str::to_owned).collect();
    let mut hosts = rendered.virtual_hosts()?.clone();
    hosts.iter_mut().for_each(|host| each_route(host, &|found| route(found, &names, answers)));
    match answers {
        Answers::Envoy => {}
        Answers::Filter => {
            filters.push(answer());
            clusters.push(upstream(NOBODY));
        }
        Answers::Upstream(port) => clusters.push(upstream(port)),
    }
    filters.push(router());
    let to_remove = if has_module { rendered.headers_to_remove()?.clone() } else { json!([]) };
    let connection_manager = json!({
        "stat_prefix": "bench",
        "codec_type": "AUTO",
        // As at an edge: these belong to every request, whatever the filters are.
        "use_remote_address": true,
        "normalize_path": true,
        "merge_slashes": true,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "http_filters": filters,
        "route_config": {
            "name": "bench",
            "virtual_hosts": hosts,
            "response_headers_to_remove": to_remove,
        },
    });
    Ok(json!({
        "admin": {"address": socket_address(ports.admin)},
        "static_resources": {
            "listeners": [{
                "name": "bench",
                "address": socket_address(ports.listen),
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": typed(
                        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                        connection_manager,
                    ),
                }]}],
            }],
            "clusters": clusters,
        },
    }))
}

/// Replaces every route of a virtual host, whether they stand in a list or in a matcher's lists.
fn each_route(value: &mut Value, replace: &impl Fn(&Value) -> Value) {
    let Value::Object(members) = value else { return };
    for (name, member) in members {
        match member {
            Value::Array(routes) if name == "routes" => {
                routes.iter_mut().for_each(|route| *route = replace(route));
            }
            other => each_route(other, replace),
        }
    }
}

/// A route with its name and match, and with what it says to filters that are in the chain.
fn route(rendered: &Value, filters: &[String], answers: Answers) -> Value {
    let mut route = Map::new();
    for name in ["name", "match"] {
        route.insert(name.to_owned(), rendered.get(name).cloned().unwrap_or_default());
    }
    if let Some(Value::Object(per_filter)) = rendered.get("typed_per_filter_config") {
        let mut per_filter = per_filter.clone();
        per_filter.retain(|name, _| filters.contains(name));
        route.insert("typed_per_filter_config".to_owned(), Value::Object(per_filter));
    }
    let (member, value) = match (rendered.get("direct_response"), answers) {
        // What no route is for stays what it is.
        (Some(refusal), _) => ("direct_response", refusal.clone()),
        (None, Answers::Envoy) => {
            ("direct_response", json!({"status": 200, "body": {"inline_string": "ok"}}))
        }
        (None, Answers::Filter | Answers::Upstream(_)) => ("route", json!({"cluster": UPSTREAM})),
    };
    route.insert(member.to_owned(), value);
    Value::Object(route)
}

fn upstream(port: u16) -> Value {
    let endpoint = json!({"endpoint": {"address": socket_address(port)}});
    json!({
        "name": UPSTREAM,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": UPSTREAM,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    })
}

fn socket_address(port: u16) -> Value {
    let address = ports::local(port).ip().to_string();
    json!({"socket_address": {"address": address, "port_value": port}})
}

fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered() -> Rendered {
        let routes = json!([
            {
                "name": "a",
                "match": {"path": "/a"},
                "route": {"cluster": "service-a"},
                "request_headers_to_add": [{"header": {"key": "x", "value": "y"}}],
                "typed_per_filter_config": {"kept": {"disabled": true}, "gone": {}},
            },
            {"name": "none", "match": {"prefix": "/"}, "direct_response": {"status": 404}},
        ]);
        Rendered(json!({"static_resources": {
            "clusters": [{"name": "service-a"}, {"name": "postern-grpc", "port": 7}],
            "listeners": [{"filter_chains": [{"filters": [{"typed_config": {
                "http_filters": [{"name": "kept"}, {"name": "gone"}],
                "route_config": {"virtual_hosts": [{
                    "name": "any",
                    "matcher": {"tree": {"a": {"routes": routes}}},
                }]},
            }}]}]}],
        }}))
    }

    fn routes(answers: Answers) -> Value {
        let rendered = rendered();
        let filters = vec![rendered.filter("kept").unwrap()];
        let ports = Ports { listen: 1, admin: 2 };
        let value = bootstrap(&rendered, filters, Vec::new(), answers, ports).unwrap();
        let filters = value.pointer(&connection_manager("http_filters")).unwrap();
        let names: Vec<_> =
            filters.as_array().unwrap().iter().filter_map(|filter| text(filter, "name")).collect();
        let expected = match answers {
            Answers::Filter => {
                vec!["kept", "envoy.filters.http.fault", "envoy.filters.http.router"]
            }
            _ => vec!["kept", "envoy.filters.http.router"],
        };
        assert_eq!(names, expected);
        let routes = "route_config/virtual_hosts/0/matcher/tree/a/routes";
        value.pointer(&connection_manager(routes)).cloned().unwrap()
    }

    #[test]
    fn routes_keep_their_matches_and_are_answered_by_envoy() {
        let expected = json!([
            {
                "name": "a",
                "match": {"path": "/a"},
                "direct_response": {"status": 200, "body": {"inline_string": "ok"}},
                "typed_per_filter_config": {"kept": {"disabled": true}},
            },
            {"name": "none", "match": {"prefix": "/"}, "direct_response": {"status": 404}},
        ]);
        assert_eq!(routes(Answers::Envoy), expected);
    }

    #[test]
    fn or_go_to_the_upstream() {
        let routes = routes(Answers::Upstream(9));
        assert_eq!(routes[0]["route"], json!({"cluster": "upstream"}));
        assert_eq!(routes[1]["direct_response"]["status"], 404);
        assert_eq!(self::routes(Answers::Filter), routes, "answered before it is asked");
    }

    #[test]
    fn a_part_that_is_not_there_is_an_error() {
        assert_eq!(rendered().server().unwrap()["port"], 7);
        assert!(rendered().filter("other").is_err());
    }
}
