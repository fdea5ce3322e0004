//! What a document wants to know of an issuer's claims.

use postern_request::json::{Item, Members, Value};

use super::{MAX_LIST, read};
use crate::TokenError;

/// Most bytes that one token's kept claims hold together.
const MAX_KEPT_BYTES: usize = 4096;

/// Which claims count beyond those of the RFCs.
///
/// Each is named as the token names it or, where no claim has that name, by the path to it:
/// `org.id` is the claim `org.id`, or else `id` inside `org`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaimsRules {
    /// Header name and claim: what upstreams are told.
    pub claim_headers: Vec<(String, String)>,
    /// Claims that every token must have, whatever they say.
    pub required: Vec<String>,
    /// Claims that routes ask about. They are kept with the verified token, so that a route's
    /// rule can be judged on every request; see [`ClaimValue::matches`].
    pub kept: Vec<String>,
}

/// A claim where it stands.
#[derive(Clone, Copy)]
enum Found<'m> {
    Text(&'m str),
    Value(&'m Value),
}

impl ClaimsRules {
    /// Where a claim stands in `Claims::kept`.
    #[must_use]
    pub fn kept_index(&self, claim: &str) -> Option<usize> {
        self.kept.iter().position(|known| known == claim)
    }

    pub(super) fn check_required(&self, members: &Members<'_>) -> Result<(), TokenError> {
        let is_there = |claim: &String| find(members, claim).is_some();
        if self.required.iter().all(is_there) { Ok(()) } else { Err(TokenError::Required) }
    }

    pub(super) fn headers_of(
        &self,
        members: &Members<'_>,
    ) -> Result<Vec<(String, String)>, TokenError> {
        let mut headers = Vec::with_capacity(self.claim_headers.len());
        for (header, claim) in &self.claim_headers {
            if let Some(found) = find(members, claim) {
                headers.push((header.clone(), as_header(found)?));
            }
        }
        Ok(headers)
    }

    /// Only what a rule can be about is kept. What would not fit any more is as if it were not
    /// there: no rule holds for it, and the token works where no rule asks.
    pub(super) fn keep(&self, members: &Members<'_>) -> Vec<Option<ClaimValue>> {
        let mut room = MAX_KEPT_BYTES;
        let keep = |claim: &String| {
            let value = match find(members, claim)? {
                Found::Text(text) if text.len() <= room => ClaimValue::Text(text.to_owned()),
                Found::Value(Value::Array(items)) if items.len() <= MAX_LIST => {
                    ClaimValue::List(items.iter().map(ClaimValue::scalar).collect::<Option<_>>()?)
                }
                Found::Value(value) => ClaimValue::scalar(value)?,
                Found::Text(_) => return None,
            };
            room = room.checked_sub(value.weight())?;
            Some(value)
        };
        self.kept.iter().map(keep).collect()
    }
}

/// A claim that a rule can be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimValue {
    /// A string.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Bool(bool),
    /// Several of those, no list among them.
    List(Vec<Self>),
}

impl ClaimValue {
    fn scalar(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Integer(number) => Some(Self::Integer(*number)),
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Whether it says `wanted`, or is a list of which one item does. Numbers and booleans are
    /// compared as JSON writes them, so `7` and `"7"` are alike: which of both an issuer writes
    /// is a matter of its library.
    #[must_use]
    pub fn matches(&self, wanted: &str) -> bool {
        match self {
            Self::Text(text) => text == wanted,
            Self::Integer(number) => wanted.parse() == Ok(*number) && number.to_string() == wanted,
            Self::Bool(true) => wanted == "true",
            Self::Bool(false) => wanted == "false",
            Self::List(items) => items.iter().any(|item| item.matches(wanted)),
        }
    }

    /// Bytes on the heap.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Integer(_) | Self::Bool(_) => 0,
            Self::List(items) => {
                items.iter().map(|item| item.weight() + size_of::<Self>()).sum::<usize>()
            }
        }
    }
}

/// A claim by its name or path; `null` is as good as none.
fn find<'m>(members: &'m Members<'_>, claim: &str) -> Option<Found<'m>> {
    let member = |wanted: &str| members.iter().find(|(name, _)| name == wanted);
    let found = match member(claim) {
        Some((_, Item::String(text))) => Found::Text(text),
        Some((_, Item::Other(value))) => Found::Value(value),
        None => {
            let mut steps = claim.split('.');
            let (_, Item::Other(outer)) = member(steps.next()?)? else { return None };
            let inner = steps.try_fold(outer, |value, step| value.get(step))?;
            match inner {
                Value::String(text) => Found::Text(text),
                value => Found::Value(value),
            }
        }
    };
    (!matches!(found, Found::Value(Value::Null))).then_some(found)
}

/// A claim as a header's value: strings as they are, numbers and booleans in JSON, lists of
/// strings joined by commas. Objects have no obvious form and are an error.
fn as_header(claim: Found<'_>) -> Result<String, TokenError> {
    let text = match claim {
        Found::Text(text) => text.to_owned(),
        Found::Value(value @ (Value::Integer(_) | Value::Bool(_))) => value.to_string(),
        Found::Value(Value::Array(items)) if items.len() <= MAX_LIST => {
            let mut joined = String::new();
            for (at, item) in items.iter().enumerate() {
                let item = item.as_str().ok_or(TokenError::Claims)?;
                read::checked(item)?;
                // Joined, an item with a comma would read as two.
                if item.contains(',') {
                    return Err(TokenError::Claims);
                }
                if at > 0 {
                    joined.push(',');
                }
                joined.push_str(item);
            }
            joined
        }
        Found::Value(_) => return Err(TokenError::Claims),
    };
    read::checked(&text)?;
    Ok(text)
}
