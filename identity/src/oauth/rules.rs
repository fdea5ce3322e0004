//! What the document says about the authorization server, in the protocol's terms.

use postern_document::{OAuth, OAuthGrant, ProtectedResource, RegistrationMode, SigningAlgorithm};
use postern_jose::Algorithm;
use postern_oauth::{
    AuthMethod, DeviceTimes, Endpoint, GrantType, RefreshTimes, ScopeSet, ServerRules,
};

/// What people are told of scopes that every document knows.
const KNOWN_SCOPES: [(&str, &str); 4] = [
    ("openid", "Know who you are"),
    ("profile", "See your name and picture"),
    ("email", "See your e-mail address"),
    ("offline_access", "Keep this access while you are away"),
];

/// After how long without use a client that has registered itself is deleted, where the document
/// does not say so any more: its own default.
const UNUSED_FOR_MS: u64 = 90 * 86_400_000;
/// Ways in which clients prove who they are. Those by a certificate count where certificates are
/// seen.
const AUTH_METHODS: [AuthMethod; 5] = [
    AuthMethod::Basic,
    AuthMethod::Post,
    AuthMethod::PrivateKeyJwt,
    AuthMethod::TlsClientAuth,
    AuthMethod::SelfSignedTls,
];

/// What holds for every grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthRules {
    pub(crate) server: ServerRules,
    /// What people are told of a scope.
    texts: Vec<(String, String)>,
    /// What access tokens are signed with; whatever there is where the document has no `oauth`.
    pub(crate) algorithm: Option<Algorithm>,
    /// How long a spent refresh token gets its answer again.
    pub(crate) grace_ms: u64,
    /// Origins whose scripts may read answers.
    pub(crate) cors_origins: Vec<String>,
    /// Clients that register themselves, where they may.
    pub(crate) registering: Option<Registering>,
    /// After how long without use such a client is deleted.
    pub(crate) unused_for_ms: u64,
    /// How many servers share what is counted, while the store is away.
    pub(crate) replicas: u64,
    /// Proxies before Envoy that are trusted to name the client.
    pub(crate) trusted_proxies: usize,
}

/// Clients that register themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registering {
    /// Whether that takes a token with the scope for it.
    pub(crate) needs_token: bool,
    /// What they may ask for at most.
    pub(crate) scopes: ScopeSet,
}

impl OAuthRules {
    /// Of a document's issuer and what it says about the authorization server. Without the
    /// latter clients get tokens of their own, and nothing else is served.
    #[must_use]
    pub fn of(issuer: &str, oauth: Option<&OAuth>) -> Self {
        let server = ServerRules::bare(issuer.to_owned());
        let Some(oauth) = oauth else {
            return Self {
                server,
                texts: Vec::new(),
                algorithm: None,
                grace_ms: 0,
                cors_origins: Vec::new(),
                registering: None,
                unused_for_ms: UNUSED_FOR_MS,
                replicas: 1,
                trusted_proxies: 0,
            };
        };
        let grants: Vec<GrantType> = oauth.grants.iter().copied().map(grant_of).collect();
        let registering = registering(oauth, &grants);
        // Without its scopes a resource would have all of them.
        let resource = |of: &ProtectedResource| {
            let scopes = ScopeSet::from_names(of.scopes.iter().map(String::as_str)).ok()?;
            Some((of.resource.clone(), scopes))
        };
        Self {
            server: ServerRules {
                endpoints: endpoints(&grants, registering.is_some()),
                // Names that `check` has looked at.
                scopes: ScopeSet::from_names(oauth.scopes.iter().map(|(name, _)| name.as_str()))
                    .unwrap_or_default(),
                grants,
                resources: oauth.resources.iter().filter_map(resource).collect(),
                require_par: oauth.require_par,
                access_token_secs: oauth.access_token_secs,
                code_secs: oauth.code_secs,
                refresh: RefreshTimes {
                    secs: oauth.refresh.secs,
                    remembered_secs: oauth.refresh.remembered_secs,
                },
                device: DeviceTimes {
                    secs: oauth.device.secs,
                    interval_secs: oauth.device.interval_secs,
                },
                auth_methods: AUTH_METHODS.to_vec(),
                mutual_tls: oauth.mutual_tls.is_some(),
                bounds_clients: true,
                ..server
            },
            texts: oauth.scopes.clone(),
            algorithm: Some(match oauth.algorithm {
                SigningAlgorithm::Rs256 => Algorithm::Rs256,
                SigningAlgorithm::Es256 => Algorithm::Es256,
                SigningAlgorithm::EdDsa => Algorithm::EdDsa,
            }),
            grace_ms: oauth.refresh.grace_ms,
            cors_origins: oauth.cors_origins.clone(),
            registering,
            unused_for_ms: oauth.registration.unused_for_ms,
            replicas: 1,
            trusted_proxies: 0,
        }
    }

