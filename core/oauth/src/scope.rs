//! Scopes (RFC 6749 §3.3).

use core::fmt;

/// Most scopes that one client or token may have; readers of tokens have the same bound.
pub const MAX_SCOPES: usize = 128;
/// Longest list of scopes, written out, in bytes.
const MAX_BYTES: usize = 4096;

/// The scope that makes an authorization request one of OpenID Connect (Core §3.1.2.1).
pub const OPENID: &str = "openid";
/// The scope by which a grant outlives the session that it came from (Core §11).
pub const OFFLINE_ACCESS: &str = "offline_access";
/// Scopes that are about the user, not about what they may do: every user may give them, and
/// they are never given but by name.
pub const IDENTITY_SCOPES: [&str; 4] = [OPENID, "profile", "email", OFFLINE_ACCESS];

/// Scopes in the order in which they were named, none twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScopeSet(Vec<String>);

/// Why scopes were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Not names separated by single spaces, or with characters that no scope may have.
    #[error("a scope is malformed")]
    Malformed,
    /// More than [`MAX_SCOPES`], or too long together.
    #[error("too many scopes")]
    TooMany,
    /// Not among those that may be had.
    #[error("a scope is not allowed for this client")]
    NotAllowed,
}

impl ScopeSet {
    /// Reads `scope`: names separated by single spaces. An empty text names none.
    ///
    /// # Errors
    /// [`ScopeError::Malformed`] or [`ScopeError::TooMany`].
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text.is_empty() { Ok(Self::default()) } else { Self::from_names(text.split(' ')) }
    }

    /// Makes a set of single names.
    ///
    /// # Errors
    /// [`ScopeError::Malformed`] or [`ScopeError::TooMany`].
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, ScopeError> {
        let mut set = Self::default();
        let mut bytes = 0;
        for name in names {
            if name.is_empty() || !name.bytes().all(is_scope_char) {
                return Err(ScopeError::Malformed);
            }
            if set.contains(name) {
                continue;
            }
            bytes += name.len() + 1;
            if set.0.len() >= MAX_SCOPES || bytes > MAX_BYTES {
                return Err(ScopeError::TooMany);
            }
            set.0.push(name.to_owned());
        }
        Ok(set)
    }

    /// What is granted to one who may have `self` and asks for `requested`: all of `self` when
    /// nothing is asked for, else exactly what is asked for.
    ///
    /// # Errors
    /// [`ScopeError::NotAllowed`] when more is asked for than may be had. Granting less than
    /// asked would be allowed too, but a client that spells a scope wrong should hear of it.
    pub fn narrow(&self, requested: Option<&Self>) -> Result<Self, ScopeError> {
        match requested {
            None => Ok(self.clone()),
            Some(requested) if requested.is_within(self) => Ok(requested.clone()),
            Some(_) => Err(ScopeError::NotAllowed),
        }
    }

    /// Those that `may` lets through, in their order.
    #[must_use]
    pub fn filtered(&self, mut may: impl FnMut(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|name| may(name)).cloned().collect())
    }

    /// Whether `other` has all of them.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|name| other.contains(name))
    }

    /// Whether the set has this scope.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == name)
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

/// As `scope` spells it.
impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// `NQCHAR` of RFC 6749, Appendix A.
const fn is_scope_char(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_by_the_letter() {
        for (text, expected) in [
            ("", Ok("")),
            ("a", Ok("a")),
            ("a b:c x.y", Ok("a b:c x.y")),
            ("b a b", Ok("b a")),
            (" a", Err(ScopeError::Malformed)),
            ("a  b", Err(ScopeError::Malformed)),
            ("a\tb", Err(ScopeError::Malformed)),
            ("a\"b", Err(ScopeError::Malformed)),
            ("a\\b", Err(ScopeError::Malformed)),
            ("é", Err(ScopeError::Malformed)),
        ] {
            assert_eq!(
                ScopeSet::parse(text).map(|set| set.to_string()),
                expected.map(str::to_owned)
            );
        }
    }

    #[test]
    fn a_set_has_a_bound() {
        let names =
            |count: usize| (0..count).map(|at| format!("s{at}")).collect::<Vec<_>>().join(" ");
        assert!(ScopeSet::parse(&names(MAX_SCOPES)).is_ok());
        assert_eq!(ScopeSet::parse(&names(MAX_SCOPES + 1)), Err(ScopeError::TooMany));
        assert_eq!(ScopeSet::parse(&"x".repeat(MAX_BYTES)), Err(ScopeError::TooMany));
    }

    #[test]
    fn a_set_within_another_has_nothing_else() {
        let set = |text: &str| ScopeSet::parse(text).unwrap();
        for (inner, outer, expected) in [
            ("", "", true),
            ("", "a", true),
            ("a", "b a", true),
            ("a b", "b a", true),
            ("a c", "b a", false),
            ("a", "", false),
            ("A", "a", false),
        ] {
            assert_eq!(set(inner).is_within(&set(outer)), expected, "{inner} {outer}");
        }
        assert_eq!(set("c a b").filtered(|name| name != "a"), set("c b"));
    }

    #[test]
    fn nobody_gets_more_than_their_own() {
        let own = ScopeSet::parse("read write").unwrap();
        for (requested, expected) in [
            (None, Ok("read write")),
            (Some("write"), Ok("write")),
            (Some("write read"), Ok("write read")),
            (Some("admin"), Err(ScopeError::NotAllowed)),
            (Some("read admin"), Err(ScopeError::NotAllowed)),
            (Some("READ"), Err(ScopeError::NotAllowed)),
        ] {
            let requested = requested.map(|text| ScopeSet::parse(text).unwrap());
            let granted = own.narrow(requested.as_ref()).map(|set| set.to_string());
            assert_eq!(granted, expected.map(str::to_owned), "{requested:?}");
        }
    }
}
