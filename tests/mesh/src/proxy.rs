//! An Envoy that istiod configures: the one that all tests run, without anything of Istio in it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use postern_e2e::process::Running;
use postern_e2e::{env, wait};
use serde_json::{Value, json};

use crate::block::Block;
use crate::caller::{self, Caller};
use crate::certificates::{Certificates, Pair};
use crate::control_plane::ControlPlane;
use crate::rejects;
use crate::workload::Workload;

/// It waits for its listeners, and those for certificates and the module.
const START: Duration = Duration::from_secs(60);
/// The name by which istiod is known in its own certificate.
const ISTIOD: &str = "istiod.istio-system.svc";

/// An Envoy while the value lives.
#[derive(Debug)]
pub struct Proxy {
    workload: Workload,
    process: Running,
    admin: Caller,
}

impl Proxy {
    /// Starts one and waits until it has a configuration.
    ///
    /// # Panics
    /// When it has none soon, or ends.
    pub async fn start(
        workload: &Workload,
        block: &Block,
        folder: &Path,
        control_plane: &ControlPlane,
        certificates: &Certificates,
        istio_version: &str,
    ) -> Self {
        let own = certificates.of_workload(workload.namespace, workload.service_account).await;
        let files = Files::write(folder, workload.name, &own);
        let admin = workload.admin(block);
        let bootstrap = json!({
            "node": workload.node(block, istio_version),
            "admin": {"address": address(admin)},
            "bootstrap_extensions": [{
                "name": "envoy.bootstrap.internal_listener",
                "typed_config": {"@type": typed(
                    "extensions.bootstrap.internal_listener.v3.InternalListener",
                )},
            }],
            "layered_runtime": {"layers": [
                {"name": "istio", "static_layer": runtime()},
                {"name": "admin", "admin_layer": {}},
            ]},
            "dynamic_resources": dynamic_resources(),
            "static_resources": {"clusters": [
                cluster("xds-grpc", control_plane.xds(), Some(files.tls())),
                // istiod's configuration calls it by this name.
                cluster("sds-grpc", certificates.sds(), None),
            ]},
        });
        let config = folder.join(format!("{}.json", workload.name));
        fs::write(&config, bootstrap.to_string()).expect("an Envoy's configuration");
        let mut command = Command::new(env::envoy());
        command.arg("-c").arg(&config).args([
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--log-level",
            "info",
        ]);
        let log = folder.join(format!("{}.log", workload.name));
        let mut process = Running::start(workload.name, &log, &mut command);
        let admin = Caller::plain(&admin.ip().to_string(), admin);
        wait::until(&format!("configured Envoy {}", workload.name), START, || {
            if let Some(status) = process.ended() {
                panic!("Envoy {} ended with {status} before it was ready", workload.name);
            }
            let request = admin.get("/ready");
            async move {
                let answer = caller::try_send(request).await?;
                if answer.status == 200 { Ok(()) } else { Err(answer.to_string()) }
            }
        })
        .await;
        Self { workload: workload.clone(), process, admin }
    }

    /// Whose it is.
    #[must_use]
    pub const fn workload(&self) -> &Workload {
        &self.workload
    }

