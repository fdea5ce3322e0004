//! How a call to the server ended.

use core::fmt;

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered<'a> {
    /// The body of an answer.
    Body(&'a [u8]),
    /// A gRPC error in place of one.
    Refused {
        /// When to ask again, where the server says so (`x-postern-next-poll-ms`).
        next_poll_ms: Option<u64>,
    },
    /// Nothing: the call failed, or could not be made.
    Nothing,
}

/// Why nothing could be borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseError {
    /// It is not what the protocol says: the server's fault.
    Malformed,
    /// Another worker has been elected meanwhile, and asks again; nobody's fault.
    TakenOver,
    /// No answer was waited for.
    NotAsked,
    /// The server does not want to answer now; it is asked again.
    Refused,
    /// There was none; the server is asked again.
    Unanswered,
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the answer is not what the protocol says",
            Self::TakenOver => "another worker speaks to the server now",
            Self::NotAsked => "an answer that nobody waited for",
            Self::Refused => "the server refuses to lend",
            Self::Unanswered => "no answer from the server",
        })
    }
}
