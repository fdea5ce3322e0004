//! A request of a client of anybody's making: nothing panics, whatever stands in its headers and
//! its form, and an exchange of tokens gives nothing that was not there.
//!
//! Input: `authorization`, `x-forwarded-client-cert` and the form, in lines.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_jose::{Algorithm, Confirmation};
use postern_oauth::{
    AuthMethod, Client, ClientKind, Endpoint, Grant, GrantType, Held, IntrospectionRequest,
    PushedRequest, RevocationRequest, ScopeSet, ServerRules, ShownCertificate, TokenFacts,
    TokenRequest, assertion_claims,
};
use postern_request::UnixMillis;
use postern_request::headers::Single;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const FORM: Single<'static> = Single::One(b"application/x-www-form-urlencoded");

fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap_or_default()
}

fn client() -> Client {
    Client {
        client_id: "web".to_owned(),
        kind: ClientKind::Confidential,
        auth_method: AuthMethod::Basic,
        grant_types: GrantType::ALL.to_vec(),
        redirect_uris: Vec::new(),
        post_logout_redirect_uris: Vec::new(),
        scopes: scopes("openid read"),
        resources: Vec::new(),
        require_pkce: true,
        require_consent: true,
        require_par: false,
        bind_dpop: false,
        access_token_lifetime_secs: 3600,
        refresh_token_lifetime_secs: 60,
        id_token_alg: Algorithm::Rs256,
        may_introspect: Vec::new(),
        may_act_for: vec!["spa".to_owned()],
        is_active: true,
    }
}

fn rules() -> ServerRules {
    ServerRules {
        endpoints: Endpoint::ALL.to_vec(),
        scopes: scopes("read write"),
        grants: GrantType::ALL.to_vec(),
        resources: vec![("https://api.example".to_owned(), ScopeSet::default())],
        auth_methods: AuthMethod::ALL.to_vec(),
        mutual_tls: true,
        ..ServerRules::bare("https://gate.example".to_owned())
    }
}

fn subject() -> TokenFacts {
    TokenFacts {
        subject: "ada".to_owned(),
        client_id: "spa".to_owned(),
        scopes: scopes("read write"),
        audiences: vec!["https://gate.example".to_owned()],
        expires_at: NOW.as_secs() + 60,
        session: Some("s-1".to_owned()),
        confirmation: Confirmation::default(),
        auth_time: None,
        acr: None,
        amr: Vec::new(),
        act: None,
        may_act: None,
    }
}

fn header(line: &[u8]) -> Single<'_> {
    if line.is_empty() { Single::Absent } else { Single::One(line) }
}

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (authorization, told, body) = (header(line()), header(line()), line());
    let certificate = ShownCertificate::read(told).ok().flatten();
    if let Some(certificate) = &certificate {
        assert!(certificate.uris.len() <= 1, "{certificate:?}");
        assert!(certificate.uris.is_empty() || certificate.dns_names.is_empty());
    }
    let shown = certificate.as_ref();
    drop(RevocationRequest::parse(authorization, FORM, body, shown));
    drop(IntrospectionRequest::parse(authorization, FORM, body, shown));
    drop(PushedRequest::parse(authorization, FORM, body, shown));
    if let Ok(text) = std::str::from_utf8(body) {
        let _ = assertion_claims(text, "web", &["https://gate.example"], NOW);
    }
    let Ok(request) = TokenRequest::parse(authorization, FORM, body, shown) else { return };
    let Grant::Exchange(exchange) = request.grant() else { return };
    let (client, rules, subject) = (client(), rules(), subject());
    let actor = exchange
        .actor
        .as_ref()
        .map(|_| TokenFacts { client_id: "web".to_owned(), ..subject.clone() });
    let held = Held { key: None, certificate: shown.map(|certificate| certificate.sha256) };
    if let Ok(issue) = exchange.decide(&client, &subject, actor.as_ref(), held, &rules, NOW) {
        let issued = issue.access;
        assert!(
            issued.scopes.is_within(&subject.scopes) && issued.scopes.is_within(&client.scopes)
        );
        assert!((1..=60).contains(&issued.lifetime_secs) && issued.subject == subject.subject);
        assert_eq!(issued.act.is_some(), actor.is_some());
        assert!(issue.refresh.is_none() && issue.id_token.is_none());
    }
});
