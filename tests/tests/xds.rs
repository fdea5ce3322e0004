//! Envoys that are told what they run: they boot, follow changes while requests go on, and keep
//! what they have when they cannot take what is new.

mod served;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use postern_ads::{
    Connected, Discovery, DiscoveryParts, DiscoveryService, EndpointSource, Endpoints,
    HeldDocument, KnownEndpoint, Metrics, Settings,
};
use postern_document::{Current, Document, Endpoint, Source, load};
use postern_e2e::client::{Call, Client, Kept, Protocol};
use postern_e2e::envoy::{self, Envoy};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Token};
use postern_e2e::upstream::Upstream;
use postern_e2e::{ports, server, wait};
use postern_feed::{ListedPeers, PeerIdentity, Trust, Workloads};
use postern_telemetry::{Drain, MetricsRegistry};
use postern_xds::Kind;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

const LONGEST: Duration = Duration::from_secs(30);
const PROTOCOLS: [&str; 2] = ["delta", "sotw"];
/// How long connections go on with an earlier listener: longer than clusters that nobody needs.
const DRAIN_SECONDS: u32 = 8;

/// A document with a service for each of these names, at these ports, and a route to each.
fn document(services: &[(&str, u16)]) -> String {
    let (mut placed, mut routes) = (String::new(), String::new());
    for (name, port) in services {
        placed += &format!("  {name}: {{endpoints: [{{address: 127.0.0.1, port: {port}}}]}}\n");
        routes += &format!(
            "  - {{name: {name}, match: {{path: \"/{name}/{{rest=**}}\"}}, service: {name}, \
             auth: none}}\n"
        );
    }
    format!("version: 1\nservices:\n{placed}routes:\n{routes}")
}

/// A document with one path, which goes to a service at this port by this rule.
fn guarded(service: &str, port: u16, auth: &str) -> String {
    let (issuer, audience) = (keys::ISSUER, keys::AUDIENCE);
    let set = json!(keys::JWKS);
    format!(
        "version: 1
services:
  {service}: {{endpoints: [{{address: 127.0.0.1, port: {port}}}]}}
credentials:
  jwt:
    issuers:
      - {{issuer: '{issuer}', audiences: [{audience}], jwks: {{inline: {set}}}}}
routes:
  - {{name: moved, match: {{path: '/moved/{{rest=**}}'}}, service: {service}, auth: {auth}}}
"
    )
}

fn loaded(text: &str) -> Document {
    let source = Source { name: "gateway.yaml".to_owned(), text: text.to_owned() };
    load(&[source], &|_: &str| Err(String::new())).expect("a document")
}

/// Where services are, as a registry would know.
struct Known {
    endpoints: ArcSwap<Endpoints>,
    changed: watch::Sender<()>,
}

