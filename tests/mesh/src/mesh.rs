//! A whole mesh.
//!
//! | workload | namespace | what it is |
//! |---|---|---|
//! | `gateway` | `istio-system` | an ingress gateway, of the labels and the service account of Istio's own |
//! | `postern` | `postern-system` | `postern serve` in all roles behind its sidecar, called by the Services of `istio/base` |
//! | `payments` | `shop` | the sample upstream behind a sidecar |
//! | `web` | `shop` | a client with a sidecar, which the tests speak through |
//!
//! Every namespace takes mutual TLS and nothing else.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use postern_e2e::server::{self, Durable, Server};
use postern_e2e::upstream::Upstream;
use postern_e2e::{documents, env};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::block::Block;
use crate::caller::Caller;
use crate::certificates::{Certificates, Pair};
use crate::control_plane::{self, ControlPlane};
use crate::manifests;
use crate::proxy::Proxy;
use crate::rendered::Rendered;
use crate::workload::{Kind, Port, Workload};

mod start;

pub use self::start::Builder;

/// The document that the gateway runs, unless said otherwise.
pub const DOCUMENT: &str = include_str!("../fixtures/gateway.yaml");
/// The name by which clients know the gateway.
pub const HOST: &str = "gateway.example.test";
/// The gateway's port.
pub const GATEWAY_PORT: u16 = 8443;
/// The port of the Service `payments`.
pub const SERVICE_PORT: u16 = 8080;
/// The longest that proxies may take for a change.
const SETTLE: Duration = Duration::from_secs(30);
/// istiod collects changes for 200 ms at most before it tells of them: who has heard nothing for
/// longer than that will hear nothing of what was changed before.
const QUIET: Duration = Duration::from_millis(450);

/// A mesh while the value lives. Fields drop in this order.
#[derive(Debug)]
pub struct Mesh {
    /// All Envoys, the gateway first.
    pub proxies: Vec<Proxy>,
    /// `postern serve`.
    pub server: Server,
    /// istiod.
    pub control_plane: ControlPlane,
    /// Who is who.
    pub certificates: Certificates,
    /// What stands behind the gateway, in the mesh and outside of it.
    pub upstream: Upstream,
    /// The durable store, where it has one.
    pub durable: Option<Durable>,
    /// What was rendered.
    pub rendered: Rendered,
    istio_version: String,
    root: String,
    block: Block,
    folder: TempDir,
}

impl Mesh {
    /// A mesh in the making.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A mesh that runs the kit's document by the newest rendering.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A client from outside.
    #[must_use]
    pub fn outside(&self) -> Caller {
        Caller::over_tls(HOST, self.block.socket(GATEWAY, GATEWAY_PORT), &self.root)
    }

    /// Where clients from outside call.
    #[must_use]
    pub fn entrance(&self) -> SocketAddr {
        self.block.socket(GATEWAY, GATEWAY_PORT)
    }

    /// A program beside the sidecar `web`, which calls `payments`.
    #[must_use]
    pub fn web(&self) -> Caller {
        let web = self.proxy("web").workload();
        Caller::plain(PAYMENTS_HOST, web.outbound(&self.block, SERVICE_PORT))
    }

    /// Somebody who calls the sidecar of `payments` itself, with a certificate.
    #[must_use]
    pub fn at_payments(&self, own: &Pair) -> Caller {
        Caller::as_workload(PAYMENTS_HOST, self.block.socket(PAYMENTS, SERVICE_PORT), own)
    }

    /// The same in plain text.
    #[must_use]
    pub fn in_plain_text(&self) -> Caller {
        Caller::plain(PAYMENTS_HOST, self.block.socket(PAYMENTS, SERVICE_PORT))
    }

    /// Where a program beside a workload's sidecar calls a port of a Service.
    #[must_use]
    pub fn outbound(&self, workload: &Workload, port: u16) -> SocketAddr {
        workload.outbound(&self.block, port)
    }