    /// The same on so many servers, behind so many proxies that are trusted to name the client.
    #[must_use]
    pub fn at(mut self, replicas: u64, trusted_proxies: usize) -> Self {
        (self.replicas, self.trusted_proxies) = (replicas, trusted_proxies);
        self
    }

    /// What people are told of each scope: the document's text, or the scope itself.
    pub(crate) fn told(&self, scopes: &ScopeSet) -> Vec<(String, String)> {
        let told = |name: &String| {
            let own = self.texts.iter().find(|(known, _)| known == name);
            let text = own.map(|(_, text)| text.as_str()).or_else(|| {
                let known = KNOWN_SCOPES.iter().find(|(known, _)| known == name);
                known.map(|(_, text)| *text)
            });
            (name.clone(), text.unwrap_or(name).to_owned())
        };
        scopes.names().iter().map(told).collect()
    }
}

/// What is served; metadata names nothing else. Users come by the authorization endpoint, or on
/// another device; where neither is, nothing for users is.
fn endpoints(grants: &[GrantType], registering: bool) -> Vec<Endpoint> {
    let mut endpoints =
        vec![Endpoint::Token, Endpoint::Jwks, Endpoint::Revoke, Endpoint::Introspect];
    if grants.contains(&GrantType::AuthorizationCode) {
        endpoints.extend([Endpoint::Authorize, Endpoint::EndSession, Endpoint::Par]);
    }
    if grants.contains(&GrantType::DeviceCode) {
        endpoints.push(Endpoint::Device);
    }
    if has_users(grants) {
        endpoints.push(Endpoint::Userinfo);
    }
    if registering {
        endpoints.push(Endpoint::Register);
    }
    endpoints
}

/// Who may register, and for what. A client that does so acts for users alone: where none can
/// come, there is nothing that it could be registered for.
fn registering(oauth: &OAuth, grants: &[GrantType]) -> Option<Registering> {
    let rules = &oauth.registration;
    let needs_token = match rules.mode {
        RegistrationMode::Off => return None,
        RegistrationMode::Open => false,
        RegistrationMode::Token => true,
    };
    // Names that `check` has looked at.
    let scopes = ScopeSet::from_names(rules.scopes.iter().map(String::as_str)).ok()?;
    has_users(grants).then_some(Registering { needs_token, scopes })
}

fn has_users(grants: &[GrantType]) -> bool {
    grants.contains(&GrantType::AuthorizationCode) || grants.contains(&GrantType::DeviceCode)
}

