//! Over real connections.

use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient as Client;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::google::rpc;
use postern_document::Endpoint;
use postern_render::envoy::{Endpoints, KnownEndpoint};
use postern_xds::Kind;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

use super::*;
use crate::testing::{self, Rig, SECRET};

const LONGEST: Duration = Duration::from_secs(20);

/// An Envoy that asks for what is different.
struct Asker {
    say: mpsc::Sender<DeltaDiscoveryRequest>,
    hear: Streaming<DeltaDiscoveryResponse>,
}

impl Asker {
    async fn connect(rig: &Rig, secret: Option<&str>) -> Result<Self, Status> {
        let mut client = Client::connect(format!("http://{}", rig.address)).await.unwrap();
        let (say, said) = mpsc::channel(16);
        let mut request = Request::new(ReceiverStream::new(said));
        if let Some(secret) = secret {
            let secret = secret.parse().unwrap();
            request.metadata_mut().insert("x-postern-feed-credential", secret);
        }
        let hear = client.delta_aggregated_resources(request).await?.into_inner();
        Ok(Self { say, hear })
    }

    /// One that has introduced itself, and asked for clusters.
    async fn begin(rig: &Rig, told: &Told) -> Self {
        let mut asker = Self::connect(rig, None).await.unwrap();
        asker.introduce(told).await;
        asker
    }

    async fn introduce(&mut self, told: &Told) {
        self.say(DeltaDiscoveryRequest {
            node: Some(testing::node("edge-1", told)),
            type_url: Kind::Cluster.type_url().to_owned(),
            ..DeltaDiscoveryRequest::default()
        })
        .await;
    }

    async fn say(&mut self, request: DeltaDiscoveryRequest) {
        self.say.send(request).await.unwrap();
    }

    async fn subscribe(&mut self, kind: Kind, names: &[&str]) {
        self.say(DeltaDiscoveryRequest {
            type_url: kind.type_url().to_owned(),
            resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
            ..DeltaDiscoveryRequest::default()
        })
        .await;
    }

    async fn judge(&mut self, answer: &DeltaDiscoveryResponse, error: Option<&str>) {
        let detail = |error: &str| rpc::Status { message: error.to_owned(), ..Default::default() };
        self.say(DeltaDiscoveryRequest {
            type_url: answer.type_url.clone(),
            response_nonce: answer.nonce.clone(),
            error_detail: error.map(detail),
            ..DeltaDiscoveryRequest::default()
        })
        .await;
    }

    async fn hears(&mut self) -> Result<DeltaDiscoveryResponse, Status> {
        let heard = timeout(LONGEST, self.hear.message()).await.expect("an answer in time");
        heard.map(|answer| answer.expect("an answer"))
    }

    /// The next answer, which is of this kind; it is taken.
    async fn takes(&mut self, kind: Kind) -> Vec<String> {
        let answer = self.hears().await.unwrap();
        assert_eq!(answer.type_url, kind.type_url());
        self.judge(&answer, None).await;
        names(&answer)
    }

    /// The next answer, which is the listener; it is taken. The routes that it names.
    async fn takes_listener(&mut self) -> String {
        let answer = self.hears().await.unwrap();
        assert_eq!(answer.type_url, Kind::Listener.type_url());
        assert_eq!(names(&answer), ["postern"]);
        self.judge(&answer, None).await;
        named(&answer)
    }
}

fn names(answer: &DeltaDiscoveryResponse) -> Vec<String> {
    answer.resources.iter().map(|resource| resource.name.clone()).collect()
}

