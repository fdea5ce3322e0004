//! Which request paths are plain enough to decide on.
//!
//! Envoy normalises first (`normalize_path`, `merge_slashes`, escaped slashes refused). What is
//! left must mean the same to Envoy, to Istio's policies, to us and to the upstream; a path
//! that two of them could read differently is refused rather than interpreted.

use core::fmt;

/// The longest path that is decided on, in bytes.
pub const MAX_BYTES: usize = 8192;

/// Why a path was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathProblem {
    /// Does not begin with a slash.
    NotAbsolute,
    /// Longer than [`MAX_BYTES`].
    TooLong,
    /// `//`, or parameters of no name (`/;x/`): some readers merge slashes, some do not.
    EmptySegment,
    /// `.` or `..`, plain or escaped, alone or with parameters (`..;x`): some readers resolve
    /// them, some do not.
    DotSegment,
    /// An escaped slash or backslash: a separator to some, part of a name to others.
    EscapedSeparator,
    /// An escaped percent sign, which a second decoding would turn into something else.
    DoubleEscape,
    /// A letter, digit or `-._~` that is escaped without need: equal to the plain character
    /// for some readers (RFC 3986 §6.2.2.2) and not for others.
    NeedlessEscape,
    /// A percent sign that is not followed by two hexadecimal digits.
    BrokenEscape,
    /// A backslash, control character, space, or byte outside ASCII; or one of these escaped,
    /// where it would change the meaning.
    ForbiddenCharacter,
    /// `;`, where matrix parameters are not allowed: some servers cut the segment there.
    MatrixParameter,
    /// Spelled otherwise than a route that it would be for a server that decodes it.
    OtherSpelling,
}

impl fmt::Display for PathProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the path does not begin with a slash",
            Self::TooLong => "the path is too long",
            Self::EmptySegment => "the path has an empty segment",
            Self::DotSegment => "the path has a dot segment",
            Self::EscapedSeparator => "the path has an escaped slash or backslash",
            Self::DoubleEscape => "the path has an escaped percent sign",
            Self::NeedlessEscape => "the path escapes a character that needs no escape",
            Self::BrokenEscape => "the path has a broken escape",
            Self::ForbiddenCharacter => "the path has a character that is not allowed",
            Self::MatrixParameter => "the path has a matrix parameter",
            Self::OtherSpelling => "the path is another spelling of a route's",
        })
    }
}

/// What a segment means to a server that decodes it and cuts parameters off at `;`. Two
/// spellings of one segment have one canonical form.
#[must_use]
pub fn canonical_segment(segment: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b';' => break,
            b'%' => {
                let mut ahead = bytes.clone();
                match (ahead.next().and_then(hex), ahead.next().and_then(hex)) {
                    (Some(high), Some(low)) => {
                        out.push(high * 16 + low);
                        bytes = ahead;
                    }
                    _ => out.push(byte),
                }
            }
            _ => out.push(byte),
        }
    }
    out
}

/// The part of a request target before `?` (or `#`, which has no business there).
#[must_use]
pub fn without_query(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or(target)
}

/// Checks a path, without its query.
///
/// # Errors
/// The first thing that makes the path ambiguous.
pub fn check(path: &str, allow_matrix_parameters: bool) -> Result<(), PathProblem> {
    if path.len() > MAX_BYTES {
        return Err(PathProblem::TooLong);
    }
    let Some(rest) = path.strip_prefix('/') else {
        return Err(PathProblem::NotAbsolute);
    };
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        // The last one may be empty: `/` and `/a/` are paths of their own.
        if ends_a_name(segment) && segments.peek().is_some() {
            return Err(PathProblem::EmptySegment);
        }
        if is_dots(segment) {
            return Err(PathProblem::DotSegment);
        }
        check_segment(segment, allow_matrix_parameters)?;
    }
    Ok(())
}

/// `.` or `..`, alone or with parameters. Newer Envoys take parameters off dots before they
/// resolve them, as some servers do; to others the whole is a name.
fn is_dots(segment: &str) -> bool {
    let rest = segment.strip_prefix("..").or_else(|| segment.strip_prefix('.'));
    rest.is_some_and(ends_a_name)
}

/// Whether nothing but parameters comes here, if anything.
fn ends_a_name(rest: &str) -> bool {
    let is_escaped = |escape: &str| escape.eq_ignore_ascii_case("%3B");
    rest.is_empty() || rest.starts_with(';') || rest.get(..3).is_some_and(is_escaped)
}

fn check_segment(segment: &str, allow_matrix_parameters: bool) -> Result<(), PathProblem> {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let (Some(high), Some(low)) =
                    (bytes.next().and_then(hex), bytes.next().and_then(hex))
                else {
                    return Err(PathProblem::BrokenEscape);
                };
                check_escaped(high * 16 + low, allow_matrix_parameters)?;
            }
            b';' if !allow_matrix_parameters => return Err(PathProblem::MatrixParameter),
            b'\\' | 0x00..=0x20 | 0x7f.. => return Err(PathProblem::ForbiddenCharacter),
            _ => {}
        }
    }
    Ok(())
}

