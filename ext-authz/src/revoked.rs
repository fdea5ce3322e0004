//! Revoked tokens, by the same set that the filters go by.

use postern_document::Document;
use postern_jose::VerifiedToken;
use postern_request::{Denial, UnixMillis};

/// Knows which tokens were revoked.
pub trait Revoked: Send + Sync {
    /// Whether a token whose signature holds may be used.
    ///
    /// # Errors
    /// The denial: 401 for a revoked one; 503 where what is known is too old, or nothing is known,
    /// and the document does not say to go on then.
    fn check(
        &self,
        document: &Document,
        token: &VerifiedToken,
        now: UnixMillis,
    ) -> Result<(), Denial>;
}
