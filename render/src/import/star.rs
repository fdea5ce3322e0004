//! Values of policies with at most one `*`, at an end.

/// What a value matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Star<'t> {
    /// `*`
    Any,
    /// `abc`
    Exact(&'t str),
    /// `abc*`
    Prefix(&'t str),
    /// `*abc`; a second `*` counts as it is written.
    Suffix(&'t str),
}

impl<'t> Star<'t> {
    pub(super) fn read(text: &'t str) -> Self {
        if text == "*" {
            return Self::Any;
        }
        if let Some(suffix) = text.strip_prefix('*') {
            return Self::Suffix(suffix);
        }
        text.strip_suffix('*').map_or(Self::Exact(text), Self::Prefix)
    }

    pub(super) fn matches(self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => text == exact,
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Suffix(suffix) => text.ends_with(suffix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_at_an_end() {
        for (text, matched, missed) in [
            ("GET", "GET", "GETS"),
            ("P*", "PUT", "GET"),
            ("*T", "GET", "PATCH"),
            ("a*b*", "a*bc", "axb"),
        ] {
            assert!(Star::read(text).matches(matched), "{text} {matched}");
            assert!(!Star::read(text).matches(missed), "{text} {missed}");
        }
        assert_eq!(Star::read("*"), Star::Any);
    }
}
