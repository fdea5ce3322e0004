//! What the authorization server asks of others: the server hands it in, and tests do.
//!
//! Stores have ports of their own in `postern-store`.

use postern_jose::VerifiedToken;
use postern_oauth::Secret;
use postern_request::UnixMillis;
use postern_revocation::{Revocation, RevocationKind};
use postern_store::durable::UserRecord;
use postern_store::{BoxFuture, StoreError};

/// Knows what was revoked, by the same set that Envoys are told.
///
/// Whoever implements it also says, as the document does, what holds while nothing is known yet or
/// what is known is too old.
pub trait RevokedTokens: Send + Sync {
    /// Whether a token of ours, whose signature holds, was revoked: it, or its session, subject,
    /// client or key.
    fn is_revoked(&self, token: &VerifiedToken, now: UnixMillis) -> bool;

    /// Whether something of our own issuer was revoked by its name. `issued_at`, in seconds, is
    /// since when whoever asks holds what a subject or client had until then; none means always.
    fn is_named_revoked(
        &self,
        kind: RevocationKind,
        value: &str,
        issued_at: Option<u64>,
        now: UnixMillis,
    ) -> bool;
}

/// Revokes, and tells everybody.
pub trait Announce: Send + Sync {
    /// Keeps revocations, all or none, and once they are committed rings the bell. A bell that
    /// does not ring is no error: followers look by themselves, a little later.
    ///
    /// # Errors
    /// Those of the durable store; nothing is revoked then.
    fn revoke<'a>(
        &'a self,
        what: Vec<Revocation>,
        reason: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// HTTP to others: their metadata, keys and tokens. Answers have a bound and so has waiting for
/// them; redirects are not followed, because what a URL was checked for holds for no other one.
pub trait Outbound: Send + Sync {
    /// The body of a URL that answers 200.
    ///
    /// # Errors
    /// [`OutboundError`].
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<u8>, OutboundError>>;

    /// Sends a form, with the name and password of HTTP's Basic scheme where there are some.
    /// A status of 4xx is an answer too.
    ///
    /// # Errors
    /// [`OutboundError`].
    fn post_form<'a>(
        &'a self,
        url: &'a str,
        basic: Option<(&'a str, &'a str)>,
        form: String,
    ) -> BoxFuture<'a, Result<FormAnswer, OutboundError>>;
}

/// As [`Outbound::get`], with one more header: what a token opens, and what has to be asked for.
pub trait OutboundWith: Send + Sync {
    /// The body of a URL that answers 200.
    ///
    /// # Errors
    /// [`OutboundError`].
    fn get_with<'a>(
        &'a self,
        url: &'a str,
        name: &'static str,
        value: &'a Secret,
    ) -> BoxFuture<'a, Result<Vec<u8>, OutboundError>>;
}

/// What was answered to a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormAnswer {
    /// The status: 2xx or 4xx.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why others did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// Theirs or the network's; a retry may help. Holds no secret.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// Theirs: another status than was hoped for.
    #[error("it answered with status {0}")]
    Refused(u16),
    /// Theirs: more than anybody needs.
    #[error("its answer is too large")]
    TooLarge,
}

/// Knows passwords that were found in breaches.
pub trait BreachedPasswords: Send + Sync {
    /// Whether a password is one of them, by its SHA-1, which is how such lists are made.
    ///
    /// # Errors
    /// [`OutboundError`], where the list is elsewhere or cannot be read.
    fn is_breached(&self, sha1: [u8; 20]) -> BoxFuture<'_, Result<bool, OutboundError>>;
}

/// WebAuthn (Level 2): a ceremony is begun, the browser answers, and the ceremony is finished with
/// the state that was kept meanwhile. Options and answers are JSON as the browser's API has them.
pub trait Passkeys: Send + Sync {
    /// Begins to register a passkey for a user who has these already, by their records.
    ///
    /// # Errors
    /// [`PasskeyError::Internal`].
    fn start_registration(
        &self,
        user: &UserRecord,
        known: &[Vec<u8>],
    ) -> Result<Ceremony, PasskeyError>;

    /// The passkey that the browser has made.
    ///
    /// # Errors
    /// [`PasskeyError`].
    fn finish_registration(&self, state: &[u8], answer: &str) -> Result<NewPasskey, PasskeyError>;

    /// Begins to log somebody in who has not said a name.
    ///
    /// # Errors
    /// [`PasskeyError::Internal`].
    fn start_login(&self) -> Result<Ceremony, PasskeyError>;

    /// Which credential an answer is of, and whose it says that is; nothing of it is verified.
    ///
    /// # Errors
    /// [`PasskeyError::Answer`].
    fn credential_of(&self, answer: &str) -> Result<ShownPasskey, PasskeyError>;

    /// Verifies an answer with the passkey's record.
    ///
    /// # Errors
    /// [`PasskeyError`].
    fn finish_login(
        &self,
        state: &[u8],
        answer: &str,
        record: &[u8],
    ) -> Result<UsedPasskey, PasskeyError>;
}

/// A ceremony that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceremony {
    /// What the browser is asked, as JSON.
    pub options: String,
    /// What has to be kept until it answers; whoever could change it could log in as anybody.
    pub state: Vec<u8>,
}

/// A passkey that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPasskey {
    /// Its id in base64url.
    pub credential_id: String,
    /// Its public key, counter and whatever else verifying needs.
    pub record: Vec<u8>,
}

/// A passkey as a browser names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownPasskey {
    /// Its id in base64url.
    pub credential_id: String,
    /// Whose the authenticator says that it is (`userHandle`).
    pub user_id: String,
}

/// A passkey that was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedPasskey {
    /// The record to keep from now on; none where it is the same.
    pub record: Option<Vec<u8>>,
    /// Whether it has made sure who used it, so that it counts as several factors.
    pub user_verified: bool,
}

/// Why a passkey was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyError {
    /// The browser's, or whoever sits there: the answer cannot be read, or does not hold.
    #[error("the passkey's answer does not hold")]
    Answer,
    /// Whoever keeps state or record: it is none that was made here.
    #[error("what was kept of the passkey cannot be read")]
    Kept,
    /// Ours.
    #[error("passkeys failed: {0}")]
    Internal(&'static str),
}
