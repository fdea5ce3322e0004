//! JSON Schema (2020-12) of the document, for editors; made from the same declarations that
//! read it.

use postern_request::json::Value;

use crate::decode::Decode as _;
use crate::raw::{RawDocument, RawFragment};

/// The schema as JSON: the whole document, or one fragment of it.
#[must_use]
pub fn json_schema() -> String {
    let schema = Value::Object(vec![
        member("$schema", text("https://json-schema.org/draft/2020-12/schema")),
        member("title", text("Postern gateway document")),
        member("anyOf", Value::Array(vec![RawDocument::schema(), RawFragment::schema()])),
    ]);
    schema.to_string()
}

/// One property of [`object`].
pub(crate) struct Property {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) schema: Value,
    pub(crate) required: bool,
}

pub(crate) fn object(doc: &str, properties: Vec<Property>) -> Value {
    let required =
        properties.iter().filter(|property| property.required).map(|p| text(p.name)).collect();
    let described = properties
        .into_iter()
        .map(|property| {
            let schema = match property.schema {
                Value::Object(mut members) => {
                    members.retain(|(name, _)| name != "description");
                    members.insert(0, member("description", text(property.doc.trim())));
                    Value::Object(members)
                }
                other => other,
            };
            (property.name.to_owned(), schema)
        })
        .collect();
    Value::Object(vec![
        member("type", text("object")),
        member("description", text(doc.trim())),
        member("properties", Value::Object(described)),
        member("required", Value::Array(required)),
        member("additionalProperties", Value::Bool(false)),
    ])
}

pub(crate) fn of_type(name: &str) -> Value {
    Value::Object(vec![member("type", text(name))])
}

pub(crate) fn whole_number(minimum: i64) -> Value {
    Value::Object(vec![member("type", text("integer")), member("minimum", Value::Integer(minimum))])
}

pub(crate) fn text_like(pattern: &str) -> Value {
    Value::Object(vec![member("type", text("string")), member("pattern", text(pattern))])
}

pub(crate) fn one_of_words(words: &[&str]) -> Value {
    let words = words.iter().map(|word| text(word)).collect();
    Value::Object(vec![member("enum", Value::Array(words))])
}

pub(crate) fn list_of(items: Value) -> Value {
    Value::Object(vec![member("type", text("array")), member("items", items)])
}

pub(crate) fn map_of(values: Value) -> Value {
    Value::Object(vec![
        member("type", text("object")),
        member("propertyNames", text_like("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")),
        member("additionalProperties", values),
    ])
}

pub(crate) fn any_of(schemas: Vec<Value>) -> Value {
    Value::Object(vec![member("anyOf", Value::Array(schemas))])
}

fn member(name: &str, value: Value) -> (String, Value) {
    (name.to_owned(), value)
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}
