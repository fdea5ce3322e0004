//! The messages against `postern/feed/v1/feed.proto`, as a compiler reads it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::LazyLock;

use prost::Message;
use protox::prost_reflect::{DescriptorPool, DynamicMessage, MapKey, Value};

use super::*;

/// Messages of two pools are never equal, so there is one.
fn described() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        let files = protox::compile(["postern/feed/v1/feed.proto"], [env!("CARGO_MANIFEST_DIR")]);
        DescriptorPool::from_file_descriptor_set(files.unwrap()).unwrap()
    });
    &POOL
}

/// Every field of `message` must be set: to what `fields` say, under the same name, number and
/// type in both.
fn assert_in_step<M: Message + Default + PartialEq + Debug>(
    name: &str,
    message: &M,
    fields: &[(&str, Value)],
) -> DynamicMessage {
    let descriptor = described().get_message_by_name(&format!("postern.feed.v1.{name}")).unwrap();
    let declared: BTreeSet<String> =
        descriptor.fields().map(|field| field.name().to_owned()).collect();
    let expected: BTreeSet<String> = fields.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(declared, expected, "{name}");

    let read = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).unwrap();
    assert_eq!(read.unknown_fields().count(), 0, "{name} has fields that are not declared");
    let shown = format!("{message:?}");
    for (field, value) in fields {
        assert!(read.has_field_by_name(field), "{name}.{field} is not set, or has another number");
        assert_eq!(*read.get_field_by_name(field).unwrap(), *value, "{name}.{field}");
        assert!(shown.contains(&format!("{field}: ")), "{name} calls {field} by another name");
    }
    assert_eq!(M::decode(read.encode_to_vec().as_slice()).unwrap(), *message, "{name}");
    read
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

/// Not UTF-8, so that `string` in its place would not do.
fn bytes(last: u8) -> Vec<u8> {
    vec![0xff, last]
}

#[test]
fn requests_are_in_step() {
    let digests = BTreeMap::from([("issuer".to_owned(), "digest".to_owned())]);
    let request = ExchangeRequest {
        workload: "workload".to_owned(),
        envoy_id: "envoy".to_owned(),
        document_digest: "document".to_owned(),
        epoch: u64::MAX,
        cursor: u64::MAX - 1,
        snapshot_bucket: u32::MAX,
        snapshot_cursor: u64::MAX - 2,
        wait_ms: u32::MAX - 1,
        key_digests: digests,
        snapshot_epoch: u64::MAX - 3,
        idle_ms: u32::MAX - 2,
        max_bytes: u32::MAX - 3,
        wanted_keys: vec!["issuer".to_owned(), "other".to_owned()],
        circuits_version: u64::MAX - 4,
    };
    let digests = HashMap::from([(MapKey::String("issuer".to_owned()), text("digest"))]);
    assert_in_step(
        "ExchangeRequest",
        &request,
        &[
            ("workload", text("workload")),
            ("envoy_id", text("envoy")),
            ("document_digest", text("document")),
            ("epoch", Value::U64(u64::MAX)),
            ("cursor", Value::U64(u64::MAX - 1)),
            ("snapshot_bucket", Value::U32(u32::MAX)),
            ("snapshot_cursor", Value::U64(u64::MAX - 2)),
            ("wait_ms", Value::U32(u32::MAX - 1)),
            ("key_digests", Value::Map(digests)),
            ("snapshot_epoch", Value::U64(u64::MAX - 3)),
            ("idle_ms", Value::U32(u32::MAX - 2)),
            ("max_bytes", Value::U32(u32::MAX - 3)),
            ("wanted_keys", Value::List(vec![text("issuer"), text("other")])),
            ("circuits_version", Value::U64(u64::MAX - 4)),
        ],
    );
}

