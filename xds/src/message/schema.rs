//! Which messages there are, and which fields they have: read from a text that a test writes from
//! Envoy's own `.proto` files. It holds what can be rendered, and not all of Envoy's messages.

use std::collections::HashMap;
use std::sync::LazyLock;

/// `message NAME` or `enum NAME`, each followed by its lines: `NUMBER NAME TYPE`,
/// `NUMBER NAME repeated TYPE`, `NUMBER NAME map string TYPE`; of an enum `NUMBER NAME`.
pub(super) const TEXT: &str = include_str!("schema.txt");

/// All types, by their names.
pub(super) static SCHEMA: LazyLock<HashMap<&'static str, Type>> = LazyLock::new(|| read(TEXT));

/// A type of Envoy's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Fields by their names.
    Message(HashMap<&'static str, Field>),
    /// Numbers by their names.
    Enum(HashMap<&'static str, i32>),
}

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) label: Label,
    pub(super) of: Types,
}

/// How often there is a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    One,
    Repeated,
    /// By keys that are texts.
    Map,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Types {
    Scalar(Scalar),
    /// A message or an enum of this name.
    Named(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Bool,
    Bytes,
    Double,
    Int32,
    Int64,
    String,
    Uint32,
    Uint64,
}

impl Types {
    fn read(name: &'static str) -> Self {
        Self::Scalar(match name {
            "bool" => Scalar::Bool,
            "bytes" => Scalar::Bytes,
            "double" => Scalar::Double,
            "int32" => Scalar::Int32,
            "int64" => Scalar::Int64,
            "string" => Scalar::String,
            "uint32" => Scalar::Uint32,
            "uint64" => Scalar::Uint64,
            _ => return Self::Named(name),
        })
    }
}

/// What cannot be read is left out; a test sees that there is none.
fn read(text: &'static str) -> HashMap<&'static str, Type> {
    let mut types = HashMap::new();
    let mut current: Option<(&'static str, Type)> = None;
    for line in text.lines() {
        let words: Vec<&'static str> = line.split(' ').collect();
        let begun = match *words.as_slice() {
            ["message", name] => Some((name, Type::Message(HashMap::new()))),
            ["enum", name] => Some((name, Type::Enum(HashMap::new()))),
            _ => None,
        };
        match (begun, &mut current) {
            (Some(begun), current) => types.extend(current.replace(begun)),
            (None, Some((_, Type::Message(fields)))) => fields.extend(field(&words)),
            (None, Some((_, Type::Enum(values)))) => values.extend(value(&words)),
            (None, None) => {}
        }
    }
    types.extend(current);
    types
}

fn field(words: &[&'static str]) -> Option<(&'static str, Field)> {
    let (number, name, label, of) = match *words {
        [number, name, of] => (number, name, Label::One, of),
        [number, name, "repeated", of] => (number, name, Label::Repeated, of),
        [number, name, "map", "string", of] => (number, name, Label::Map, of),
        _ => return None,
    };
    Some((name, Field { number: number.parse().ok()?, label, of: Types::read(of) }))
}

fn value(words: &[&'static str]) -> Option<(&'static str, i32)> {
    match *words {
        [number, name] => Some((name, number.parse().ok()?)),
        _ => None,
    }
}
