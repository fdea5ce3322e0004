//! What codes and refresh tokens stand for, as it is kept: JSON of which every member is known.
//!
//! A reader that passed over a member it does not know could pass over a binding that a newer
//! replica has written. So it reads nothing then, and the user agrees again.

use postern_jose::base64url;
use postern_request::UnixMillis;
use postern_request::json::{self, Value};

use crate::{Acr, ScopeSet};

/// Writes members, one after the other.
#[derive(Default)]
pub(crate) struct Writer(Vec<(String, Value)>);

impl Writer {
    fn push(mut self, name: &str, value: Value) -> Self {
        self.0.push((name.to_owned(), value));
        self
    }

    pub(crate) fn text(self, name: &str, text: &str) -> Self {
        self.push(name, Value::String(text.to_owned()))
    }

    pub(crate) fn maybe_text(self, name: &str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    pub(crate) fn texts(self, name: &str, texts: &[String]) -> Self {
        self.push(name, Value::Array(texts.iter().cloned().map(Value::String).collect()))
    }

    pub(crate) fn scopes(self, name: &str, scopes: &ScopeSet) -> Self {
        self.text(name, &scopes.to_string())
    }

    pub(crate) fn flag(self, name: &str, is_set: bool) -> Self {
        self.push(name, Value::Bool(is_set))
    }

    /// Moments beyond the year 292,278,994 are none that a clock of ours tells.
    pub(crate) fn moment(self, name: &str, at: UnixMillis) -> Self {
        self.push(name, Value::Integer(i64::try_from(at.0).unwrap_or(i64::MAX)))
    }

    pub(crate) fn maybe_moment(self, name: &str, at: Option<UnixMillis>) -> Self {
        match at {
            Some(at) => self.moment(name, at),
            None => self,
        }
    }

    /// Whole numbers beyond 2⁶³ are none that anybody here counts to.
    pub(crate) fn number(self, name: &str, number: u64) -> Self {
        self.push(name, Value::Integer(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    pub(crate) fn acr(self, name: &str, acr: Acr) -> Self {
        self.text(name, acr.as_str())
    }

    pub(crate) fn maybe_hash(self, name: &str, hash: Option<[u8; 32]>) -> Self {
        match hash {
            Some(hash) => self.text(name, &base64url::encode(&hash)),
            None => self,
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        Value::Object(self.0).to_string().into_bytes()
    }
}

/// Reads members; each at most once, and in the end there is none left.
pub(crate) struct Reader(Vec<(String, Value)>);

impl Reader {
    pub(crate) fn new(kept: &[u8]) -> Option<Self> {
        match json::parse(kept) {
            Ok(Value::Object(members)) => Some(Self(members)),
            _ => None,
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// None in the outer place where there is something else than a text.
    pub(crate) fn maybe_text(&mut self, name: &str) -> Option<Option<String>> {
        match self.take(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text)),
            Some(_) => None,
        }
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.maybe_text(name)?
    }

    pub(crate) fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        let Value::Array(items) = self.take(name)? else { return None };
        let text = |item| match item {
            Value::String(text) => Some(text),
            _ => None,
        };
        items.into_iter().map(text).collect()
    }

    pub(crate) fn scopes(&mut self, name: &str) -> Option<ScopeSet> {
        ScopeSet::parse(&self.text(name)?).ok()
    }

    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(is_set) => Some(is_set),
            _ => None,
        }
    }

    pub(crate) fn moment(&mut self, name: &str) -> Option<UnixMillis> {
        self.number(name).map(UnixMillis)
    }

    /// None in the outer place where there is something else than a moment.
    pub(crate) fn maybe_moment(&mut self, name: &str) -> Option<Option<UnixMillis>> {
        match self.0.iter().any(|(known, _)| known == name) {
            true => self.moment(name).map(Some),
            false => Some(None),
        }
    }

    pub(crate) fn number(&mut self, name: &str) -> Option<u64> {
        match self.take(name)? {
            Value::Integer(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    pub(crate) fn acr(&mut self, name: &str) -> Option<Acr> {
        Acr::parse(&self.text(name)?)
    }

    pub(crate) fn maybe_hash(&mut self, name: &str) -> Option<Option<[u8; 32]>> {
        match self.maybe_text(name)? {
            None => Some(None),
            Some(text) => Some(Some(crate::pkce::hash_of(&text)?)),
        }
    }

    /// Whether everything was read.
    pub(crate) fn finish(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
