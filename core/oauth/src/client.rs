//! Clients (RFC 6749 §2), as far as a grant looks at them.

use crate::ScopeSet;

/// How a client may ask for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GrantType {
    /// RFC 6749 §4.4: the client speaks for itself.
    ClientCredentials,
    /// RFC 6749 §4.1: somebody has agreed at the authorization endpoint.
    AuthorizationCode,
    /// RFC 6749 §6: going on with what was granted before.
    RefreshToken,
    /// RFC 8628: somebody has agreed on another device.
    DeviceCode,
    /// RFC 8693: another token for one that is there.
    TokenExchange,
}

impl GrantType {
    /// All that a client may be registered for.
    pub const ALL: [Self; 5] = [
        Self::ClientCredentials,
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::DeviceCode,
        Self::TokenExchange,
    ];
    /// Those that the token endpoint serves; metadata names no others.
    pub const SERVED: [Self; 1] = [Self::ClientCredentials];

    /// As `grant_type` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }

    /// Reads `grant_type`; case matters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == text)
    }
}

/// How a client proves who it is at the token endpoint (`token_endpoint_auth_method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AuthMethod {
    /// Not at all: an id and no secret.
    None,
    /// Its secret, in the authorization header.
    Basic,
    /// Its secret, in the body.
    Post,
    /// A token that it signs with a key of its own (RFC 7523).
    PrivateKeyJwt,
    /// A certificate that a known authority has signed (RFC 8705 §2.1).
    TlsClientAuth,
    /// A certificate of its own (RFC 8705 §2.2).
    SelfSignedTls,
}

impl AuthMethod {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Basic,
        Self::Post,
        Self::PrivateKeyJwt,
        Self::TlsClientAuth,
        Self::SelfSignedTls,
    ];

    /// As metadata spells it (RFC 7591 §2, RFC 8705 §2).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTls => "self_signed_tls_client_auth",
        }
    }

    /// Reads what [`AuthMethod::as_str`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for grant in GrantType::ALL {
            assert_eq!(GrantType::parse(grant.as_str()), Some(grant));
        }
        for method in AuthMethod::ALL {
            assert_eq!(AuthMethod::parse(method.as_str()), Some(method));
        }
        for unknown in ["", "implicit", "password", "Refresh_Token", "device_code"] {
            assert_eq!(GrantType::parse(unknown), None, "{unknown}");
        }
        for unknown in ["", "client_secret_jwt", "NONE"] {
            assert_eq!(AuthMethod::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn no_other_grant_is_served() {
        assert_eq!(GrantType::SERVED.map(GrantType::as_str), ["client_credentials"]);
    }
}