    /// One of the Envoys.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn proxy(&self, name: &str) -> &Proxy {
        let found = self.proxies.iter().find(|proxy| proxy.workload().name == name);
        found.unwrap_or_else(|| panic!("no workload `{name}`"))
    }

    /// The gateway's Envoy.
    #[must_use]
    pub fn gateway(&self) -> &Proxy {
        self.proxy("gateway")
    }

    /// The mesh's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The address that an Envoy listens on for callers.
    #[must_use]
    pub fn address_of(&self, name: &str) -> String {
        self.proxy(name).workload().address(&self.block).to_string()
    }

    /// Adds another workload and waits for its Envoy.
    pub async fn add(&mut self, workload: &Workload) {
        self.add_all(std::slice::from_ref(workload)).await;
    }

    /// Adds workloads and waits for their Envoys.
    pub async fn add_all(&mut self, workloads: &[Workload]) {
        for workload in workloads {
            let name = format!("workload-{}", workload.name);
            self.control_plane.put(&name, &workload.objects(&self.block));
        }
        let generation = self.control_plane.apply().await;
        let (control_plane, certificates) = (&self.control_plane, &self.certificates);
        let (folder, version) = (self.folder.path(), &self.istio_version);
        for workload in workloads {
            let started =
                Proxy::start(workload, &self.block, folder, control_plane, certificates, version);
            self.proxies.push(started.await);
        }
        self.settle(&generation).await;
    }

    /// Writes objects beside what is there, and waits until every Envoy has taken them.
    pub async fn put(&self, name: &str, objects: &[Value]) {
        self.control_plane.put(name, objects);
        self.apply().await;
    }

    /// The same for YAML.
    pub async fn put_yaml(&self, name: &str, yaml: &str) {
        self.put(name, &manifests::parse(yaml)).await;
    }

    /// Takes back what was put under this name.
    pub async fn take_away(&self, name: &str) {
        self.control_plane.remove(name);
        self.apply().await;
    }

    /// Changes what was rendered, in every resource that `change` wants to touch; a resource is
    /// left out where it says so.
    pub async fn render_again(&self, mut change: impl FnMut(&mut Value) -> bool) {
        let mut resources = self.rendered.resources.clone();
        resources.retain_mut(&mut change);
        self.put(RENDERED, &resources).await;
    }

    /// Everything as it was rendered.
    pub async fn as_rendered(&self) {
        self.put(RENDERED, &self.rendered.resources).await;
    }

    async fn apply(&self) {
        let generation = self.control_plane.apply().await;
        self.settle(&generation).await;
    }

    /// Waits until every Envoy has heard of a generation, and taken everything that it was told.
    ///
    /// # Panics
    /// When one rejects anything, or does not take it soon.
    async fn settle(&self, generation: &str) {
        let began = Instant::now();
        let mut last = Vec::new();
        let mut since = Instant::now();
        loop {
            self.assert_nothing_rejected().await;
            let told = self.control_plane.told().await;
            if told != last {
                (last, since) = (told, Instant::now());
            }
            let missing = self.missing(generation, &last).await;
            if missing.is_empty() && since.elapsed() > QUIET {
                return;
            }
            assert!(began.elapsed() < SETTLE, "not everything is taken: {missing:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What Envoys have not taken yet.
    async fn missing(&self, generation: &str, told: &[control_plane::Told]) -> Vec<String> {
        let mut missing = Vec::new();
        for proxy in &self.proxies {
            let name = proxy.name();
            let Some(of_proxy) = told.iter().find(|one| one.proxy == name) else {
                missing.push(format!("{name} is not connected"));
                continue;
            };
            missing.extend(of_proxy.open().map(|kind| format!("{name}: {kind}")));
            if !proxy.has_cluster(generation).await {
                missing.push(format!("{name} has not heard of {generation}"));
            }
        }
        missing
    }

    /// Asserts that no update was ever rejected.
    ///
    /// # Panics
    /// When one was; with Envoy's reason.
    pub async fn assert_nothing_rejected(&self) {
        let mut rejects = self.control_plane.rejects().await;
        for proxy in &self.proxies {
            rejects.extend(proxy.rejects().await);
        }
        rejects.extend(self.certificates.refused().await);
        assert!(rejects.is_empty(), "{}", rejects.join("\n"));
    }
}

/// The file that holds what was rendered.
const RENDERED: &str = "rendered";
/// The host of the Service `payments`.
const PAYMENTS_HOST: &str = "payments.shop.svc.cluster.local";
/// The last parts of the workloads' addresses.
const GATEWAY: u8 = 10;
const POSTERN: u8 = 20;
const PAYMENTS: u8 = 30;
const WEB: u8 = 40;

/// The workloads of every mesh.
fn workloads(server: server::Ports, upstream: u16) -> Vec<Workload> {
    let port = |number, name, protocol, program| Port { number, name, protocol, program };
    vec![
        Workload {
            name: "gateway",
            namespace: "istio-system",
            service_account: "istio-ingressgateway-service-account",
            labels: vec![("istio", "ingressgateway")],
            kind: Kind::Gateway,
            last: GATEWAY,
            ports: Vec::new(),
            sees: Vec::new(),
        },
        Workload {
            name: "postern",
            namespace: "postern-system",
            service_account: "postern",
            // What `istio/overlays/minimal` gives the one pod that runs everything.
            labels: vec![
                ("app.kubernetes.io/name", "postern"),
                ("postern.dev/behind", "postern"),
                ("postern.dev/admin", "true"),
                ("postern.dev/decide", "true"),
                ("postern.dev/hub", "true"),
                ("postern.dev/identity", "true"),
                ("postern.dev/message", "true"),
            ],
            kind: Kind::Sidecar,
            last: POSTERN,
            ports: vec![
                port(9191, "grpc", "GRPC", server.grpc),
                port(9192, "http-public", "HTTP", server.public),
                port(9193, "http-admin", "HTTP", server.admin),
                port(9194, "http-metrics", "HTTP", server.metrics),
            ],
            sees: vec!["./*"],
        },
        Workload {
            name: "payments",
            namespace: "shop",
            service_account: "payments",
            labels: vec![("app", "payments"), ("version", "v1")],
            kind: Kind::Sidecar,
            last: PAYMENTS,
            ports: vec![port(SERVICE_PORT, "http-api", "HTTP", upstream)],
            sees: vec!["./*", "postern-system/*"],
        },
        Workload {
            name: "web",
            namespace: "shop",
            service_account: "web",
            labels: vec![("app", "web")],
            kind: Kind::Sidecar,
            last: WEB,
            ports: vec![port(9000, "http-web", "HTTP", upstream)],
            sees: vec!["./*", "postern-system/*"],
        },
    ]
}

/// What stands in the cluster besides workloads and what was rendered.
fn surroundings() -> Vec<Value> {
    let mut objects: Vec<Value> = ["istio-system", "postern-system", "shop"]
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
        .into();
    let service = |name: &str, namespace: &str, selector: Value, port: Value| {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": selector, "ports": [port]},
        })
    };
    objects.push(service(
        "istio-ingressgateway",
        "istio-system",
        json!({"istio": "ingressgateway"}),
        // The gateway's port, on a port that takes no privilege.
        json!({"name": "https", "port": 443, "targetPort": GATEWAY_PORT}),
    ));
    objects.push(service(
        "payments",
        "shop",
        json!({"app": "payments"}),
        json!({"name": "http-api", "port": SERVICE_PORT, "targetPort": SERVICE_PORT}),
    ));
    objects.push(json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": "default", "namespace": "shop"},
        "spec": {"mtls": {"mode": "STRICT"}},
    }));
    // The suite's own Services, policies and rules, as they are installed.
    let common = env::repository().join("istio").join("base").join("common");
    for file in ["services", "authorization-policies", "destination-rules", "peer-authentication"] {
        objects.extend(manifests::read(&common.join(format!("{file}.yaml"))));
    }
    objects
}

/// Writes a document with its places filled in.
fn write_document(document: &str, upstream: &Upstream, folder: &Path) -> std::path::PathBuf {
    let path = folder.join("gateway.yaml");
    let issuer = format!("https://{HOST}");
    let text = documents::fill_in(document, upstream.address(), &issuer);
    fs::write(&path, text).expect("the document's file");
    path
}
