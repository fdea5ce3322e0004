use super::*;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::{
    Entry, RateLimitOverride,
};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, UInt64Value, Value};
use postern_request::json;
use postern_store::limiter::WhenStoreFails;
use tonic::Code as GrpcCode;

use super::wire::RateLimitService as _;
use crate::ask::{MAX_DESCRIPTORS, MAX_ENTRIES};
use crate::testing::{PLAIN, Service};
use postern_store::away::Away;

const RULES: &str = "
domain: shop
descriptors:
  - key: ip
    rate_limit: {name: by ip, unit: day, requests_per_unit: 3}
  - key: week
    rate_limit: {unit: week, requests_per_unit: 5}
  - key: free
    rate_limit: {unlimited: true}
  - key: quota
    quota_mode: true
    rate_limit: {unit: day, requests_per_unit: 1}
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

fn by_ip() -> RateLimitRequest {
    message(vec![descriptor(&[("ip", "192.0.2.1")])])
}

impl Service {
    async fn call(&self, message: RateLimitRequest) -> Result<RateLimitResponse, Status> {
        let service = RateLimitService { limiter: Arc::clone(&self.limiter) };
        service.should_rate_limit(Request::new(message)).await.map(Response::into_inner)
    }

    async fn refused(&self, message: RateLimitRequest) -> GrpcCode {
        self.call(message).await.unwrap_err().code()
    }
}

fn header_of(response: &RateLimitResponse, name: &str) -> Option<String> {
    let mut named = response.response_headers_to_add.iter().filter(|header| header.key == name);
    let found = named.next().map(|header| header.value.clone());
    assert!(named.next().is_none(), "{name} twice");
    assert!(response.response_headers_to_add.iter().all(|header| header.raw_value.is_empty()));
    found
}

#[tokio::test]
async fn statuses_tell_code_limit_rest_and_reset() {
    let service = Service::new(RULES, PLAIN);
    let descriptors = ["none", "ip", "free", "week"].map(|key| descriptor(&[(key, "1")]));
    let response = service.call(message(descriptors.into())).await.unwrap();
    assert_eq!(response.overall_code(), Code::Ok);
    let [none, ip, free, week] = <[_; 4]>::try_from(response.statuses).unwrap();
    let bare = DescriptorStatus { code: Code::Ok.into(), ..DescriptorStatus::default() };
    assert_eq!(none, bare);
    assert_eq!(free, DescriptorStatus { limit_remaining: u32::MAX, ..bare });
    let limit = ip.current_limit.clone().unwrap();
    assert_eq!((limit.name.as_str(), limit.requests_per_unit), ("by ip", 3));
    assert_eq!((limit.unit(), ip.limit_remaining), (WireUnit::Day, 2));
    let until = ip.duration_until_reset.unwrap();
    assert!((1..=86_400).contains(&until.seconds) && until.nanos == 0, "{until:?}");
    assert_eq!(week.current_limit.unwrap().unit(), WireUnit::Week);
    assert!(response.response_headers_to_add.is_empty() && response.raw_body.is_empty());
    assert_eq!(response.dynamic_metadata, None);
}

#[tokio::test]
async fn hits_are_said_for_the_request_or_for_one_descriptor() {
    let service = Service::new(RULES, PLAIN);
    let left = async |own: Option<u64>, negative, of_request| {
        let mut asked = message(vec![descriptor(&[("week", "1")])]);
        asked.hits_addend = of_request;
        asked.descriptors[0].hits_addend = own.map(|value| UInt64Value { value });
        asked.descriptors[0].is_negative_hits = negative;
        let status = service.call(asked).await.unwrap().statuses.remove(0);
        (status.code(), status.limit_remaining)
    };
    assert_eq!(left(None, false, 0).await, (Code::Ok, 4), "one, if nobody says");
    assert_eq!(left(None, false, 2).await, (Code::Ok, 2));
    assert_eq!(left(Some(1), false, 2).await, (Code::Ok, 1), "its own goes before");
    assert_eq!(left(Some(0), false, 2).await, (Code::Ok, 1), "a zero of its own looks");
    assert_eq!(left(Some(2), false, 0).await, (Code::OverLimit, 1));
    assert_eq!(left(None, true, 0).await, (Code::Ok, 2));
    assert_eq!(left(Some(2), true, 1).await, (Code::Ok, 4));
    assert_eq!(left(Some(u64::from(u32::MAX)), true, 0).await, (Code::Ok, 5));
}

