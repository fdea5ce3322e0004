//! The protocol, as whoever speaks gRPC sees it.

use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::{
    Entry, RateLimitOverride,
};
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{Code, DescriptorStatus};
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use envoy_types::pb::google::protobuf::UInt64Value;
use postern_e2e::grpc::Grpc;
use postern_e2e::keys;

use crate::rate_limit_service::Limits;

const RULES: &str = "
domain: shop
descriptors:
  - key: user
    rate_limit: {name: each, unit: year, requests_per_unit: 5}
  - key: free
    rate_limit: {unlimited: true}
  - key: slow
    rate_limit: {unit: day, unit_multiplier: 30, requests_per_unit: 2}
";

fn descriptor(entries: &[(&str, &str)]) -> RateLimitDescriptor {
    let entry =
        |(key, value): &(&str, &str)| Entry { key: (*key).to_owned(), value: (*value).to_owned() };
    RateLimitDescriptor {
        entries: entries.iter().map(entry).collect(),
        ..RateLimitDescriptor::default()
    }
}

fn message(descriptors: Vec<RateLimitDescriptor>) -> RateLimitRequest {
    RateLimitRequest { domain: "shop".to_owned(), descriptors, hits_addend: 0 }
}

async fn answer(grpc: &Grpc, message: RateLimitRequest) -> RateLimitResponse {
    grpc.should_rate_limit(message).await.unwrap_or_else(|status| panic!("{status}"))
}

