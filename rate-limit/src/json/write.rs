//! A response as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitResponse;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{
    DescriptorStatus, RateLimit,
};
use envoy_types::pb::google::protobuf as google;
use envoy_types::pb::google::protobuf::value::Kind;
use postern_request::json::Value;

/// Writes a response. What is empty is left out, as protobuf does it, but for how many requests
/// are left of a limit.
pub(crate) fn response(message: &RateLimitResponse) -> Value {
    let code = message.overall_code();
    let mut members = vec![member("overallCode", text(code.as_str_name()))];
    members.push(member("statuses", list(&message.statuses, status)));
    if !message.response_headers_to_add.is_empty() {
        let headers = list(&message.response_headers_to_add, header);
        members.push(member("responseHeadersToAdd", headers));
    }
    if !message.raw_body.is_empty() {
        members.push(member("rawBody", Value::String(STANDARD.encode(&message.raw_body))));
    }
    members.extend(
        message.dynamic_metadata.as_ref().map(|fields| member("dynamicMetadata", object(fields))),
    );
    Value::Object(members)
}

fn status(status: &DescriptorStatus) -> Value {
    let mut members = vec![member("code", text(status.code().as_str_name()))];
    if let Some(limit) = &status.current_limit {
        members.push(member("currentLimit", current_limit(limit)));
    }
    if status.current_limit.is_some() || status.limit_remaining > 0 {
        members.push(member("limitRemaining", Value::Integer(status.limit_remaining.into())));
    }
    if let Some(reset) = &status.duration_until_reset {
        let mut seconds = reset.seconds.to_string();
        seconds.push('s');
        members.push(member("durationUntilReset", Value::String(seconds)));
    }
    Value::Object(members)
}

fn current_limit(limit: &RateLimit) -> Value {
    let mut members = Vec::with_capacity(3);
    if !limit.name.is_empty() {
        members.push(member("name", text(&limit.name)));
    }
    members.push(member("requestsPerUnit", Value::Integer(limit.requests_per_unit.into())));
    members.push(member("unit", text(limit.unit().as_str_name())));
    Value::Object(members)
}

fn header(header: &HeaderValue) -> Value {
    Value::Object(vec![member("key", text(&header.key)), member("value", text(&header.value))])
}

fn object(fields: &google::Struct) -> Value {
    let mut fields: Vec<_> = fields.fields.iter().collect();
    fields.sort_unstable_by_key(|(name, _)| *name);
    Value::Object(fields.into_iter().map(|(name, value)| member(name, any(value))).collect())
}

fn any(value: &google::Value) -> Value {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(number)) => Value::Number(number.to_string()),
        Some(Kind::StringValue(value)) => text(value),
        Some(Kind::BoolValue(value)) => Value::Bool(*value),
        Some(Kind::StructValue(fields)) => object(fields),
        Some(Kind::ListValue(items)) => list(&items.values, any),
    }
}

fn member(name: &str, value: Value) -> (String, Value) {
    (name.to_owned(), value)
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn list<T>(items: &[T], write: impl Fn(&T) -> Value) -> Value {
    Value::Array(items.iter().map(write).collect())
}
