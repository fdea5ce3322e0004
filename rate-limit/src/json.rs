//! The protocol's messages as JSON, by protobuf's rules: names in camel case or as the protocol
//! spells them, large numbers as texts, enums by name or number. Strictly: a name that does not
//! exist, or one twice, is a mistake.
//!
//! Only what this service reads and writes: no quotas of the protocol's own, no headers to
//! upstreams.

mod write;

use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::{
    Entry, RateLimitOverride,
};
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitRequest;
use envoy_types::pb::google::protobuf::UInt64Value;
use postern_descriptors::Unit;
use postern_request::json::{self, JsonError, Value};

pub(crate) use write::response;

/// Why a text is no request: its writer's fault. No text repeats what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the body is {0}")]
    Json(#[from] JsonError),
    #[error("{0} is an object")]
    Object(&'static str),
    #[error("{0} is a list")]
    List(&'static str),
    #[error("{0} is a text")]
    Text(&'static str),
    #[error("{0} is true or false")]
    Bool(&'static str),
    #[error("{0} is a whole number that is not negative and fits")]
    Number(&'static str),
    #[error("the unit is one of SECOND, MINUTE, HOUR, DAY, WEEK, MONTH and YEAR")]
    Unit,
    #[error("{0} has a member that does not exist")]
    Unknown(&'static str),
    #[error("{0} has a member twice")]
    Repeated(&'static str),
}

/// Reads a request.
pub(crate) fn request(text: &[u8]) -> Result<RateLimitRequest, Unreadable> {
    let body = json::parse(text)?;
    let names =
        [("domain", "domain"), ("descriptors", "descriptors"), ("hits_addend", "hitsAddend")];
    let [domain, descriptors, hits_addend] = members(&body, "the request", names)?;
    Ok(RateLimitRequest {
        domain: text_of(domain, "domain")?,
        descriptors: list_of(descriptors, "descriptors", descriptor)?,
        hits_addend: u32_of(hits_addend, "hits_addend")?.unwrap_or_default(),
    })
}

fn descriptor(value: &Value) -> Result<RateLimitDescriptor, Unreadable> {
    let names = [
        ("entries", "entries"),
        ("limit", "limit"),
        ("hits_addend", "hitsAddend"),
        ("is_negative_hits", "isNegativeHits"),
    ];
    let [entries, limit, hits_addend, negative] = members(value, "a descriptor", names)?;
    let hits_addend = number_of(hits_addend, "hits_addend")?;
    let is_negative_hits = match negative {
        None => false,
        Some(Value::Bool(negative)) => *negative,
        Some(_) => return Err(Unreadable::Bool("is_negative_hits")),
    };
    Ok(RateLimitDescriptor {
        entries: list_of(entries, "entries", entry)?,
        limit: limit.map(limit_of).transpose()?,
        hits_addend: hits_addend.map(|value| UInt64Value { value }),
        is_negative_hits,
    })
}

fn entry(value: &Value) -> Result<Entry, Unreadable> {
    let [key, value] = members(value, "an entry", [("key", "key"), ("value", "value")])?;
    Ok(Entry { key: text_of(key, "key")?, value: text_of(value, "value")? })
}

fn limit_of(value: &Value) -> Result<RateLimitOverride, Unreadable> {
    let names = [("requests_per_unit", "requestsPerUnit"), ("unit", "unit")];
    let [requests, unit] = members(value, "a limit", names)?;
    Ok(RateLimitOverride {
        requests_per_unit: u32_of(requests, "requests_per_unit")?.unwrap_or_default(),
        unit: unit.map(unit_of).transpose()?.unwrap_or_default(),
    })
}

/// `envoy.type.v3.RateLimitUnit`; numbers are judged by who reads the message.
fn unit_of(value: &Value) -> Result<i32, Unreadable> {
    match value {
        Value::Integer(number) => i32::try_from(*number).map_err(|_| Unreadable::Unit),
        Value::String(name) if name == "UNKNOWN" => Ok(0),
        Value::String(name) => {
            let unit = Unit::ALL.into_iter().find(|unit| unit.as_str() == name);
            Ok(match unit.ok_or(Unreadable::Unit)? {
                Unit::Second => 1,
                Unit::Minute => 2,
                Unit::Hour => 3,
                Unit::Day => 4,
                Unit::Month => 5,
                Unit::Year => 6,
                Unit::Week => 7,
            })
        }
        _ => Err(Unreadable::Unit),
    }
}

/// An object's members, each by the protocol's name or by that in camel case. One that is `null` is
/// not there.
fn members<'v, const N: usize>(
    value: &'v Value,
    what: &'static str,
    names: [(&str, &str); N],
) -> Result<[Option<&'v Value>; N], Unreadable> {
    let mut found = [None; N];
    for (name, value) in value.as_object().ok_or(Unreadable::Object(what))? {
        let is_named = |(own, camel): &(&str, &str)| own == name || camel == name;
        let at = names.iter().position(is_named);
        let place = at.and_then(|at| found.get_mut(at)).ok_or(Unreadable::Unknown(what))?;
        if place.replace(value).is_some() {
            return Err(Unreadable::Repeated(what));
        }
    }
    Ok(found.map(|value| value.filter(|value| **value != Value::Null)))
}

fn text_of(value: Option<&Value>, what: &'static str) -> Result<String, Unreadable> {
    let text = value.map(|value| value.as_str().ok_or(Unreadable::Text(what)));
    Ok(text.transpose()?.unwrap_or_default().to_owned())
}

fn list_of<T>(
    value: Option<&Value>,
    what: &'static str,
    read: impl Fn(&Value) -> Result<T, Unreadable>,
) -> Result<Vec<T>, Unreadable> {
    let items = value.map(|value| value.as_array().ok_or(Unreadable::List(what)));
    items.transpose()?.unwrap_or_default().iter().map(read).collect()
}

fn u32_of(value: Option<&Value>, what: &'static str) -> Result<Option<u32>, Unreadable> {
    let number = number_of(value, what)?.map(u32::try_from);
    number.transpose().map_err(|_| Unreadable::Number(what))
}

fn number_of(value: Option<&Value>, what: &'static str) -> Result<Option<u64>, Unreadable> {
    let number = match value {
        None => return Ok(None),
        Some(Value::Integer(number)) => u64::try_from(*number).ok(),
        // A number of 64 bits that no signed one holds is kept as it is written.
        Some(Value::String(text) | Value::Number(text)) => digits(text),
        Some(_) => None,
    };
    number.map(Some).ok_or(Unreadable::Number(what))
}

fn digits(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
