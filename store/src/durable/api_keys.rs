//! API keys, as they are kept.

use postern_request::UnixMillis;

use super::SecretHash;

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// The public part of the key, by which it is found.
    pub id: String,
    /// Of the whole key.
    pub sha256: SecretHash,
    /// Who it stands for.
    pub subject: String,
    /// What people call it.
    pub name: Option<String>,
    /// The client that it belongs to.
    pub client_id: Option<String>,
    /// What it allows; names without spaces.
    pub scopes: Vec<String>,
    /// For limits.
    pub tier: Option<String>,
    /// Limits of the document that hold for it besides the route's; names without spaces.
    pub limits: Vec<String>,
    /// From when on it is not valid any more.
    pub expires_at: Option<UnixMillis>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was revoked.
    pub revoked_at: Option<UnixMillis>,
    /// The key that has taken its place.
    pub successor: Option<String>,
    /// When it was used last, as far as was written.
    pub last_used_at: Option<UnixMillis>,
    /// How often it was used, as far as was written.
    pub request_count: u64,
}

impl ApiKeyRecord {
    /// A key that nothing was said of: it allows nothing in particular, does not end, and was not
    /// used.
    #[must_use]
    pub const fn new(
        id: String,
        sha256: SecretHash,
        subject: String,
        created_at: UnixMillis,
    ) -> Self {
        Self {
            id,
            sha256,
            subject,
            name: None,
            client_id: None,
            scopes: Vec::new(),
            tier: None,
            limits: Vec::new(),
            expires_at: None,
            created_at,
            revoked_at: None,
            successor: None,
            last_used_at: None,
            request_count: 0,
        }
    }
}
