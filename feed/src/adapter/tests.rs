//! Over a real connection: what is converted, who is let in, what a refusal looks like.

use std::net::SocketAddr;

use postern_proto::feed::v1::client::FeedClient;
use postern_proto::feed::v1::{CircuitPhase, LeaseAsk, LeaseReturn, ServiceReport};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tonic::Code;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};

use super::*;
use crate::settings::Settings;
use crate::testing::circuits::CircuitsRig;
use crate::testing::lending::{LendingRig, stamp_of};
use crate::testing::{FakeSource, Rig};
use crate::trust::{FeedCredential, ForwardedClientCert, Trust};

fn request() -> ExchangeRequest {
    ExchangeRequest {
        workload: "payments".to_owned(),
        envoy_id: "a".to_owned(),
        ..ExchangeRequest::default()
    }
}

async fn connect(rig: &Rig, trust: Trust) -> FeedClient {
    let exchange = Some(Arc::clone(&rig.exchange));
    let trust = trust.always();
    connect_to(Served { exchange, lender: None, circuits: None, trust }).await
}

async fn connect_to(served: Served) -> FeedClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let service = FeedService::server(served);
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

#[tokio::test]
async fn slices_go_there_and_back() {
    let rig = LendingRig::new(&Settings::default());
    let mut client = connect_to(lending(&rig, Trust::default())).await;
    let asks = vec![lease_ask(1, "per-user"), lease_ask(2, "other")];
    let answer = client.borrow(borrow(Vec::new(), asks)).await.unwrap().into_inner();
    let [grant, unknown] = answer.grants.as_slice() else { panic!("{answer:?}") };
    assert_eq!((grant.id.as_slice(), grant.granted, grant.unknown), (&[1; 16][..], 30, false));
    assert_eq!((grant.life_ms, grant.remaining), (5_000, 970));
    assert_eq!((unknown.id.as_slice(), unknown.granted, unknown.unknown), (&[2; 16][..], 0, true));
    assert!(answer.next_ms >= 900 && answer.next_ms <= 1_100 && answer.returned.is_empty());
    assert_eq!(answer.document_digest, "document");

    let answer = client.borrow(borrow(vec![lease_return(1, 12)], Vec::new())).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!((answer.returned, answer.grants), (vec![vec![1; 16]], Vec::new()));
    let again = borrow(Vec::new(), vec![lease_ask(3, "per-user")]);
    let answer = client.borrow(again).await.unwrap().into_inner();
    assert_eq!(answer.grants[0].remaining, 1_000 - 18 - 30);
}

#[tokio::test]
async fn nothing_is_lent_to_who_has_not_proved_who_it_is_or_asks_badly() {
    let rig = LendingRig::new(&Settings::default());
    let trust = Trust::new(ForwardedClientCert::FromLocalProxy, Vec::new());
    let mut client = connect_to(lending(&rig, trust)).await;
    let status = client.borrow(borrow(Vec::new(), Vec::new())).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(rig.metric("postern_feed_borrow_requests_total{outcome=\"unidentified\""), 1.0);

    let mut client = connect_to(lending(&rig, Trust::default())).await;
    let good = || lease_ask(1, "per-user");
    let cut = |bytes: &[u8]| bytes[1..].to_vec();
    let short_id = LeaseAsk { id: cut(&good().id), ..good() };
    let no_key = LeaseAsk { key: Vec::new(), ..good() };
    let nothing = LeaseAsk { asked: 0, ..good() };
    let back = LeaseReturn { id: vec![1; 17], ..lease_return(1, 1) };
    let orders =
        BorrowRequest { workload: "orders".to_owned(), ..borrow(Vec::new(), vec![good()]) };
    for (request, expected) in [
        (borrow(Vec::new(), vec![good(), short_id]), Code::InvalidArgument),
        (borrow(Vec::new(), vec![no_key]), Code::InvalidArgument),
        (borrow(Vec::new(), vec![nothing]), Code::InvalidArgument),
        (borrow(vec![back], Vec::new()), Code::InvalidArgument),
        (borrow(Vec::new(), vec![good(); 257]), Code::InvalidArgument),
        (orders, Code::PermissionDenied),
    ] {
        let status = client.borrow(request).await.unwrap_err();
        assert_eq!(status.code(), expected, "{status}");
        assert!(status.metadata().get(NEXT_POLL_METADATA).is_none());
    }
    assert_eq!(rig.store.asked(), 0);
    assert_eq!(rig.metric("postern_feed_borrow_requests_total{outcome=\"invalid\""), 5.0);

    rig.store.away([1]);
    let status = client.borrow(borrow(Vec::new(), vec![good()])).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let next_poll = status.metadata().get(NEXT_POLL_METADATA).unwrap().to_str().unwrap();
    assert!(next_poll.parse::<u64>().unwrap() >= 250);
}

