//! The members of a request, each read once and for what it must be.

use postern_request::json::Value;

use super::invalid;
use crate::{ErrorCode, MAX_REDIRECT_URI_BYTES, OAuthError, RedirectUri};

/// Longest name, in characters: what an operator's client may have, too.
const MAX_NAME_CHARS: usize = 100;
/// Most items of a list.
const MAX_ITEMS: usize = 16;

/// Members that were not read yet.
pub(super) struct Fields(Vec<(String, Value)>);

impl Fields {
    pub(super) const fn new(members: Vec<(String, Value)>) -> Self {
        Self(members)
    }

    /// One without a value counts as left out, as many libraries write them.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1).filter(|value| *value != Value::Null)
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, OAuthError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= MAX_REDIRECT_URI_BYTES => Ok(Some(text)),
            Some(_) => Err(invalid("A member that must be a text is none, or is too long")),
        }
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<bool, OAuthError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(is_set)) => Ok(is_set),
            Some(_) => Err(invalid("A member that must be true or false is neither")),
        }
    }

    pub(super) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, OAuthError> {
        const BAD: OAuthError =
            invalid("A member that must be a list of texts is none, has too many, or one twice");
        let items = match self.take(name) {
            None => return Ok(None),
            Some(Value::Array(items)) if items.len() <= MAX_ITEMS => items,
            Some(_) => return Err(BAD),
        };
        let mut texts: Vec<String> = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Value::String(text) if !texts.contains(&text) => texts.push(text),
                _ => return Err(BAD),
            }
        }
        Ok(Some(texts))
    }

    /// Where browsers may be sent.
    pub(super) fn redirect_uris(&mut self, name: &str) -> Result<Vec<RedirectUri>, OAuthError> {
        const BAD: OAuthError = OAuthError::new(
            ErrorCode::InvalidRedirectUri,
            "Redirect URIs are https, or http on 127.0.0.1 or [::1], or have a scheme with a dot, \
             without fragment and user, each once",
        );
        let texts = self.texts(name).map_err(|_| BAD)?.unwrap_or_default();
        texts.iter().map(|text| RedirectUri::parse(text).map_err(|_| BAD)).collect()
    }

    /// A page or picture of the client's, which people may be led to.
    pub(super) fn web(&mut self, name: &str) -> Result<Option<String>, OAuthError> {
        let Some(url) = self.text(name)? else { return Ok(None) };
        if url.starts_with("https://") && RedirectUri::parse(&url).is_ok() {
            Ok(Some(url))
        } else {
            Err(invalid("Addresses of pages and pictures are https, without fragment and user"))
        }
    }

    /// What people call the client.
    pub(super) fn name(&mut self) -> Result<Option<String>, OAuthError> {
        let Some(name) = self.text("client_name")? else { return Ok(None) };
        let is_shown = (1..=MAX_NAME_CHARS).contains(&name.chars().count())
            && name.trim() == name
            && !name.chars().any(is_hidden);
        if is_shown {
            Ok(Some(name))
        } else {
            Err(invalid("A name has 1 to 100 characters on one line, and none that are not seen"))
        }
    }
}

/// Characters that do something to others instead of being seen: a name could show people another
/// name by them, or the end of a sentence of ours.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}
