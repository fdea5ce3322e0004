//! Families of refresh tokens: a token is exchanged for the next one, and whoever shows a spent
//! one ends the family (RFC 9700 §4.14).
//!
//! A token holds the name of its family, the family's lock, which number of the row it is, and a
//! secret of its own. Name and lock stay, number and secret change with every turn. The lock is
//! why the name alone ends nothing; whoever has any token of the family has the lock.

use std::fmt;

use postern_request::UnixMillis;

use super::FlowKey;

/// A token of a family as it was presented: hashes of its lock and of its secret, and which one
/// in the row it says it is, from 1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Presented {
    /// SHA-256 of the family's lock.
    pub lock: [u8; 32],
    /// SHA-256 of the token's own secret.
    pub secret: [u8; 32],
    /// Which one in the row.
    pub generation: u32,
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Presented(generation {})", self.generation)
    }
}

/// A family to begin.
#[derive(Debug, Clone, Copy)]
pub struct NewFamily<'a> {
    /// Its key: the hash of its name.
    pub key: FlowKey,
    /// The first token; its generation is 1.
    pub first: Presented,
    /// What its tokens stand for.
    pub grant: &'a [u8],
    /// It ends when nobody has exchanged a token for so long.
    pub idle_ms: u64,
    /// It ends then, whatever happens.
    pub ends_at: UnixMillis,
}

/// A token to exchange for the next one.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// The family.
    pub key: FlowKey,
    /// The token that is spent by this.
    pub presented: Presented,
    /// SHA-256 of the next token's secret.
    pub next: [u8; 32],
    /// The answer, sealed so that only the spent token opens it.
    pub answer: &'a [u8],
    /// How long the spent token gets that answer again; not at all where it is 0.
    pub grace_ms: u64,
    /// The family ends when nobody has exchanged a token for so long.
    pub idle_ms: u64,
}

/// How a token of a family stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It may be exchanged.
    Current {
        /// What the family stands for.
        grant: Vec<u8>,
        /// Its last end.
        ends_at: UnixMillis,
    },
    /// It was spent a moment ago.
    Again {
        /// What the family stands for.
        grant: Vec<u8>,
        /// The sealed answer that was given for it.
        answer: Vec<u8>,
    },
    /// It was spent before, or another one was shown that was: nobody gets a token of this family
    /// any more. Whoever is told ends it for good and then here; until then others are told, too,
    /// because the first one may be gone before it is done.
    Reused {
        /// What the family stood for.
        grant: Vec<u8>,
    },
    /// There is no such family, or it has ended; or the token is none of it, because the lock or
    /// the current secret is another; or it is a later one than the store knows, which has lost a
    /// write then. Nothing was changed.
    Unknown,
}

/// What came of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turned {
    /// The next token is the current one now.
    Done,
    /// Somebody was first with the same token; the sealed answer that was kept.
    Again(Vec<u8>),
    /// As [`Standing::Reused`].
    Reused {
        /// What the family stood for.
        grant: Vec<u8>,
    },
    /// As [`Standing::Unknown`].
    Unknown,
}
