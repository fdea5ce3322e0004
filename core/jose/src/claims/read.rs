//! Claims by their types.

use postern_request::headers::{is_identity_value, is_safe_value};
use postern_request::json::{Item, Value};

use super::{MAX_CLAIM_BYTES, MAX_LIST};
use crate::TokenError;

/// A string that is fit for a header.
pub(super) fn text(item: Item<'_>) -> Result<String, TokenError> {
    match item {
        Item::String(text) => checked(&text).map(|()| text.into_owned()),
        Item::Other(_) => Err(TokenError::Claims),
    }
}

pub(super) fn checked(text: &str) -> Result<(), TokenError> {
    if text.len() <= MAX_CLAIM_BYTES && is_identity_value(text) {
        Ok(())
    } else {
        Err(TokenError::Claims)
    }
}

/// `aud`: one string or an array of them.
pub(super) fn list(item: Item<'_>) -> Result<Vec<String>, TokenError> {
    match item {
        Item::String(_) => Ok(vec![text(item)?]),
        Item::Other(Value::Array(items)) if items.len() <= MAX_LIST => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => checked(&text).map(|()| text),
                _ => Err(TokenError::Claims),
            })
            .collect(),
        Item::Other(_) => Err(TokenError::Claims),
    }
}

/// `scope`: a string of names separated by spaces (RFC 6749 §3.3).
pub(super) fn scopes(item: &Item<'_>) -> Result<Vec<String>, TokenError> {
    let text = item.as_str().ok_or(TokenError::Claims)?;
    let names = || text.split(' ').filter(|name| !name.is_empty());
    let is_scope_char = |b: u8| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let count = names().count();
    if count > MAX_LIST || !is_safe_value(text) || !text.bytes().all(is_scope_char) {
        return Err(TokenError::Claims);
    }
    let mut scopes = Vec::with_capacity(count);
    scopes.extend(names().map(str::to_owned));
    Ok(scopes)
}

/// A NumericDate (RFC 7519 §2): a number, fractions allowed, rounded down. Strings, negative
/// numbers and numbers beyond 2⁵³ are not dates.
pub(crate) fn seconds(item: &Item<'_>) -> Result<u64, TokenError> {
    const LAST: f64 = 9_007_199_254_740_992.0;
    match item {
        Item::Other(Value::Integer(number)) => {
            u64::try_from(*number).map_err(|_| TokenError::Claims)
        }
        Item::Other(Value::Float(number)) if (0.0..LAST).contains(number) => {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let whole = number.floor() as u64;
            Ok(whole)
        }
        _ => Err(TokenError::Claims),
    }
}
