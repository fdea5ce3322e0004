//! Over a real connection: what is converted, who is let in, what a refusal looks like.

use std::net::SocketAddr;

use postern_proto::feed::v1::client::FeedClient;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tonic::Code;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};

use super::*;
use crate::settings::Settings;
use crate::testing::{FakeSource, Rig};
use crate::trust::{FeedCredential, ForwardedClientCert};

fn request() -> ExchangeRequest {
    ExchangeRequest {
        workload: "payments".to_owned(),
        envoy_id: "a".to_owned(),
        ..ExchangeRequest::default()
    }
}

async fn connect(rig: &Rig, trust: Trust) -> FeedClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let service = FeedService::server(Arc::clone(&rig.exchange), trust);
    let incoming = TcpIncoming::from(listener);
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    FeedClient::new(channel.connect().await.unwrap())
}

#[tokio::test]
async fn an_exchange_goes_there_and_back() {
    let source = FakeSource::new(7);
    source.revoke("a");
    let rig = Rig::loaded(&source, Settings::default()).await;
    rig.state.keys().set("issuer", "{\"keys\":[]}".to_owned()).unwrap();
    let mut client = connect(&rig, Trust::default()).await;

    let wanted =
        ExchangeRequest { key_digests: [("issuer".to_owned(), String::new())].into(), ..request() };
    let answer = client.exchange(wanted).await.unwrap().into_inner();
    assert_eq!((answer.epoch, answer.cursor, answer.next_poll_ms), (7, 1, 0));
    assert_eq!((answer.fingerprint_key.len(), answer.staleness_ms), (16, 0));
    assert_eq!(answer.document_digest, "document");
    assert!(answer.server_time_ms > 0 && answer.added.is_empty());
    let snapshot = answer.snapshot.unwrap();
    assert_eq!((snapshot.cursor, snapshot.first_bucket, snapshot.last), (1, 0, true));
    assert_eq!((snapshot.buckets.len(), snapshot.total_records), (16_384, 1));
    let sets: Vec<&str> = answer.key_sets.iter().map(|keys| keys.jwks.as_str()).collect();
    assert_eq!(sets, ["{\"keys\":[]}"]);

    rig.revoke("b");
    let waiting = ExchangeRequest { epoch: 7, cursor: 1, wait_ms: 10_000, ..request() };
    let answer = client.exchange(waiting).await.unwrap().into_inner();
    assert_eq!((answer.cursor, answer.added.len()), (2, 16));
    assert!(answer.snapshot.is_none() && answer.fingerprint_key.is_empty());
}

#[tokio::test]
async fn who_has_not_proved_who_it_is_is_told_nothing() {
    let rig = Rig::loaded(&FakeSource::new(7), Settings::default()).await;
    let sha256 = Sha256::digest("secret").into();
    let credential = FeedCredential { name: "edge".to_owned(), sha256 };
    let trust = Trust::new(ForwardedClientCert::FromLocalProxy, vec![credential]);
    let mut client = connect(&rig, trust).await;
    for (name, value, expected) in [
        (CREDENTIAL_METADATA, "secret", Code::Ok),
        (CREDENTIAL_METADATA, "guess", Code::Unauthenticated),
        (FORWARDED_CLIENT_CERT, "Hash=1;URI=spiffe://mesh/payments", Code::Ok),
        (FORWARDED_CLIENT_CERT, "Hash=1", Code::Unauthenticated),
        ("x-other", "1", Code::Unauthenticated),
    ] {
        let mut request = Request::new(request());
        request.metadata_mut().insert(name, value.parse().unwrap());
        let code = client.exchange(request).await.map_or_else(|status| status.code(), |_| Code::Ok);
        assert_eq!(code, expected, "{name}: {value}");
    }
    // Two headers of one name: the proxy's own comes last.
    let mut request = Request::new(request());
    for value in ["URI=spiffe://mesh/payments", "Hash=1"] {
        request.metadata_mut().append(FORWARDED_CLIENT_CERT, value.parse().unwrap());
    }
    let status = client.exchange(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(rig.metric("postern_feed_exchanges_total{outcome=\"unidentified\""), 4.0);
}

#[tokio::test]
async fn refusals_say_whose_fault_it_is_and_when_to_come_back() {
    let source = FakeSource::new(7);
    source.good_calls(Some(0));
    let rig = Rig::start(&source, Settings::default());
    let mut client = connect(&rig, Trust::default()).await;
    let orders = ExchangeRequest { workload: "orders".to_owned(), ..request() };
    let nobody = ExchangeRequest { workload: String::new(), ..request() };
    for (request, expected, comes_back) in [
        (request(), Code::Unavailable, true),
        (orders, Code::PermissionDenied, false),
        (nobody, Code::InvalidArgument, false),
    ] {
        let status = client.exchange(request).await.unwrap_err();
        assert_eq!(status.code(), expected);
        let next_poll = status.metadata().get(NEXT_POLL_METADATA);
        let next_poll = next_poll.map(|value| value.to_str().unwrap().parse::<u64>().unwrap());
        assert_eq!(next_poll.is_some_and(|millis| millis >= 500), comes_back);
    }
}

#[tokio::test]
async fn a_request_of_any_length_is_not_read() {
    let rig = Rig::loaded(&FakeSource::new(7), Settings::default()).await;
    let mut client = connect(&rig, Trust::default()).await;
    let long = ExchangeRequest { document_digest: "d".repeat(100_000), ..request() };
    assert_eq!(client.exchange(long).await.unwrap_err().code(), Code::OutOfRange);
}

#[test]
fn what_is_not_said_is_not_made_up() {
    let ask = read(request());
    assert_eq!((ask.snapshot, ask.max_bytes, ask.wait), (None, None, Duration::ZERO));
    let inside = ExchangeRequest { snapshot_bucket: 9, snapshot_cursor: 4, ..request() };
    let progress = Progress { epoch: None, cursor: 4, next_bucket: 9 };
    assert_eq!(read(inside.clone()).snapshot, Some(progress));
    let epoch = Some(3);
    let told = ExchangeRequest { snapshot_epoch: 3, max_bytes: 5_000, ..inside };
    let ask = read(told);
    assert_eq!(ask.snapshot, Some(Progress { epoch, ..progress }));
    assert_eq!(ask.max_bytes, Some(5_000));
    let wanting = ExchangeRequest { wanted_keys: vec!["issuer".to_owned()], ..request() };
    assert_eq!(read(wanting).wanted_keys, ["issuer"]);
}
