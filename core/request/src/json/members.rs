//! The members of one object, borrowed from its text.
//!
//! What reads a token wants a dozen short strings out of a text that it keeps anyway: each
//! name and each string that is copied costs an allocation, and inside WASM those add up.

use std::borrow::Cow;

use super::read::Reader;
use super::{JsonError, Value};

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
    Reader::whole(text, Reader::object)
}