#[tokio::test]
async fn what_makes_no_sense_is_an_invalid_argument() {
    let service = Service::new(RULES, PLAIN);
    let one = |change: &dyn Fn(&mut RateLimitDescriptor)| {
        let mut asked = by_ip();
        change(&mut asked.descriptors[0]);
        asked
    };
    let limit = |unit| Some(RateLimitOverride { requests_per_unit: 1, unit });
    for asked in [
        RateLimitRequest::default(),
        RateLimitRequest { domain: String::new(), ..by_ip() },
        message(Vec::new()),
        message(vec![descriptor(&[("ip", "1")]); MAX_DESCRIPTORS + 1]),
        message(vec![descriptor(&[("ip", "1"); MAX_ENTRIES + 1])]),
        one(&|one| one.limit = limit(0)),
        one(&|one| one.limit = limit(8)),
        one(&|one| one.limit = limit(i32::MIN)),
    ] {
        assert_eq!(service.refused(asked).await, GrpcCode::InvalidArgument);
    }
    let left = service.call(by_ip()).await.unwrap();
    assert_eq!(left.statuses[0].limit_remaining, 2, "none of them was counted");
}

#[tokio::test]
async fn what_is_too_much_is_over_the_limit() {
    let service = Service::new(RULES, PLAIN);
    let huge = "k".repeat(1024 * 1024);
    let hits = |value| {
        let mut asked = by_ip();
        asked.descriptors[0].hits_addend = Some(UInt64Value { value });
        asked
    };
    for asked in [
        message(vec![descriptor(&[(&huge, "1")])]),
        message(vec![descriptor(&[("ip", &huge)])]),
        message(vec![descriptor(&[("ip", "1")]), descriptor(&[("ip", &huge)])]),
        RateLimitRequest { domain: huge.clone(), ..by_ip() },
        hits(1 << 32),
        hits(u64::MAX),
    ] {
        let descriptors = asked.descriptors.len();
        let answer = service.call(asked).await.unwrap();
        assert_eq!(answer.overall_code(), Code::OverLimit);
        assert_eq!(answer.statuses.len(), descriptors);
    }
    let left = service.call(by_ip()).await.unwrap();
    assert_eq!(left.statuses[0].limit_remaining, 2, "none of them was counted");
}

#[tokio::test]
async fn odd_texts_are_keys_like_others() {
    let service = Service::new(RULES, PLAIN);
    let long = "v".repeat(16_000);
    for value in ["", "*", "a\0b", "../..", "{postern}", "\u{202e}", "\r\n", &long] {
        let asked = message(vec![descriptor(&[("week", value)])]);
        let response = service.call(asked).await.unwrap();
        assert_eq!(response.statuses[0].limit_remaining, 4, "{value}");
    }
    let empty = message(vec![RateLimitDescriptor::default(), descriptor(&[("", "")])]);
    assert_eq!(service.call(empty).await.unwrap().overall_code(), Code::Ok);
}

#[tokio::test]
async fn limits_of_every_unit_can_be_brought_along() {
    let service = Service::new(RULES, PLAIN);
    use WireUnit::{Day, Hour, Minute, Month, Second, Week, Year};
    for unit in [Second, Minute, Hour, Day, Week, Month, Year] {
        let mut asked = by_ip();
        // The numbers of both enums of the protocol are the same.
        let limit = RateLimitOverride { requests_per_unit: 9, unit: unit.into() };
        asked.descriptors[0].limit = Some(limit);
        let status = service.call(asked).await.unwrap().statuses.remove(0);
        assert_eq!(status.code(), Code::Ok);
        let limit = status.current_limit.unwrap();
        assert_eq!((limit.requests_per_unit, limit.unit()), (9, unit));
    }
    let mut closed = by_ip();
    closed.descriptors[0].limit = Some(RateLimitOverride { requests_per_unit: 0, unit: 1 });
    assert_eq!(service.call(closed).await.unwrap().overall_code(), Code::OverLimit);
}

#[tokio::test]
async fn headers_tell_the_tightest_limit_when_asked_for() {
    let service = Service::new(RULES, Settings { headers: true, ..PLAIN });
    let both = || message(vec![descriptor(&[("week", "1")]), descriptor(&[("ip", "1")])]);
    let passes = service.call(both()).await.unwrap();
    assert_eq!(header_of(&passes, "x-ratelimit-limit").as_deref(), Some("3"));
    assert_eq!(header_of(&passes, "ratelimit-remaining").as_deref(), Some("2"));
    assert_eq!(header_of(&passes, "ratelimit-policy").as_deref(), Some("3;w=86400"));
    assert_eq!(header_of(&passes, "retry-after"), None);
    for _ in 0..2 {
        service.call(both()).await.unwrap();
    }
    let over = service.call(both()).await.unwrap();
    assert_eq!(over.overall_code(), Code::OverLimit);
    assert_eq!(header_of(&over, "x-ratelimit-remaining").as_deref(), Some("0"));
    let retry_after: u64 = header_of(&over, "retry-after").unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&retry_after));
    assert!(over.raw_body.is_empty());
    let free = service.call(message(vec![descriptor(&[("free", "")])])).await.unwrap();
    assert!(free.response_headers_to_add.is_empty(), "there is nothing to tell");
}

