//! What tests share.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use envoy_types::pb::envoy::config::core::v3::node::UserAgentVersionType;
use envoy_types::pb::envoy::config::core::v3::{BuildVersion, Node};
use envoy_types::pb::envoy::r#type::v3::SemanticVersion;
use envoy_types::pb::google::protobuf::{Struct, Value, value::Kind};
use postern_document::{Current, Document, Source, load};
use postern_feed::{
    CurrentTrust, FeedCredential, ForwardedClientCert, ListedPeers, PeerIdentity, Peers, Trust,
    Workloads,
};
use postern_render::envoy::Endpoints;
use postern_telemetry::{Drain, MetricsRegistry};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::adapter::DiscoveryService;
use crate::discovery::{Discovery, DiscoveryParts};
use crate::metrics::Metrics;
use crate::node::Told;
use crate::settings::Settings;
use crate::source::{EndpointSource, HeldDocument};

pub(crate) fn document(text: &str) -> Document {
    let source = Source { name: "gateway.yaml".to_owned(), text: text.to_owned() };
    load(&[source], &|_: &str| Err(String::new())).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// So many services `s0`, `s1`… with so many endpoints each, and a route to each of them.
pub(crate) fn services(services: usize, endpoints: usize) -> String {
    let mut text = "version: 1\nservices:\n".to_owned();
    for service in 0..services {
        writeln!(text, "  s{service}:\n    endpoints:").unwrap();
        for endpoint in 0..endpoints {
            let (high, low) = (service / 250, service % 250);
            writeln!(text, "      - {{address: 10.{high}.{low}.{endpoint}, port: 80}}").unwrap();
        }
    }
    text.push_str("routes:\n");
    for service in 0..services {
        let name = format!("s{service}");
        let path = format!("\"/{name}/{{rest=**}}\"");
        writeln!(
            text,
            "  - {{name: {name}, match: {{path: {path}}}, service: {name}, auth: none}}"
        )
        .unwrap();
    }
    text
}

/// What is held there.
pub(crate) fn current(held: &Arc<ArcSwap<Document>>) -> Current<Document> {
    let held = Arc::clone(held);
    Current::new(move || held.load_full())
}

fn told(options: &[(&str, &str)]) -> Told {
    options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn edge() -> Told {
    told(&[("kind", "edge"), ("listen", "127.0.0.1:8080"), ("wasm", "/bundle.wasm")])
}

fn in_mesh(mut options: Told) -> Told {
    options.extend(told(&[
        ("mesh_ca", "/ca.pem"),
        ("mesh_cert", "/a.pem"),
        ("mesh_key", "/a-key.pem"),
    ]));
    options
}

pub(crate) fn mesh_edge() -> Told {
    let mut options = in_mesh(edge());
    options.extend(told(&[("zone", "eu/eu-1")]));
    options
}

pub(crate) fn sidecar(workload: &str) -> Told {
    let mut options = in_mesh(edge());
    options.extend(told(&[("kind", "sidecar"), ("workload", workload), ("upstream_port", "8081")]));
    options
}

pub(crate) fn node(id: &str, told: &Told) -> Node {
    let text = |value: &str| Value { kind: Some(Kind::StringValue(value.to_owned())) };
    let members = told.iter().map(|(name, value)| (name.clone(), text(value)));
    let postern = Value { kind: Some(Kind::StructValue(Struct { fields: members.collect() })) };
    let version = SemanticVersion { major_number: 1, minor_number: 40, patch: 0 };
    let build = BuildVersion { version: Some(version), ..BuildVersion::default() };
    Node {
        id: id.to_owned(),
        metadata: Some(Struct { fields: [("postern".to_owned(), postern)].into() }),
        user_agent_version_type: Some(UserAgentVersionType::UserAgentBuildVersion(build)),
        ..Node::default()
    }
}

pub(crate) fn metrics() -> Metrics {
    Metrics::new(&registry()).unwrap()
}

fn registry() -> MetricsRegistry {
    MetricsRegistry::new("test", Instant::now()).unwrap()
}

/// Endpoints that a test changes.
pub(crate) struct FakeEndpoints {
    known: ArcSwap<Endpoints>,
    changed: watch::Sender<()>,
}

impl FakeEndpoints {
    pub(crate) fn new() -> Arc<Self> {
        let known = ArcSwap::from_pointee(Endpoints::new());
        Arc::new(Self { known, changed: watch::Sender::new(()) })
    }

    pub(crate) fn set(&self, endpoints: Endpoints) {
        self.known.store(Arc::new(endpoints));
        self.changed.send_replace(());
    }
}

impl EndpointSource for FakeEndpoints {
    fn of(&self, _: &Document) -> Arc<Endpoints> {
        self.known.load_full()
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// A server on a port of its own.
pub(crate) struct Rig {
    pub(crate) discovery: Arc<Discovery>,
    pub(crate) endpoints: Arc<FakeEndpoints>,
    pub(crate) address: SocketAddr,
    pub(crate) drain: Drain,
    held: Arc<ArcSwap<Document>>,
    changed: watch::Sender<()>,
    registry: MetricsRegistry,
}

/// The secret of a peer that [`by_credential`] lists.
pub(crate) const SECRET: &str = "secret";
/// SHA-256 of it.
const SHA256: [u8; 32] = [
    0x2b, 0xb8, 0x0d, 0x53, 0x7b, 0x1d, 0xa3, 0xe3, 0x8b, 0xd3, 0x03, 0x61, 0xaa, 0x85, 0x56, 0x86,
    0xbd, 0xe0, 0xea, 0xcd, 0x71, 0x62, 0xfe, 0xf6, 0xa2, 0x5f, 0xe9, 0x7b, 0xf5, 0x27, 0xa2, 0x5b,
];

/// Whom a document says to believe, and what they may have.
pub(crate) type Believed = fn(&Document) -> (Trust, ListedPeers);

/// This machine, for everything.
pub(crate) fn this_machine(_: &Document) -> (Trust, ListedPeers) {
    (Trust::default(), ListedPeers::new([(PeerIdentity::Loopback, Workloads::All)]))
}

/// Whoever has the secret, for the workloads that the document's first service is named after.
pub(crate) fn by_credential(document: &Document) -> (Trust, ListedPeers) {
    by_secret(SHA256, document)
}

/// The same while there is one service; with more of them the peer has got another secret.
pub(crate) fn by_another_credential(document: &Document) -> (Trust, ListedPeers) {
    by_secret(if document.services.len() == 1 { SHA256 } else { [0; 32] }, document)
}

fn by_secret(sha256: [u8; 32], document: &Document) -> (Trust, ListedPeers) {
    let name = "edge".to_owned();
    let credential = FeedCredential { name: name.clone(), sha256 };
    let workloads = document.services.iter().take(1).map(|service| service.name.clone());
    let workloads = Workloads::Only(workloads.collect());
    let trust = Trust::new(ForwardedClientCert::Ignored, vec![credential]);
    (trust, ListedPeers::new([(PeerIdentity::Credential(name), workloads)]))
}

/// The word of the document that is held.
struct Held {
    document: Current<Document>,
    believed: Believed,
}

impl Peers for Held {
    fn may_ask_for(&self, peer: &PeerIdentity, workload: &str) -> bool {
        let (_, peers) = (self.believed)(&self.document.load());
        peers.may_ask_for(peer, workload)
    }
}

impl Rig {
    pub(crate) async fn start(text: &str) -> Self {
        Self::start_with(text, this_machine, Settings::default()).await
    }

    pub(crate) async fn start_with(text: &str, believed: Believed, settings: Settings) -> Self {
        let held = Arc::new(ArcSwap::from_pointee(document(text)));
        let changed = watch::Sender::new(());
        let endpoints = FakeEndpoints::new();
        let registry = registry();
        let drain = Drain::new(Duration::ZERO);
        let document = current(&held);
        let trusting = document.clone();
        let trust: CurrentTrust = Arc::new(move || Arc::new(believed(&trusting.load()).0));
        let discovery = Arc::new(Discovery::new(DiscoveryParts {
            documents: Arc::new(HeldDocument::new(document.clone(), changed.subscribe())),
            endpoints: Arc::<FakeEndpoints>::clone(&endpoints),
            trust,
            peers: Arc::new(Held { document, believed }),
            settings,
            drain: drain.clone(),
            metrics: Metrics::new(&registry).unwrap(),
        }));
        tokio::spawn(Arc::clone(&discovery).keep_current());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = DiscoveryService::server(Arc::clone(&discovery));
        let server = Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Self { discovery, endpoints, address, drain, held, changed, registry }
    }

    /// Another document is in force.
    pub(crate) fn change(&self, text: &str) {
        self.held.store(Arc::new(document(text)));
        self.changed.send_replace(());
    }

    /// A sample of a metric, by its name and labels as they are written.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        let text = self.registry.encode(Instant::now()).unwrap();
        let is_it = |line: &&str| {
            line.split_once('{').is_some_and(|(found, rest)| found == name && rest.contains(label))
        };
        let line = text.lines().find(is_it).unwrap_or_else(|| panic!("no {name}{{{label}}}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }
}