/// What is said of the only descriptor, and what is left.
async fn standing(grpc: &Grpc, message: RateLimitRequest) -> (Code, u32) {
    let mut answer = answer(grpc, message).await;
    assert_eq!(answer.statuses.len(), 1, "{answer:?}");
    let status = answer.statuses.remove(0);
    assert_eq!(status.code(), answer.overall_code(), "{answer:?}");
    (status.code(), status.limit_remaining)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hits_are_taken_looked_at_and_given_back() {
    let limits = Limits::start(RULES).await;
    let (grpc, user) = (limits.grpc(), keys::subject("hits"));
    let ask = |own: Option<u64>, is_negative_hits, of_request| {
        let mut one = descriptor(&[("user", user.as_str())]);
        one.hits_addend = own.map(|value| UInt64Value { value });
        one.is_negative_hits = is_negative_hits;
        RateLimitRequest { hits_addend: of_request, ..message(vec![one]) }
    };
    for (message, expected) in [
        (ask(None, false, 0), (Code::Ok, 4)),
        (ask(None, false, 2), (Code::Ok, 2)),
        // What a descriptor says of itself goes before.
        (ask(Some(1), false, 2), (Code::Ok, 1)),
        (ask(Some(0), false, 2), (Code::Ok, 1)),
        (ask(Some(2), false, 1), (Code::OverLimit, 1)),
        (ask(None, true, 0), (Code::Ok, 2)),
        (ask(Some(2), true, 0), (Code::Ok, 4)),
        (ask(Some(u64::from(u32::MAX)), true, 0), (Code::Ok, 5)),
        (ask(Some(u64::from(u32::MAX)), false, 0), (Code::OverLimit, 5)),
        (ask(Some(5), false, 0), (Code::Ok, 0)),
        (ask(None, false, 0), (Code::OverLimit, 0)),
    ] {
        let shown = format!("{message:?}");
        assert_eq!(standing(&grpc, message).await, expected, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_a_descriptor_brings_along_replaces_the_rule() {
    let limits = Limits::start(RULES).await;
    let grpc = limits.grpc();
    let ask = |user: &str, requests_per_unit, unit: i32| {
        let mut one = descriptor(&[("user", user)]);
        one.limit = Some(RateLimitOverride { requests_per_unit, unit });
        message(vec![one])
    };
    let user = keys::subject("override");
    // The numbers of both enums of the protocol are the same.
    let year = Unit::Year.into();
    for expected in [(Code::Ok, 1), (Code::Ok, 0), (Code::OverLimit, 0)] {
        assert_eq!(standing(&grpc, ask(&user, 2, year)).await, expected);
    }
    let said = answer(&grpc, ask(&user, 2, year)).await;
    let limit = said.statuses[0].current_limit.clone().expect("a limit");
    assert_eq!((limit.requests_per_unit, limit.unit()), (2, Unit::Year));
    let closed = ask(&keys::subject("override"), 0, year);
    assert_eq!(standing(&grpc, closed).await, (Code::OverLimit, 0));
    let without_unit = grpc.should_rate_limit(ask(&user, 2, 0)).await;
    assert_eq!(without_unit.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_descriptor_has_its_status_in_order() {
    let limits = Limits::start(RULES).await;
    let user = keys::subject("statuses");
    let entries = [("none", "1"), ("user", user.as_str()), ("free", "1"), ("slow", "1")];
    let descriptors = entries.iter().map(|entry| descriptor(&[*entry])).collect();
    let said = answer(&limits.grpc(), message(descriptors)).await;
    assert_eq!(said.overall_code(), Code::Ok);
    let [none, each, free, slow] = <[DescriptorStatus; 4]>::try_from(said.statuses).expect("four");
    assert_eq!((none.current_limit, none.limit_remaining), (None, 0));
    assert_eq!((free.current_limit, free.limit_remaining), (None, u32::MAX));
    for (status, name, requests, unit, left, longest) in
        [(each, "each", 5, Unit::Year, 4, 365 * 86_400), (slow, "", 2, Unit::Day, 1, 30 * 86_400)]
    {
        let limit = status.current_limit.clone().expect("a limit");
        assert_eq!((limit.name.as_str(), limit.requests_per_unit), (name, requests));
        assert_eq!((limit.unit(), status.limit_remaining), (unit, left));
        let reset = status.duration_until_reset.expect("a time").seconds;
        assert!((1..=longest).contains(&reset), "{reset}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_refused_and_counts_nothing() {
    let limits = Limits::start(RULES).await;
    let (grpc, user) = (limits.grpc(), keys::subject("senseless"));
    let good = || descriptor(&[("user", user.as_str())]);
    let long = "k".repeat(1 << 20);
    let mut too_many_hits = good();
    too_many_hits.hits_addend = Some(UInt64Value { value: u64::MAX });
    for senseless in [
        RateLimitRequest::default(),
        message(Vec::new()),
        RateLimitRequest { domain: String::new(), ..message(vec![good()]) },
        message(vec![good(); 101]),
    ] {
        let said = grpc.should_rate_limit(senseless).await.unwrap_err();
        assert_eq!(said.code(), tonic::Code::InvalidArgument, "{said}");
        assert!(said.message().len() < 200, "what was sent comes back: {said}");
    }
    // What a client can make too large, with a long header, is no failed call: most Envoys would
    // let that pass.
    for too_much in [
        RateLimitRequest { domain: long.clone(), ..message(vec![good()]) },
        message(vec![good(), descriptor(&[(long.as_str(), "1")])]),
        message(vec![good(), descriptor(&[("user", long.as_str())])]),
        message(vec![too_many_hits]),
    ] {
        let descriptors = too_much.descriptors.len();
        let said = answer(&grpc, too_much).await;
        assert_eq!((said.overall_code(), said.statuses.len()), (Code::OverLimit, descriptors));
    }
    // Not even read.
    let huge = "k".repeat(3 << 20);
    let said = grpc.should_rate_limit(message(vec![descriptor(&[("user", huge.as_str())])])).await;
    assert!(said.is_err(), "{said:?}");

    let unknown = RateLimitRequest { domain: "nobody".to_owned(), ..message(vec![good()]) };
    assert_eq!(standing(&grpc, unknown).await, (Code::Ok, 0));
    assert_eq!(standing(&grpc, message(vec![good()])).await, (Code::Ok, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_body_and_metadata_are_as_options_say() {
    let plain = Limits::start_with("memory", RULES, &["--rate-limit-plain"]).await;
    let telling = Limits::start_with("memory", RULES, &["--rate-limit-metadata"]).await;
    let user = keys::subject("options");
    for (limits, tells) in [(plain, false), (telling, true)] {
        let grpc = limits.grpc();
        for left in [4, 3, 2, 1, 0, 0] {
            let said = answer(&grpc, message(vec![descriptor(&[("user", user.as_str())])])).await;
            assert_eq!(said.statuses[0].limit_remaining, left);
            let is_over = said.overall_code() == Code::OverLimit;
            assert_eq!(!said.response_headers_to_add.is_empty(), tells, "{said:?}");
            assert_eq!(!said.raw_body.is_empty(), tells && is_over, "{said:?}");
            assert_eq!(said.dynamic_metadata.is_some(), tells, "{said:?}");
            // Envoy reads nothing else.
            assert!(said.response_headers_to_add.iter().all(|header| header.raw_value.is_empty()));
        }
    }
}
