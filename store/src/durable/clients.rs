//! OAuth clients, as they are kept.

use postern_request::UnixMillis;

use super::SecretHash;

/// How long access tokens of a client live where nobody said anything else, in seconds.
const ACCESS_TOKEN_LIFETIME_SECS: u64 = 3_600;
/// How long its refresh tokens do: 7 days.
const REFRESH_TOKEN_LIFETIME_SECS: u64 = 604_800;

/// Whether a client can keep a secret (RFC 6749 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// It cannot.
    Public,
    /// It can.
    Confidential,
}

impl ClientKind {
    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Confidential => "confidential",
        }
    }

    /// Reads what [`ClientKind::as_str`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Public, Self::Confidential].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Who made a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientOrigin {
    /// An operator. It stays until an operator deletes it.
    Operator,
    /// Itself (RFC 7591).
    Registered {
        /// It is deleted when it is not used until then; use moves it.
        expires_unused_at: UnixMillis,
    },
}

impl ClientOrigin {
    /// As it is stored, its moment apart.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Registered { .. } => "registered",
        }
    }

    /// Its moment, where it has one.
    #[must_use]
    pub const fn expires_unused_at(self) -> Option<UnixMillis> {
        match self {
            Self::Operator => None,
            Self::Registered { expires_unused_at } => Some(expires_unused_at),
        }
    }

    /// Reads what [`ClientOrigin::as_str`] wrote and the moment that was kept beside it; none of
    /// what does not go together.
    #[must_use]
    pub fn parse(text: &str, expires_unused_at: Option<UnixMillis>) -> Option<Self> {
        match (text, expires_unused_at) {
            ("operator", None) => Some(Self::Operator),
            ("registered", Some(expires_unused_at)) => Some(Self::Registered { expires_unused_at }),
            _ => None,
        }
    }
}

/// An OAuth client. Names of RFC 7591 are spelled as it spells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRecord {
    /// `client_id`
    pub client_id: String,
    /// What people call it.
    pub name: String,
    /// Public or confidential.
    pub kind: ClientKind,
    /// Of the client's secret; none where it has none.
    pub secret_sha256: Option<SecretHash>,
    /// `grant_types`; names without spaces.
    pub grant_types: Vec<String>,
    /// `response_types`; names without spaces.
    pub response_types: Vec<String>,
    /// `redirect_uris`, in the order that they were given in.
    pub redirect_uris: Vec<String>,
    /// `post_logout_redirect_uris`, in the order that they were given in.
    pub post_logout_redirect_uris: Vec<String>,
    /// What it may ask for; names without spaces.
    pub scopes: Vec<String>,
    /// Whether an authorization code needs PKCE. Public clients need it whatever stands here.
    pub require_pkce: bool,
    /// Whether people are asked before it gets anything of theirs.
    pub require_consent: bool,
    /// Whether its authorization requests must be pushed (RFC 9126).
    pub require_par: bool,
    /// Whether its tokens are bound to a key of its own (RFC 9449).
    pub bind_dpop: bool,
    /// How long its access tokens live, in seconds.
    pub access_token_lifetime_secs: u64,
    /// How long its refresh tokens live, in seconds.
    pub refresh_token_lifetime_secs: u64,
    /// The limit that it has instead of the usual one, by its name in the document.
    pub rate_limit_policy: Option<String>,
    /// `token_endpoint_auth_method`
    pub auth_method: String,
    /// `jwks`: its own keys, as JSON text.
    pub jwks: Option<String>,
    /// `jwks_uri`: where its keys are.
    pub jwks_uri: Option<String>,
    /// Which certificate is its own: `subject:…`, `dns:…`, `uri:…` or `sha256:…`.
    pub tls_subject: Option<String>,
    /// Where its tokens may be for (RFC 8707); everywhere when it is empty.
    pub resources: Vec<String>,
    /// For which resources it may ask about tokens of others (RFC 7662): values of `aud`, or `*`.
    pub may_introspect: Vec<String>,
    /// For whose clients' users it may act (RFC 8693): ids of clients, or `*`.
    pub may_act_for: Vec<String>,
    /// `id_token_signed_response_alg`
    pub id_token_alg: String,
    /// `logo_uri`
    pub logo_uri: Option<String>,
    /// `client_uri`
    pub client_uri: Option<String>,
    /// `policy_uri`
    pub policy_uri: Option<String>,
    /// Whether it may do anything at all.
    pub is_active: bool,
    /// Who made it.
    pub origin: ClientOrigin,
    /// When it was registered.
    pub created_at: UnixMillis,
    /// When it was changed last.
    pub updated_at: UnixMillis,
}

impl ClientRecord {
    /// A client of an operator that nothing was said of: it has no secret, no way to get a token
    /// and no scopes, and whatever can be asked for before it gets anything is.
    #[must_use]
    pub fn new(client_id: String, name: String, kind: ClientKind, created_at: UnixMillis) -> Self {
        let auth_method = match kind {
            ClientKind::Public => "none",
            // The default of RFC 7591 §2.
            ClientKind::Confidential => "client_secret_basic",
        };
        Self {
            client_id,
            name,
            kind,
            secret_sha256: None,
            grant_types: Vec::new(),
            response_types: Vec::new(),
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            scopes: Vec::new(),
            require_pkce: true,
            require_consent: true,
            require_par: false,
            bind_dpop: false,
            access_token_lifetime_secs: ACCESS_TOKEN_LIFETIME_SECS,
            refresh_token_lifetime_secs: REFRESH_TOKEN_LIFETIME_SECS,
            rate_limit_policy: None,
            auth_method: auth_method.to_owned(),
            jwks: None,
            jwks_uri: None,
            tls_subject: None,
            resources: Vec::new(),
            may_introspect: Vec::new(),
            may_act_for: Vec::new(),
            id_token_alg: "RS256".to_owned(),
            logo_uri: None,
            client_uri: None,
            policy_uri: None,
            is_active: true,
            origin: ClientOrigin::Operator,
            created_at,
            updated_at: created_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_they_are_written() {
        let registered = ClientOrigin::Registered { expires_unused_at: UnixMillis(5) };
        for origin in [ClientOrigin::Operator, registered] {
            let moment = origin.expires_unused_at();
            assert_eq!(ClientOrigin::parse(origin.as_str(), moment), Some(origin));
        }
        assert_eq!(ClientOrigin::parse("operator", Some(UnixMillis(5))), None);
        assert_eq!(ClientOrigin::parse("registered", None), None);
        assert_eq!(ClientOrigin::parse("Operator", None), None);
    }

    #[test]
    fn a_new_client_can_do_nothing_without_being_asked() {
        for kind in [ClientKind::Public, ClientKind::Confidential] {
            let client = ClientRecord::new("c".to_owned(), "C".to_owned(), kind, UnixMillis(1));
            assert!(client.require_pkce && client.require_consent, "{client:?}");
            assert!(client.may_introspect.is_empty() && client.may_act_for.is_empty());
            assert!(client.grant_types.is_empty() && client.redirect_uris.is_empty());
            assert_eq!(client.auth_method == "none", kind == ClientKind::Public);
        }
    }
}
