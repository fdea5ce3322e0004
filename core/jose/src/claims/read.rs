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
/// numbers and, unless they are whole and written so, numbers from 2⁵³ on are not dates.
pub(crate) fn seconds(item: &Item<'_>) -> Result<u64, TokenError> {
    match item {
        Item::Other(Value::Integer(number)) => u64::try_from(*number).ok(),
        Item::Other(Value::Number(text)) => rounded_down(text),
        _ => None,
    }
    .ok_or(TokenError::Claims)
}

/// What stands before the decimal point once the exponent has moved it. Exact, where a binary
/// fraction would round up what is close enough to the next second.
fn rounded_down(number: &str) -> Option<u64> {
    const BEYOND: u64 = 1 << 53;
    let (decimal, exponent) = match number.split_once(['e', 'E']) {
        Some((decimal, exponent)) => (decimal, exponent.parse::<i32>().ok()?),
        None => (number, 0),
    };
    // Zero is the only date that may have a sign.
    let decimal = match decimal.strip_prefix('-') {
        Some(zero) if zero.chars().all(|c| matches!(c, '0' | '.')) => zero,
        Some(_) => return None,
        None => decimal,
    };
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let places = i64::try_from(whole.len()).ok()? + i64::from(exponent);
    // By then every digit has been seen; seventeen more zeros make any of them too large, and a
    // zero none. Without an end, `0e2000000000` would be two thousand million steps.
    let places = usize::try_from(places).unwrap_or(0).min(number.len() + 17);
    let digits = whole.chars().chain(fraction.chars()).chain(core::iter::repeat('0'));
    digits.take(places).try_fold(0_u64, |seconds, digit| {
        let seconds = seconds * 10 + u64::from(digit.to_digit(10)?);
        (seconds < BEYOND).then_some(seconds)
    })
}