    /// What istiod calls it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.workload.name, self.workload.namespace)
    }

    /// All counters and gauges.
    pub async fn stats(&self) -> BTreeMap<String, u64> {
        let text = caller::send(self.admin.get("/stats")).await.expect(200).text();
        let read = |line: &str| {
            let (name, value) = line.rsplit_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        text.lines().filter_map(read).collect()
    }

    /// The sum of what its listeners for HTTP count under names that end like this.
    pub async fn count(&self, ending: &str) -> u64 {
        // Some filters count the same by cluster as well.
        let counts = |name: &str| name.starts_with("http.") && name.ends_with(ending);
        let stats = self.stats().await;
        stats.iter().filter(|(name, _)| counts(name)).map(|(_, count)| count).sum()
    }

    /// Whether it has a cluster.
    pub async fn has_cluster(&self, name: &str) -> bool {
        let line = format!("{name}::");
        let clusters = caller::send(self.admin.get("/clusters")).await.expect(200).text();
        clusters.lines().any(|one| one.starts_with(&line))
    }

    /// Which Envoy it is, such as `1.40.0`.
    ///
    /// # Panics
    /// When it does not say.
    pub async fn version(&self) -> String {
        let told = caller::send(self.admin.get("/server_info")).await.expect(200).json();
        // COMMIT/VERSION/…
        let text = told["version"].as_str().unwrap_or_default();
        text.split('/').nth(1).expect("a version").to_owned()
    }

    /// What it runs with.
    pub async fn config(&self) -> Value {
        caller::send(self.admin.get("/config_dump")).await.expect(200).json()
    }

    /// Its HTTP filters, by the listener that has them.
    pub async fn filters(&self) -> BTreeMap<String, Vec<String>> {
        let config = self.config().await;
        let mut found = BTreeMap::new();
        for (listener, manager) in managers(&config) {
            let filters = manager["http_filters"].as_array().cloned().unwrap_or_default();
            let name = |one: &Value| one["name"].as_str().unwrap_or_default().to_owned();
            found.insert(listener, filters.iter().map(name).collect());
        }
        found
    }

    /// Its routes of a name, in the order in which they are tried.
    pub async fn routes(&self, name: &str) -> Vec<Value> {
        self.all_routes().await.into_iter().filter(|route| route["name"] == name).collect()
    }

    /// All routes that came by route discovery.
    pub async fn all_routes(&self) -> Vec<Value> {
        let config = self.config().await;
        let mut found = Vec::new();
        for part in section(&config, "RoutesConfigDump") {
            for one in list(&part["dynamic_route_configs"]) {
                for host in list(&one["route_config"]["virtual_hosts"]) {
                    found.extend(list(&host["routes"]).cloned());
                }
            }
        }
        found
    }

    /// Its clusters that came by discovery, and whose names begin like this.
    pub async fn clusters(&self, beginning: &str) -> Vec<Value> {
        let config = self.config().await;
        let mut found = Vec::new();
        for part in section(&config, "ClustersConfigDump") {
            let clusters = list(&part["dynamic_active_clusters"]).map(|one| &one["cluster"]);
            let is_it =
                |one: &&Value| one["name"].as_str().is_some_and(|name| name.starts_with(beginning));
            found.extend(clusters.filter(is_it).cloned());
        }
        found
    }

    /// What it says of a cluster's endpoints, such as `priority` and `health_flags`: for each
    /// address, by name.
    pub async fn endpoints(&self, cluster: &str) -> BTreeMap<SocketAddr, BTreeMap<String, String>> {
        let text = caller::send(self.admin.get("/clusters")).await.expect(200).text();
        endpoints(&text, cluster)
    }

    /// What it did not take.
    pub async fn rejects(&self) -> Vec<String> {
        let mut found = rejects::of_envoy(&self.name(), &self.stats().await);
        if !found.is_empty() {
            found.extend(rejects::last_reason(&self.process.log()).map(str::to_owned));
        }
        found
    }

    /// What it wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// What a proxy shows istiod, in files.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    root: PathBuf,
}

impl Files {
    fn write(folder: &Path, name: &str, pair: &Pair) -> Self {
        let write = |ending: &str, content: &str| {
            let path = folder.join(format!("{name}.{ending}"));
            fs::write(&path, content).expect("a proxy's certificate");
            path
        };
        Self {
            certificate: write("crt", &pair.certificate),
            key: write("key", &pair.key),
            root: write("root.crt", &pair.root),
        }
    }

    fn tls(&self) -> Value {
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": typed("extensions.transport_sockets.tls.v3.UpstreamTlsContext"),
                "sni": ISTIOD,
                "common_tls_context": {
                    "alpn_protocols": ["h2"],
                    "tls_certificates": [{
                        "certificate_chain": {"filename": self.certificate},
                        "private_key": {"filename": self.key},
                    }],
                    "validation_context": {
                        "trusted_ca": {"filename": self.root},
                        "match_typed_subject_alt_names": [
                            {"san_type": "DNS", "matcher": {"exact": ISTIOD}},
                        ],
                    },
                },
            },
        })
    }
}

