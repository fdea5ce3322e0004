//! Finding the token in a request.

use crate::headers::Single;

/// What a request presents as its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented<'a> {
    /// Nothing.
    Nothing,
    /// A bearer token.
    Bearer(&'a str),
    /// Something that cannot be a bearer token: repeated, not text, of another scheme.
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
        let Ok(text) = core::str::from_utf8(value) else {
            return Self::Unusable;
        };
        match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                let token = token.trim_matches(' ');
                if token.is_empty() { Self::Unusable } else { Self::Bearer(token) }
            }
            _ => Self::Unusable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_one_way_only() {
        let read = |value| Presented::from_authorization(Single::One(value));
        assert_eq!(read(b"Bearer abc"), Presented::Bearer("abc"));
        assert_eq!(read(b"bearer  abc "), Presented::Bearer("abc"));
        for bad in [&b"Basic abc"[..], b"Bearer", b"Bearer ", b"", b"Bearer \xff", b"Bearerabc"] {
            assert_eq!(read(bad), Presented::Unusable, "{bad:?}");
        }
        assert_eq!(Presented::from_authorization(Single::Repeated), Presented::Unusable);
        assert_eq!(Presented::from_authorization(Single::Absent), Presented::Nothing);
    }
}
