//! Messages: from the JSON that is rendered to the bytes that are sent, as protobuf maps one to the
//! other. What renders knows one form alone, and nothing that it says is lost on the way: a member
//! without a field of that name is an error.
//!
//! The same message gives the same bytes. Members are written in the order of their names, maps in
//! that of their keys.

mod schema;
mod well_known;
mod wire;

use serde_json::{Map, Value};

use self::schema::{Field, Label, SCHEMA, Scalar, Type, Types};
use crate::message::wire::{put_bytes, put_number};

/// Why a message cannot be sent: a fault of this program, or of whoever rendered it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct MessageError {
    /// Where in the message, by the names of members.
    pub path: String,
    /// What is wrong there.
    pub problem: &'static str,
}

impl MessageError {
    const fn new(problem: &'static str) -> Self {
        Self { path: String::new(), problem }
    }

    /// The same, seen from what holds it.
    fn within(mut self, member: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.path = format!("{member}{dot}{}", self.path);
        self
    }
}

type Written = Result<(), MessageError>;

/// The bytes of a message of this type.
///
/// # Errors
/// When it says something that such a message cannot say.
pub fn encode(type_name: &str, message: &Value) -> Result<Vec<u8>, MessageError> {
    let mut bytes = Vec::new();
    match put_message(type_name, message, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) if error.path.is_empty() => Err(error.within("the message")),
        Err(error) => Err(error),
    }
}

fn put_message(type_name: &str, message: &Value, out: &mut Vec<u8>) -> Written {
    if well_known::is(type_name) {
        return well_known::put(type_name, message, out);
    }
    let Value::Object(members) = message else {
        return Err(MessageError::new("an object is wanted"));
    };
    put_members(type_name, members, None, out)
}

/// All members but the one of this name.
fn put_members(
    type_name: &str,
    members: &Map<String, Value>,
    but: Option<&str>,
    out: &mut Vec<u8>,
) -> Written {
    let Some(Type::Message(fields)) = SCHEMA.get(type_name) else {
        return Err(MessageError::new("no message of this type can be sent"));
    };
    for (name, value) in members {
        if value.is_null() || but == Some(name.as_str()) {
            continue;
        }
        let field = fields.get(name.as_str()).ok_or(MessageError::new("there is no such field"));
        let written = field.and_then(|field| put_field(field, value, out));
        written.map_err(|error| error.within(name))?;
    }
    Ok(())
}

fn put_field(field: &Field, value: &Value, out: &mut Vec<u8>) -> Written {
    match (field.label, value) {
        (Label::One, value) => put_value(field.number, &field.of, value, out),
        (Label::Repeated, Value::Array(items)) => {
            let put = |(place, item): (usize, &Value)| {
                let written = put_value(field.number, &field.of, item, out);
                written.map_err(|error| error.within(&place.to_string()))
            };
            items.iter().enumerate().try_for_each(put)
        }
        (Label::Map, Value::Object(entries)) => entries.iter().try_for_each(|(key, value)| {
            let mut entry = Vec::new();
            put_bytes(1, key.as_bytes(), &mut entry);
            let written = put_value(2, &field.of, value, &mut entry);
            put_bytes(field.number, &entry, out);
            written.map_err(|error| error.within(key))
        }),
        (Label::Repeated, _) => Err(MessageError::new("a list is wanted")),
        (Label::Map, _) => Err(MessageError::new("an object is wanted")),
    }
}

/// One value, under a field's number.
fn put_value(number: u32, of: &Types, value: &Value, out: &mut Vec<u8>) -> Written {
    match of {
        Types::Scalar(scalar) => put_scalar(number, *scalar, value, out),
        Types::Named(name) => match SCHEMA.get(name) {
            Some(Type::Enum(values)) => {
                let text = value.as_str().ok_or(MessageError::new("a name is wanted"))?;
                let known = values.get(text).ok_or(MessageError::new("there is no such value"))?;
                put_number(number, i64::from(*known).cast_unsigned(), out);
                Ok(())
            }
            _ => {
                let mut bytes = Vec::new();
                put_message(name, value, &mut bytes)?;
                put_bytes(number, &bytes, out);
                Ok(())
            }
        },
    }
}

fn put_scalar(number: u32, scalar: Scalar, value: &Value, out: &mut Vec<u8>) -> Written {
    let wanted = MessageError::new;
    match scalar {
        Scalar::String => {
            let text = value.as_str().ok_or(wanted("a text is wanted"))?;
            put_bytes(number, text.as_bytes(), out);
        }
        Scalar::Bool => {
            let is = value.as_bool().ok_or(wanted("true or false is wanted"))?;
            put_number(number, u64::from(is), out);
        }
        Scalar::Double => {
            let value = value.as_f64().ok_or(wanted("a number is wanted"))?;
            wire::put_double(number, value, out);
        }
        Scalar::Uint32 => {
            let value = value.as_u64().and_then(|value| u32::try_from(value).ok());
            put_number(number, value.ok_or(wanted("a number of 32 bits is wanted"))?.into(), out);
        }
        Scalar::Int32 => {
            let value = value.as_i64().and_then(|value| i32::try_from(value).ok());
            let value = value.ok_or(wanted("a number of 32 bits is wanted"))?;
            put_number(number, i64::from(value).cast_unsigned(), out);
        }
        Scalar::Uint64 => {
            put_number(number, value.as_u64().ok_or(wanted("a number is wanted"))?, out);
        }
        Scalar::Int64 => {
            let value = value.as_i64().ok_or(wanted("a number is wanted"))?;
            put_number(number, value.cast_unsigned(), out);
        }
        // Nothing that is rendered holds any.
        Scalar::Bytes => return Err(wanted("bytes cannot be sent")),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
