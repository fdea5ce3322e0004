//! A stranger registers a client (RFC 7591): nothing panics, and whatever is registered is sent to
//! places that were looked at, asks for what strangers may, and acts for users alone.
//!
//! Input: the body of a request. What devices are kept as, and what people type in for one, is
//! read from the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_jose::Algorithm;
use postern_oauth::{
    AuthMethod, DeviceState, Endpoint, GrantType, RedirectUri, RegistrationAnswer,
    RegistrationRequest, ScopeSet, Secret, ServerRules, UserCode,
};
use postern_request::json::{self, Value};

fn server() -> ServerRules {
    ServerRules {
        endpoints: Endpoint::ALL.to_vec(),
        grants: GrantType::ALL.to_vec(),
        auth_methods: AuthMethod::ALL.to_vec(),
        mutual_tls: true,
        algorithms: vec![Algorithm::Rs256],
        ..ServerRules::bare("https://gate.example".to_owned())
    }
}

fuzz_target!(|input: &[u8]| {
    if let Some(state) = DeviceState::decode(input) {
        assert_eq!(DeviceState::decode(&state.encode()), Some(state));
    }
    if let Some(code) = std::str::from_utf8(input).ok().and_then(UserCode::parse) {
        assert_eq!(UserCode::parse(&code.to_text()), Some(code));
    }
    let allowed = ScopeSet::parse("openid content.read").expect("scopes");
    let Ok(request) = RegistrationRequest::parse(input) else { return };
    let Ok(new) = request.decide(&server(), &allowed) else { return };
    assert!(new.scopes.is_within(&allowed));
    assert!(!new.grant_types.contains(&GrantType::ClientCredentials));
    assert!(!new.grant_types.contains(&GrantType::TokenExchange));
    for uri in new.redirect_uris.iter().chain(&new.post_logout_redirect_uris) {
        assert!(RedirectUri::parse(uri.as_str()).is_ok() && !uri.as_str().contains('#'));
    }
    for uri in [&new.client_uri, &new.logo_uri, &new.policy_uri, &new.jwks_uri] {
        assert!(uri.as_ref().is_none_or(|uri| uri.starts_with("https://")));
    }
    assert!(new.jwks.is_none() || new.jwks_uri.is_none());
    let secret = Secret::new("a secret".to_owned());
    let answer = RegistrationAnswer {
        registered: &new,
        client_id: "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        secret: Some(&secret).filter(|_| new.has_secret()),
        issued_at_secs: 1_800_000_000,
    };
    let told = json::parse(answer.body().as_bytes()).expect("strict JSON");
    let kept = told.get("redirect_uris").and_then(Value::as_array).expect("a list");
    assert_eq!(kept.len(), new.redirect_uris.len());
    assert_eq!(told.get("client_secret").is_some(), new.has_secret());
});
