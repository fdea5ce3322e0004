//! Tokens in places that hold other things beside them: cookies, the query, the subprotocols of
//! a WebSocket.
//!
//! The filters and the server read them with this one reader, so that both see the same token;
//! [`crate::tokens`] says which place of a request is asked.
//! Whatever a server behind could read as another one is never chosen from: a name that is
//! there twice, a name in a spelling of its own, a value with escapes.
//!
//! Each place can be cleared too. What is cleared holds nothing under the name any more, in no
//! spelling; the rest stays byte for byte and in its order.

use crate::path;
use crate::presented::Presented;

/// What a place holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Find<'a> {
    /// Nothing of this name.
    Absent,
    /// One value, not empty.
    One(&'a [u8]),
    /// More than one.
    Repeated,
    /// One that cannot be a token: empty, escaped, half quoted, without an end.
    Unusable,
}

impl<'a> From<Find<'a>> for Presented<'a> {
    fn from(found: Find<'a>) -> Self {
        match found {
            Find::Absent => Self::Nothing,
            Find::One(token) => Self::Bearer(token),
            Find::Repeated | Find::Unusable => Self::Unusable,
        }
    }
}

impl<'a> Find<'a> {
    /// Takes one more value into account; none is one that cannot be a token.
    fn and(self, value: Option<&'a [u8]>) -> Self {
        match (self, value) {
            (Self::Absent, Some(value)) => Self::One(value),
            (Self::Absent, None) => Self::Unusable,
            _ => Self::Repeated,
        }
    }
}

/// The value of a cookie (RFC 6265 §5.4). Where there are several `cookie` headers, as HTTP/2
/// allows (RFC 9113 §8.2.3), the caller joins them with `; ` first.
///
/// Quotes around a value are taken off. They do not hide a semicolon, which readers of older
/// cookies may think they do.
#[must_use]
pub fn from_cookie<'a>(header: &'a [u8], name: &str) -> Find<'a> {
    let values = header.split(|b| *b == b';').filter_map(|pair| {
        let (found, value) = cookie(pair);
        (found == name.as_bytes()).then_some(value)
    });
    values.fold(Find::Absent, |found, value| found.and(value.and_then(cookie_value)))
}

/// The header without the cookies of some names, in as many pairs as they may be; none where it has
/// none of them. Empty when nothing is left: the header has to go then.
#[must_use]
pub fn without_cookies(header: &[u8], is_it: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let is_it = |pair: &[u8]| is_it(cookie(pair).0);
    let holds = header.split(|b| *b == b';').any(is_it);
    holds.then(|| without(header, b';', is_it))
}

/// The value of a query parameter. The name is to be unreserved (RFC 3986 §2.3), so it needs no
/// escapes; neither does a token.
#[must_use]
pub fn from_query<'a>(target: &'a str, name: &str) -> Find<'a> {
    let (_, query, _) = parts(target);
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    pairs.fold(Find::Absent, |found, pair| {
        let (spelled, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !spells(spelled, name) {
            return found;
        }
        // Who decodes the name finds the parameter, who does not finds none.
        let fits = spelled == name && !value.is_empty() && value.bytes().all(is_unreserved);
        found.and(fits.then_some(value.as_bytes()))
    })
}

/// The target without a query parameter, however its name is spelled; without `?` when nothing
/// is left behind it.
#[must_use]
pub fn without_query(target: &str, name: &str) -> String {
    let (path, Some(query), fragment) = parts(target) else {
        return target.to_owned();
    };
    let is_it = |pair: &&str| spells(pair.split('=').next().unwrap_or_default(), name);
    if !query.split('&').any(|pair| is_it(&pair)) {
        return target.to_owned();
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_it(pair)).collect();
    let kept = kept.join("&");
    let mark = if kept.is_empty() { "" } else { "?" };
    [path, mark, &kept, fragment].concat()
}

/// The token behind a marker among the subprotocols that a WebSocket client offers:
/// `marker, TOKEN`. A browser can send a token with the handshake in no other header. Where
/// there are several `sec-websocket-protocol` headers, the caller joins them with `, ` first.
#[must_use]
pub fn from_websocket_protocol<'a>(header: &'a [u8], marker: &str) -> Find<'a> {
    let mut offered = header.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    let mut found = Find::Absent;
    while let Some(protocol) = offered.next() {
        if protocol == marker.as_bytes() {
            // Looked at, not taken: it may be the marker again.
            let next = offered.clone().next();
            found = found.and(next.filter(|token| is_token(token)));
        }
    }
    found
}

/// The header without the marker and what follows it. Empty when nothing is left: the header
/// has to go then.
#[must_use]
pub fn without_websocket_protocol(header: &[u8], marker: &str) -> Vec<u8> {
    let mut is_marked = false;
    without(header, b',', |protocol| {
        let is_marker = protocol.trim_ascii() == marker.as_bytes();
        // A marker behind a marker marks what follows too: a token must not stay behind.
        core::mem::replace(&mut is_marked, is_marker) || is_marker
    })
}

/// Whether a text is a token in HTTP's sense (RFC 9110 §5.6.2): the name of a cookie, of a
/// subprotocol, of a header; a method.
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    let is_token_byte = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !text.is_empty() && text.iter().all(is_token_byte)
}

/// RFC 3986 §2.3
#[must_use]
pub const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// A pair's name and what is behind its `=`.
fn cookie(pair: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = pair.splitn(2, |b| *b == b'=').map(<[u8]>::trim_ascii);
    (parts.next().unwrap_or_default(), parts.next())
}

/// RFC 6265 §4.1.1, `cookie-value`.
fn cookie_value(value: &[u8]) -> Option<&[u8]> {
    let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let value = bare.unwrap_or(value);
    let fits = |b: &u8| matches!(*b, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
    (!value.is_empty() && value.iter().all(fits)).then_some(value)
}

/// Path, query where there is one, and the rest from `#` on, which has no business there. As
/// [`path::without_query`] splits it.
fn parts(target: &str) -> (&str, Option<&str>, &str) {
    let fragment = target.find('#').unwrap_or(target.len());
    let (target, fragment) = target.split_at_checked(fragment).unwrap_or((target, ""));
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query), fragment),
        None => (target, None, fragment),
    }
}

/// Whether a server that resolves escapes reads the name.
fn spells(spelled: &str, name: &str) -> bool {
    let mut bytes = spelled.bytes();
    let decoded = core::iter::from_fn(|| {
        let byte = bytes.next()?;
        let mut ahead = bytes.clone();
        match (byte, ahead.next().and_then(path::hex), ahead.next().and_then(path::hex)) {
            (b'%', Some(high), Some(low)) => {
                bytes = ahead;
                Some(high * 16 + low)
            }
            _ => Some(byte),
        }
    });
    decoded.eq(name.bytes())
}

/// A list without some of its pieces; without the space before what is its first piece then.
fn without(list: &[u8], separator: u8, mut is_it: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for (at, piece) in list.split(|b| *b == separator).enumerate() {
        if !is_it(piece) {
            let is_first_now = at > 0 && kept.is_empty();
            kept.push(if is_first_now { piece.trim_ascii_start() } else { piece });
        }
    }
    kept.join(&separator)
}

#[cfg(test)]
mod tests;
