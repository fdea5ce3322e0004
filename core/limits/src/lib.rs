//! Rate limits: how much is left, decided on integers and injected time.
//!
//! The filters, the memory store and the Redis scripts all follow the arithmetic of this
//! crate. Deliberately absent: where state is kept and who shares it.
//!
//! # Algorithms
//!
//! [`Spec`] says what a limit allows and by which algorithm; [`State`] is what is remembered of
//! one key. What an algorithm promises is how much passes in the worst case over any true
//! sliding window, that is, any stretch of time as long as the period, whenever it begins:
//!
//! | algorithm | at most | how it gets there |
//! |---|---|---|
//! | [`Algorithm::SlidingWindow`] | 2 × requests | everything at the end of one window, again once that has slid out |
//! | [`Algorithm::SlidingLog`] | requests | exact |
//! | [`Algorithm::TokenBucket`] | burst + requests | a full bucket, and what flows in meanwhile |
//! | [`Algorithm::Gcra`] | burst + requests | the same |
//! | [`Algorithm::FixedWindow`] | 2 × requests | everything at the end of one window, again at the beginning of the next |
//!
//! A month's true sliding window has 28 days, the length of the shortest. The bounds are for
//! what stays counted: [`Spec::give_back`] says what it adds to them.
//!
//! # Ticks
//!
//! Windows, buckets and GCRA work in ticks: milliseconds, or for the largest limits 10 of them
//! and up to 100,000. Products of counts and ticks then stay below 2^53, which is as far as the
//! doubles of a Redis script count.
//!
//! # Clocks
//!
//! Time that seems to pass counts as time: a clock that is set forward lets in what would have
//! come in by then. A clock that goes back gives nothing away:
//!
//! - Behind by no more than a period or so, time stands still for a key until the clock has
//!   caught up. Threads see this all the time that read the clock in one order and count in
//!   another.
//! - Behind by more, the clock was set. What is counted counts as of now, so that nobody waits
//!   for hours until the clock has caught up.
//!
//! Nor does it take anything: what was left is left, but for the part of an earlier sliding
//! window that had slid out and counts once more. GCRA is the exception. It remembers a single
//! time and cannot tell a step back from requests, so it refuses as if they had been made, at
//! most until an empty bucket has filled from when the clock was set.

pub mod algorithm;
pub mod calendar;
pub mod fixed_window;
pub mod gcra;
pub mod in_flight;
pub mod key;
pub mod rate;
pub mod sliding_log;
pub mod sliding_window;
pub mod slot;
pub mod spec;
pub mod state;
pub mod token_bucket;
pub mod top;

pub use algorithm::{Algorithm, Anchor};
pub use in_flight::{InFlight, InFlightError};
pub use rate::{Period, Rate, RateError};
pub use spec::{Spec, SpecError};
pub use state::State;

use postern_request::RateLimitStatus;

/// What a limit says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the request may pass.
    pub allowed: bool,
    /// Where the caller stands afterwards.
    pub status: RateLimitStatus,
}

#[cfg(test)]
mod tests;