const fn grant_of(grant: OAuthGrant) -> GrantType {
    match grant {
        OAuthGrant::AuthorizationCode => GrantType::AuthorizationCode,
        OAuthGrant::RefreshToken => GrantType::RefreshToken,
        OAuthGrant::ClientCredentials => GrantType::ClientCredentials,
        OAuthGrant::DeviceCode => GrantType::DeviceCode,
        OAuthGrant::TokenExchange => GrantType::TokenExchange,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::fixture::{API, ISSUER, document};

    #[test]
    fn what_the_document_does_not_turn_on_is_not_served() {
        let bare = OAuthRules::of(ISSUER, None);
        let whole = OAuthRules::of(ISSUER, Some(&document()));
        let clients_only = OAuth { grants: vec![OAuthGrant::ClientCredentials], ..document() };
        let clients_only = OAuthRules::of(ISSUER, Some(&clients_only));
        for (endpoint, expected) in [
            (Endpoint::Token, [true, true, true]),
            (Endpoint::Jwks, [true, true, true]),
            (Endpoint::Revoke, [false, true, true]),
            (Endpoint::Authorize, [false, false, true]),
            (Endpoint::Userinfo, [false, false, true]),
            (Endpoint::EndSession, [false, false, true]),
            (Endpoint::Introspect, [false, true, true]),
            (Endpoint::Par, [false, false, true]),
            (Endpoint::Register, [false, false, false]),
        ] {
            let served = [&bare, &clients_only, &whole].map(|rules| rules.server.serves(endpoint));
            assert_eq!(served, expected, "{endpoint:?}");
        }
        for (method, expected) in [
            (AuthMethod::Basic, [true, true]),
            (AuthMethod::PrivateKeyJwt, [false, true]),
            // Nobody sees certificates here.
            (AuthMethod::TlsClientAuth, [false, false]),
        ] {
            let taken = [&bare, &whole].map(|rules| rules.server.takes(method));
            assert_eq!(taken, expected, "{method:?}");
        }
        assert_eq!((bare.server.bounds_clients, whole.server.bounds_clients), (false, true));
        assert_eq!((bare.algorithm, bare.grace_ms), (None, 0));
        assert_eq!((whole.algorithm, whole.grace_ms), (Some(Algorithm::Es256), 10_000));
        assert_eq!(whole.server.resources, [(API.to_owned(), ScopeSet::default())]);
    }

    #[test]
    fn who_may_register_is_the_documents_to_say() {
        use postern_document::Registration;
        let of = |mode, grants: &[OAuthGrant]| {
            let scopes = vec!["read".to_owned(), "openid".to_owned()];
            let registration = Registration { mode, scopes, unused_for_ms: 5 };
            let grants = grants.to_vec();
            OAuthRules::of(ISSUER, Some(&OAuth { registration, grants, ..document() }))
        };
        let code = [OAuthGrant::AuthorizationCode];
        for (mode, grants, expected) in [
            (RegistrationMode::Off, &code, None),
            (RegistrationMode::Open, &code, Some(false)),
            (RegistrationMode::Token, &code, Some(true)),
            (RegistrationMode::Open, &[OAuthGrant::DeviceCode], Some(false)),
            (RegistrationMode::Open, &[OAuthGrant::ClientCredentials], None),
        ] {
            let rules = of(mode, grants);
            let found = rules.registering.as_ref().map(|who| who.needs_token);
            assert_eq!(found, expected, "{mode:?} {grants:?}");
            assert_eq!(rules.server.serves(Endpoint::Register), expected.is_some());
            assert_eq!(rules.unused_for_ms, 5);
        }
        let rules = of(RegistrationMode::Open, &code);
        assert_eq!(rules.registering.unwrap().scopes.to_string(), "read openid");
        assert_eq!(OAuthRules::of(ISSUER, None).unused_for_ms, UNUSED_FOR_MS);
    }

    #[test]
    fn devices_ask_where_the_document_lets_them() {
        let grants = vec![OAuthGrant::DeviceCode];
        let device = postern_document::DeviceRules { secs: 300, interval_secs: 10 };
        let rules = OAuthRules::of(ISSUER, Some(&OAuth { grants, device, ..document() })).server;
        assert_eq!(rules.device, DeviceTimes { secs: 300, interval_secs: 10 });
        assert!(rules.serves(Endpoint::Device) && rules.serves(Endpoint::Userinfo));
        assert!(!rules.serves(Endpoint::Authorize) && rules.takes(postern_oauth::AuthMethod::None));
        let without = OAuthRules::of(ISSUER, Some(&document())).server;
        assert!(!without.serves(Endpoint::Device));
    }

    #[test]
    fn a_resource_whose_scopes_are_none_has_not_all_of_them() {
        let bad = ProtectedResource { resource: API.to_owned(), scopes: vec!["a b".to_owned()] };
        let rules = OAuthRules::of(ISSUER, Some(&OAuth { resources: vec![bad], ..document() }));
        assert!(rules.server.resources.is_empty());
    }

    #[test]
    fn people_are_told_of_each_scope_in_the_documents_words() {
        let mut oauth = document();
        oauth.scopes.push(("email".to_owned(), "Your address".to_owned()));
        let rules = OAuthRules::of(ISSUER, Some(&oauth));
        let told = rules.told(&ScopeSet::parse("openid read email later").unwrap());
        let texts: Vec<&str> = told.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["Know who you are", "Text of read", "Your address", "later"]);
    }
}
