//! An Envoy with a listener for each way of reading paths, which answers with the path that it
//! has read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use postern_e2e::envoy::{self, Envoy, Ports};
use postern_e2e::{ports, raw, server, wait};
use postern_request::normalize::{EscapedSlashes, Normalization};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::Reading;

const START: Duration = Duration::from_secs(30);
const ECHO: &str = "x-path";

/// Settings of a connection manager that are about paths.
const NORMALIZE: &str = "normalize_path";
const SETTINGS: [&str; 3] = [NORMALIZE, "merge_slashes", "path_with_escaped_slashes_action"];

/// One way of reading paths.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    pub name: &'static str,
    pub rules: Normalization,
}

pub const WAYS: [Way; 5] = [
    Way { name: "ours", rules: Normalization::ENVOY },
    Way { name: "NONE", rules: Normalization::ISTIO_NONE },
    Way { name: "BASE", rules: Normalization::ISTIO_BASE },
    Way { name: "MERGE_SLASHES", rules: Normalization::ISTIO_MERGE },
    Way { name: "DECODE_AND_MERGE_SLASHES", rules: Normalization::ISTIO_DECODE },
];

/// The Envoy. Fields drop in this order.
pub struct Proxies {
    _envoy: Envoy,
    ports: BTreeMap<&'static str, u16>,
    _folder: TempDir,
}

impl Proxies {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let admin = ports::free();
        let ports: BTreeMap<&str, u16> = WAYS.map(|way| (way.name, ports::free())).into();
        let rendered = rendered_settings(folder.path()).await;
        let listeners = WAYS.map(|way| {
            let settings = if way.rules == Normalization::ENVOY {
                rendered.clone()
            } else {
                istios_settings(way.rules)
            };
            listener(way.name, ports[way.name], settings)
        });
        let config = json!({
            "admin": {"address": address(admin)},
            "static_resources": {"listeners": listeners},
        });
        let file = folder.path().join("normalize.json");
        fs::write(&file, config.to_string()).expect("the configuration");
        let log = folder.path().join("envoy.log");
        let envoy = Envoy::start(&file, Ports { listen: ports["ours"], admin }, 1, &log).await;
        for (way, port) in &ports {
            wait::until_listening(way, *port, START).await;
        }
        Self { _envoy: envoy, ports, _folder: folder }
    }

    pub fn port(&self, way: Way) -> u16 {
        self.ports[way.name]
    }

    /// Whether `..;a` is `..` to this Envoy, which its version decides. It says so once, and is
    /// held to it everywhere else.
    pub async fn read_dots_with_parameters(&self) -> bool {
        match read(self.ports["ours"], b"/a/..;x/b").await {
            Reading::Read(path) if path == "/b" => true,
            Reading::Read(path) if path == "/a/..;x/b" => false,
            other => panic!("{other:?}"),
        }
    }
}

/// What the proxy at this port makes of a target.
pub async fn read(port: u16, target: &[u8]) -> Reading {
    let answer = raw::exchange(port, &raw::get(target, &[])).await;
    match answer.status {
        Some(200) => {
            let prefix = format!("{ECHO}: ");
            let path = answer.text.lines().find_map(|line| line.strip_prefix(&prefix));
            Reading::Read(path.unwrap_or_else(|| panic!("no path in\n{}", answer.text)).to_owned())
        }
        Some(400) => Reading::Refused,
        _ => panic!("{:?} gets\n{}", String::from_utf8_lossy(target), answer.text),
    }
}

/// The settings that `postern render envoy` writes: what [`Normalization::ENVOY`] stands for.
async fn rendered_settings(folder: &Path) -> Map<String, Value> {
    let document = folder.join("gateway.yaml");
    let text = "version: 1\nservices:\n  all: {upstream: 127.0.0.1:9}\nroutes:\n  - {name: all, \
                match: {path: \"/**\"}, service: all, auth: none}\n";
    fs::write(&document, text).expect("the document");
    let done = envoy::render(&document, folder, Ports::free(), server::Ports::free()).await;
    done.expect_success();
    let mut found: Vec<Map<String, Value>> = Vec::new();
    envoy::edit(&envoy::config_file(folder), |config| {
        envoy::for_each_object(config, &mut |members| {
            if members.contains_key(NORMALIZE) {
                let member = |name: &str| (name.to_owned(), members[name].clone());
                found.push(SETTINGS.into_iter().map(member).collect());
            }
        });
    });
    assert_eq!(found.len(), 1, "one connection manager: {found:?}");
    found.remove(0)
}

/// What istiod writes for each of its names.
fn istios_settings(rules: Normalization) -> Map<String, Value> {
    let escaped = match rules.escaped_slashes {
        EscapedSlashes::Keep => "KEEP_UNCHANGED",
        EscapedSlashes::Decode => "UNESCAPE_AND_FORWARD",
        EscapedSlashes::Reject => panic!("none of Istio's"),
    };
    let values = [json!(rules.base), json!(rules.merge_slashes), json!(escaped)];
    SETTINGS.into_iter().map(str::to_owned).zip(values).collect()
}

fn listener(name: &str, port: u16, settings: Map<String, Value>) -> Value {
    let mut manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.\
                  http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            },
        }],
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{
                "match": {"prefix": "/"},
                "direct_response": {"status": 200},
                "response_headers_to_add": [{"header": {"key": ECHO, "value": "%REQ(:PATH)%"}}],
            }],
        }]},
    });
    manager.as_object_mut().expect("an object").extend(settings);
    json!({
        "name": name,
        "address": address(port),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }]}],
    })
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}
