//! What `ext_authz` and the authorization server go by: the set that Envoys are told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_document::{Current, Document, OnFailure};
use postern_ext_authz::{Named, Revoked};
use postern_feed::FeedState;
use postern_identity::ports::RevokedTokens;
use postern_jose::VerifiedToken;
use postern_request::{Denial, ErrorCode, UnixMillis};
use postern_revocation::{API_KEYS_ISSUER, FingerprintKey, Marks, RevocationKind};

/// What is revoked, as far as this server knows.
pub struct KnownRevocations {
    state: Arc<FeedState>,
}

impl KnownRevocations {
    /// By what the feed knows.
    pub const fn new(state: Arc<FeedState>) -> Self {
        Self { state }
    }

    /// What holds of what is not on the list: nothing more, where the list is as fresh as the
    /// document wants it.
    fn fresh(&self, document: &Document) -> Result<(), Denial> {
        let most = document.revocation.map(|rules| Duration::from_millis(rules.max_staleness_ms));
        match most {
            Some(most) if !self.state.is_fresh(Instant::now(), most) => unknown(document),
            _ => Ok(()),
        }
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
        self.fresh(document)
    }

    fn check_named(
        &self,
        document: &Document,
        named: Named<'_>,
        now: UnixMillis,
    ) -> Result<(), Denial> {
        let Some(log) = self.state.log() else { return unknown(document) };
        let own_issuer = document.issuer.as_deref().unwrap_or_default();
        let (marks, issued_at) = marks_of(log.key(), own_issuer, named);
        if log.is_revoked(&marks, issued_at, now.as_secs()) {
            return Err(Denial::new(ErrorCode::TokenRevoked, "token_revoked"));
        }
        self.fresh(document)
    }
}

/// By what a credential can be revoked, and since when it holds.
fn marks_of(key: &FingerprintKey, own_issuer: &str, named: Named<'_>) -> (Marks, Option<u64>) {
    match named {
        // A key's end is a token's end, of an issuer that no token has.
        Named::ApiKey(id) => {
            let marks = Marks::of(key, API_KEYS_ISSUER, Some(id), None, None, None, None);
            (marks, None)
        }
        Named::Session { id, subject, authenticated_at } => {
            let (session, subject) = (Some(id), Some(subject));
            let marks = Marks::of(key, own_issuer, None, session, subject, None, None);
            (marks, Some(authenticated_at))
        }
    }
}

/// The same for the authorization server, of its own issuer.
pub struct OwnRevocations {
    known: KnownRevocations,
    document: Current<Document>,
    issuer: Arc<str>,
}

impl OwnRevocations {
    /// By what the feed knows. The document says what holds while that is nothing or too old.
    pub fn new(state: Arc<FeedState>, document: Current<Document>, issuer: &str) -> Self {
        Self { known: KnownRevocations::new(state), document, issuer: Arc::from(issuer) }
    }
}

impl RevokedTokens for OwnRevocations {
    fn is_revoked(&self, token: &VerifiedToken, now: UnixMillis) -> bool {
        self.known.check(&self.document.load(), token, now).is_err()
    }

    fn is_named_revoked(
        &self,
        kind: RevocationKind,
        value: &str,
        issued_at: Option<u64>,
        now: UnixMillis,
    ) -> bool {
        let document = self.document.load();
        let Some(log) = self.known.state.log() else { return unknown(&document).is_err() };
        let only = |wanted| (kind == wanted).then_some(value);
        let marks = Marks::of(
            log.key(),
            &self.issuer,
            only(RevocationKind::Token),
            only(RevocationKind::Session),
            only(RevocationKind::Subject),
            only(RevocationKind::Client),
            only(RevocationKind::Key),
        );
        log.is_revoked(&marks, issued_at, now.as_secs()) || self.known.fresh(&document).is_err()
    }
}

/// Where there is no durable store that would say what is revoked.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingKnown;

impl Revoked for NothingKnown {
    fn check(&self, document: &Document, _: &VerifiedToken, _: UnixMillis) -> Result<(), Denial> {
        unknown(document)
    }

    fn check_named(&self, document: &Document, _: Named<'_>, _: UnixMillis) -> Result<(), Denial> {
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
