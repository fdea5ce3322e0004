//! The members of one object, borrowed from its text.
//!
//! What reads a token wants a dozen short strings out of a text that it keeps anyway: each
//! name and each string that is copied costs an allocation, and inside WASM those add up.

use core::fmt;
use std::borrow::Cow;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Depth, FEW_MEMBERS, JsonError, MAX_DEPTH, Value, has_repeated};

/// The value of a member.
#[derive(Debug, Clone, PartialEq)]
pub enum Item<'a> {
    /// A string, as it stands in the text; a copy only where escapes had to be undone.
    String(Cow<'a, str>),
    /// Anything else. Never a [`Value::String`].
    Other(Value),
}

/// Names and values, in the order of the text.
pub type Members<'a> = Vec<(Cow<'a, str>, Item<'a>)>;

impl Item<'_> {
    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Other(_) => None,
        }
    }
}

/// Reads exactly one object, as strictly as [`parse`](super::parse).
///
/// # Errors
/// On anything that is not a strict JSON object. The text names the position, never the
/// content.
pub fn parse_members(text: &[u8]) -> Result<Members<'_>, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let read = Deserializer::deserialize_map(&mut deserializer, ReadMembers);
    let read = read.and_then(|members| deserializer.end().map(|()| members));
    read.map_err(|error| JsonError::at(&error))
}

struct ReadMembers;

impl<'de> Visitor<'de> for ReadMembers {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members<'de>, A::Error> {
        let depth = Depth(MAX_DEPTH).deeper()?;
        // One allocation for nearly every token.
        let mut members: Members<'de> = Vec::with_capacity(FEW_MEMBERS);
        while let Some(name) = access.next_key_seed(ReadName)? {
            if members.len() < FEW_MEMBERS && members.iter().any(|(seen, _)| *seen == name) {
                return Err(de::Error::custom("a member is repeated"));
            }
            members.push((name, access.next_value_seed(ReadItem(depth))?));
        }
        if members.len() > FEW_MEMBERS && has_repeated(&members) {
            return Err(de::Error::custom("a member is repeated"));
        }
        Ok(members)
    }
}

struct ReadName;

impl<'de> DeserializeSeed<'de> for ReadName {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for ReadName {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

struct ReadItem(Depth);

impl<'de> DeserializeSeed<'de> for ReadItem {
    type Value = Item<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Item<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ReadItem {
    type Value = Item<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Item<'de>, E> {
        Ok(Item::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Item<'de>, E> {
        Ok(Item::String(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Item<'de>, E> {
        self.0.visit_unit().map(Item::Other)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Item<'de>, E> {
        self.0.visit_bool(value).map(Item::Other)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Item<'de>, E> {
        self.0.visit_i64(value).map(Item::Other)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Item<'de>, E> {
        self.0.visit_u64(value).map(Item::Other)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Item<'de>, E> {
        self.0.visit_f64(value).map(Item::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<Item<'de>, A::Error> {
        self.0.visit_seq(access).map(Item::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Item<'de>, A::Error> {
        self.0.visit_map(access).map(Item::Other)
    }
}
