//! Finding the token in a request.

use crate::headers::Single;

/// What a request presents as its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented<'a> {
    /// Nothing.
    Nothing,
    /// A bearer token; whether it is text is for its reader to say.
    Bearer(&'a [u8]),
    /// Something that cannot be a bearer token: repeated, empty, of another scheme.
    Unusable,
}

impl<'a> Presented<'a> {
    /// Reads an `Authorization` header (RFC 6750 §2.1). A repeated one is never chosen from:
    /// the upstream might choose another.
    #[must_use]
    pub fn from_authorization(header: Single<'a>) -> Self {
        let value = match header {
            Single::Absent => return Self::Nothing,
            Single::Repeated => return Self::Unusable,
            Single::One(value) => value,
        };
        match value.split_first_chunk() {
            Some((SCHEME, token)) => Self::bearer(token),
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => Self::bearer(token),
            _ => Self::Unusable,
        }
    }

    const fn bearer(token: &'a [u8]) -> Self {
        let mut token = token;
        while let [b' ', rest @ ..] | [rest @ .., b' '] = token {
            token = rest;
        }
        if token.is_empty() { Self::Unusable } else { Self::Bearer(token) }
    }
}

/// The scheme and its space; schemes are compared without case (RFC 9110 §11.1).
const SCHEME: &[u8; 7] = b"Bearer ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_one_way_only() {
        let read = |value| Presented::from_authorization(Single::One(value));
        assert_eq!(read(b"Bearer abc"), Presented::Bearer(b"abc"));
        assert_eq!(read(b"bearer  abc "), Presented::Bearer(b"abc"));
        for bad in [&b"Basic abc"[..], b"Bearer", b"Bearer ", b"Bearer   ", b"", b"Bearerabc"] {
            assert_eq!(read(bad), Presented::Unusable, "{bad:?}");
        }
        assert_eq!(Presented::from_authorization(Single::Repeated), Presented::Unusable);
        assert_eq!(Presented::from_authorization(Single::Absent), Presented::Nothing);
    }
}
