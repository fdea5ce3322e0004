//! What the document says about the authorization server, in the protocol's terms.

use postern_jose::Algorithm;

use crate::{AuthMethod, GrantType, IDENTITY_SCOPES, REGISTER_SCOPE, ScopeSet};

/// A place that answers, under the issuer's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// RFC 6749 §3.1
    Authorize,
    /// RFC 6749 §3.2
    Token,
    /// The public keys (RFC 7517 §5).
    Jwks,
    /// OpenID Connect Core §5.3
    Userinfo,
    /// OpenID Connect RP-Initiated Logout §2
    EndSession,
    /// RFC 7009
    Revoke,
    /// RFC 7662
    Introspect,
    /// RFC 7591
    Register,
    /// RFC 9126
    Par,
    /// RFC 8628
    Device,
}

impl Endpoint {
    /// All of them, in the order of metadata.
    pub const ALL: [Self; 10] = [
        Self::Authorize,
        Self::Token,
        Self::Jwks,
        Self::Userinfo,
        Self::EndSession,
        Self::Revoke,
        Self::Introspect,
        Self::Register,
        Self::Par,
        Self::Device,
    ];

    /// Where it is.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Authorize => "/oauth2/authorize",
            Self::Token => "/oauth2/token",
            Self::Jwks => "/oauth2/jwks",
            Self::Userinfo => "/oauth2/userinfo",
            Self::EndSession => "/oauth2/logout",
            Self::Revoke => "/oauth2/revoke",
            Self::Introspect => "/oauth2/introspect",
            Self::Register => "/oauth2/register",
            Self::Par => "/oauth2/par",
            Self::Device => "/oauth2/device_authorization",
        }
    }
}

/// Where tokens are asked for.
pub const TOKEN_PATH: &str = Endpoint::Token.path();
/// Where the public keys are.
pub const JWKS_PATH: &str = Endpoint::Jwks.path();

/// How long refresh tokens live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshTimes {
    /// Unused, in seconds.
    pub secs: u64,
    /// The same where the user asked to be remembered.
    pub remembered_secs: u64,
}

/// How devices ask (RFC 8628).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceTimes {
    /// How long their codes live, in seconds.
    pub secs: u64,
    /// How long they wait between two requests, in seconds.
    pub interval_secs: u64,
}

/// What the document says about the authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRules {
    /// `iss` of its tokens: a URL without query and fragment.
    pub issuer: String,
    /// What is served; metadata names nothing else.
    pub endpoints: Vec<Endpoint>,
    /// What clients may ask for, besides [`IDENTITY_SCOPES`].
    pub scopes: ScopeSet,
    /// Ways to get tokens.
    pub grants: Vec<GrantType>,
    /// Where tokens can be used besides the issuer itself, and the scopes that make sense there;
    /// all where there are none.
    pub resources: Vec<(String, ScopeSet)>,
    /// Whether every authorization request must be pushed (RFC 9126 §5).
    pub require_par: bool,
    /// How long an access token lives at most, in seconds.
    pub access_token_secs: u64,
    /// How long an authorization code lives, in seconds.
    pub code_secs: u64,
    /// Refresh tokens.
    pub refresh: RefreshTimes,
    /// Log-in on another device.
    pub device: DeviceTimes,
    /// How confidential clients may prove who they are: those ways whose proofs are looked at.
    pub auth_methods: Vec<AuthMethod>,
    /// Whether certificates of connections are seen, so that clients can prove themselves by one
    /// (RFC 8705).
    pub mutual_tls: bool,
    /// What its keys sign with.
    pub algorithms: Vec<Algorithm>,
    /// Whether clients that speak for themselves get known scopes alone, whatever they are
    /// registered for: where the document says which scopes there are.
    pub bounds_clients: bool,
}

/// Scopes of the suite itself: of the admin API, and for registering clients.
const OWN_SCOPES: [&str; 2] = ["postern.admin", REGISTER_SCOPE];

impl ServerRules {
    /// What is served where the document says nothing: clients get tokens of their own.
    #[must_use]
    pub fn bare(issuer: String) -> Self {
        Self {
            issuer,
            endpoints: vec![Endpoint::Token, Endpoint::Jwks],
            scopes: ScopeSet::default(),
            grants: vec![GrantType::ClientCredentials],
            resources: Vec::new(),
            require_par: false,
            access_token_secs: 86_400,
            code_secs: 600,
            refresh: RefreshTimes { secs: 604_800, remembered_secs: 2_592_000 },
            device: DeviceTimes { secs: 900, interval_secs: 5 },
            auth_methods: vec![AuthMethod::Basic, AuthMethod::Post],
            mutual_tls: false,
            algorithms: Vec::new(),
            bounds_clients: false,
        }
    }

    /// The issuer's URL without a slash at its end: what paths are joined to.
    #[must_use]
    pub fn base(&self) -> &str {
        self.issuer.trim_end_matches('/')
    }

    /// The URL of an endpoint, as clients know it. Proofs and assertions are made for this one,
    /// never for what a request says in its `host`.
    #[must_use]
    pub fn url(&self, endpoint: Endpoint) -> String {
        [self.base(), endpoint.path()].concat()
    }

    /// Whether an endpoint is there.
    #[must_use]
    pub fn serves(&self, endpoint: Endpoint) -> bool {
        self.endpoints.contains(&endpoint)
    }

    /// Whether a grant is.
    #[must_use]
    pub fn grants(&self, grant: GrantType) -> bool {
        self.grants.contains(&grant)
    }

    /// Whether clients may prove who they are so. Those that cannot need not, where a user is
    /// there to agree.
    #[must_use]
    pub fn takes(&self, method: AuthMethod) -> bool {
        match method {
            AuthMethod::None => self.serves(Endpoint::Authorize) || self.serves(Endpoint::Device),
            _ if method.is_by_certificate() && !self.mutual_tls => false,
            _ => self.auth_methods.contains(&method),
        }
    }

    /// Whether a client may have this scope for itself: a known one, or one of the suite's own.
    #[must_use]
    pub fn gives_clients(&self, name: &str) -> bool {
        !self.bounds_clients || OWN_SCOPES.contains(&name) || self.scopes.contains(name)
    }

    /// Whether a scope can be had at all.
    #[must_use]
    pub fn knows_scope(&self, name: &str) -> bool {
        self.scopes.contains(name) || IDENTITY_SCOPES.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_below_the_issuer_with_one_slash() {
        for issuer in ["https://gate.example", "https://gate.example/"] {
            let rules = ServerRules::bare(issuer.to_owned());
            assert_eq!(rules.url(Endpoint::Token), "https://gate.example/oauth2/token");
            assert_eq!(rules.issuer, issuer, "as it is written");
        }
        let mut paths = Endpoint::ALL.map(Endpoint::path).to_vec();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), Endpoint::ALL.len());
    }

    #[test]
    fn what_the_document_does_not_name_is_not_there() {
        let bare = ServerRules::bare("https://gate.example".to_owned());
        for endpoint in Endpoint::ALL {
            let expected = matches!(endpoint, Endpoint::Token | Endpoint::Jwks);
            assert_eq!(bare.serves(endpoint), expected, "{endpoint:?}");
        }
        for grant in GrantType::ALL {
            assert_eq!(bare.grants(grant), grant == GrantType::ClientCredentials, "{grant:?}");
        }
        for method in AuthMethod::ALL {
            let expected = matches!(method, AuthMethod::Basic | AuthMethod::Post);
            assert_eq!(bare.takes(method), expected, "{method:?}");
        }
        assert!(bare.knows_scope("openid") && !bare.knows_scope("read"));
    }
}
