use super::*;
use crate::fixtures::{self, CALLBACK, NOW, VERIFIER, scopes};
use crate::{ErrorCode, TokenType};
use proptest::prelude::*;

fn exchange() -> CodeExchange {
    CodeExchange {
        code: Secret::new("c".to_owned()),
        redirect_uri: Some(CALLBACK.to_owned()),
        verifier: Some(Secret::new(VERIFIER.to_owned())),
        resources: Vec::new(),
    }
}

fn decide(
    exchange: &CodeExchange,
    client: &Client,
    grant: &CodeGrant,
    dpop: Option<[u8; 32]>,
) -> Result<Issue, ErrorCode> {
    let decision = exchange.decide(client, grant, dpop, None, &fixtures::rules(), NOW);
    decision.map_err(|error| error.code)
}

fn simple(exchange: &CodeExchange, grant: &CodeGrant) -> Result<Issue, ErrorCode> {
    decide(exchange, &fixtures::confidential(), grant, None)
}

#[test]
fn a_code_gives_what_was_agreed_to() {
    let issue = simple(&exchange(), &fixtures::code_grant()).unwrap();
    assert_eq!(issue.access.subject, "ada");
    assert_eq!(issue.access.client_id, "web");
    assert_eq!(issue.access.scopes, scopes("openid read write"));
    assert_eq!(issue.access.session.as_deref(), Some("s-1"));
    assert_eq!(issue.access.auth_time, Some(1_799_999_940));
    assert_eq!(issue.access.lifetime_secs, 3600);
    assert_eq!((issue.access.audiences.len(), issue.token_type()), (0, TokenType::Bearer));
    let id_token = issue.id_token.unwrap();
    assert_eq!((id_token.nonce.as_deref(), id_token.audience.as_str()), (Some("n-1"), "web"));
    let family = issue.refresh.unwrap().family;
    let session_id = "s-1".to_owned();
    assert_eq!(family, FamilyGrant { session_id, ..fixtures::family_grant() });
}

#[test]
fn a_code_is_its_clients_alone() {
    let other = Client { client_id: "other".to_owned(), ..fixtures::confidential() };
    let found = decide(&exchange(), &other, &fixtures::code_grant(), None);
    assert_eq!(found, Err(ErrorCode::InvalidGrant));
}

#[test]
fn a_code_ends() {
    for (age_ms, expected) in [(0, true), (599_999, true), (600_000, false), (u64::MAX / 2, false)]
    {
        let later = UnixMillis(NOW.0.saturating_add(age_ms));
        let (client, grant) = (fixtures::confidential(), fixtures::code_grant());
        let found = exchange().decide(&client, &grant, None, None, &fixtures::rules(), later);
        assert_eq!(found.is_ok(), expected, "{age_ms}");
    }
}

#[test]
fn the_redirect_uri_is_repeated_iff_it_was_named() {
    let other = "https://app.example/other";
    for (named, repeated, expected) in [
        (Some(CALLBACK), Some(CALLBACK), true),
        (None, None, true),
        (Some(CALLBACK), None, false),
        (None, Some(CALLBACK), false),
        (Some(CALLBACK), Some(other), false),
        (Some("http://127.0.0.1:1/cb"), Some("http://127.0.0.1:2/cb"), false),
    ] {
        let grant = CodeGrant { redirect_uri: named.map(str::to_owned), ..fixtures::code_grant() };
        let exchange = CodeExchange { redirect_uri: repeated.map(str::to_owned), ..exchange() };
        let found = simple(&exchange, &grant).map(|_| ());
        let expected = if expected { Ok(()) } else { Err(ErrorCode::InvalidGrant) };
        assert_eq!(found, expected, "{named:?} {repeated:?}");
    }
}

