//! What a header presents as a token.

use crate::headers::Single;

/// What a request presents as its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented<'a> {
    /// Nothing.
    Nothing,
    /// A bearer token; whether it is text is for its reader to say.
    Bearer(&'a [u8]),
    /// A token that its holder means to prove possession for (RFC 9449 §7.1).
    Dpop(&'a [u8]),
    /// Something that cannot be a token: repeated, empty, of another scheme.
    Unusable,
}

impl<'a> Presented<'a> {
    /// Reads an `Authorization` header (RFC 6750 §2.1, RFC 9449 §7.1). A repeated one is never
    /// chosen from: the upstream might choose another.
    #[must_use]
    pub fn from_authorization(header: Single<'a>) -> Self {
        match header {
            Single::Absent => Self::Nothing,
            Single::Repeated => Self::Unusable,
            Single::One(value) => Self::with_scheme(value).unwrap_or(Self::Unusable),
        }
    }

    /// Reads a header of the document's choice, which holds the token itself. A scheme before
    /// it is taken off, because some clients write one into any header.
    #[must_use]
    pub fn from_header(header: Single<'a>) -> Self {
        let value = match header {
            Single::Absent => return Self::Nothing,
            Single::Repeated => return Self::Unusable,
            Single::One(value) => value,
        };
        if let Some(presented) = Self::with_scheme(value) {
            return presented;
        }
        match trimmed(value) {
            token if token.is_empty() || token.contains(&b' ') => Self::Unusable,
            token => Self::Bearer(token),
        }
    }

    /// None without one of the two schemes.
    fn with_scheme(value: &'a [u8]) -> Option<Self> {
        let bearer = after(BEARER, value).map(|token| Self::some(token, Self::Bearer));
        bearer.or_else(|| after(DPOP, value).map(|token| Self::some(token, Self::Dpop)))
    }

    fn some(token: &'a [u8], of_scheme: impl FnOnce(&'a [u8]) -> Self) -> Self {
        let token = trimmed(token);
        if token.is_empty() { Self::Unusable } else { of_scheme(token) }
    }
}

/// What follows a scheme; most clients write it as it is registered.
fn after<'a, const N: usize>(scheme: &[u8; N], value: &'a [u8]) -> Option<&'a [u8]> {
    let (start, rest) = value.split_first_chunk::<N>()?;
    (start == scheme || start.eq_ignore_ascii_case(scheme)).then_some(rest)
}

const fn trimmed(mut token: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = token {
        token = rest;
    }
    token
}

/// The schemes, each with its space; they are compared without case (RFC 9110 §11.1).
const BEARER: &[u8; 7] = b"Bearer ";
const DPOP: &[u8; 5] = b"DPoP ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_one_way_only() {
        let read = |value| Presented::from_authorization(Single::One(value));
        assert_eq!(read(b"Bearer abc"), Presented::Bearer(b"abc"));
        assert_eq!(read(b"bearer  abc "), Presented::Bearer(b"abc"));
        assert_eq!(read(b"DPoP abc"), Presented::Dpop(b"abc"));
        assert_eq!(read(b"dpop  a "), Presented::Dpop(b"a"));
        for bad in [
            &b"Basic abc"[..],
            b"Bearer",
            b"Bearer ",
            b"Bearer   ",
            b"",
            b"Bearerabc",
            b"DPoP",
            b"DPoP ",
            b"DPoP    ",
            b"DPoPabc",
            b"abc",
        ] {
            assert_eq!(read(bad), Presented::Unusable, "{bad:?}");
        }
        assert_eq!(Presented::from_authorization(Single::Repeated), Presented::Unusable);
        assert_eq!(Presented::from_authorization(Single::Absent), Presented::Nothing);
    }

    #[test]
    fn another_header_holds_the_token_itself() {
        let read = |value| Presented::from_header(Single::One(value));
        assert_eq!(read(b"abc"), Presented::Bearer(b"abc"));
        assert_eq!(read(b" abc "), Presented::Bearer(b"abc"));
        assert_eq!(read(b"BEARER abc"), Presented::Bearer(b"abc"));
        assert_eq!(read(b"DPoP abc"), Presented::Dpop(b"abc"));
        for bad in [&b""[..], b"  ", b"Bearer ", b"DPoP ", b"Basic abc", b"a b"] {
            assert_eq!(read(bad), Presented::Unusable, "{bad:?}");
        }
        assert_eq!(Presented::from_header(Single::Repeated), Presented::Unusable);
        assert_eq!(Presented::from_header(Single::Absent), Presented::Nothing);
    }
}