/// The routes that a listener names.
fn named(answer: &DeltaDiscoveryResponse) -> String {
    const PREFIX: &str = "postern-";
    let listener = answer.resources[0].resource.as_ref().unwrap();
    let text = String::from_utf8_lossy(&listener.value);
    let mut names = text.match_indices(PREFIX).filter_map(|(at, _)| text.get(at..at + 24));
    let is_digest = |name: &&str| {
        let digits = name.strip_prefix(PREFIX).unwrap();
        digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    names.find(is_digest).expect("routes").to_owned()
}

async fn until(what: &str, is: impl Fn() -> bool) {
    let waiting = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONGEST, waiting).await.unwrap_or_else(|_| panic!("no {what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envoy_is_told_everything_in_order() {
    let rig = Rig::start(&testing::services(2, 1)).await;
    let mut asker = Asker::begin(&rig, &testing::edge()).await;
    asker.subscribe(Kind::Listener, &[]).await;
    let clusters = asker.hears().await.unwrap();
    assert_eq!(names(&clusters), ["service-s0", "service-s1"]);
    assert_eq!(clusters.type_url, Kind::Cluster.type_url());
    asker.subscribe(Kind::Endpoints, &["service-s0", "service-s1"]).await;
    assert_eq!(asker.takes(Kind::Endpoints).await, ["service-s0", "service-s1"]);
    asker.judge(&clusters, None).await;
    let routes = asker.takes_listener().await;
    asker.subscribe(Kind::Routes, &[routes.as_str()]).await;
    assert_eq!(asker.takes(Kind::Routes).await, [routes.as_str()]);
    until("Envoy that has everything", || {
        rig.discovery.connected().first().is_some_and(|one| one.is_current)
    })
    .await;
    let connected = rig.discovery.connected();
    let [one] = connected.as_slice() else { panic!("{connected:?}") };
    assert_eq!((one.id.as_str(), one.version.as_str()), ("edge-1", "1.40.0"));
    assert_eq!((one.workload.as_str(), one.protocol), ("edge", Protocol::Delta));
    assert_eq!(one.kinds.get(Kind::Endpoints).resources, 2);
    assert!(rig.metric("postern_xds_acks_total", "type=\"routes\"") > 0.0);
    assert!((rig.metric("postern_xds_streams", "protocol=\"delta\"") - 1.0).abs() < 0.1);
    drop(asker);
    until("empty seat", || rig.discovery.connected().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_reaches_who_is_connected() {
    let rig = Rig::start(&testing::services(1, 1)).await;
    let mut asker = Asker::begin(&rig, &testing::edge()).await;
    asker.takes(Kind::Cluster).await;
    asker.subscribe(Kind::Endpoints, &["service-s0"]).await;
    asker.takes(Kind::Endpoints).await;
    rig.change(&testing::services(2, 1));
    assert_eq!(asker.takes(Kind::Cluster).await, ["service-s1"]);

    let endpoint = Endpoint {
        address: "10.9.9.9".parse().unwrap(),
        port: 80,
        weight: 1,
        zone: None,
        labels: [].into(),
        service_account: None,
    };
    let known = KnownEndpoint { endpoint, is_healthy: true };
    rig.endpoints.set(Endpoints::from([("s0".to_owned(), Arc::from([known]))]));
    assert_eq!(asker.takes(Kind::Endpoints).await, ["service-s0"]);
    until("propagation", || {
        rig.metric("postern_xds_propagation_seconds_count", "service=\"postern\"") >= 2.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_on_with_earlier_routes_is_told_them() {
    let rig = Rig::start(&testing::services(1, 1)).await;
    let mut asker = Asker::begin(&rig, &testing::edge()).await;
    asker.takes(Kind::Cluster).await;
    asker.subscribe(Kind::Listener, &[]).await;
    let first = asker.takes_listener().await;
    rig.change(&testing::services(2, 1));
    assert_eq!(asker.takes(Kind::Cluster).await, ["service-s1"]);
    let second = asker.takes_listener().await;
    assert_ne!(first, second);
    asker.subscribe(Kind::Routes, &[first.as_str(), second.as_str()]).await;
    let mut both = [first, second];
    both.sort();
    assert_eq!(asker.takes(Kind::Routes).await, both);

    // It comes back, and there is something else meanwhile.
    let mut again = Asker::begin(&rig, &testing::edge()).await;
    again.takes(Kind::Cluster).await;
    rig.change(&testing::services(3, 1));
    assert_eq!(again.takes(Kind::Cluster).await, ["service-s2"]);
    again.subscribe(Kind::Routes, &[both[0].as_str(), both[1].as_str()]).await;
    assert_eq!(again.takes(Kind::Routes).await, both);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_told_to_whoever_looks() {
    let rig = Rig::start(&testing::services(1, 1)).await;
    let mut asker = Asker::begin(&rig, &testing::edge()).await;
    let clusters = asker.hears().await.unwrap();
    asker.judge(&clusters, Some("no such thing")).await;
    until("refusal", || {
        let connected = rig.discovery.connected();
        connected.first().is_some_and(|one| one.kinds.get(Kind::Cluster).is_refusing)
    })
    .await;
    let connected = rig.discovery.connected();
    let (at, nack) = connected[0].kinds.get(Kind::Cluster).nack.clone().unwrap();
    assert_eq!(nack.error, "no such thing");
    assert!(at >= connected[0].since);
    assert!(rig.metric("postern_xds_nacks_total", "type=\"cluster\"") > 0.0);
    assert!(rig.metric("postern_xds_refusing_streams", "") > 0.0);
    drop(asker);
    until("end of it", || rig.metric("postern_xds_refusing_streams", "") < 0.5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_told_what_is_newer_is_not_current() {
    let text = testing::services(1, 1);
    let rig = Rig::start(&text).await;
    let mut asker = Asker::begin(&rig, &testing::edge()).await;
    asker.takes(Kind::Cluster).await;
    let left_behind = || {
        let connected = rig.discovery.connected();
        connected.into_iter().find(|one| one.render_error.is_some())
    };
    until("Envoy", || rig.discovery.connected().len() == 1).await;
    assert!(left_behind().is_none());
    // Labels of pods only a mesh can tell apart.
    rig.change(
        "\
version: 1
services:
  s0: {upstream: a.test:80, versions: {v1: {labels: {version: v1}}}}
routes:
  - {name: a, match: {path: /a}, service: s0, auth: none, split: {v1: 100}}
",
    );
    until("Envoy that is left behind", || left_behind().is_some()).await;
    let left = left_behind().unwrap();
    let why = left.render_error.unwrap();
    assert!(!left.is_current && why.contains("cannot be rendered"), "{why}");
    let by_reason = rig.discovery.seats.left_behind();
    assert!(by_reason.values().eq([&["edge-1".to_owned()]]), "{by_reason:?}");
    rig.change(&text);
    until("Envoy that is told again", || left_behind().is_none()).await;
    assert!(rig.discovery.seats.left_behind().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_of_the_world_is_told_too() {
    let rig = Rig::start(&testing::services(2, 1)).await;
    let mut client = Client::connect(format!("http://{}", rig.address)).await.unwrap();
    let (say, said) = mpsc::channel(16);
    let hear = client.stream_aggregated_resources(ReceiverStream::new(said)).await;
    let mut hear = hear.unwrap().into_inner();
    let type_url = Kind::Cluster.type_url().to_owned();
    let node = Some(testing::node("edge-1", &testing::edge()));
    let first = DiscoveryRequest { node, type_url, ..DiscoveryRequest::default() };
    say.send(first.clone()).await.unwrap();
    let answer: DiscoveryResponse = hear.message().await.unwrap().unwrap();
    assert_eq!((answer.resources.len(), answer.nonce.as_str()), (2, "1"));
    let taken = DiscoveryRequest { node: None, response_nonce: answer.nonce, ..first };
    say.send(taken).await.unwrap();
    rig.change(&testing::services(3, 1));
    assert_eq!(hear.message().await.unwrap().unwrap().resources.len(), 3);
    assert_eq!(rig.discovery.connected()[0].protocol, Protocol::StateOfTheWorld);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_has_what_its_workload_may_know_and_nothing_else() {
    let settings = Settings::default();
    let text = testing::services(1, 1);
    let rig = Rig::start_with(&text, testing::by_credential, settings).await;
    let of = |workload: &str| {
        let mut told = testing::edge();
        told.insert("workload".to_owned(), workload.to_owned());
        told
    };
    for secret in [None, Some("guess")] {
        let refused = Asker::connect(&rig, secret).await.err().unwrap();
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
    let mut stranger = Asker::connect(&rig, Some(SECRET)).await.unwrap();
    stranger.introduce(&of("payments")).await;
    assert_eq!(stranger.hears().await.unwrap_err().code(), Code::PermissionDenied);

    let mut asker = Asker::connect(&rig, Some(SECRET)).await.unwrap();
    asker.introduce(&of("s0")).await;
    assert_eq!(asker.takes(Kind::Cluster).await, ["service-s0"]);
    // By another document it is somebody else's.
    rig.change(&text.replace("s0", "other"));
    assert_eq!(asker.hears().await.unwrap_err().code(), Code::PermissionDenied);
    assert!(rig.metric("postern_xds_refused_streams_total", "not_permitted") > 1.0);
    assert!(rig.metric("postern_xds_refused_streams_total", "unidentified") > 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_the_credential_that_it_was_opened_by() {
    let text = testing::services(1, 1);
    let rig = Rig::start_with(&text, testing::by_another_credential, Settings::default()).await;
    let mut told = testing::edge();
    told.insert("workload".to_owned(), "s0".to_owned());
    let mut asker = Asker::connect(&rig, Some(SECRET)).await.unwrap();
    asker.introduce(&told).await;
    assert_eq!(asker.takes(Kind::Cluster).await, ["service-s0"]);
    // The peer is the same, and may have the same.
    rig.change(&testing::services(2, 1));
    assert_eq!(asker.hears().await.unwrap_err().code(), Code::Unauthenticated);
    until("empty seat", || rig.discovery.connected().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_ends_the_stream() {
    let settings = Settings { message_bytes: 10_000, ..Settings::default() };
    let text = testing::services(1, 1);
    let rig = Rig::start_with(&text, testing::this_machine, settings).await;
    let begin = || DeltaDiscoveryRequest {
        node: Some(testing::node("edge-1", &testing::edge())),
        type_url: Kind::Cluster.type_url().to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    let said = |told: &Told| {
        let node = Some(testing::node("edge-1", told));
        DeltaDiscoveryRequest { node, ..begin() }
    };
    let unknown = said(&Told::from([("colour".to_owned(), "red".to_owned())]));
    let sidecar = said(&testing::sidecar("payments"));
    let name = "a".repeat(513);
    let long = DeltaDiscoveryRequest { resource_names_subscribe: vec![name], ..begin() };
    for (request, expected) in [
        (DeltaDiscoveryRequest { node: None, ..begin() }, Code::InvalidArgument),
        (unknown, Code::InvalidArgument),
        (long, Code::InvalidArgument),
        (sidecar, Code::FailedPrecondition),
    ] {
        let mut asker = Asker::connect(&rig, None).await.unwrap();
        asker.say(request).await;
        let refused = asker.hears().await.unwrap_err();
        assert_eq!(refused.code(), expected, "{refused}");
    }
    // What cannot even be read ends the stream, and the connection does not hang.
    let mut asker = Asker::begin(&rig, &testing::edge()).await;
    asker.takes(Kind::Cluster).await;
    let names = vec!["a".repeat(500); 100];
    asker.say(DeltaDiscoveryRequest { resource_names_subscribe: names, ..begin() }).await;
    until("empty seat", || rig.discovery.connected().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_does_not_keep_its_stream() {
    let settings = Settings { first_word: Duration::from_millis(50), ..Settings::default() };
    let text = testing::services(1, 1);
    let rig = Rig::start_with(&text, testing::this_machine, settings).await;
    let mut asker = Asker::connect(&rig, None).await.unwrap();
    assert_eq!(asker.hears().await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_with_the_server() {
    let rig = Rig::start(&testing::services(1, 1)).await;
    let mut asker = Asker::begin(&rig, &testing::edge()).await;
    asker.takes(Kind::Cluster).await;
    rig.drain.request();
    rig.drain.request();
    let end = timeout(LONGEST, asker.hear.message()).await.unwrap();
    assert!(matches!(end, Ok(None)), "{end:?}");
}
