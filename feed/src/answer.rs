//! What an Envoy is told, in our own terms, or why it is told nothing.

use std::sync::Arc;
use std::time::Duration;

use postern_request::UnixMillis;
use postern_revocation::{FingerprintKey, Record};

use crate::ask::AskError;
use crate::circuits::view::ToldCircuits;
use crate::keys::PublishedKeys;
use crate::log::Piece;
use crate::metrics::Outcome;

/// What an Envoy is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Of the durable list; 0 where nothing is said of it but key sets.
    pub epoch: u64,
    /// How far the Envoy's set goes once this is applied.
    pub cursor: u64,
    /// What is new.
    pub content: Content,
    /// Key sets that it does not have.
    pub key_sets: Vec<Arc<PublishedKeys>>,
    /// Circuits of its services, where it has others.
    pub circuits: Option<ToldCircuits>,
    /// When to come back.
    pub next_poll: Duration,
    /// The server's clock.
    pub server_time: UnixMillis,
    /// Digest of the server's document.
    pub document_digest: String,
    /// How old what the server knows is.
    pub staleness: Duration,
}

/// What is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Nothing,
    /// Records to add.
    Added(Vec<Record>),
    /// Buckets to replace.
    Snapshot {
        /// What fingerprints are made with.
        key: FingerprintKey,
        /// The buckets.
        piece: Piece,
        /// Records of the whole set.
        total_records: usize,
    },
}

/// Why an Envoy is told nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What it asks makes no sense: its fault, and a retry does not help.
    #[error(transparent)]
    Invalid(#[from] AskError),
    /// It may not ask for this workload: its fault, or the document's.
    #[error("this peer may not ask for this workload")]
    NotPermitted,
    /// It has asked too often; a retry helps.
    #[error("asked too often")]
    OverQuota {
        /// When to come back.
        next_poll: Duration,
    },
    /// Too many snapshots at once; a retry helps.
    #[error("too many snapshots at once")]
    Busy {
        /// When to come back.
        next_poll: Duration,
    },
    /// The durable list has not been read yet; a retry helps.
    #[error("revocations are still being read")]
    Loading {
        /// When to come back.
        next_poll: Duration,
    },
}

impl Refusal {
    pub(crate) const fn outcome(&self) -> Outcome {
        match self {
            Self::Invalid(_) => Outcome::Invalid,
            Self::NotPermitted => Outcome::NotPermitted,
            Self::OverQuota { .. } => Outcome::OverQuota,
            Self::Busy { .. } => Outcome::Busy,
            Self::Loading { .. } => Outcome::Loading,
        }
    }
}

impl Answer {
    pub(crate) const fn outcome(&self) -> Outcome {
        match &self.content {
            Content::Added(_) => Outcome::Delta,
            Content::Snapshot { .. } => Outcome::Snapshot,
            Content::Nothing if !self.key_sets.is_empty() => Outcome::Keys,
            Content::Nothing if self.circuits.is_some() => Outcome::Circuits,
            Content::Nothing => Outcome::Nothing,
        }
    }
}
