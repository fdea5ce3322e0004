//! Sessions, and what is told of API keys beside them.

use postern_request::UnixMillis;

use crate::durable::SecretHash;

/// Most sessions of one user that a list holds.
pub const MAX_SESSIONS_LISTED: usize = 200;

/// A session: of a browser that somebody has logged in with, or of what a client was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its name, which tokens carry too (`sessionId`). It opens nothing.
    pub id: String,
    /// Whose it is (`sub`).
    pub user_id: String,
    /// When it began.
    pub created_at: UnixMillis,
    /// When it was used last, as far as was written.
    pub last_used: UnixMillis,
    /// When its holder has authenticated last (`auth_time`).
    pub authenticated_at: UnixMillis,
    /// When that was by several factors last.
    pub mfa_at: Option<UnixMillis>,
    /// How (`amr`, RFC 8176).
    pub methods: Vec<String>,
    /// The device that it is bound to.
    pub device_id: Option<String>,
    /// A keyed hash of what the browser shows of itself.
    pub fingerprint: Option<[u8; 16]>,
    /// The client that was granted it; none for a browser's.
    pub client_id: Option<String>,
    /// What it allows.
    pub scopes: Vec<String>,
    /// The browser's session that the grant came from.
    pub parent: Option<String>,
    /// Of the secret half of the cookie; none for a grant's.
    pub secret: Option<SecretHash>,
    /// Who it is, for answers without the database: JSON that its writer reads.
    pub person: Vec<u8>,
    /// Whether it was asked to last.
    pub remember: bool,
    /// It ends when it was not used for so long.
    pub idle_ms: u64,
    /// It ends then, whatever happens.
    pub ends_at: UnixMillis,
}

/// An API key that was used since it was told of last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedApiKey {
    /// The public part of the key.
    pub id: String,
    /// Who it stands for.
    pub user_id: String,
    /// The client that it belongs to.
    pub client_id: Option<String>,
    /// What it allows.
    pub scopes: Vec<String>,
    /// When it was used last.
    pub last_used: UnixMillis,
    /// How often since it was told of last.
    pub requests: u64,
}