impl EndpointSource for Known {
    fn of(&self, _: &Document) -> Arc<Endpoints> {
        self.endpoints.load_full()
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// An Envoy, and who tells it what it runs, in the test's own process.
struct Stack {
    envoy: Envoy,
    discovery: Arc<Discovery>,
    known: Arc<Known>,
    held: Arc<ArcSwap<Document>>,
    replaced: watch::Sender<()>,
    _folder: TempDir,
}

impl Stack {
    async fn start(protocol: &str, text: &str) -> Self {
        let held = Arc::new(ArcSwap::from_pointee(loaded(text)));
        let replaced = watch::Sender::new(());
        let endpoints = ArcSwap::from_pointee(Endpoints::new());
        let known = Arc::new(Known { endpoints, changed: watch::Sender::new(()) });
        let registry = MetricsRegistry::new("test", Instant::now()).expect("a registry");
        let holding = Arc::clone(&held);
        let document = Current::new(move || holding.load_full());
        let this_machine = ListedPeers::new([(PeerIdentity::Loopback, Workloads::All)]);
        let discovery = Arc::new(Discovery::new(DiscoveryParts {
            documents: Arc::new(HeldDocument::new(document, replaced.subscribe())),
            endpoints: Arc::<Known>::clone(&known),
            trust: Arc::new(|| Arc::new(Trust::default())),
            peers: Arc::new(this_machine),
            settings: Settings::default(),
            drain: Drain::new(Duration::ZERO),
            metrics: Metrics::new(&registry).expect("metrics"),
        }));
        tokio::spawn(Arc::clone(&discovery).keep_current());
        let listener = TcpListener::bind(ports::local(0)).await.expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        let service = DiscoveryService::server(Arc::clone(&discovery));
        let serving = Server::builder().add_service(service);
        tokio::spawn(serving.serve_with_incoming(TcpIncoming::from(listener)));

        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("gateway.yaml");
        fs::write(&file, text).expect("the document");
        let mut options = vec![format!("--xds-protocol={protocol}")];
        options.extend(envoy::asks(port));
        let (own, out) = (envoy::Ports::free(), folder.path());
        let of_server = server::Ports::free();
        envoy::render_with(&file, out, own, of_server, &options).await.expect_success();
        let log = folder.path().join("envoy.log");
        let config = envoy::config_file(out);
        let envoy = Envoy::start_draining(&config, own, &log, DRAIN_SECONDS).await;
        Self { envoy, discovery, known, held, replaced, _folder: folder }
    }

    fn client(&self) -> Client {
        Client::new(Protocol::Http1, self.envoy.ports().listen)
    }

    fn change(&self, text: &str) {
        self.held.store(Arc::new(loaded(text)));
        self.replaced.send_replace(());
    }

    fn place(&self, service: &str, endpoints: Vec<KnownEndpoint>) {
        let endpoints = Endpoints::from([(service.to_owned(), Arc::from(endpoints))]);
        self.known.endpoints.store(Arc::new(endpoints));
        self.known.changed.send_replace(());
    }

    fn connected(&self) -> Connected {
        self.discovery.connected().first().cloned().expect("an Envoy that is connected")
    }

    /// Until Envoy has taken all that there is.
    async fn settled(&self) {
        let digest = self.held.load().digest.clone();
        wait::until("Envoy that is current", LONGEST, || async {
            let connected = self.discovery.connected();
            let is_current = |one: &Connected| one.is_current && one.document == digest;
            if connected.iter().any(is_current) { Ok(()) } else { Err(format!("{connected:?}")) }
        })
        .await;
    }

    /// Until Envoy has this cluster no more.
    async fn until_gone(&self, cluster: &str) {
        wait::until(&format!("end of {cluster}"), LONGEST, || async {
            if self.has(cluster).await { Err("it is there") } else { Ok(()) }
        })
        .await;
    }

    async fn has(&self, cluster: &str) -> bool {
        let clusters = self.envoy.admin("/clusters").await.text();
        clusters.lines().any(|line| line.starts_with(&format!("{cluster}::")))
    }

    async fn until_status(&self, path: &str, status: u16) {
        let (client, call) = (self.client(), Call::get(path));
        wait::until(&format!("{status} for {path}"), LONGEST, || async {
            let answer = client.try_send(&call).await?;
            if answer.status == status { Ok(()) } else { Err(answer.to_string()) }
        })
        .await;
    }
}

fn endpoint(port: u16, weight: u32) -> KnownEndpoint {
    let endpoint = Endpoint {
        address: "127.0.0.1".parse().expect("an address"),
        port,
        weight,
        zone: None,
        labels: [].into(),
        service_account: None,
    };
    KnownEndpoint { endpoint, is_healthy: true }
}

/// Requests, one after the other, until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    sending: JoinHandle<(usize, Vec<String>)>,
}

impl Load {
    fn start(client: Client, path: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let sending = tokio::spawn(async move {
            let (mut good, mut failed) = (0, Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                match client.try_send(&Call::get(path)).await {
                    Ok(answer) if answer.status == 200 => good += 1,
                    Ok(answer) => failed.push(answer.to_string()),
                    Err(error) => failed.push(error),
                }
            }
            (good, failed)
        });
        Self { stop, sending }
    }

