use super::*;
use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitResponse;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{
    Code, DescriptorStatus, RateLimit,
};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{self as google, Duration, ListValue};

fn read(text: &str) -> Result<RateLimitRequest, Unreadable> {
    request(text.as_bytes())
}

#[test]
fn both_spellings_are_read() {
    let camel = r#"{"domain": "d", "hitsAddend": 3, "descriptors": [{
        "entries": [{"key": "k", "value": "v"}, {"key": "only"}],
        "limit": {"requestsPerUnit": 5, "unit": "WEEK"},
        "hitsAddend": "18446744073709551615", "isNegativeHits": true}]}"#;
    let own = r#"{"domain": "d", "hits_addend": "3", "descriptors": [{
        "entries": [{"value": "v", "key": "k"}, {"key": "only", "value": null}],
        "limit": {"requests_per_unit": 5, "unit": 7},
        "hits_addend": 18446744073709551615, "is_negative_hits": true}]}"#;
    let entry = |key: &str, value: &str| Entry { key: key.to_owned(), value: value.to_owned() };
    let descriptor = RateLimitDescriptor {
        entries: vec![entry("k", "v"), entry("only", "")],
        limit: Some(RateLimitOverride { requests_per_unit: 5, unit: 7 }),
        hits_addend: Some(UInt64Value { value: u64::MAX }),
        is_negative_hits: true,
    };
    let expected =
        RateLimitRequest { domain: "d".to_owned(), descriptors: vec![descriptor], hits_addend: 3 };
    assert_eq!(read(camel), Ok(expected.clone()));
    assert_eq!(read(own), Ok(expected));
    assert_eq!(read("{}"), Ok(RateLimitRequest::default()));
    assert_eq!(read(r#"{"descriptors": null}"#), Ok(RateLimitRequest::default()));
}

#[test]
fn units_are_those_of_the_protocol() {
    for (unit, number) in [
        ("\"UNKNOWN\"", 0),
        ("\"SECOND\"", 1),
        ("\"MINUTE\"", 2),
        ("\"HOUR\"", 3),
        ("\"DAY\"", 4),
        ("\"MONTH\"", 5),
        ("\"YEAR\"", 6),
        ("\"WEEK\"", 7),
        ("99", 99),
    ] {
        let text = format!(r#"{{"descriptors": [{{"limit": {{"unit": {unit}}}}}]}}"#);
        let limit = read(&text).unwrap().descriptors[0].limit;
        assert_eq!(limit.map(|limit| limit.unit), Some(number), "{unit}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    for (text, expected) in [
        ("[]", Unreadable::Object("the request")),
        (r#"{"domain": 7}"#, Unreadable::Text("domain")),
        (r#"{"descriptors": {}}"#, Unreadable::List("descriptors")),
        (r#"{"descriptors": [7]}"#, Unreadable::Object("a descriptor")),
        (r#"{"descriptors": [{"entries": [{"key": 7}]}]}"#, Unreadable::Text("key")),
        (r#"{"descriptors": [{"entries": ["k"]}]}"#, Unreadable::Object("an entry")),
        (r#"{"descriptors": [{"limit": {"unit": "minute"}}]}"#, Unreadable::Unit),
        (r#"{"descriptors": [{"limit": {"unit": 4294967296}}]}"#, Unreadable::Unit),
        (r#"{"descriptors": [{"isNegativeHits": 1}]}"#, Unreadable::Bool("is_negative_hits")),
        (r#"{"hitsAddend": -1}"#, Unreadable::Number("hits_addend")),
        (r#"{"hitsAddend": 1.5}"#, Unreadable::Number("hits_addend")),
        (r#"{"hitsAddend": 4294967296}"#, Unreadable::Number("hits_addend")),
        (r#"{"hitsAddend": "NaN"}"#, Unreadable::Number("hits_addend")),
        (r#"{"hitsAddend": ""}"#, Unreadable::Number("hits_addend")),
        (r#"{"hits_addend": 1, "hitsAddend": 1}"#, Unreadable::Repeated("the request")),
        (r#"{"hits": 1}"#, Unreadable::Unknown("the request")),
        (r#"{"descriptors": [{"": 1}]}"#, Unreadable::Unknown("a descriptor")),
    ] {
        assert_eq!(read(text), Err(expected), "{text}");
    }
    for text in ["", "{", "{}{}", r#"{"domain": "a", "domain": "b"}"#, &"[".repeat(100_000)] {
        assert!(matches!(read(text), Err(Unreadable::Json(_))));
    }
    let secret = read(r#"{"secret": "value"}"#).unwrap_err().to_string();
    assert!(!secret.contains("secret"), "{secret}");
}

#[test]
fn responses_are_written_by_protobufs_rules() {
    let number = google::Value { kind: Some(Kind::NumberValue(1.0)) };
    let list = google::Value { kind: Some(Kind::ListValue(ListValue { values: vec![number] })) };
    let flag = google::Value { kind: Some(Kind::BoolValue(true)) };
    let fields = [("b".to_owned(), list), ("a".to_owned(), flag)].into_iter().collect();
    let limit = RateLimit { name: "n".to_owned(), requests_per_unit: 5, unit: 4 };
    let limited = DescriptorStatus {
        code: Code::OverLimit.into(),
        current_limit: Some(limit),
        limit_remaining: 0,
        duration_until_reset: Some(Duration { seconds: 12, nanos: 0 }),
        quota: None,
    };
    let free = DescriptorStatus { code: Code::Ok.into(), ..DescriptorStatus::default() };
    let header = HeaderValue {
        key: "retry-after".to_owned(),
        value: "12".to_owned(),
        ..HeaderValue::default()
    };
    let message = RateLimitResponse {
        overall_code: Code::OverLimit.into(),
        statuses: vec![limited, free],
        response_headers_to_add: vec![header],
        raw_body: b"{}".to_vec(),
        dynamic_metadata: Some(google::Struct { fields }),
        ..RateLimitResponse::default()
    };
    let expected = concat!(
        r#"{"overallCode":"OVER_LIMIT","statuses":["#,
        r#"{"code":"OVER_LIMIT","currentLimit":{"name":"n","requestsPerUnit":5,"unit":"DAY"},"#,
        r#""limitRemaining":0,"durationUntilReset":"12s"},{"code":"OK"}],"#,
        r#""responseHeadersToAdd":[{"key":"retry-after","value":"12"}],"rawBody":"e30=","#,
        r#""dynamicMetadata":{"a":true,"b":[1]}}"#,
    );
    assert_eq!(response(&message).to_string(), expected);
}
