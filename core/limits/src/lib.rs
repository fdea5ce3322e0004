//! Rate limits: how much is left, decided on integers and injected time.
//!
//! The filters, the memory store and the Redis scripts all follow the arithmetic of this
//! crate. Deliberately absent: where state is kept and who shares it.

pub mod key;
pub mod rate;
pub mod sliding_window;
pub mod slot;
pub mod token_bucket;

pub use rate::{Rate, RateError};

use postern_request::RateLimitStatus;

/// How a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Two fixed windows, the earlier one weighted by how much of it still counts.
    SlidingWindow,
    /// Refills evenly, up to the burst.
    TokenBucket,
}

/// What a limit says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the request may pass.
    pub allowed: bool,
    /// Where the caller stands afterwards.
    pub status: RateLimitStatus,
}
