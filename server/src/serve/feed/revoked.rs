//! What `ext_authz` goes by: the set that Envoys are told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_document::{Document, OnFailure};
use postern_ext_authz::Revoked;
use postern_feed::FeedState;
use postern_jose::VerifiedToken;
use postern_request::{Denial, ErrorCode, UnixMillis};
use postern_revocation::Marks;

/// What is revoked, as far as this server knows.
pub struct KnownRevocations {
    state: Arc<FeedState>,
}

impl KnownRevocations {
    /// By what the feed knows.
    pub const fn new(state: Arc<FeedState>) -> Self {
        Self { state }
    }
}

impl Revoked for KnownRevocations {
    fn check(
        &self,
        document: &Document,
        token: &VerifiedToken,
        now: UnixMillis,
    ) -> Result<(), Denial> {
        // One log for the key and the answer: marks by the key of another list match nothing.
        let Some(log) = self.state.log() else { return unknown(document) };
        let marks = Marks::of_token(log.key(), token);
        if log.is_revoked(&marks, token.claims.issued_at, now.as_secs()) {
            return Err(Denial::new(ErrorCode::TokenRevoked, "token_revoked"));
        }
        let most = document.revocation.map(|rules| Duration::from_millis(rules.max_staleness_ms));
        match most {
            Some(most) if !self.state.is_fresh(Instant::now(), most) => unknown(document),
            _ => Ok(()),
        }
    }
}

/// Where there is no durable store that would say what is revoked.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingKnown;

impl Revoked for NothingKnown {
    fn check(&self, document: &Document, _: &VerifiedToken, _: UnixMillis) -> Result<(), Denial> {
        unknown(document)
    }
}

/// Where the document says nothing, tokens are good until something is known of them.
fn unknown(document: &Document) -> Result<(), Denial> {
    match document.revocation {
        Some(rules) if rules.when_stale == OnFailure::Deny => {
            Err(Denial::unavailable("revocation_stale", 1))
        }
        _ => Ok(()),
    }
}
