//! Envoy's rate limit service (`envoy.service.ratelimit.v3`): any Envoy can point its `ratelimit`
//! filter here, and what envoyproxy/ratelimit is configured with works unchanged.
//!
//! [`RateLimiter`] is the decision, in our own terms: which rules a request's descriptors meet,
//! and what the store says, asked once for all of them. [`RateLimitService`] is the adapter to
//! Envoy's protocol, [`router`] the same over HTTP. [`Configuration`] keeps the rules current.
//!
//! All or none: what is refused counts nowhere, neither against the limit that refused it nor
//! against the others of the request. That service counts it everywhere.
//!
//! Deliberately absent: how files are understood (`postern-descriptors`), how limits count
//! (`postern-limits`), which store is behind the port and what is done without it
//! (`postern-store`), and the quotas that a response of the protocol has room for: Envoy does not
//! read them.

mod answer;
mod ask;
mod configuration;
mod held;
mod http;
mod json;
mod limiter;
mod metrics;
mod service;
mod settings;
#[cfg(test)]
mod testing;

pub use answer::{Answer, CurrentLimit, Standing};
pub use ask::{Ask, Descriptor, Hits, Override, Refusal};
pub use ask::{MAX_DESCRIPTORS, MAX_ENTRIES, MAX_HITS, MAX_TEXT_BYTES};
pub use configuration::{Configuration, Refreshed};
pub use http::router;
pub use limiter::{Parts, RateLimiter};
pub use metrics::Metrics;
pub use postern_descriptors::{Problem, Unit};
pub use service::RateLimitService;
pub use settings::{CurrentSettings, Settings};
