//! What a route asks of its caller's authentication.

/// Only callers who have authenticated by several factors (RFC 9470).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mfa {
    /// How long ago that may have been, in seconds; as long as the credential lives where it is
    /// none.
    pub within_secs: Option<u64>,
}