#[test]
fn a_verifier_without_a_challenge_is_refused() {
    let challenge = fixtures::code_grant().challenge;
    let wrong = "a".repeat(43);
    for (challenge, verifier, expected) in [
        (challenge, Some(VERIFIER), true),
        (None, None, true),
        (None, Some(VERIFIER), false),
        (challenge, None, false),
        (challenge, Some(wrong.as_str()), false),
    ] {
        let grant = CodeGrant { challenge, ..fixtures::code_grant() };
        let verifier = verifier.map(|text| Secret::new(text.to_owned()));
        let exchange = CodeExchange { verifier, ..exchange() };
        let found = simple(&exchange, &grant).map(|_| ());
        let expected = if expected { Ok(()) } else { Err(ErrorCode::InvalidGrant) };
        assert_eq!(found, expected, "{challenge:?} {exchange:?}");
    }
    // A public client has nothing but the challenge.
    let grant = CodeGrant { challenge: None, ..fixtures::code_grant() };
    let exchange = CodeExchange { verifier: None, ..exchange() };
    let found = decide(&exchange, &fixtures::public(), &grant, None);
    assert_eq!(found, Err(ErrorCode::InvalidGrant));
}

#[test]
fn the_log_is_told_what_is_wrong_and_the_client_is_not() {
    let (client, good) = (fixtures::confidential(), fixtures::code_grant());
    let bound = CodeGrant { dpop_jkt: Some([1; 32]), ..good.clone() };
    let open = CodeGrant { challenge: None, ..good.clone() };
    let other = Client { client_id: "other".to_owned(), ..client.clone() };
    let wrong = Secret::new("a".repeat(43));
    let elsewhere = CodeExchange { redirect_uri: None, ..exchange() };
    let mismatched = CodeExchange { verifier: Some(wrong), ..exchange() };
    let without = CodeExchange { verifier: None, ..exchange() };
    let late = UnixMillis(NOW.0 + 600_000);
    for (exchange, client, grant, now, expected) in [
        (exchange(), &other, &good, NOW, "other_client"),
        (exchange(), &client, &good, late, "expired"),
        (elsewhere, &client, &good, NOW, "redirect_uri"),
        (exchange(), &client, &bound, NOW, "other_key"),
        (mismatched, &client, &good, NOW, "pkce_mismatch"),
        (without.clone(), &client, &good, NOW, "pkce_missing"),
        (exchange(), &client, &open, NOW, "pkce_unasked"),
        (without, &fixtures::public(), &open, NOW, "pkce_unused"),
    ] {
        let refused = exchange.decide(client, grant, None, None, &fixtures::rules(), now);
        let refused = refused.unwrap_err();
        assert_eq!((refused, refused.reason()), (OAuthError::invalid_grant(), expected));
        let plain = OAuthError::invalid_grant().render("id", NOW).body;
        assert_eq!(refused.render("id", NOW).body, plain, "{expected}");
    }
}

#[test]
fn a_bound_code_needs_its_key() {
    let (key, other) = ([1; 32], [2; 32]);
    for (bound, shown, expected) in [
        (None, None, Ok(TokenType::Bearer)),
        (None, Some(key), Ok(TokenType::Dpop)),
        (Some(key), Some(key), Ok(TokenType::Dpop)),
        (Some(key), Some(other), Err(ErrorCode::InvalidGrant)),
        (Some(key), None, Err(ErrorCode::InvalidGrant)),
    ] {
        let grant = CodeGrant { dpop_jkt: bound, ..fixtures::code_grant() };
        let found = decide(&exchange(), &fixtures::public(), &grant, shown);
        if let Ok(issue) = &found {
            assert_eq!(issue.access.confirmation.key, shown);
            let family = &issue.refresh.as_ref().unwrap().family;
            assert_eq!(family.dpop_jkt, shown, "a public client has nothing else to show");
        }
        assert_eq!(found.map(|issue| issue.token_type()), expected, "{bound:?} {shown:?}");
    }
    // A client with a secret may come with another key next time.
    let issue = decide(&exchange(), &fixtures::confidential(), &fixtures::code_grant(), Some(key));
    assert_eq!(issue.unwrap().refresh.unwrap().family.dpop_jkt, None);
    let always = Client { bind_dpop: true, ..fixtures::confidential() };
    let found = decide(&exchange(), &always, &fixtures::code_grant(), None);
    assert_eq!(found, Err(ErrorCode::InvalidDpopProof));
}

