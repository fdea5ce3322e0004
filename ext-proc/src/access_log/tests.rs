use std::collections::HashMap;
use std::time::Instant;

use envoy_types::pb::envoy::config::core::v3::RequestMethod;
use envoy_types::pb::envoy::data::accesslog::v3::HttpRequestProperties;
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::{
    HttpAccessLogEntries, TcpAccessLogEntries,
};
use envoy_types::pb::google::protobuf::{Struct, UInt32Value};
use postern_circuit::State;
use postern_document::Current;
use postern_ext_authz::GiveBackWhen;
use postern_store::MemoryStore;
use postern_store::volatile::{CircuitAsk, CircuitStore as _};
use postern_telemetry::MetricsRegistry;

use super::*;
use crate::metrics::Metrics;
use crate::outcomes::{Outcomes, OutcomesParts};
use crate::settlement::tests::{Fixture, owed, place};

fn text(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.to_owned())) }
}

/// Metadata as `ext_authz` writes it, with a ticket.
fn metadata(ticket: Value) -> Metadata {
    let fields =
        HashMap::from([(SETTLE_KEY.to_owned(), ticket), ("postern".to_owned(), text("e"))]);
    let evidence = (METADATA_NAMESPACE.to_owned(), Struct { fields });
    Metadata { filter_metadata: HashMap::from([evidence]), ..Metadata::default() }
}

fn response(status: u32) -> HttpResponseProperties {
    HttpResponseProperties {
        response_code: Some(UInt32Value { value: status }),
        ..HttpResponseProperties::default()
    }
}

/// The end of a request with a ticket, answered with 200.
fn entry(ticket: &str) -> HttpAccessLogEntry {
    HttpAccessLogEntry {
        common_properties: Some(AccessLogCommon {
            metadata: Some(metadata(text(ticket))),
            access_log_type: AccessLogType::DownstreamEnd.into(),
            ..AccessLogCommon::default()
        }),
        response: Some(response(200)),
        ..HttpAccessLogEntry::default()
    }
}

fn common(change: impl FnOnce(&mut AccessLogCommon)) -> HttpAccessLogEntry {
    let mut entry = entry("t");
    change(entry.common_properties.as_mut().unwrap());
    entry
}

#[test]
fn an_entry_with_a_ticket_is_an_end() {
    let ended = Ended { ticket: "t".to_owned(), successful: Some(true) };
    assert_eq!(read(entry("t")), Some(ended.clone()));
    let older = common(|common| common.access_log_type = AccessLogType::NotSet.into());
    assert_eq!(read(older), Some(ended), "an Envoy that does not say what it logs");
}

#[test]
fn all_else_is_nothing_to_settle() {
    let begins = |kind: AccessLogType| common(|common| common.access_log_type = kind.into());
    for (what, entry) in [
        ("nothing", HttpAccessLogEntry::default()),
        ("no metadata", common(|common| common.metadata = None)),
        ("others' metadata", common(|common| common.metadata = Some(Metadata::default()))),
        ("no text", common(|common| common.metadata = Some(metadata(Value::default())))),
        ("the beginning", begins(AccessLogType::DownstreamStart)),
        ("still going on", begins(AccessLogType::DownstreamPeriodic)),
        ("one try of several", begins(AccessLogType::UpstreamEnd)),
    ] {
        assert_eq!(read(entry), None, "{what}");
    }
    let mut refused = entry("t");
    let metadata = &mut refused.common_properties.as_mut().unwrap().metadata;
    let evidence = metadata.as_mut().unwrap().filter_metadata.get_mut(METADATA_NAMESPACE);
    evidence.unwrap().fields.remove(SETTLE_KEY);
    assert_eq!(read(refused), None, "evidence alone");
}

#[test]
fn how_a_request_ended_is_its_answer() {
    let grpc = |trailer: bool, status: &str| {
        let status = HashMap::from([("grpc-status".to_owned(), status.to_owned())]);
        let mut response = response(200);
        if trailer {
            response.response_trailers = status;
        } else {
            response.response_headers = status;
        }
        response
    };
    let cases = [
        (Some(response(200)), Some(true)),
        (Some(response(101)), Some(true)),
        (Some(response(304)), Some(true)),
        (Some(response(399)), Some(true)),
        (Some(response(400)), Some(false)),
        (Some(response(401)), Some(false)),
        (Some(response(429)), Some(false)),
        (Some(response(503)), Some(false)),
        (Some(response(0)), None),
        (Some(response(u32::MAX)), None),
        (Some(HttpResponseProperties::default()), None),
        (None, None),
        (Some(grpc(true, "0")), Some(true)),
        (Some(grpc(true, "14")), Some(false)),
        (Some(grpc(false, "8")), Some(false)),
        (Some(grpc(false, "0")), Some(true)),
    ];
    for (response, successful) in cases {
        let ended = read(HttpAccessLogEntry { response: response.clone(), ..entry("t") }).unwrap();
        assert_eq!(ended.successful, successful, "{response:?}");
    }
}

