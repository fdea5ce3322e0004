//! How long things are waited for, and how much of them there may be.

use std::time::Duration;

/// How streams go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long listeners and routes wait for what they count on to be taken. Envoy acknowledges
    /// clusters when they are warm; one that never is must not keep all others back.
    pub warm_up: Duration,
    /// How long clusters stay after the last change of listeners and routes: longer than a request
    /// takes from being matched to a route to being sent.
    pub linger: Duration,
    /// How much there may be.
    pub bounds: Bounds,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // Above Envoy's own patience (15 s) for endpoints and certificates of a cluster.
            warm_up: Duration::from_secs(20),
            // Filters wait at most 250 ms for the server, and there are four that may.
            linger: Duration::from_secs(3),
            bounds: Bounds::default(),
        }
    }
}

/// What a stream may hold and say at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Names that a client subscribes to, of each kind.
    pub names: usize,
    /// More of them than there is of that kind: they may be of what there is not, and each stream
    /// has its own copy of those.
    pub unknown_names: usize,
    /// Bytes of a name.
    pub name_bytes: usize,
    /// Bytes of why a client refuses something. More is cut off.
    pub error_bytes: usize,
    /// Resources of an answer that may be divided: those of the delta protocol.
    pub answer_resources: usize,
    /// Bytes of such an answer, but for its last resource.
    pub answer_bytes: usize,
    /// Answers of each kind that the client has not judged yet.
    pub waiting: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            names: 20_000,
            unknown_names: 1_000,
            name_bytes: 512,
            error_bytes: 1024,
            answer_resources: 256,
            answer_bytes: 262_144,
            waiting: 64,
        }
    }
}
