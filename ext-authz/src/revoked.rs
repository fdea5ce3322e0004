//! What was revoked, by the same set that the filters go by.

use postern_document::Document;
use postern_jose::VerifiedToken;
use postern_request::{Denial, UnixMillis};

/// A credential that is no token, by what it can be revoked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// An API key, by its id.
    ApiKey(&'a str),
    /// A browser's session of the suite's own issuer.
    Session {
        /// Its id.
        id: &'a str,
        /// Whose it is: what they had until some moment may be revoked all at once.
        subject: &'a str,
        /// When they have authenticated last, in seconds.
        authenticated_at: u64,
    },
}

/// Knows what was revoked.
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

    /// Whether another credential may be used that holds otherwise.
    ///
    /// # Errors
    /// As [`Revoked::check`].
    fn check_named(
        &self,
        document: &Document,
        named: Named<'_>,
        now: UnixMillis,
    ) -> Result<(), Denial>;
}