#[test]
fn tokens_are_for_the_resources_of_the_grant() {
    let granted = vec![fixtures::API.to_owned(), fixtures::OTHER_API.to_owned()];
    let grant = CodeGrant { resources: granted.clone(), ..fixtures::code_grant() };
    for (asked, expected) in [
        (vec![], Ok((granted.clone(), "openid read write"))),
        (vec![fixtures::API.to_owned()], Ok((vec![fixtures::API.to_owned()], "read"))),
        (vec![fixtures::ISSUER.to_owned()], Err(ErrorCode::InvalidTarget)),
        (vec!["https://unknown.example".to_owned()], Err(ErrorCode::InvalidTarget)),
    ] {
        let exchange = CodeExchange { resources: asked, ..exchange() };
        let found = simple(&exchange, &grant).map(|issue| {
            let family = issue.refresh.unwrap().family;
            assert_eq!(family.resources, granted, "the family keeps what was granted");
            assert_eq!(family.scopes, grant.scopes);
            (issue.access.audiences, issue.access.scopes)
        });
        let expected = expected.map(|(audiences, names)| (audiences, scopes(names)));
        assert_eq!(found, expected, "{exchange:?}");
    }
    // The document names it no more.
    let server = ServerRules { resources: Vec::new(), ..fixtures::rules() };
    let found =
        exchange().decide(&fixtures::confidential(), &grant, None, None, &server, NOW).unwrap_err();
    assert_eq!(found.code, ErrorCode::InvalidTarget);
}

#[test]
fn who_may_refresh_gets_a_token_to_go_on_with() {
    let grants = |grants: &[GrantType]| grants.to_vec();
    let code = GrantType::AuthorizationCode;
    for (client, server, expected) in [
        (grants(&[code, GrantType::RefreshToken]), grants(&GrantType::ALL), Ok(true)),
        (grants(&[code]), grants(&GrantType::ALL), Ok(false)),
        (grants(&GrantType::ALL), grants(&[code]), Ok(false)),
        (grants(&[]), grants(&GrantType::ALL), Err(ErrorCode::UnauthorizedClient)),
        (grants(&GrantType::ALL), grants(&[]), Err(ErrorCode::UnsupportedGrantType)),
    ] {
        let client = Client { grant_types: client, ..fixtures::public() };
        let server = ServerRules { grants: server, ..fixtures::rules() };
        let found = exchange().decide(&client, &fixtures::code_grant(), None, None, &server, NOW);
        let found = found.map(|issue| issue.refresh.is_some()).map_err(|error| error.code);
        assert_eq!(found, expected, "{client:?}");
    }
}

#[test]
fn without_openid_there_is_no_id_token() {
    let grant = CodeGrant { scopes: scopes("read profile"), ..fixtures::code_grant() };
    assert_eq!(simple(&exchange(), &grant).unwrap().id_token, None);
}

#[test]
fn what_the_client_may_not_have_any_more_is_gone() {
    let client = Client { scopes: scopes("openid read"), ..fixtures::confidential() };
    let issue = decide(&exchange(), &client, &fixtures::code_grant(), None).unwrap();
    assert_eq!(issue.access.scopes, scopes("openid read"));
    assert_eq!(issue.refresh.unwrap().family.scopes, scopes("openid read"));
}

proptest! {
    /// Only the verifier of the challenge, from the client of the grant, gets anything.
    #[test]
    fn nobody_else_exchanges_a_code(
        verifier in prop::option::of("[a-zA-Z0-9._~-]{43,60}"),
        client_id in "(web|other)",
        key in prop::option::of(prop::sample::select(vec![[1_u8; 32], [2; 32]])),
        bound in prop::option::of(Just([1_u8; 32])),
    ) {
        let is_right = verifier.is_none();
        let verifier = Secret::new(verifier.unwrap_or_else(|| VERIFIER.to_owned()));
        let exchange = CodeExchange { verifier: Some(verifier), ..exchange() };
        let grant = CodeGrant { dpop_jkt: bound, ..fixtures::code_grant() };
        let may = is_right && client_id == "web" && (bound.is_none() || bound == key);
        let client = Client { client_id, ..fixtures::public() };
        prop_assert_eq!(decide(&exchange, &client, &grant, key).is_ok(), may);
    }
}
