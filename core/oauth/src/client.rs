//! Clients (RFC 6749 §2), as far as a grant looks at them.

use crate::ScopeSet;

/// How a client may ask for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GrantType {
    /// RFC 6749 §4.4: the client speaks for itself.
    ClientCredentials,
}

impl GrantType {
    /// All that are finished.
    pub const ALL: [Self; 1] = [Self::ClientCredentials];

    /// As `grant_type` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
        }
    }

    /// Reads `grant_type`; case matters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == text)
    }
}

/// Whether a client can keep a secret (RFC 6749 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientKind {
    /// It cannot: a single-page or native application.
    Public,
    /// It can.
    Confidential,
}

/// A registered client, without its secret: whether that was right is a yes or no from the
/// caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// `client_id`
    pub client_id: String,
    /// Public or confidential.
    pub kind: ClientKind,
    /// How it may ask for tokens.
    pub grant_types: Vec<GrantType>,
    /// What it may ask for at most.
    pub scopes: ScopeSet,
    /// How long its access tokens live, in seconds.
    pub access_token_lifetime_secs: u64,
    /// Whether it may do anything at all.
    pub is_active: bool,
}
