//! `postern.feed.v1`: what is new since the asker's cursor, slices of limits, and how services do.

use std::collections::BTreeMap;
use std::fmt;

mod circuits;
mod leases;

#[cfg(feature = "grpc-client")]
pub mod client;
#[cfg(feature = "server")]
pub mod server;

pub use circuits::{
    CircuitPhase, CircuitState, Circuits, ReportRequest, ReportResponse, ServiceReport,
};
pub use leases::{BorrowRequest, BorrowResponse, LeaseAsk, LeaseGrant, LeaseReturn};

/// The service's full name.
pub const SERVICE: &str = "postern.feed.v1.Feed";
/// The path of the method that tells what is new.
pub const EXCHANGE_PATH: &str = "/postern.feed.v1.Feed/Exchange";
/// The path of the method that lends slices of limits.
pub const BORROW_PATH: &str = "/postern.feed.v1.Feed/Borrow";
/// The path of the method that takes reports of services.
pub const REPORT_PATH: &str = "/postern.feed.v1.Feed/Report";
/// In the metadata of an error: when to ask again, in milliseconds.
pub const NEXT_POLL_METADATA: &str = "x-postern-next-poll-ms";
/// In the metadata of a request: the credential of an asker that has no certificate.
pub const CREDENTIAL_METADATA: &str = "x-postern-feed-credential";

/// What the asker has.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ExchangeRequest {
    /// The workload of the document that the asker guards.
    #[prost(string, tag = "1")]
    pub workload: String,
    /// The asker's own name, different after a restart.
    #[prost(string, tag = "2")]
    pub envoy_id: String,
    /// Digest of the document that the asker runs.
    #[prost(string, tag = "3")]
    pub document_digest: String,
    /// Of the set that the asker has completely; 0 when it has none.
    #[prost(uint64, tag = "4")]
    pub epoch: u64,
    /// How far that set goes.
    #[prost(uint64, tag = "5")]
    pub cursor: u64,
    /// Inside a snapshot: the next bucket wanted; else 0.
    #[prost(uint32, tag = "6")]
    pub snapshot_bucket: u32,
    /// Inside a snapshot: the cursor of the last piece.
    #[prost(uint64, tag = "7")]
    pub snapshot_cursor: u64,
    /// How long the answer may wait for something new, in milliseconds.
    #[prost(uint32, tag = "8")]
    pub wait_ms: u32,
    /// Issuer → digest of the key set that the asker has; only these issuers are answered.
    #[prost(btree_map = "string, string", tag = "9")]
    pub key_digests: BTreeMap<String, String>,
    /// Inside a snapshot: the epoch of its pieces, or 0 when the asker compares them itself.
    #[prost(uint64, tag = "10")]
    pub snapshot_epoch: u64,
    /// How long the asker has had no use for what it knows, in milliseconds.
    #[prost(uint32, tag = "11")]
    pub idle_ms: u32,
    /// The most bytes of records in one answer; 0 leaves it to the server.
    #[prost(uint32, tag = "12")]
    pub max_bytes: u32,
    /// Issuers of whom the asker has seen a token with a key that it does not have.
    #[prost(string, repeated, tag = "13")]
    pub wanted_keys: Vec<String>,
    /// [`Circuits::version`] of what the asker has; 0 when it has none.
    #[prost(uint64, tag = "14")]
    pub circuits_version: u64,
}

/// What the asker lacks.
#[derive(Clone, PartialEq, Eq, prost::Message)]
#[prost(skip_debug)]
pub struct ExchangeResponse {
    /// Of the durable store; 0 where nothing is said of it but key sets.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// How far the asker's set goes once this is applied; may be less than it asked with.
    #[prost(uint64, tag = "2")]
    pub cursor: u64,
    /// 16 bytes, in every piece of a snapshot. A secret.
    #[prost(bytes = "vec", tag = "3")]
    pub fingerprint_key: Vec<u8>,
    /// Records of 16 bytes to add.
    #[prost(bytes = "vec", tag = "4")]
    pub added: Vec<u8>,
    /// A piece of a snapshot, in place of `added`.
    #[prost(message, optional, tag = "5")]
    pub snapshot: Option<Snapshot>,
    /// Key sets whose digests differ from the asker's.
    #[prost(message, repeated, tag = "6")]
    pub key_sets: Vec<KeySet>,
    /// When to ask again, in milliseconds; 0 for at once.
    #[prost(uint32, tag = "7")]
    pub next_poll_ms: u32,
    /// The server's clock, in milliseconds since the epoch.
    #[prost(uint64, tag = "8")]
    pub server_time_ms: u64,
    /// Digest of the document that the server runs.
    #[prost(string, tag = "9")]
    pub document_digest: String,
    /// How old what the server knows is, in milliseconds; 0 in normal times.
    #[prost(uint64, tag = "10")]
    pub staleness_ms: u64,
    /// Circuits that are not closed, or forced; absent where the asker's are the same.
    #[prost(message, optional, tag = "11")]
    pub circuits: Option<Circuits>,
}

impl fmt::Debug for ExchangeResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangeResponse")
            .field("epoch", &self.epoch)
            .field("cursor", &self.cursor)
            .field("fingerprint_key", &format_args!("({} bytes)", self.fingerprint_key.len()))
            .field("added", &format_args!("({} bytes)", self.added.len()))
            .field("snapshot", &self.snapshot)
            .field("key_sets", &self.key_sets)
            .field("next_poll_ms", &self.next_poll_ms)
            .field("server_time_ms", &self.server_time_ms)
            .field("document_digest", &self.document_digest)
            .field("staleness_ms", &self.staleness_ms)
            .field("circuits", &self.circuits)
            .finish()
    }
}

/// A piece of the whole set, each bucket replacing what the asker has in it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
#[prost(skip_debug)]
pub struct Snapshot {
    /// How far the pieces so far go, together; may go down from piece to piece.
    #[prost(uint64, tag = "1")]
    pub cursor: u64,
    /// 0 begins a snapshot, whatever was asked for.
    #[prost(uint32, tag = "2")]
    pub first_bucket: u32,
    /// Sorted records of this bucket and those that follow.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub buckets: Vec<Vec<u8>>,
    /// Nothing follows.
    #[prost(bool, tag = "4")]
    pub last: bool,
    /// Of the whole set, as it is now.
    #[prost(uint64, tag = "5")]
    pub total_records: u64,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("cursor", &self.cursor)
            .field("first_bucket", &self.first_bucket)
            .field("buckets", &format_args!("({})", self.buckets.len()))
            .field("last", &self.last)
            .field("total_records", &self.total_records)
            .finish()
    }
}

/// An issuer's keys.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct KeySet {
    /// `iss`
    #[prost(string, tag = "1")]
    pub issuer: String,
    /// RFC 7517 §5, as JSON text.
    #[prost(string, tag = "2")]
    pub jwks: String,
    /// Made by the server; opaque.
    #[prost(string, tag = "3")]
    pub digest: String,
}

#[cfg(test)]
mod tests;