#[tokio::test]
async fn the_longest_call_is_read() {
    let rig = LendingRig::new(&Settings::default());
    let mut client = connect_to(lending(&rig, Trust::default())).await;
    let ask =
        LeaseAsk { stamp: u64::MAX, owner: u64::MAX, asked: u64::MAX, ..lease_ask(1, "other") };
    let back = LeaseReturn { stamp: u64::MAX, owner: u64::MAX, ..lease_return(1, u64::MAX) };
    let longest = BorrowRequest {
        envoy_id: "e".repeat(512),
        document_digest: "d".repeat(128),
        ..borrow(vec![back; 256], vec![ask; 256])
    };
    let answer = client.borrow(longest.clone()).await.unwrap().into_inner();
    assert_eq!((answer.grants.len(), answer.returned.len()), (256, 256));
    let longer = BorrowRequest { document_digest: "d".repeat(100_000), ..longest };
    assert_eq!(client.borrow(longer).await.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test]
async fn what_is_not_served_is_not_there() {
    let rig = LendingRig::new(&Settings::default());
    let mut lends = connect_to(lending(&rig, Trust::default())).await;
    assert_eq!(lends.exchange(request()).await.unwrap_err().code(), Code::Unimplemented);
    let rig = Rig::loaded(&FakeSource::new(7), Settings::default()).await;
    let mut tells = connect(&rig, Trust::default()).await;
    let status = tells.borrow(borrow(Vec::new(), Vec::new())).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(tells.report(report("a", &[])).await.unwrap_err().code(), Code::Unimplemented);
}

fn report(envoy: &str, services: &[&str]) -> ReportRequest {
    let failed = |service: &&str| ServiceReport {
        service: (*service).to_owned(),
        calls: 4,
        failures: 4,
        run: 4,
        ..ServiceReport::default()
    };
    ReportRequest {
        workload: "payments".to_owned(),
        envoy_id: envoy.to_owned(),
        document_digest: "document".to_owned(),
        number: 1,
        services: services.iter().map(failed).collect(),
    }
}

async fn reporting(rig: &CircuitsRig, trust: Trust) -> FeedClient {
    let circuits = Some(Arc::clone(&rig.circuits));
    let trust = trust.always();
    connect_to(Served { exchange: None, lender: None, circuits, trust }).await
}

#[tokio::test]
async fn a_report_goes_there_and_back() {
    let rig = CircuitsRig::new(&Settings::default());
    let mut client = reporting(&rig, Trust::default()).await;
    let first = client.report(report("a", &["bank", "post"])).await.unwrap().into_inner();
    assert_eq!(first.document_digest, "document");
    assert!((900..=1_100).contains(&first.next_ms), "{}", first.next_ms);
    let phases: Vec<CircuitPhase> = first.services.iter().map(|told| told.phase()).collect();
    assert_eq!(phases, [CircuitPhase::Closed; 2]);
    let second = client.report(report("b", &["bank"])).await.unwrap().into_inner();
    let [bank] = second.services.as_slice() else { panic!("{second:?}") };
    assert_eq!((bank.service.as_str(), bank.phase()), ("bank", CircuitPhase::Open));
    assert!((9_000..=10_000).contains(&bank.retry_after_ms), "{bank:?}");
    assert_eq!((bank.probes, bank.probe_life_ms, bank.forced), (0, 0, false));

    rig.clock.step(10_000);
    let refuses = ServiceReport { service: "bank".to_owned(), refused: 1, ..Default::default() };
    let own = ReportRequest { services: vec![refuses], ..report("c", &[]) };
    let given = client.report(own).await.unwrap().into_inner().services.remove(0);
    assert_eq!(given.phase(), CircuitPhase::HalfOpen);
    assert_eq!((given.probes, given.probe_life_ms), (1, 1_000));
}

#[tokio::test]
async fn a_report_that_is_not_counted_says_why() {
    let rig = CircuitsRig::new(&Settings::default());
    let mut client = reporting(&rig, Trust::default()).await;
    let other = ReportRequest { workload: "shipping".to_owned(), ..report("a", &["bank"]) };
    let long = ReportRequest { document_digest: "d".repeat(300_000), ..report("a", &[]) };
    for (asked, expected) in [
        (report("a", &["bank", "bank"]), Code::InvalidArgument),
        (other, Code::PermissionDenied),
        (long, Code::OutOfRange),
    ] {
        assert_eq!(client.report(asked).await.unwrap_err().code(), expected);
    }
    let longest = "s".repeat(253);
    let names: Vec<String> = (0..1_000).map(|number| format!("{number}-{longest}")).collect();
    let names: Vec<&str> = names.iter().map(|name| name.get(..200).unwrap()).collect();
    client.report(report("a", &names)).await.unwrap();
    rig.store.leave(true);
    let status = client.report(report("b", &["bank"])).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let pause = status.metadata().get(NEXT_POLL_METADATA).unwrap().to_str().unwrap();
    assert!((250..=500).contains(&pause.parse::<u64>().unwrap()), "{pause}");

    let strict = Trust::new(ForwardedClientCert::FromLocalProxy, Vec::new());
    let mut stranger = reporting(&rig, strict).await;
    let status = stranger.report(report("a", &["bank"])).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(rig.metric("postern_circuit_reports_total{outcome=\"unidentified\""), 1.0);
}

fn lending(rig: &LendingRig, trust: Trust) -> Served {
    let (lender, trust) = (Some(Arc::clone(&rig.lender)), trust.always());
    Served { exchange: None, lender, circuits: None, trust }
}

fn borrow(returns: Vec<LeaseReturn>, asks: Vec<LeaseAsk>) -> BorrowRequest {
    BorrowRequest {
        workload: "payments".to_owned(),
        envoy_id: "a".to_owned(),
        document_digest: "document".to_owned(),
        returns,
        asks,
    }
}

fn lease_ask(id: u8, limit: &str) -> LeaseAsk {
    let stamp = stamp_of(limit, "1000/1m");
    LeaseAsk { id: vec![id; 16], stamp, owner: 1, key: vec![1; 16], asked: 30 }
}

fn lease_return(id: u8, unused: u64) -> LeaseReturn {
    let stamp = stamp_of("per-user", "1000/1m");
    LeaseReturn { id: vec![id; 16], stamp, owner: 1, key: vec![1; 16], unused }
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