#[test]
fn responses_are_in_step() {
    let key_set =
        KeySet { issuer: "issuer".to_owned(), jwks: "{}".to_owned(), digest: "digest".to_owned() };
    let key_set_read = assert_in_step(
        "KeySet",
        &key_set,
        &[("issuer", text("issuer")), ("jwks", text("{}")), ("digest", text("digest"))],
    );
    let snapshot = Snapshot {
        cursor: u64::MAX,
        first_bucket: u32::MAX,
        buckets: vec![bytes(1), Vec::new(), bytes(2)],
        last: true,
        total_records: u64::MAX - 1,
    };
    let buckets = [bytes(1), Vec::new(), bytes(2)].map(|bucket| Value::Bytes(bucket.into()));
    let snapshot_read = assert_in_step(
        "Snapshot",
        &snapshot,
        &[
            ("cursor", Value::U64(u64::MAX)),
            ("first_bucket", Value::U32(u32::MAX)),
            ("buckets", Value::List(buckets.to_vec())),
            ("last", Value::Bool(true)),
            ("total_records", Value::U64(u64::MAX - 1)),
        ],
    );
    let (circuits, circuits_read) = circuits();
    let response = ExchangeResponse {
        epoch: u64::MAX,
        cursor: u64::MAX - 1,
        fingerprint_key: bytes(3),
        added: bytes(4),
        snapshot: Some(snapshot),
        key_sets: vec![key_set],
        next_poll_ms: u32::MAX,
        server_time_ms: u64::MAX - 2,
        document_digest: "document".to_owned(),
        staleness_ms: u64::MAX - 3,
        circuits: Some(circuits),
    };
    assert_in_step(
        "ExchangeResponse",
        &response,
        &[
            ("epoch", Value::U64(u64::MAX)),
            ("cursor", Value::U64(u64::MAX - 1)),
            ("fingerprint_key", Value::Bytes(bytes(3).into())),
            ("added", Value::Bytes(bytes(4).into())),
            ("snapshot", Value::Message(snapshot_read)),
            ("key_sets", Value::List(vec![Value::Message(key_set_read)])),
            ("next_poll_ms", Value::U32(u32::MAX)),
            ("server_time_ms", Value::U64(u64::MAX - 2)),
            ("document_digest", text("document")),
            ("staleness_ms", Value::U64(u64::MAX - 3)),
            ("circuits", Value::Message(circuits_read)),
        ],
    );
}

fn circuit() -> (CircuitState, DynamicMessage) {
    let state = CircuitState {
        service: "service".to_owned(),
        phase: CircuitPhase::HalfOpen.into(),
        retry_after_ms: u32::MAX,
        probes: u32::MAX - 1,
        probe_life_ms: u32::MAX - 2,
        forced: true,
    };
    let read = assert_in_step(
        "CircuitState",
        &state,
        &[
            ("service", text("service")),
            ("phase", Value::EnumNumber(3)),
            ("retry_after_ms", Value::U32(u32::MAX)),
            ("probes", Value::U32(u32::MAX - 1)),
            ("probe_life_ms", Value::U32(u32::MAX - 2)),
            ("forced", Value::Bool(true)),
        ],
    );
    (state, read)
}

fn circuits() -> (Circuits, DynamicMessage) {
    let (state, state_read) = circuit();
    let circuits = Circuits { version: u64::MAX, services: vec![state] };
    let read = assert_in_step(
        "Circuits",
        &circuits,
        &[
            ("version", Value::U64(u64::MAX)),
            ("services", Value::List(vec![Value::Message(state_read)])),
        ],
    );
    (circuits, read)
}

#[test]
fn what_is_reported_is_in_step() {
    let report = ServiceReport {
        service: "service".to_owned(),
        calls: u32::MAX,
        failures: u32::MAX - 1,
        slow: u32::MAX - 2,
        run: u32::MAX - 3,
        refused: u32::MAX - 4,
        probes_through: u32::MAX - 5,
        probes_failed: u32::MAX - 6,
    };
    let report_read = assert_in_step(
        "ServiceReport",
        &report,
        &[
            ("service", text("service")),
            ("calls", Value::U32(u32::MAX)),
            ("failures", Value::U32(u32::MAX - 1)),
            ("slow", Value::U32(u32::MAX - 2)),
            ("run", Value::U32(u32::MAX - 3)),
            ("refused", Value::U32(u32::MAX - 4)),
            ("probes_through", Value::U32(u32::MAX - 5)),
            ("probes_failed", Value::U32(u32::MAX - 6)),
        ],
    );
    let request = ReportRequest {
        workload: "workload".to_owned(),
        envoy_id: "envoy".to_owned(),
        document_digest: "document".to_owned(),
        number: u64::MAX,
        services: vec![report],
    };
    assert_in_step(
        "ReportRequest",
        &request,
        &[
            ("workload", text("workload")),
            ("envoy_id", text("envoy")),
            ("document_digest", text("document")),
            ("number", Value::U64(u64::MAX)),
            ("services", Value::List(vec![Value::Message(report_read)])),
        ],
    );
    let (state, state_read) = circuit();
    let response = ReportResponse {
        services: vec![state],
        next_ms: u32::MAX,
        document_digest: "document".to_owned(),
    };
    assert_in_step(
        "ReportResponse",
        &response,
        &[
            ("services", Value::List(vec![Value::Message(state_read)])),
            ("next_ms", Value::U32(u32::MAX)),
            ("document_digest", text("document")),
        ],
    );
}

#[test]
fn phases_are_in_step() {
    let phases = described().get_enum_by_name("postern.feed.v1.CircuitPhase").unwrap();
    let declared: Vec<i32> = phases.values().map(|value| value.number()).collect();
    let ours = [
        CircuitPhase::Unspecified,
        CircuitPhase::Closed,
        CircuitPhase::Open,
        CircuitPhase::HalfOpen,
    ];
    assert_eq!(declared, ours.map(i32::from));
}

