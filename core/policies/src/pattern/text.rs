//! Values with at most one `*`, at an end.

/// What a text must be like (`pilot/pkg/security/authz/matcher/string.go`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Text {
    /// `*`: there is one, and it is not empty.
    Any,
    /// `abc`
    Exact(String),
    /// `abc*`
    Prefix(String),
    /// `*abc`. What stands behind the first `*` counts as it is written, further ones too.
    Suffix(String),
}

impl Text {
    pub(crate) fn read(text: &str) -> Self {
        if text == "*" {
            return Self::Any;
        }
        if let Some(suffix) = text.strip_prefix('*') {
            return Self::Suffix(suffix.to_owned());
        }
        match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }

    /// Envoy's string matcher. `*` is the expression `.+` there, which no line break matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => !text.is_empty() && !text.contains('\n'),
            _ => self.matches_present(text),
        }
    }

    /// Envoy's header matcher, on a header that is there: `*` matches an empty one too.
    pub(crate) fn matches_present(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => text == exact,
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => text.ends_with(suffix.as_str()),
        }
    }

    /// The same without regard to the case of ASCII letters, as hosts are matched.
    pub(crate) fn to_lowercase(&self) -> Self {
        match self {
            Self::Any => Self::Any,
            Self::Exact(text) => Self::Exact(text.to_ascii_lowercase()),
            Self::Prefix(text) => Self::Prefix(text.to_ascii_lowercase()),
            Self::Suffix(text) => Self::Suffix(text.to_ascii_lowercase()),
        }
    }

    /// Whether everything that `other` matches is matched by this too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Prefix(a), Self::Exact(b) | Self::Prefix(b)) => b.starts_with(a.as_str()),
            (Self::Suffix(a), Self::Exact(b) | Self::Suffix(b)) => b.ends_with(a.as_str()),
            _ => false,
        }
    }

    /// Whether some text is matched by both.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Exact(text), pattern) | (pattern, Self::Exact(text)) => {
                pattern.matches_present(text)
            }
            (Self::Prefix(a), Self::Prefix(b)) => {
                a.starts_with(b.as_str()) || b.starts_with(a.as_str())
            }
            (Self::Suffix(a), Self::Suffix(b)) => {
                a.ends_with(b.as_str()) || b.ends_with(a.as_str())
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_at_an_end() {
        for (pattern, matched, missed) in [
            ("abc", "abc", "abcd"),
            ("abc*", "abc", "ab"),
            ("abc*", "abcd", "xabc"),
            ("*abc", "abc", "bc"),
            ("*abc", "xabc", "abcd"),
            ("*", "a", ""),
            ("*", "a/b", "a\nb"),
            ("a*b", "a*b", "axb"),
            ("**", "x*", "x"),
            ("*a*", "xa*", "xab"),
        ] {
            assert!(Text::read(pattern).matches(matched), "{pattern} {matched}");
            assert!(!Text::read(pattern).matches(missed), "{pattern} {missed}");
        }
        assert!(Text::Any.matches_present(""));
    }

    #[test]
    fn what_covers_and_what_meets() {
        for (a, b, covers, meets) in [
            ("*", "x*", true, true),
            ("x*", "*", false, true),
            ("/a*", "/ab", true, true),
            ("/a*", "/ab*", true, true),
            ("/ab*", "/a*", false, true),
            ("/a*", "/b*", false, false),
            ("/a*", "*b", false, true),
            ("*b", "*ab", true, true),
            ("*b", "*c", false, false),
            ("a", "b", false, false),
            ("a", "*a", false, true),
        ] {
            let (first, second) = (Text::read(a), Text::read(b));
            assert_eq!(first.covers(&second), covers, "{a} covers {b}");
            assert_eq!(first.meets(&second), meets, "{a} meets {b}");
            assert_eq!(second.meets(&first), meets, "{b} meets {a}");
        }
    }
}