/// As pilot-agent writes it.
/// What Istio's own bootstrap switches (`pkg/bootstrap/config.go`, `extractRuntimeFlags`).
fn runtime() -> Value {
    json!({
        "overload.global_downstream_max_connections": "2147483647",
        "re2.max_program_size.error_level": "32768",
        "envoy.reloadable_features.http_reject_path_with_fragment": false,
    })
}

fn dynamic_resources() -> Value {
    let by_ads = || json!({"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"});
    json!({
        "lds_config": by_ads(),
        "cds_config": by_ads(),
        "ads_config": {
            "api_type": "DELTA_GRPC",
            "transport_api_version": "V3",
            "set_node_on_first_message_only": true,
            "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
        },
    })
}

fn cluster(name: &str, at: SocketAddr, tls: Option<Value>) -> Value {
    let protocol = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let mut cluster = json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {protocol: {
            "@type": typed("extensions.upstreams.http.v3.HttpProtocolOptions"),
            "explicit_http_config": {"http2_protocol_options": {}},
        }},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(at)}}]}],
        },
    });
    if let Some(tls) = tls {
        cluster["transport_socket"] = tls;
    }
    cluster
}

fn address(at: SocketAddr) -> Value {
    json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}})
}

fn typed(name: &str) -> String {
    format!("type.googleapis.com/envoy.{name}")
}

/// Connection managers for HTTP, with the names of their listeners.
fn managers(config: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for part in section(config, "ListenersConfigDump") {
        for one in list(&part["dynamic_listeners"]) {
            let name = one["name"].as_str().unwrap_or_default();
            let listener = &one["active_state"]["listener"];
            let chains = list(&listener["filter_chains"]);
            for chain in chains.chain([&listener["default_filter_chain"]]) {
                let filters = list(&chain["filters"]);
                let manager = |filter: &&Value| {
                    filter["name"] == "envoy.filters.network.http_connection_manager"
                };
                found.extend(
                    filters.filter(manager).map(|one| (name.to_owned(), &one["typed_config"])),
                );
            }
        }
    }
    found
}

fn section<'a>(config: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let is_it =
        move |part: &&Value| part["@type"].as_str().is_some_and(|text| text.ends_with(kind));
    list(&config["configs"]).filter(is_it)
}

/// Of lines such as `CLUSTER::ADDRESS::NAME::VALUE`.
fn endpoints(text: &str, cluster: &str) -> BTreeMap<SocketAddr, BTreeMap<String, String>> {
    let mut found: BTreeMap<SocketAddr, BTreeMap<String, String>> = BTreeMap::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(cluster).and_then(|rest| rest.strip_prefix("::")) else {
            continue;
        };
        let mut parts = rest.splitn(3, "::");
        let (Some(address), Some(name), Some(value)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        // Others are about the cluster as a whole.
        if let Ok(address) = address.parse() {
            found.entry(address).or_default().insert(name.to_owned(), value.to_owned());
        }
    }
    found
}

/// The items of a list; none where there is no list.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_told_from_what_is_said_of_their_cluster() {
        let text = "outbound|80||a.test::default_priority::max_connections::7\n\
                    outbound|80||a.test::added_via_api::true\n\
                    outbound|80||a.test::127.0.0.8:1::hostname::\n\
                    outbound|80||a.test::127.0.0.8:1::priority::1\n\
                    outbound|80||a.test.more::127.0.0.9:1::priority::2\n";
        let found = endpoints(text, "outbound|80||a.test");
        let address: SocketAddr = "127.0.0.8:1".parse().expect("an address");
        assert_eq!(found.keys().collect::<Vec<_>>(), [&address]);
        assert_eq!(
            (found[&address]["hostname"].as_str(), found[&address]["priority"].as_str()),
            ("", "1")
        );
    }
}