    async fn assert_none_failed(self) {
        self.stop.store(true, Ordering::Relaxed);
        let (good, failed) = self.sending.await.expect("requests");
        assert_eq!(failed, [""; 0], "beside {good} that did not");
        assert!(good > 10, "{good}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_runs_on_what_its_server_tells_it() {
    for protocol in PROTOCOLS {
        let folder = tempfile::tempdir().expect("a folder");
        let credential = "0123456789abcdef0123456789abcdef";
        let file = folder.path().join("admin-token");
        fs::write(&file, credential).expect("the credential");
        let options = ["--admin-token-file".to_owned(), file.display().to_string()];
        let gateway = Gateway::builder().discovered().serve_with(options);
        let gateway = gateway.render_with([format!("--xds-protocol={protocol}")]);
        let mut gateway = gateway.start().await;
        let token = Token::of("alice").scope("content.read").sign();
        let call = Call::get("/content/items").bearer(&token);
        gateway.until_status(200, &call).await;
        gateway.send(&Call::get("/content/items")).await.expect_denial(401, "UNAUTHORIZED");
        gateway.send(&Call::get("/no/such/route")).await.expect_denial(404, "NOT_FOUND");

        for name in ["listener_manager.lds", "cluster_manager.cds", "http.postern.rds.postern-"] {
            let rejected = gateway.envoy.sum(name, ".update_rejected").await;
            assert_eq!(rejected, 0, "{protocol}: {name}");
            assert!(gateway.envoy.sum(name, ".update_success").await >= 1, "{protocol}: {name}");
        }
        for kind in Kind::ALL {
            let labels = [("type", kind.as_str())];
            let acks = gateway.server.metric("postern_xds_acks_total", &labels).await;
            assert!(acks >= 1, "{protocol}: {kind:?}");
        }
        let admin = Client::new(Protocol::Http1, gateway.server.ports().admin);
        let listed = admin.send(&Call::get("/admin/xds").bearer(credential)).await.expect(200);
        let envoys = listed.json()["data"].clone();
        assert_eq!(envoys[0]["id"], "postern-edge", "{envoys}");
        assert_eq!(
            (&envoys[0]["workload"], &envoys[0]["peer"]),
            (&json!("edge"), &json!("loopback"))
        );
        assert_eq!(envoys[0]["types"]["cluster"]["lastNack"], json!(null));

        let server = format!("http://127.0.0.1:{}", gateway.server.ports().admin);
        let file = file.display().to_string();
        let words = ["xds", "status", "--server", &server, "--admin-token-file", &file];
        let status = wait::until("Envoy that is current", LONGEST, || async {
            let finished = server::run(words).await;
            if finished.code == Some(0) { Ok(finished.stdout) } else { Err(finished) }
        })
        .await;
        assert!(status.contains("postern-edge") && status.contains("current"), "{status}");
        let digest = envoys[0]["document"].as_str().expect("a digest");
        for (document, expected) in
            [(digest, 0), (digest.get(..8).expect("digits"), 0), ("00000000", 3)]
        {
            let words = words.into_iter().chain(["--document", document]);
            let finished = server::run(words).await;
            assert_eq!(finished.code, Some(expected), "{document}: {finished}");
        }
        gateway.envoy.assert_no_failed_machine().await;
    }
}

/// Envoy goes on with what it has, and asks again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_for_a_while_is_not_missed() {
    let mut gateway = Gateway::builder().discovered().start().await;
    let call = Call::get("/open/x");
    gateway.until_status(200, &call).await;
    let load = Load::start(gateway.client(Protocol::Http1), "/open/x");
    gateway.server.take_down();
    gateway.send(&call).await.expect(200);
    gateway.server.bring_up().await;
    let server = &gateway.server;
    wait::until("Envoy that is back", LONGEST, || async move {
        let streams = server.metric("postern_xds_streams", &[("protocol", "delta")]).await;
        if streams == 1 { Ok(()) } else { Err(format!("{streams} streams")) }
    })
    .await;
    load.assert_none_failed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_reach_envoy_and_no_request_fails() {
    for protocol in PROTOCOLS {
        let (one, other) = (Upstream::start().await, Upstream::start().await);
        let (here, there) = (one.address().port(), other.address().port());
        let mut stack = Stack::start(protocol, &document(&[("steady", here)])).await;
        stack.until_status("/steady/x", 200).await;
        let load = Load::start(stack.client(), "/steady/x");

        // A service more, and its route.
        stack.change(&document(&[("steady", here), ("new", there)]));
        stack.until_status("/new/x", 200).await;
        stack.settled().await;
        // It moves, and so does the one that is asked all the time.
        stack.change(&document(&[("steady", there), ("new", here)]));
        stack.settled().await;
        let before = other.total();
        stack.until_status("/steady/x", 200).await;
        assert!(other.total() > before, "{protocol}: asked at its old place");
        // It goes again; its cluster after all routes to it.
        stack.change(&document(&[("steady", there)]));
        stack.until_status("/new/x", 404).await;
        stack.settled().await;
        stack.until_gone("service-new").await;
        load.assert_none_failed().await;
        stack.envoy.assert_no_failed_machine().await;
    }
}

/// What is under way goes on by the old document as a whole; nothing gets to the new service by the
/// old rules.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_moves_is_guarded_on_every_connection() {
    for protocol in PROTOCOLS {
        let (one, other) = (Upstream::start().await, Upstream::start().await);
        let first = guarded("one", one.address().port(), "none");
        let mut stack = Stack::start(protocol, &first).await;
        let call = Call::get("/moved/x");
        stack.until_status("/moved/x", 200).await;
        let mut kept = Kept::of(stack.client());
        assert_eq!(kept.try_send(&call).await.expect("an answer").status, 200);

        stack.change(&guarded("other", other.address().port(), "{any: [jwt]}"));
        stack.until_status("/moved/x", 401).await;
        stack.settled().await;
        let before = one.total();
        let mut went_on = 0;
        for _ in 0..5 {
            let answer = kept.try_send(&call).await.expect("an answer");
            match answer.status {
                200 => went_on += 1,
                // Envoy has asked for a new connection.
                status => assert_eq!(status, 401, "{protocol}: {answer}"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(went_on > 0, "{protocol}: nothing went on");
        assert_eq!(one.total() - before, went_on, "{protocol}: by the old rules");
        assert_eq!(other.total(), 0, "{protocol}: by the old rules at the new service");
        assert!(stack.has("service-one").await, "{protocol}: routes lead to it");

        let token = Token::of("alice").sign();
        stack.client().send(&call.bearer(&token)).await.expect(200);
        assert_eq!(other.total(), 1, "{protocol}");
        drop(kept);
        stack.until_gone("service-one").await;
        stack.envoy.assert_no_failed_machine().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_move_without_anything_else() {
    for protocol in PROTOCOLS {
        let (one, other) = (Upstream::start().await, Upstream::start().await);
        let stack = Stack::start(protocol, &document(&[("steady", one.address().port())])).await;
        stack.until_status("/steady/x", 200).await;
        let load = Load::start(stack.client(), "/steady/x");
        let name = "listener_manager.lds.update_success";
        let listeners = stack.envoy.stat(name).await;

        let began = Instant::now();
        stack.place("steady", vec![endpoint(other.address().port(), 1)]);
        wait::until("request at the new place", LONGEST, || async {
            if other.total() > 0 { Ok(()) } else { Err("none") }
        })
        .await;
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        load.assert_none_failed().await;
        assert_eq!(stack.envoy.stat(name).await, listeners, "{protocol}: listeners moved");
        stack.place("steady", Vec::new());
        stack.until_status("/steady/x", 503).await;
        stack.place("steady", vec![endpoint(one.address().port(), 1)]);
        stack.until_status("/steady/x", 200).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_envoy_refuses_is_told_and_what_it_has_stays() {
    for protocol in PROTOCOLS {
        let (one, other) = (Upstream::start().await, Upstream::start().await);
        let here = one.address().port();
        let stack = Stack::start(protocol, &document(&[("steady", here)])).await;
        stack.until_status("/steady/x", 200).await;
        let load = Load::start(stack.client(), "/steady/x");

        // Envoy takes no weight of nothing.
        let there = other.address().port();
        stack.place("steady", vec![endpoint(here, 1), endpoint(there, 0)]);
        let refused = wait::until("refusal", LONGEST, || async {
            let connected = stack.connected();
            match connected.kinds.get(Kind::Endpoints).nack.clone() {
                Some((_, nack)) => Ok(nack),
                None => Err(format!("{connected:?}")),
            }
        })
        .await;
        assert!(refused.error.contains("Weight"), "{protocol}: {refused:?}");
        assert!(!stack.connected().is_current);
        // It is not sent again and again.
        let name = "cluster.service-steady.update_rejected";
        let rejected = stack.envoy.stat(name).await;
        assert_eq!(rejected, 1, "{protocol}");
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(stack.envoy.stat(name).await, rejected, "{protocol}");
        assert_eq!(other.total(), 0, "{protocol}: it was taken");

        stack.place("steady", vec![endpoint(there, 1)]);
        wait::until("request at the new place", LONGEST, || async {
            if other.total() > 0 { Ok(()) } else { Err("none") }
        })
        .await;
        stack.settled().await;
        load.assert_none_failed().await;
    }
}