#[test]
fn what_is_asked_for_and_given_back_is_in_step() {
    let ask = LeaseAsk {
        id: bytes(1),
        stamp: u64::MAX - 2,
        owner: u64::MAX,
        key: bytes(2),
        asked: u64::MAX - 1,
    };
    let ask_read = assert_in_step(
        "LeaseAsk",
        &ask,
        &[
            ("id", Value::Bytes(bytes(1).into())),
            ("stamp", Value::U64(u64::MAX - 2)),
            ("owner", Value::U64(u64::MAX)),
            ("key", Value::Bytes(bytes(2).into())),
            ("asked", Value::U64(u64::MAX - 1)),
        ],
    );
    let back = LeaseReturn {
        id: bytes(3),
        stamp: u64::MAX - 2,
        owner: u64::MAX,
        key: bytes(4),
        unused: u64::MAX - 1,
    };
    let back_read = assert_in_step(
        "LeaseReturn",
        &back,
        &[
            ("id", Value::Bytes(bytes(3).into())),
            ("stamp", Value::U64(u64::MAX - 2)),
            ("owner", Value::U64(u64::MAX)),
            ("key", Value::Bytes(bytes(4).into())),
            ("unused", Value::U64(u64::MAX - 1)),
        ],
    );
    let request = BorrowRequest {
        workload: "workload".to_owned(),
        envoy_id: "envoy".to_owned(),
        document_digest: "document".to_owned(),
        returns: vec![back],
        asks: vec![ask],
    };
    assert_in_step(
        "BorrowRequest",
        &request,
        &[
            ("workload", text("workload")),
            ("envoy_id", text("envoy")),
            ("document_digest", text("document")),
            ("returns", Value::List(vec![Value::Message(back_read)])),
            ("asks", Value::List(vec![Value::Message(ask_read)])),
        ],
    );
}

#[test]
fn what_is_lent_is_in_step() {
    let grant = LeaseGrant {
        id: bytes(1),
        granted: u64::MAX,
        life_ms: u32::MAX,
        remaining: u64::MAX - 1,
        reset_ms: u64::MAX - 2,
        unknown: true,
    };
    let grant_read = assert_in_step(
        "LeaseGrant",
        &grant,
        &[
            ("id", Value::Bytes(bytes(1).into())),
            ("granted", Value::U64(u64::MAX)),
            ("life_ms", Value::U32(u32::MAX)),
            ("remaining", Value::U64(u64::MAX - 1)),
            ("reset_ms", Value::U64(u64::MAX - 2)),
            ("unknown", Value::Bool(true)),
        ],
    );
    let response = BorrowResponse {
        grants: vec![grant],
        next_ms: u32::MAX,
        returned: vec![bytes(2), bytes(3)],
        document_digest: "document".to_owned(),
    };
    let returned = [bytes(2), bytes(3)].map(|id| Value::Bytes(id.into()));
    assert_in_step(
        "BorrowResponse",
        &response,
        &[
            ("grants", Value::List(vec![Value::Message(grant_read)])),
            ("next_ms", Value::U32(u32::MAX)),
            ("returned", Value::List(returned.to_vec())),
            ("document_digest", text("document")),
        ],
    );
}

#[test]
fn the_service_is_in_step() {
    let service = described().get_service_by_name(SERVICE).unwrap();
    let methods: Vec<(String, String, String)> = service
        .methods()
        .map(|method| {
            let path = format!("/{SERVICE}/{}", method.name());
            let input = method.input().full_name().to_owned();
            (path, input, method.output().full_name().to_owned())
        })
        .collect();
    let method = |path: &str, of: &str| {
        let message = |kind| format!("postern.feed.v1.{of}{kind}");
        (path.to_owned(), message("Request"), message("Response"))
    };
    let ours = [
        method(EXCHANGE_PATH, "Exchange"),
        method(BORROW_PATH, "Borrow"),
        method(REPORT_PATH, "Report"),
    ];
    assert_eq!(methods, ours);
}

#[test]
fn the_secret_is_not_shown() {
    let response =
        ExchangeResponse { fingerprint_key: vec![0xab; 16], ..ExchangeResponse::default() };
    let shown = format!("{response:?}");
    assert!(shown.contains("fingerprint_key: (16 bytes)") && !shown.contains("171"), "{shown}");
}

#[test]
fn what_is_no_message_is_an_error() {
    for bytes in [&[0xff][..], &[0x0a, 0x05, 0x61], &[0x2a, 0x02, 0x08, 0x80]] {
        assert!(ExchangeResponse::decode(bytes).is_err(), "{bytes:?}");
        assert!(BorrowRequest::decode(bytes).is_err(), "{bytes:?}");
    }
}