fn check_escaped(byte: u8, allow_matrix_parameters: bool) -> Result<(), PathProblem> {
    match byte {
        b'.' => Err(PathProblem::DotSegment),
        b'/' | b'\\' => Err(PathProblem::EscapedSeparator),
        b'%' => Err(PathProblem::DoubleEscape),
        b'-' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
            Err(PathProblem::NeedlessEscape)
        }
        b';' if !allow_matrix_parameters => Err(PathProblem::MatrixParameter),
        0x00..=0x1f | 0x7f => Err(PathProblem::ForbiddenCharacter),
        _ => Ok(()),
    }
}

pub(crate) const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_paths_pass_and_ambiguous_ones_do_not() {
        for (path, expected) in [
            ("/", Ok(())),
            ("/a/b.c/~d_e-f/", Ok(())),
            ("/a%20b/%C3%A9/@:+,=", Ok(())),
            ("", Err(PathProblem::NotAbsolute)),
            ("*", Err(PathProblem::NotAbsolute)),
            ("a/b", Err(PathProblem::NotAbsolute)),
            ("//a", Err(PathProblem::EmptySegment)),
            ("/a//b", Err(PathProblem::EmptySegment)),
            ("/a/../b", Err(PathProblem::DotSegment)),
            ("/a/.", Err(PathProblem::DotSegment)),
            ("/a/%2e%2E/b", Err(PathProblem::DotSegment)),
            ("/a%2Fb", Err(PathProblem::EscapedSeparator)),
            ("/a%5cb", Err(PathProblem::EscapedSeparator)),
            ("/a\\b", Err(PathProblem::ForbiddenCharacter)),
            ("/a%252Fb", Err(PathProblem::DoubleEscape)),
            ("/%61dmin", Err(PathProblem::NeedlessEscape)),
            ("/a%zz", Err(PathProblem::BrokenEscape)),
            ("/a%2", Err(PathProblem::BrokenEscape)),
            ("/a b", Err(PathProblem::ForbiddenCharacter)),
            ("/a%00", Err(PathProblem::ForbiddenCharacter)),
            ("/é", Err(PathProblem::ForbiddenCharacter)),
            ("/a;v=1/b", Err(PathProblem::MatrixParameter)),
            ("/a%3Bv/b", Err(PathProblem::MatrixParameter)),
        ] {
            assert_eq!(check(path, false), expected, "{path}");
        }
        assert_eq!(check("/a;v=1/b", true), Ok(()));
        assert_eq!(check(&format!("/{}", "a".repeat(MAX_BYTES)), false), Err(PathProblem::TooLong));
    }

    /// Where parameters are allowed too: Envoys before the fix of CVE-2026-73551 leave `..;x` as
    /// it is, later ones read `..`.
    #[test]
    fn dots_with_parameters_are_refused_everywhere() {
        for (path, expected) in [
            ("/a/..;x/b", Err(PathProblem::DotSegment)),
            ("/a/.;x/b", Err(PathProblem::DotSegment)),
            ("/a/..;", Err(PathProblem::DotSegment)),
            ("/a/.;", Err(PathProblem::DotSegment)),
            ("/..;/..;x=1;y/b", Err(PathProblem::DotSegment)),
            ("/a/..%3Bx/b", Err(PathProblem::DotSegment)),
            ("/a/.%3b", Err(PathProblem::DotSegment)),
            ("/a/%2e%2e;x/b", Err(PathProblem::DotSegment)),
            ("/a/.%2E;x/b", Err(PathProblem::DotSegment)),
            ("/a/;x/b", Err(PathProblem::EmptySegment)),
            ("/a/%3Bx/b", Err(PathProblem::EmptySegment)),
            // Names that begin with dots, and what is the parameter itself.
            ("/a/...;x/b", Ok(())),
            ("/a/.b;x/b", Ok(())),
            ("/a/..b;x/b", Ok(())),
            ("/a/b;..", Ok(())),
            ("/a/b;./c", Ok(())),
            ("/a/;x", Ok(())),
        ] {
            assert_eq!(check(path, true), expected, "{path}");
            assert!(check(path, false).is_err(), "{path}");
        }
        assert_eq!(check("/a/..;x/b", false), Err(PathProblem::DotSegment));
        assert_eq!(check("/a/.../..b/.c", false), Ok(()));
    }

    #[test]
    fn the_query_is_not_part_of_the_path() {
        assert_eq!(without_query("/a?b=/../c"), "/a");
        assert_eq!(without_query("/a#b?c"), "/a");
    }

    proptest! {
        /// Decoding an accepted path any number of times never changes where its segments end.
        #[test]
        fn accepted_paths_keep_their_segments_when_decoded(path in "/[a-z0-9%./;\\\\]{0,24}") {
            if check(&path, true).is_ok() {
                let decoded = decode(&path);
                prop_assert_eq!(decoded.matches('/').count(), path.matches('/').count());
                let mut names = decoded.split('/').map(|segment| segment.split(';').next());
                prop_assert!(!names.any(|name| matches!(name, Some("." | ".."))));
                prop_assert_eq!(decode(&decoded), decoded);
            }
        }
    }

    fn decode(path: &str) -> String {
        let mut out = Vec::new();
        let mut bytes = path.bytes();
        while let Some(byte) = bytes.next() {
            if byte == b'%' {
                let mut ahead = bytes.clone();
                if let (Some(high), Some(low)) =
                    (ahead.next().and_then(hex), ahead.next().and_then(hex))
                {
                    out.push(high * 16 + low);
                    bytes = ahead;
                    continue;
                }
            }
            out.push(byte);
        }
        String::from_utf8_lossy(&out).into_owned()
    }
}
