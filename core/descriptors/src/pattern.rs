//! Values with `*`.

use std::cmp::Reverse;

/// A value in which every `*` stands for any text, none included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// What stands before the first `*`.
    prefix: String,
    /// What stands between two, in order, without the empty ones.
    middle: Vec<String>,
    /// What stands after the last.
    suffix: String,
}

impl Pattern {
    /// Splits a value at its `*`; none where there is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (prefix, rest) = text.split_once('*')?;
        let (middle, suffix) = rest.rsplit_once('*').unwrap_or(("", rest));
        let middle = middle.split('*').filter(|part| !part.is_empty());
        Some(Self {
            prefix: prefix.to_owned(),
            middle: middle.map(str::to_owned).collect(),
            suffix: suffix.to_owned(),
        })
    }

    /// Whether a value is one of these. Takes the first place where each part fits: if any
    /// choice of places works, that one does.
    pub(crate) fn matches(&self, value: &str) -> bool {
        let inner = value
            .strip_prefix(self.prefix.as_str())
            .and_then(|rest| rest.strip_suffix(self.suffix.as_str()));
        let Some(mut inner) = inner else { return false };
        for part in &self.middle {
            let Some((_, after)) = inner.split_once(part.as_str()) else { return false };
            inner = after;
        }
        true
    }

    /// Sorts what leaves least open to the front: most literal text, then the longest prefix.
    pub(crate) fn rank(&self) -> Reverse<(usize, usize)> {
        let middle: usize = self.middle.iter().map(String::len).sum();
        Reverse((self.prefix.len() + middle + self.suffix.len(), self.prefix.len()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, value, expected) in [
            ("*", "", true),
            ("*", "anything", true),
            ("**", "anything", true),
            ("/files/*", "/files/a.pdf", true),
            ("/files/*", "/files/", true),
            ("/files/*", "/files", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.example.org", false),
            ("/v1/*/items", "/v1/7/items", true),
            ("/v1/*/items", "/v1/items", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "ac", false),
            // Prefix and suffix never share text.
            ("ab*ba", "aba", false),
            ("ab*ba", "abba", true),
            ("ü*ß", "üß", true),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(value), expected, "{pattern} {value}");
        }
        assert_eq!(Pattern::parse("plain"), None);
    }

    #[test]
    fn what_leaves_least_open_comes_first() {
        let mut patterns = ["*", "a*", "*abc", "ab*", "a*bc", "abc*"];
        patterns.sort_by_key(|text| Pattern::parse(text).unwrap().rank());
        assert_eq!(patterns, ["abc*", "a*bc", "*abc", "ab*", "a*", "*"]);
    }

    /// The obvious matcher, which tries every place.
    fn model(pattern: &[char], value: &[char]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some(('*', rest)) => (0..=value.len()).any(|from| model(rest, &value[from..])),
            Some((c, rest)) => value.first() == Some(c) && model(rest, &value[1..]),
        }
    }

    proptest! {
        #[test]
        fn as_if_every_place_were_tried(pattern in "[ab*]{0,6}", value in "[ab]{0,8}") {
            let of = |text: &str| text.chars().collect::<Vec<char>>();
            match Pattern::parse(&pattern) {
                Some(parsed) => {
                    prop_assert_eq!(parsed.matches(&value), model(&of(&pattern), &of(&value)));
                }
                None => prop_assert!(!pattern.contains('*')),
            }
        }
    }
}
