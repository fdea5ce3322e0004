//! Slices of leased limits: what is asked for and given back, and what is lent.

/// What an Envoy gives back and asks for; the former is taken first.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct BorrowRequest {
    /// The workload of the document that the asker guards.
    #[prost(string, tag = "1")]
    pub workload: String,
    /// The asker's own name, different after a restart.
    #[prost(string, tag = "2")]
    pub envoy_id: String,
    /// Digest of the document that the asker runs.
    #[prost(string, tag = "3")]
    pub document_digest: String,
    /// At most 256.
    #[prost(message, repeated, tag = "4")]
    pub returns: Vec<LeaseReturn>,
    /// At most 256.
    #[prost(message, repeated, tag = "5")]
    pub asks: Vec<LeaseAsk>,
}

/// A question for a slice.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LeaseAsk {
    /// 16 random bytes, the same whenever the question is repeated.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// What it is cut from: a limit and one of its rates, the same number in every document.
    #[prost(fixed64, tag = "2")]
    pub stamp: u64,
    /// What the keys of one caller have in common.
    #[prost(fixed64, tag = "3")]
    pub owner: u64,
    /// The hash of what is counted: 16 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub key: Vec<u8>,
    /// How much is wanted; at least 1.
    #[prost(uint64, tag = "5")]
    pub asked: u64,
}

/// A lease that is over for its borrower.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LeaseReturn {
    /// The question's.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// As in [`LeaseAsk::stamp`].
    #[prost(fixed64, tag = "2")]
    pub stamp: u64,
    /// As in [`LeaseAsk::owner`].
    #[prost(fixed64, tag = "3")]
    pub owner: u64,
    /// As in [`LeaseAsk::key`].
    #[prost(bytes = "vec", tag = "4")]
    pub key: Vec<u8>,
    /// What was not spent; more than was lent where nobody knows how much that was.
    #[prost(uint64, tag = "5")]
    pub unused: u64,
}

/// What was lent. What is missing has to be sent again: the store could not be asked for it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct BorrowResponse {
    /// One for each question, in order.
    #[prost(message, repeated, tag = "1")]
    pub grants: Vec<LeaseGrant>,
    /// When to come back, in milliseconds; what is urgent need not wait for that.
    #[prost(uint32, tag = "2")]
    pub next_ms: u32,
    /// The ids of what was given back, in order.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub returned: Vec<Vec<u8>>,
    /// Digest of the document that the server runs.
    #[prost(string, tag = "4")]
    pub document_digest: String,
}

/// The answer to one question.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LeaseGrant {
    /// The question's.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// How much was lent: nothing up to what was asked.
    #[prost(uint64, tag = "2")]
    pub granted: u64,
    /// For how long, in milliseconds from when the question was first sent.
    #[prost(uint32, tag = "3")]
    pub life_ms: u32,
    /// What is left of the limit, this slice taken off.
    #[prost(uint64, tag = "4")]
    pub remaining: u64,
    /// Until there is room again, or the window ends, in milliseconds.
    #[prost(uint64, tag = "5")]
    pub reset_ms: u64,
    /// The server's document leases nothing of that stamp.
    #[prost(bool, tag = "6")]
    pub unknown: bool,
}
