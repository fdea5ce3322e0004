//! What callers get of a route while its service's circuit is open.

use std::sync::Arc;

use super::Service;

/// What callers get while the circuit is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    /// Always the same.
    Answer(FixedAnswer),
    /// The last good answer, marked as stale; 503 where none was kept.
    Stale(Stale),
    /// What this service answers.
    Service(Arc<Service>),
    /// The service's own answer: refusals are only counted.
    Shadow,
}

/// A fixed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedAnswer {
    /// Its status.
    pub status: u16,
    /// What its body is; none where it has none.
    pub content_type: Option<String>,
    /// Its body; empty where it has none.
    pub body: String,
    /// More headers.
    pub headers: Vec<(String, String)>,
}

/// Which answers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale {
    /// For how long, in milliseconds.
    pub max_age_ms: u64,
    /// The largest one, with its headers.
    pub max_bytes: u32,
    /// How many an Envoy keeps.
    pub entries: u32,
    /// Whether those are kept too that are for one caller alone, each for that caller.
    pub private: bool,
}
