//! Clients and rules for tests.

use postern_jose::Algorithm;
use postern_request::UnixMillis;

use crate::{
    Acr, AuthMethod, Client, ClientKind, CodeGrant, Endpoint, FamilyGrant, GrantType, RedirectUri,
    RefreshTimes, ScopeSet, ServerRules, SessionFacts,
};

pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
pub(crate) const ISSUER: &str = "https://gate.example";
pub(crate) const API: &str = "https://api.example";
pub(crate) const OTHER_API: &str = "https://other.example";
pub(crate) const CALLBACK: &str = "https://app.example/callback";
/// Of RFC 7636, Appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

pub(crate) fn confidential() -> Client {
    Client {
        client_id: "web".to_owned(),
        kind: ClientKind::Confidential,
        auth_method: AuthMethod::Basic,
        grant_types: vec![
            GrantType::ClientCredentials,
            GrantType::AuthorizationCode,
            GrantType::RefreshToken,
        ],
        redirect_uris: vec![RedirectUri::parse(CALLBACK).unwrap()],
        post_logout_redirect_uris: vec!["https://app.example/bye".to_owned()],
        scopes: scopes("openid profile email offline_access read write"),
        resources: Vec::new(),
        require_pkce: true,
        require_consent: true,
        require_par: false,
        bind_dpop: false,
        access_token_lifetime_secs: 3600,
        refresh_token_lifetime_secs: 604_800,
        id_token_alg: Algorithm::Rs256,
        may_introspect: Vec::new(),
        may_act_for: Vec::new(),
        is_active: true,
    }
}

pub(crate) fn public() -> Client {
    Client { kind: ClientKind::Public, auth_method: AuthMethod::None, ..confidential() }
}

pub(crate) fn rules() -> ServerRules {
    ServerRules {
        endpoints: Endpoint::ALL.to_vec(),
        scopes: scopes("read write admin"),
        grants: GrantType::ALL.to_vec(),
        resources: vec![
            (API.to_owned(), scopes("read")),
            (OTHER_API.to_owned(), ScopeSet::default()),
        ],
        access_token_secs: 7200,
        code_secs: 600,
        refresh: RefreshTimes { secs: 604_800, remembered_secs: 2_592_000 },
        auth_methods: AuthMethod::ALL.to_vec(),
        algorithms: vec![Algorithm::Rs256, Algorithm::Es256],
        ..ServerRules::bare(ISSUER.to_owned())
    }
}

pub(crate) fn session() -> SessionFacts {
    SessionFacts {
        subject: "ada".to_owned(),
        session_id: "s-1".to_owned(),
        auth_time: UnixMillis(NOW.0 - 60_000),
        acr: Acr::OneFactor,
        amr: vec!["pwd".to_owned()],
        role_scopes: scopes("read write"),
        remember: false,
    }
}

pub(crate) fn code_grant() -> CodeGrant {
    CodeGrant {
        client_id: "web".to_owned(),
        redirect_uri: Some(CALLBACK.to_owned()),
        subject: "ada".to_owned(),
        session_id: "s-1".to_owned(),
        scopes: scopes("openid read write"),
        resources: Vec::new(),
        challenge: crate::CodeChallenge::parse(Some(CHALLENGE), Some("S256")).unwrap(),
        nonce: Some("n-1".to_owned()),
        auth_time: UnixMillis(NOW.0 - 60_000),
        acr: Acr::OneFactor,
        amr: vec!["pwd".to_owned()],
        dpop_jkt: None,
        remember: false,
        issued_at: NOW,
    }
}

pub(crate) fn family_grant() -> FamilyGrant {
    FamilyGrant {
        client_id: "web".to_owned(),
        subject: "ada".to_owned(),
        session_id: "s-2".to_owned(),
        scopes: scopes("openid read write"),
        resources: Vec::new(),
        auth_time: UnixMillis(NOW.0 - 60_000),
        acr: Acr::OneFactor,
        amr: vec!["pwd".to_owned()],
        dpop_jkt: None,
        certificate: None,
        remember: false,
    }
}
