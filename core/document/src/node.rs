//! A document's text as a tree of nodes that know their place.

use postern_request::json::Value;

use crate::problem::Position;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// What it is.
    pub kind: Kind,
}

/// What a text can hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Nothing: `key:` without a value, or `null`.
    Null,
    /// Text, and anything that is neither of the next two.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, 0 or more.
    Whole(u64),
    /// Any other number, as it is written; only where the reader tells these from text.
    #[cfg(feature = "yaml")]
    Number(String),
    /// Items in order.
    List(Vec<Node>),
    /// Members in order, each with the place of its name.
    Map(Vec<(String, Position, Node)>),
}

impl Kind {
    /// For messages: "expected …, found a list".
    #[must_use]
    pub const fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "text",
            Self::Bool(_) => "true or false",
            Self::Whole(_) => "a number",
            #[cfg(feature = "yaml")]
            Self::Number(_) => "a number",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Node {
    /// A tree from JSON, which has no lines.
    pub(crate) fn from_json(value: &Value, file: usize) -> Self {
        let at = Position { file, line: 0 };
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(value) => Kind::Bool(*value),
            Value::Integer(number) => match u64::try_from(*number) {
                Ok(whole) => Kind::Whole(whole),
                Err(_) => Kind::Text(number.to_string()),
            },
            Value::Number(text) | Value::String(text) => Kind::Text(text.clone()),
            Value::Array(items) => {
                Kind::List(items.iter().map(|item| Self::from_json(item, file)).collect())
            }
            Value::Object(members) => Kind::Map(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), at, Self::from_json(value, file)))
                    .collect(),
            ),
        };
        Self { at, kind }
    }
}

#[cfg(feature = "yaml")]
pub(crate) mod yaml;
