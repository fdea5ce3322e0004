use super::*;
use crate::fixtures::{self, scopes};
use crate::{ClientKind, ErrorCode, TokenType};
use proptest::prelude::*;

fn exchange(scope: Option<&str>, resources: &[&str]) -> RefreshExchange {
    let token = RefreshToken { family: [1; 16], lock: [2; 16], generation: 1, secret: [3; 32] };
    RefreshExchange {
        scope: scope.map(scopes),
        resources: resources.iter().map(ToString::to_string).collect(),
        ..RefreshExchange::of(token)
    }
}

fn decide(
    exchange: &RefreshExchange,
    client: &Client,
    family: &FamilyGrant,
    dpop: Option<[u8; 32]>,
) -> Result<Issue, ErrorCode> {
    let decision = exchange.decide(client, family, dpop, None, &fixtures::rules());
    decision.map_err(|error| error.code)
}

#[test]
fn a_refresh_token_gives_the_same_again() {
    let family = fixtures::family_grant();
    let issue = decide(&exchange(None, &[]), &fixtures::public(), &family, None).unwrap();
    assert_eq!(issue.access.subject, "ada");
    assert_eq!(issue.access.scopes, family.scopes);
    assert_eq!(issue.access.session.as_deref(), Some("s-2"));
    assert_eq!(issue.access.auth_time, Some(1_799_999_940), "of the log-in, not of now");
    let id_token = issue.id_token.unwrap();
    assert_eq!((id_token.nonce, id_token.session_id.as_str()), (None, "s-2"));
    assert_eq!(issue.refresh.unwrap().family, family);
}

#[test]
fn a_refresh_token_is_its_clients_alone() {
    let other = Client { client_id: "other".to_owned(), ..fixtures::public() };
    let found = decide(&exchange(None, &[]), &other, &fixtures::family_grant(), None);
    assert_eq!(found, Err(ErrorCode::InvalidGrant));
    let without = Client { grant_types: vec![GrantType::AuthorizationCode], ..fixtures::public() };
    let found = decide(&exchange(None, &[]), &without, &fixtures::family_grant(), None);
    assert_eq!(found, Err(ErrorCode::UnauthorizedClient));
}

#[test]
fn scopes_only_shrink() {
    for (asked, expected) in [
        (None, Ok("openid read write")),
        (Some("read"), Ok("read")),
        (Some("write openid"), Ok("write openid")),
        (Some("read admin"), Err(ErrorCode::InvalidScope)),
        (Some("email"), Err(ErrorCode::InvalidScope)),
    ] {
        let family = fixtures::family_grant();
        let found = decide(&exchange(asked, &[]), &fixtures::public(), &family, None);
        let found = found.map(|issue| {
            assert_eq!(issue.id_token.is_some(), issue.access.scopes.contains("openid"));
            assert_eq!(issue.refresh.unwrap().family.scopes, family.scopes, "the next has all");
            issue.access.scopes
        });
        assert_eq!(found, expected.map(scopes), "{asked:?}");
    }
    let less = Client { scopes: scopes("openid read"), ..fixtures::public() };
    let issue = decide(&exchange(None, &[]), &less, &fixtures::family_grant(), None).unwrap();
    assert_eq!(issue.access.scopes, scopes("openid read"), "what it may have now");
}

#[test]
fn resources_only_shrink() {
    let resources = vec![fixtures::API.to_owned()];
    let bound = FamilyGrant { resources, ..fixtures::family_grant() };
    let free = fixtures::family_grant();
    for (family, asked, expected) in [
        (&bound, vec![], Ok(vec![fixtures::API])),
        (&bound, vec![fixtures::API], Ok(vec![fixtures::API])),
        (&bound, vec![fixtures::OTHER_API], Err(ErrorCode::InvalidTarget)),
        (&free, vec![], Ok(vec![])),
        (&free, vec![fixtures::API], Err(ErrorCode::InvalidTarget)),
    ] {
        let found = decide(&exchange(None, &asked), &fixtures::public(), family, None);
        let found = found.map(|issue| issue.access.audiences);
        let expected =
            expected.map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(found, expected, "{asked:?}");
    }
}

#[test]
fn a_bound_token_needs_its_key_or_certificate() {
    let (key, other) = ([1; 32], [2; 32]);
    let server = ServerRules { mutual_tls: true, ..fixtures::rules() };
    let free = fixtures::family_grant();
    let to_key = FamilyGrant { dpop_jkt: Some(key), ..fixtures::family_grant() };
    let to_certificate = FamilyGrant { certificate: Some(key), ..fixtures::family_grant() };
    for (family, dpop, certificate, expected) in [
        (&to_key, Some(key), None, true),
        (&to_key, Some(other), None, false),
        (&to_key, None, None, false),
        (&to_key, None, Some(key), false),
        (&to_certificate, None, Some(key), true),
        (&to_certificate, None, Some(other), false),
        (&to_certificate, Some(key), None, false),
        (&free, None, None, true),
        (&free, Some(key), None, true),
    ] {
        let exchange = exchange(None, &[]);
        let found = exchange.decide(&fixtures::public(), family, dpop, certificate, &server);
        if let Ok(issue) = &found {
            assert_eq!(issue.token_type() == TokenType::Dpop, dpop.is_some());
            assert_eq!(issue.access.confirmation.certificate, certificate);
            assert_eq!(&issue.refresh.as_ref().unwrap().family, family, "as it began");
        }
        let expected = if expected { Ok(()) } else { Err(OAuthError::invalid_grant()) };
        assert_eq!(found.map(|_| ()), expected, "{family:?} {dpop:?} {certificate:?}");
    }
}

#[test]
fn each_refusal_of_a_token_sounds_the_same() {
    let other = Client { client_id: "other".to_owned(), ..fixtures::public() };
    let bound = FamilyGrant { dpop_jkt: Some([1; 32]), ..fixtures::family_grant() };
    let token = exchange(None, &[]);
    let rules = fixtures::rules();
    for found in [
        token.decide(&other, &fixtures::family_grant(), None, None, &rules),
        token.decide(&fixtures::public(), &bound, None, None, &rules),
    ] {
        assert_eq!(found, Err(OAuthError::invalid_grant()));
    }
    let form = Form::parse(b"refresh_token=rt_nonsense").unwrap();
    assert_eq!(RefreshExchange::parse(&form), Err(OAuthError::invalid_grant()));
}

proptest! {
    /// However often it is exchanged, a grant never grows, and stays its client's.
    #[test]
    fn a_family_never_grows(
        asked in prop::collection::vec(
            prop::option::of(prop::sample::subsequence(
                vec!["openid", "email", "read", "write", "admin"],
                0..5,
            )),
            1..6,
        ),
        is_public in any::<bool>(),
    ) {
        let kind = if is_public { ClientKind::Public } else { ClientKind::Confidential };
        let client = Client { kind, ..fixtures::public() };
        let first = fixtures::family_grant();
        let mut family = first.clone();
        for names in asked {
            let scope = names.map(|names| ScopeSet::from_names(names).unwrap());
            let exchange = RefreshExchange { scope, ..exchange(None, &[]) };
            if let Ok(issue) = decide(&exchange, &client, &family, None) {
                prop_assert!(issue.access.scopes.is_within(&first.scopes));
                family = issue.refresh.unwrap().family;
                prop_assert_eq!(&family, &first);
            }
        }
    }
}
