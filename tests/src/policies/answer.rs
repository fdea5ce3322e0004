//! What came back of a request.

use std::fmt;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The workload was reached.
    Passed {
        /// A provider was asked before.
        asked: bool,
        /// An AUDIT rule matched.
        audited: bool,
    },
    /// A policy refused it.
    Denied {
        /// The DENY rule, `namespace/name/rule`; none where no ALLOW rule matched.
        by: Option<String>,
        /// An AUDIT rule matched.
        audited: bool,
    },
    /// Nobody could be asked about what a CUSTOM rule matches.
    NoProvider {
        /// The rule, `namespace/name/rule`.
        by: String,
    },
    /// A token was refused with this status.
    Token(u16),
    /// None came.
    Closed,
}

const AUDITED: &str = " audited";
const NONE: &str = "none";

impl Answer {
    /// Reads what `Display` writes; none where it is nothing of the kind.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (text, audited) = match text.strip_suffix(AUDITED) {
            Some(text) => (text, true),
            None => (text, false),
        };
        Some(match text.split_once(' ') {
            None if text == "pass" || text == "asked" => {
                Self::Passed { asked: text == "asked", audited }
            }
            None if text == "closed" => Self::Closed,
            Some(("denied", rule)) => {
                Self::Denied { by: (rule != NONE).then(|| rule.to_owned()), audited }
            }
            Some(("provider", rule)) => Self::NoProvider { by: rule.to_owned() },
            Some(("token", status)) => Self::Token(status.parse().ok()?),
            _ => return None,
        })
    }

    /// The answer without what is particular to one case.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Passed { asked: true, .. } => "asked",
            Self::Passed { asked: false, .. } => "pass",
            Self::Denied { by: Some(_), .. } => "denied by a rule",
            Self::Denied { by: None, .. } => "denied by none",
            Self::NoProvider { .. } => "no provider",
            Self::Token(_) => "token",
            Self::Closed => "closed",
        }
    }

    /// Whether an AUDIT rule matched.
    #[must_use]
    pub const fn is_audited(&self) -> bool {
        matches!(self, Self::Passed { audited: true, .. } | Self::Denied { audited: true, .. })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { asked, .. } => f.write_str(if *asked { "asked" } else { "pass" })?,
            Self::Denied { by, .. } => write!(f, "denied {}", by.as_deref().unwrap_or(NONE))?,
            Self::NoProvider { by } => write!(f, "provider {by}")?,
            Self::Token(status) => write!(f, "token {status}")?,
            Self::Closed => f.write_str("closed")?,
        }
        if self.is_audited() { f.write_str(AUDITED) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_they_are_written() {
        for text in [
            "pass",
            "pass audited",
            "asked",
            "asked audited",
            "denied none",
            "denied $HOME/p/0 audited",
            "provider $HOME/c/1",
            "token 401",
            "closed",
        ] {
            let answer = Answer::read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(answer.to_string(), text);
        }
        for text in ["", "passed", "token x", "denied", "503"] {
            assert_eq!(Answer::read(text), None, "{text}");
        }
    }
}
