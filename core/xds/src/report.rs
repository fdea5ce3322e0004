//! How a stream stands, for people.

use std::sync::Arc;
use std::time::Duration;

use crate::kind::ByKind;
use crate::resource::Version;

/// How a stream stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What its client should have, by what that was made from.
    pub label: Arc<str>,
    /// Of each kind.
    pub parts: ByKind<PartReport>,
}

impl Report {
    /// Whether the client has taken everything, but for the end of what is not needed any more.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.parts.iter().all(|(_, part)| part.is_current)
    }

    /// Whether the client has refused something that it should have now.
    #[must_use]
    pub fn is_refusing(&self) -> bool {
        self.parts.iter().any(|(_, part)| part.is_refusing)
    }
}

/// How a stream stands with one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartReport {
    /// Whether the client has asked for this kind.
    pub is_asked: bool,
    /// What it should have.
    pub version: Version,
    /// Whether it has taken all of that. A client that asks for none has.
    pub is_current: bool,
    /// Whether it has refused something of that.
    pub is_refusing: bool,
    /// How many resources it was sent, or has said that it has.
    pub resources: usize,
    /// Answers that it has not judged yet.
    pub waiting: usize,
    /// What it has refused last, whether it has taken something else since or not.
    pub nack: Option<Nack>,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nack {
    /// When.
    pub at: Duration,
    /// Why, in the client's words.
    pub error: String,
    /// How many resources the refused answer held.
    pub resources: usize,
    /// One of them.
    pub example: Option<Arc<str>>,
}

/// A client's words on one line and not too long.
pub(crate) fn bounded(text: &str, bytes: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut end = line.len().min(bytes);
    while !line.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    line.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_are_bounded() {
        assert_eq!(bounded("a\nb\u{1b}[0m", 100), "a b [0m");
        assert_eq!(bounded("aé", 2), "a");
        assert_eq!(bounded("abc", 2), "ab");
        assert_eq!(bounded("", 0), "");
    }
}
