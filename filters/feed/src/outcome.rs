//! How a call to the server ended, and what a token is worth.

use core::fmt;

use postern_proto::CallError;

use crate::tagged::Overtaken;

/// Why an answer of the server was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedError {
    /// It is not what the protocol says: the server's fault.
    Malformed,
    /// It names more revocations or longer key sets than are kept; as much as there is room for
    /// may have been taken.
    TooLarge,
    /// Another VM has been elected meanwhile; nobody's fault.
    TakenOver,
    /// No answer was waited for.
    NotAsked,
    /// The server does not want to answer now; a later call may help.
    Refused,
    /// There was none; a later call may help.
    Unanswered,
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the answer is not what the protocol says",
            Self::TooLarge => "more revocations or longer key sets than an Envoy keeps",
            Self::TakenOver => "another worker speaks to the server now",
            Self::NotAsked => "an answer that nobody waited for",
            Self::Refused => "the server refuses to answer",
            Self::Unanswered => "the server cannot be reached, or does not answer",
        })
    }
}

impl From<CallError> for FeedError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Malformed => Self::Malformed,
            CallError::TakenOver => Self::TakenOver,
            CallError::NotAsked => Self::NotAsked,
            CallError::Refused => Self::Refused,
            CallError::Unanswered => Self::Unanswered,
        }
    }
}

impl From<Overtaken> for FeedError {
    fn from(_: Overtaken) -> Self {
        Self::TakenOver
    }
}

/// What the feed says of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked,
    /// What is known is too old, or nothing is known yet, to say so.
    Stale,
}