#[tokio::test]
async fn refusals_have_our_body_when_asked_for() {
    for headers in [false, true] {
        let service = Service::new(RULES, Settings { denial_body: true, headers, ..PLAIN });
        for _ in 0..3 {
            assert!(service.call(by_ip()).await.unwrap().raw_body.is_empty());
        }
        let over = service.call(by_ip()).await.unwrap();
        let body = json::parse(&over.raw_body).unwrap();
        let member = |name| body.get(name).and_then(json::Value::as_str).map(str::to_owned);
        assert_eq!(member("error").as_deref(), Some("RATE_LIMIT_EXCEEDED"));
        assert_eq!(header_of(&over, "content-type").as_deref(), Some("application/json"));
        assert_eq!(header_of(&over, "cache-control").as_deref(), Some("no-store"));
        assert_eq!(header_of(&over, "x-correlation-id"), member("correlation_id"));
        for name in ["retry-after", "x-ratelimit-limit", "ratelimit-reset"] {
            assert_eq!(header_of(&over, name).is_some(), headers, "{name}");
        }
    }
}

#[tokio::test]
async fn a_refusal_names_the_request_if_it_is_known() {
    let service = Service::new(RULES, Settings { denial_body: true, ..PLAIN });
    let server = RateLimitService { limiter: Arc::clone(&service.limiter) };
    let id = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
    let mut seen = Vec::new();
    for _ in 0..5 {
        let mut request = Request::new(by_ip());
        request.metadata_mut().insert("x-request-id", id.parse().unwrap());
        let response = server.should_rate_limit(request).await.unwrap().into_inner();
        seen.extend(header_of(&response, "x-correlation-id"));
    }
    assert_eq!(seen, [id, id]);
    let unknown = header_of(&service.call(by_ip()).await.unwrap(), "x-correlation-id").unwrap();
    let other = header_of(&service.call(by_ip()).await.unwrap(), "x-correlation-id").unwrap();
    assert_ne!(unknown, other);
}

fn kind<'a>(fields: &'a Struct, name: &str) -> Option<&'a Kind> {
    fields.fields.get(name).and_then(|value| value.kind.as_ref())
}

fn items(kind: Option<&Kind>) -> &[Value] {
    match kind {
        Some(Kind::ListValue(list)) => &list.values,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rules_in_quota_mode_tell_by_metadata() {
    let service = Service::new(RULES, PLAIN);
    let asked = || message(vec![descriptor(&[("ip", "1")]), descriptor(&[("quota", "1")])]);
    let first = service.call(asked()).await.unwrap().dynamic_metadata.unwrap();
    assert_eq!(kind(&first, "quotaModeEnabled"), Some(&Kind::BoolValue(true)));
    assert_eq!(first.fields.len(), 1);
    let second = service.call(asked()).await.unwrap();
    assert_eq!(second.overall_code(), Code::Ok);
    assert_eq!(second.statuses[1].code(), Code::Ok);
    let fields = second.dynamic_metadata.unwrap();
    let violations = items(kind(&fields, "quotaModeViolations"));
    assert_eq!(violations, [Value { kind: Some(Kind::NumberValue(1.0)) }]);
}

#[tokio::test]
async fn metadata_tells_everything_when_asked_for() {
    let service = Service::new(RULES, Settings { metadata: true, ..PLAIN });
    let mut asked = message(vec![descriptor(&[("ip", "1")]), descriptor(&[("none", "")])]);
    asked.hits_addend = 2;
    let fields = service.call(asked).await.unwrap().dynamic_metadata.unwrap();
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    assert_eq!(kind(&fields, "quotaModeEnabled"), Some(&Kind::BoolValue(false)));
    assert_eq!(kind(&fields, "quotaModeViolations"), None);
    assert_eq!(kind(&fields, "domain"), text("shop").kind.as_ref());
    assert_eq!(kind(&fields, "hitsAddend"), Some(&Kind::NumberValue(2.0)));
    assert_eq!(items(kind(&fields, "rules")), [text("by ip"), text("")]);
    let described = items(kind(&fields, "descriptors"));
    let Some(Kind::StructValue(first)) = &described[0].kind else { panic!("{described:?}") };
    assert_eq!(items(kind(first, "entries")), [text("ip=1")]);
    let Some(Kind::StructValue(second)) = &described[1].kind else { panic!("{described:?}") };
    assert_eq!(items(kind(second, "entries")), [text("none")]);
}

#[tokio::test]
async fn a_store_that_is_away_is_unavailable_where_limits_deny() {
    let deny = Service::with_store(RULES, PLAIN, Arc::new(Away));
    assert_eq!(deny.refused(by_ip()).await, GrpcCode::Unavailable);
    let settings = Settings { when_store_fails: WhenStoreFails::Allow, ..PLAIN };
    let allow = Service::with_store(RULES, settings, Arc::new(Away));
    assert_eq!(allow.call(by_ip()).await.unwrap().overall_code(), Code::Ok);
}
