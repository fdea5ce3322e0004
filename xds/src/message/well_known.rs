//! Messages of protobuf's own that JSON spells in a way of their own.

use serde_json::{Map, Value};

use super::schema::Scalar;
use super::wire::{put_bytes, put_double, put_number};
use super::{MessageError, Written, put_members, put_message, put_scalar};

const PREFIX: &str = "google.protobuf.";
const NANOS_DIGITS: usize = 9;

/// Whether a message is one of these.
pub(super) fn is(type_name: &str) -> bool {
    type_name.starts_with(PREFIX)
}

pub(super) fn put(type_name: &str, value: &Value, out: &mut Vec<u8>) -> Written {
    match type_name.strip_prefix(PREFIX).unwrap_or_default() {
        "Any" => put_any(value, out),
        "BoolValue" => put_scalar(1, Scalar::Bool, value, out),
        "DoubleValue" => put_scalar(1, Scalar::Double, value, out),
        "Duration" => put_duration(value, out),
        "Empty" if value.as_object().is_some_and(Map::is_empty) => Ok(()),
        "Int32Value" => put_scalar(1, Scalar::Int32, value, out),
        "Int64Value" => put_scalar(1, Scalar::Int64, value, out),
        "StringValue" => put_scalar(1, Scalar::String, value, out),
        "Struct" => put_struct(value, out),
        "UInt32Value" => put_scalar(1, Scalar::Uint32, value, out),
        "UInt64Value" => put_scalar(1, Scalar::Uint64, value, out),
        "Value" => put_any_value(value, out),
        _ => Err(MessageError::new("no message of this type can be sent")),
    }
}

/// A message with its type: `{"@type": URL, …}`, of protobuf's own `{"@type": URL, "value": …}`.
fn put_any(value: &Value, out: &mut Vec<u8>) -> Written {
    const TYPE: &str = "@type";
    let members = value.as_object().ok_or(MessageError::new("an object is wanted"))?;
    if members.is_empty() {
        return Ok(());
    }
    let url = members.get(TYPE).and_then(Value::as_str);
    let url = url.ok_or(MessageError::new("a type is wanted"))?;
    let (_, type_name) = url.rsplit_once('/').ok_or(MessageError::new("no type's URL"))?;
    let mut message = Vec::new();
    if is(type_name) {
        let inner = members.get("value").ok_or(MessageError::new("a value is wanted"))?;
        put_message(type_name, inner, &mut message)?;
    } else {
        put_members(type_name, members, Some(TYPE), &mut message)?;
    }
    put_bytes(1, url.as_bytes(), out);
    put_bytes(2, &message, out);
    Ok(())
}

/// Seconds with up to nine decimals, and an `s`.
fn put_duration(value: &Value, out: &mut Vec<u8>) -> Written {
    let (seconds, nanos) = value
        .as_str()
        .and_then(read_duration)
        .ok_or(MessageError::new("a duration is wanted, such as 1.5s"))?;
    for (number, value) in [(1, seconds), (2, nanos)] {
        if value != 0 {
            put_number(number, value, out);
        }
    }
    Ok(())
}

/// Whole seconds, and the rest in nanoseconds. No duration of ours is negative.
fn read_duration(text: &str) -> Option<(u64, u64)> {
    let text = text.strip_suffix('s')?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(seconds) || !is_number(fraction) || fraction.len() > NANOS_DIGITS {
        return None;
    }
    Some((seconds.parse().ok()?, format!("{fraction:0<NANOS_DIGITS$}").parse().ok()?))
}

fn put_struct(value: &Value, out: &mut Vec<u8>) -> Written {
    let members = value.as_object().ok_or(MessageError::new("an object is wanted"))?;
    for (name, value) in members {
        let (mut entry, mut inner) = (Vec::new(), Vec::new());
        put_any_value(value, &mut inner).map_err(|error| error.within(name))?;
        put_bytes(1, name.as_bytes(), &mut entry);
        put_bytes(2, &inner, &mut entry);
        put_bytes(1, &entry, out);
    }
    Ok(())
}

fn put_any_value(value: &Value, out: &mut Vec<u8>) -> Written {
    match value {
        Value::Null => put_number(1, 0, out),
        Value::Number(number) => {
            let number = number.as_f64().ok_or(MessageError::new("a number is wanted"))?;
            put_double(2, number, out);
        }
        Value::String(text) => put_bytes(3, text.as_bytes(), out),
        Value::Bool(is) => put_number(4, u64::from(*is), out),
        Value::Object(_) => {
            let mut inner = Vec::new();
            put_struct(value, &mut inner)?;
            put_bytes(5, &inner, out);
        }
        Value::Array(items) => {
            let mut list = Vec::new();
            for item in items {
                let mut inner = Vec::new();
                put_any_value(item, &mut inner)?;
                put_bytes(1, &inner, &mut list);
            }
            put_bytes(6, &list, out);
        }
    }
    Ok(())
}
