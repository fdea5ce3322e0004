//! Clients (RFC 6749 §2), as far as a grant looks at them.

use postern_jose::Algorithm;

use crate::{OAuthError, RedirectUri, ScopeSet};

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

    /// Whether it is by the certificate of the connection.
    #[must_use]
    pub const fn is_by_certificate(self) -> bool {
        matches!(self, Self::TlsClientAuth | Self::SelfSignedTls)
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
    /// How it proves who it is.
    pub auth_method: AuthMethod,
    /// How it may ask for tokens.
    pub grant_types: Vec<GrantType>,
    /// Where it may be answered.
    pub redirect_uris: Vec<RedirectUri>,
    /// Where a browser may go after log-out, letter by letter.
    pub post_logout_redirect_uris: Vec<String>,
    /// What it may ask for at most.
    pub scopes: ScopeSet,
    /// Where it may use tokens (RFC 8707), of those that the document names; all of them where
    /// this is empty.
    pub resources: Vec<String>,
    /// Whether it must use PKCE; a public client always must.
    pub require_pkce: bool,
    /// Whether users are asked before it gets anything.
    pub require_consent: bool,
    /// Whether it must push its authorization requests (RFC 9126 §6).
    pub require_par: bool,
    /// Whether its tokens are always bound to a key (RFC 9449 §5.2).
    pub bind_dpop: bool,
    /// How long its access tokens live at most, in seconds.
    pub access_token_lifetime_secs: u64,
    /// How long its refresh tokens live unused, in seconds, where that is less than others'.
    pub refresh_token_lifetime_secs: u64,
    /// What its ID tokens are signed with.
    pub id_token_alg: Algorithm,
    /// Resources for which it may ask about tokens of others (RFC 7662 §4); [`Client::ALL`] for
    /// all.
    pub may_introspect: Vec<String>,
    /// Clients for whose users it may act (RFC 8693); [`Client::ALL`] for all.
    pub may_act_for: Vec<String>,
    /// Whether it may do anything at all.
    pub is_active: bool,
}

impl Client {
    /// All resources, or all clients: only an operator writes it.
    pub const ALL: &'static str = "*";

    /// Whether it may use a grant.
    ///
    /// # Errors
    /// `unauthorized_client`
    pub fn check_grant(&self, grant: GrantType) -> Result<(), OAuthError> {
        if self.grant_types.contains(&grant) {
            Ok(())
        } else {
            Err(OAuthError::unauthorized_client())
        }
    }
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
    fn a_client_uses_the_grants_of_its_registration_alone() {
        let client = Client {
            grant_types: vec![GrantType::RefreshToken],
            ..crate::fixtures::confidential()
        };
        for grant in GrantType::ALL {
            let expected = match grant {
                GrantType::RefreshToken => Ok(()),
                _ => Err(OAuthError::unauthorized_client()),
            };
            assert_eq!(client.check_grant(grant), expected, "{grant:?}");
        }
    }
}
