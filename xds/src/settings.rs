//! How discovery runs.

use std::time::Duration;

/// How discovery runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How streams go.
    pub stream: postern_xds::Settings,
    /// How long further changes are waited for after one.
    pub debounce: Duration,
    /// Streams at once. One peer may have half of them.
    pub streams: usize,
    /// Kinds of Envoys at once: those that were rendered with other options than all others.
    pub views: usize,
    /// Documents whose routes there are, for Envoys that go on with them: the one in force, and
    /// those before it.
    pub documents: usize,
    /// How long an Envoy may take to say who it is.
    pub first_word: Duration,
    /// The largest message of an Envoy, in bytes.
    pub message_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stream: postern_xds::Settings::default(),
            debounce: Duration::from_millis(50),
            streams: 10_000,
            views: 1_000,
            documents: 8,
            first_word: Duration::from_secs(10),
            // Names and versions of ten thousand clusters.
            message_bytes: 1 << 20,
        }
    }
}
