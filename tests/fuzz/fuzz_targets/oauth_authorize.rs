//! An authorization request of anybody's making, as a browser brings it or as a client has pushed
//! it: nothing panics, and nothing is ever sent to a place that its client has not registered.
//!
//! Input: a query.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_jose::Algorithm;
use postern_oauth::{
    Acr, AuthMethod, Browser, Client, ClientKind, Endpoint, Form, GrantType, KeptRequest, Next,
    PushedRequest, Received, RedirectUri, ScopeSet, Secret, ServerRules, SessionFacts, decide,
    failure, success,
};
use postern_request::UnixMillis;
use postern_request::headers::Single;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const FORM: Single<'static> = Single::One(b"application/x-www-form-urlencoded");
const PLACES: [&str; 2] = ["https://app.example/callback?a=b", "http://127.0.0.1/cb"];

fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap_or_default()
}

fn client() -> Client {
    let places = PLACES.iter().filter_map(|place| RedirectUri::parse(place).ok());
    Client {
        client_id: "web".to_owned(),
        kind: ClientKind::Public,
        auth_method: AuthMethod::None,
        grant_types: vec![GrantType::AuthorizationCode],
        redirect_uris: places.collect(),
        post_logout_redirect_uris: Vec::new(),
        scopes: scopes("openid read"),
        resources: Vec::new(),
        require_pkce: true,
        require_consent: false,
        require_par: false,
        bind_dpop: false,
        access_token_lifetime_secs: 60,
        refresh_token_lifetime_secs: 60,
        id_token_alg: Algorithm::Rs256,
        may_introspect: Vec::new(),
        may_act_for: Vec::new(),
        is_active: true,
    }
}

fn rules() -> ServerRules {
    ServerRules {
        endpoints: Endpoint::ALL.to_vec(),
        scopes: scopes("read write"),
        grants: GrantType::ALL.to_vec(),
        resources: vec![("https://api.example".to_owned(), ScopeSet::default())],
        ..ServerRules::bare("https://gate.example".to_owned())
    }
}

/// Somebody who is logged in.
fn browser() -> Browser {
    let session = SessionFacts {
        subject: "ada".to_owned(),
        session_id: "s-1".to_owned(),
        auth_time: NOW,
        acr: Acr::OneFactor,
        amr: Vec::new(),
        role_scopes: scopes("read write"),
        remember: false,
    };
    Browser { session: Some(session), ..Browser::default() }
}

/// Whether a location is one of the client's own places, with something added.
fn check_location(client: &Client, redirect_uri: &str, location: &str) {
    let is_registered = client.redirect_uris.iter().any(|place| place.matches(redirect_uri));
    assert!(is_registered && location.starts_with(redirect_uri), "{location}");
    assert!(location.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{location}");
}

fuzz_target!(|input: &[u8]| {
    let (client, rules) = (client(), rules());
    let code = Secret::new("code".to_owned());
    if let Ok(form) = Form::parse(input)
        && let Ok(received) = Received::parse(&form)
    {
        assert!(Form::parse(received.return_query().as_bytes()).is_ok() || input.len() > 4096);
        if let Ok(verified) = received.verify(Some(&client)) {
            match verified.read(&rules) {
                Ok(request) => {
                    let to = &request.redirect_uri;
                    let state = request.state.as_deref();
                    check_location(&client, to, &success(to, &code, state, &rules.issuer));
                    if let Next::Issue(grant) = decide(&request, &client, &rules, &browser(), NOW) {
                        assert!(
                            grant.scopes.is_within(&client.scopes) && grant.challenge.is_some()
                        );
                    }
                }
                Err(refused) => {
                    let location = failure(&refused, &rules.issuer);
                    check_location(&client, &refused.redirect_uri, &location);
                }
            }
        }
    }
    if let Ok(pushed) = PushedRequest::parse(Single::Absent, FORM, input, None)
        && let Ok(kept) = pushed.decide(&client, None, &rules, NOW)
    {
        // What was taken is read again when its browser comes.
        assert_eq!(KeptRequest::decode(&kept.encode()), Some(kept.clone()));
        let again = Form::parse(kept.parameters.as_bytes());
        let Ok(again) = again else { panic!("what was kept cannot be read") };
        let Ok(received) = Received::parse(&again) else { panic!("nobody has asked") };
        let resumed = received.resume(&kept, &again).and_then(|all| all.verify(Some(&client)));
        let Ok(verified) = resumed else { panic!("what was taken is not there any more") };
        assert!(verified.read(&rules).is_ok());
    }
});