#[tokio::test]
async fn a_message_is_settled_whole() {
    let fixture = Fixture::new();
    let service = service(&fixture, &Arc::default());
    let log = Log { reporter: None };
    let now = Moment::now().wall;
    let ticket = |id: u64| {
        let owed = [owed(place(2, id), GiveBackWhen::Ended)];
        fixture.tickets.issue(&owed, None, now).unwrap()
    };
    for id in 0..2 {
        assert!(fixture.takes(place(2, id)).await);
    }
    let log_entry = vec![entry(&ticket(0)), common(|c| c.metadata = None), entry(&ticket(1))];
    let logs = LogEntries::HttpLogs(HttpAccessLogEntries { log_entry });
    let message = StreamAccessLogsMessage { log_entries: Some(logs), identifier: None };
    service.take(&log, message).await;
    assert_eq!(fixture.settled("given_back"), 2);
    let tcp = LogEntries::TcpLogs(TcpAccessLogEntries::default());
    for log_entries in [None, Some(tcp)] {
        service.take(&log, StreamAccessLogsMessage { log_entries, identifier: None }).await;
    }
    assert_eq!(fixture.counted("postern_access_log_entries_total", ""), 3);
}

/// One service, whose circuit opens by two failures that one Envoy has seen.
const DOCUMENT: &str = r#"{
    "version": 1,
    "services": {"pay": {"upstream": "h:1", "circuit": {"failures": 2, "reporters": 1}}},
    "routes": [
        {"name": "pay", "match": {"path": "/pay", "methods": ["GET"]}, "service": "pay",
         "auth": "none"}
    ]
}"#;

fn service(fixture: &Fixture, store: &Arc<MemoryStore>) -> SettlementService {
    let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
    let outcomes = Outcomes::new(OutcomesParts {
        store: Arc::<MemoryStore>::clone(store),
        stand_in: Arc::new(MemoryStore::default()),
        moved: Arc::new(|_, _| {}),
        metrics: Metrics::new(&registry).unwrap(),
    });
    let document = postern_document::from_json(DOCUMENT.as_bytes()).unwrap();
    SettlementService {
        settlement: Arc::clone(&fixture.settlement),
        outcomes: LoggedOutcomes {
            document: Current::fixed(document),
            outcomes: Arc::new(outcomes),
            who: Arc::new(|_| ReporterId::of("peer", "envoy")),
        },
        drain: Drain::new(Duration::ZERO),
    }
}

/// The end of a call that says nothing of limits.
fn call(path: &str, status: u32, details: &str) -> HttpAccessLogEntry {
    let mut entry = common(|common| common.metadata = None);
    entry.request = Some(HttpRequestProperties {
        request_method: RequestMethod::Get.into(),
        authority: "a.test".to_owned(),
        path: path.to_owned(),
        ..HttpRequestProperties::default()
    });
    entry.response = Some(HttpResponseProperties {
        response_code_details: details.to_owned(),
        ..response(status)
    });
    entry
}

#[tokio::test]
async fn a_log_that_is_meant_for_circuits_counts_for_them() {
    let fixture = Fixture::new();
    let store = Arc::<MemoryStore>::default();
    let service = service(&fixture, &store);
    let arrived = Request::new(());
    let meant = Log { reporter: Some(service.outcomes.reporter(&arrived)) };
    let tell = async |log: &Log, entries: Vec<HttpAccessLogEntry>| {
        let logs = LogEntries::HttpLogs(HttpAccessLogEntries { log_entry: entries });
        service
            .take(log, StreamAccessLogsMessage { log_entries: Some(logs), identifier: None })
            .await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let document = service.outcomes.document.load();
        let settings = document.services[0].circuit.unwrap();
        let circuit = CircuitAsk { service: "pay".to_owned(), settings };
        let standing = store.circuits(&[circuit], Moment::now().wall).await.remove(0).unwrap();
        (standing.state, standing.failures)
    };
    let failed = || call("/pay?x=1", 503, "no_healthy_upstream");
    let others = vec![
        call("/nothing", 503, "via_upstream"),
        call("/pay", 503, "ext_authz_denied"),
        call("/pay", 404, "via_upstream"),
    ];
    assert_eq!(tell(&Log { reporter: None }, vec![failed(), failed()]).await, (State::Closed, 0));
    assert_eq!(tell(&meant, others).await, (State::Closed, 0));
    assert_eq!(tell(&meant, vec![failed()]).await, (State::Closed, 1));
    let mut begun = failed();
    let common = begun.common_properties.as_mut().unwrap();
    common.access_log_type = AccessLogType::DownstreamStart.into();
    assert_eq!(tell(&meant, vec![begun]).await, (State::Closed, 1));
    assert_eq!(tell(&meant, vec![failed()]).await.0, State::Open);
}
