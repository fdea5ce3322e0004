//! JSON read strictly, for input that somebody else wrote.
//!
//! Stricter than RFC 8259 asks: a repeated member is an error (two readers of one token must
//! not see two different claims), nesting and the length of numbers are bounded, an escaped
//! surrogate has its other half, nothing may follow the value.
//!
//! The reader is our own. A general one brings along texts for its errors and the tables that
//! binary fractions need, fifty kilobytes of every module, and nothing here calculates with
//! fractions: a number that is not whole stays the text that it is.

mod members;
mod read;
mod strings;

use core::fmt;

pub use members::{Item, Members, parse_members};
use read::Reader;

/// Deepest nesting that is read.
pub const MAX_DEPTH: usize = 16;
/// Longest number that is read, in bytes.
pub const MAX_NUMBER_BYTES: usize = 64;

/// A JSON value; members keep their order.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number within ±2⁶³, written without fraction and exponent.
    Integer(i64),
    /// Any other number, as it is written: `1.50` is not `1.5`, and `1e400` is nobody's
    /// infinity. `-0` is one of these, because [`Value::Integer`] would lose its sign.
    Number(String),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object; no member twice.
    Object(Vec<(String, Value)>),
}

/// Why a text was refused: where it stops being strict JSON. Lines and columns count from 1,
/// columns in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    line: usize,
    column: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not strict JSON at line {}, column {}", self.line, self.column)
    }
}

impl std::error::Error for JsonError {}

impl JsonError {
    /// The place of byte `at`.
    fn at(text: &[u8], at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let mut lines = before.rsplit(|byte| *byte == b'\n');
        let column = lines.next().map_or(0, <[u8]>::len) + 1;
        Self { line: lines.count() + 1, column }
    }
}

/// Reads exactly one value.
///
/// # Errors
/// On anything that is not strict JSON. The text names the position, never the content.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    Reader::whole(text, Reader::value)
}

impl Value {
    /// The member of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The members of an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The items of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Writes the value compactly, members in their order.
    pub fn write_to(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Integer(value) => out.push_str(&value.to_string()),
            Self::Number(text) => out.push_str(text),
            Self::String(text) => write_string(out, text),
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write_to(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_string(out, name);
                    out.push(':');
                    value.write_to(out);
                }
                out.push('}');
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write_to(&mut text);
        f.write_str(&text)
    }
}

/// Appends `text` as a JSON string, quotes included. Control characters are escaped, DEL among
/// them.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    loop {
        let plain = rest.bytes().take_while(|byte| !is_escaped(*byte)).count();
        let Some((plain, escaped)) = rest.split_at_checked(plain) else { break };
        out.push_str(plain);
        let mut escaped = escaped.chars();
        match escaped.next() {
            None => break,
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => {
                out.push_str("\\u00");
                let digit = |bits: u32| char::from_digit(u32::from(control) >> bits & 0xf, 16);
                out.extend([digit(4), digit(0)].into_iter().flatten());
            }
        }
        rest = escaped.as_str();
    }
    out.push('"');
}

const fn is_escaped(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..0x20 | 0x7f)
}

#[cfg(test)]
mod tests;
