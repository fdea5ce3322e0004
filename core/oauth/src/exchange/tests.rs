use super::*;
use crate::fixtures::{self, API, ISSUER, NOW, OTHER_API, scopes};
use crate::{Acr, ErrorCode};
use postern_jose::Confirmation;
use proptest::prelude::*;

const TOKENS: &str = "subject_token=a.b.c&\
                      subject_token_type=urn:ietf:params:oauth:token-type:access_token";
const ACTOR: &str = "actor_token=d.e.f&\
                     actor_token_type=urn:ietf:params:oauth:token-type:access_token";

fn parse(body: &str) -> Result<TokenExchange, ErrorCode> {
    TokenExchange::parse(&Form::parse(body.as_bytes()).unwrap()).map_err(|error| error.code)
}

/// A user's token of another client.
fn subject() -> TokenFacts {
    TokenFacts {
        subject: "ada".to_owned(),
        client_id: "spa".to_owned(),
        scopes: scopes("openid read write offline_access"),
        audiences: vec![ISSUER.to_owned()],
        expires_at: NOW.as_secs() + 600,
        session: Some("s-1".to_owned()),
        confirmation: Confirmation::default(),
        auth_time: Some(NOW.as_secs() - 60),
        acr: Some(Acr::OneFactor),
        amr: vec!["pwd".to_owned()],
        act: None,
        may_act: None,
    }
}

/// The caller's own token.
fn own() -> TokenFacts {
    TokenFacts {
        subject: "web".to_owned(),
        client_id: "web".to_owned(),
        scopes: scopes("read"),
        expires_at: NOW.as_secs() + 300,
        session: None,
        ..subject()
    }
}

fn caller(may_act_for: &[&str]) -> Client {
    Client {
        grant_types: vec![GrantType::TokenExchange],
        may_act_for: may_act_for.iter().map(ToString::to_string).collect(),
        ..fixtures::confidential()
    }
}

fn decide(
    body: &str,
    client: &Client,
    subject: &TokenFacts,
    actor: Option<&TokenFacts>,
) -> Result<IssueAccessToken, ErrorCode> {
    decide_holding(body, client, subject, actor, Held::default())
}

fn decide_holding(
    body: &str,
    client: &Client,
    subject: &TokenFacts,
    actor: Option<&TokenFacts>,
    held: Held,
) -> Result<IssueAccessToken, ErrorCode> {
    let rules = ServerRules { mutual_tls: true, ..fixtures::rules() };
    let decided = parse(body)?.decide(client, subject, actor, held, &rules, NOW);
    let issue = decided.map_err(|error| error.code)?;
    assert_eq!((issue.refresh, issue.id_token), (None, None));
    assert_eq!(issue.issued_token_type, Some(ACCESS_TOKEN_TYPE));
    Ok(issue.access)
}

#[test]
fn an_exchange_names_its_tokens() {
    let kind = "urn:ietf:params:oauth:token-type:";
    for (body, expected) in [
        (TOKENS.to_owned(), None),
        (TOKENS.replace(":access_token", ":jwt"), None),
        (format!("{TOKENS}&{ACTOR}"), None),
        (format!("{TOKENS}&requested_token_type={kind}access_token"), None),
        (format!("{TOKENS}&audience=https://api.example&resource=urn:a:b"), None),
        ("subject_token=a.b.c".to_owned(), Some(ErrorCode::InvalidRequest)),
        (TOKENS.replace("a.b.c", ""), Some(ErrorCode::InvalidRequest)),
        (TOKENS.replace(":access_token", ":refresh_token"), Some(ErrorCode::InvalidRequest)),
        (TOKENS.replace(":access_token", ":id_token"), Some(ErrorCode::InvalidRequest)),
        (TOKENS.replace(":access_token", ":saml2"), Some(ErrorCode::InvalidRequest)),
        (format!("{TOKENS}&actor_token=d.e.f"), Some(ErrorCode::InvalidRequest)),
        (format!("{TOKENS}&actor_token_type={kind}jwt"), Some(ErrorCode::InvalidRequest)),
        (
            format!("{TOKENS}&{}", ACTOR.replace(":access_token", ":id_token")),
            Some(ErrorCode::InvalidRequest),
        ),
        (
            format!("{TOKENS}&requested_token_type={kind}refresh_token"),
            Some(ErrorCode::InvalidRequest),
        ),
        (format!("{TOKENS}&audience=billing"), Some(ErrorCode::InvalidTarget)),
        (format!("{TOKENS}&scope=a%22"), Some(ErrorCode::InvalidScope)),
    ] {
        assert_eq!(parse(&body).err(), expected, "{body}");
    }
    let both = parse(&format!("{TOKENS}&audience=urn:a:b&resource=urn:c:d")).unwrap();
    assert_eq!(both.resources, ["urn:c:d", "urn:a:b"]);
    let shown = format!("{both:?}");
    assert!(!shown.contains("a.b.c"), "{shown}");
}

#[test]
fn an_operator_says_who_may_ask_for_whose_tokens() {
    let others = Err(ErrorCode::UnauthorizedClient);
    let refused = Err(ErrorCode::UnauthorizedClient);
    for (may_act_for, client_id, expected) in [
        (&["spa"][..], "spa", Ok("ada")),
        (&["*"], "spa", Ok("ada")),
        (&["app", "spa"], "spa", Ok("ada")),
        (&["app"], "spa", others),
        (&[], "spa", others),
        // Its own can be made smaller without anybody's word.
        (&[], "web", Ok("ada")),
    ] {
        let token = TokenFacts { client_id: client_id.to_owned(), ..subject() };
        let issued = decide(TOKENS, &caller(may_act_for), &token, None);
        let issued = issued.map(|access| {
            assert_eq!((access.client_id.as_str(), access.act), ("web", None));
            assert_eq!(access.session.as_deref(), Some("s-1"), "it ends with the session");
            assert_eq!(access.acr, Some(Acr::OneFactor));
            access.subject
        });
        assert_eq!(issued, expected.map(str::to_owned), "{may_act_for:?} {client_id}");
    }
    let without = Client { grant_types: Vec::new(), ..caller(&["*"]) };
    assert_eq!(decide(TOKENS, &without, &subject(), None), refused);
    let public = Client { kind: ClientKind::Public, ..caller(&["*"]) };
    let refused = decide(TOKENS, &public, &subject(), None);
    assert_eq!(refused, Err(ErrorCode::InvalidClient));
}

#[test]
fn delegation_names_who_acts() {
    let body = format!("{TOKENS}&{ACTOR}");
    let issued = decide(&body, &caller(&["spa"]), &subject(), Some(&own())).unwrap();
    let act = issued.act.unwrap();
    assert_eq!((act.subject.as_str(), act.client_id.as_deref()), ("web", Some("web")));
    assert_eq!((act.former, issued.subject.as_str()), (None, "ada"));
    assert_eq!(issued.lifetime_secs, 300, "no longer than the actor's");

    let mut token = subject();
    for depth in 1..=MAX_ACTORS {
        let issued = decide(&body, &caller(&["spa"]), &token, Some(&own())).unwrap();
        assert_eq!(issued.act.as_ref().map(Actor::depth), Some(depth));
        token.act = issued.act;
    }
    let refused = decide(&body, &caller(&["spa"]), &token, Some(&own()));
    assert_eq!(refused, Err(ErrorCode::InvalidRequest), "somewhere it ends");
    // Who has acted stays, though nobody else begins to.
    let kept = decide(TOKENS, &caller(&["spa"]), &token, None).unwrap();
    assert_eq!(kept.act, token.act);

    let somebody = TokenFacts { client_id: "other".to_owned(), ..own() };
    let refused = decide(&body, &caller(&["*"]), &subject(), Some(&somebody));
    assert_eq!(refused, Err(ErrorCode::InvalidRequest), "another one's token");
    let refused = decide(&body, &caller(&[]), &subject(), Some(&own()));
    assert_eq!(refused, Err(ErrorCode::UnauthorizedClient));
    for (body, actor) in [(body.as_str(), None), (TOKENS, Some(&own()))] {
        let refused = decide(body, &caller(&["*"]), &subject(), actor);
        assert_eq!(refused, Err(ErrorCode::InvalidRequest), "{body}");
    }
}

#[test]
fn may_act_decides() {
    let body = format!("{TOKENS}&{ACTOR}");
    let of = |subject: &str, client_id: Option<&str>| {
        Some(MayAct { subject: subject.to_owned(), client_id: client_id.map(str::to_owned) })
    };
    for (may_act, may_act_for, expected) in [
        (of("web", None), &[][..], true),
        (of("web", Some("web")), &[], true),
        (of("web", Some("other")), &[], false),
        (of("other", None), &[], false),
        // What the token says comes before what the record says.
        (of("other", None), &["*"], false),
        (None, &["*"], true),
        (None, &[], false),
    ] {
        let token = TokenFacts { may_act: may_act.clone(), ..subject() };
        let issued = decide(&body, &caller(may_act_for), &token, Some(&own()));
        assert_eq!(issued.is_ok(), expected, "{may_act:?} {may_act_for:?}");
    }
}

#[test]
fn an_exchanged_token_is_no_wider() {
    for (body, may_act_for, expected) in [
        ("", &["spa"][..], Ok(("openid read write", vec![ISSUER]))),
        ("&scope=read", &["spa"], Ok(("read", vec![ISSUER]))),
        ("&scope=read+admin", &["spa"], Err(ErrorCode::InvalidScope)),
        ("&scope=email", &["spa"], Err(ErrorCode::InvalidScope)),
        ("&scope=offline_access", &["spa"], Err(ErrorCode::InvalidScope)),
        ("&resource=https://api.example", &["spa"], Ok(("read", vec![API]))),
        ("&audience=https://other.example", &["spa"], Ok(("openid read write", vec![OTHER_API]))),
        ("&resource=https://unknown.example", &["spa"], Err(ErrorCode::InvalidTarget)),
        // Its own token's places, and no others: nobody was asked about those.
        ("&resource=https://gate.example", &[], Ok(("openid read write", vec![ISSUER]))),
        ("&resource=https://api.example", &[], Err(ErrorCode::InvalidTarget)),
    ] {
        let client_id = if may_act_for.is_empty() { "web" } else { "spa" };
        let token = TokenFacts { client_id: client_id.to_owned(), ..subject() };
        let issued = decide(&format!("{TOKENS}{body}"), &caller(may_act_for), &token, None);
        let issued = issued.map(|access| (access.scopes.to_string(), access.audiences));
        let expected = expected.map(|(scopes, audiences)| {
            (scopes.to_owned(), audiences.into_iter().map(str::to_owned).collect())
        });
        assert_eq!(issued, expected, "{body}");
    }
    let foreign = TokenFacts { scopes: scopes("admin"), ..subject() };
    let refused = decide(TOKENS, &caller(&["*"]), &foreign, None);
    assert_eq!(refused, Err(ErrorCode::InvalidScope), "nothing is left");
    let limited = Client { resources: vec![API.to_owned()], ..caller(&["*"]) };
    let of_other = TokenFacts { audiences: vec![OTHER_API.to_owned()], ..subject() };
    let refused = decide(TOKENS, &limited, &of_other, None);
    assert_eq!(refused, Err(ErrorCode::InvalidTarget), "not the client's to use");
}

#[test]
fn an_exchanged_token_is_no_longer() {
    for (left, expected) in [(600, Ok(600)), (1, Ok(1)), (9000, Ok(3600))] {
        let token = TokenFacts { expires_at: NOW.as_secs() + left, ..subject() };
        let issued = decide(TOKENS, &caller(&["spa"]), &token, None);
        assert_eq!(issued.map(|access| access.lifetime_secs), expected, "{left}");
    }
    for expires_at in [NOW.as_secs(), NOW.as_secs() - 1] {
        let token = TokenFacts { expires_at, ..subject() };
        let refused = decide(TOKENS, &caller(&["spa"]), &token, None);
        assert_eq!(refused.map(drop), Err(ErrorCode::InvalidRequest));
    }
}

#[test]
fn an_exchanged_token_is_bound_as_the_old_one_and_no_less() {
    let (a, b) = (Some([1; 32]), Some([2; 32]));
    let bound = |key, certificate| Confirmation { key, certificate };
    let bad = Err(ErrorCode::InvalidRequest);
    for (confirmation, held, expected) in [
        (bound(None, None), (None, None), Ok(bound(None, None))),
        (bound(None, None), (a, None), Ok(bound(a, None))),
        (bound(a, None), (a, None), Ok(bound(a, None))),
        (bound(a, None), (b, None), bad),
        (bound(a, None), (None, None), bad),
        (bound(None, a), (None, a), Ok(bound(None, a))),
        (bound(None, a), (None, b), bad),
        (bound(None, a), (b, None), bad),
        (bound(None, a), (b, a), Ok(bound(b, a))),
    ] {
        let token = TokenFacts { confirmation, ..subject() };
        let held = Held { key: held.0, certificate: held.1 };
        let issued = decide_holding(TOKENS, &caller(&["spa"]), &token, None, held);
        assert_eq!(issued.map(|access| access.confirmation), expected, "{confirmation:?} {held:?}");
    }
    let body = format!("{TOKENS}&{ACTOR}");
    let actor = TokenFacts { confirmation: bound(a, None), ..own() };
    let refused = decide(&body, &caller(&["spa"]), &subject(), Some(&actor));
    let expected = Err(ErrorCode::InvalidRequest);
    assert_eq!(refused.map(drop), expected, "an actor's token that somebody else holds");
}

proptest! {
    /// Whatever is asked for, and by whom: nothing comes of it that was not in the token.
    #[test]
    fn nothing_grows_by_an_exchange(
        asked in prop::sample::subsequence(vec!["openid", "read", "write", "admin", "email"], 0..=5),
        had in prop::sample::subsequence(vec!["openid", "read", "write", "admin", "email"], 0..=5),
        left in 0..10_000_u64,
        own_token in any::<bool>(),
        resource in prop::sample::select(vec!["", ISSUER, API, OTHER_API, "urn:x:y"]),
    ) {
        let token = TokenFacts {
            client_id: if own_token { "web" } else { "spa" }.to_owned(),
            scopes: ScopeSet::from_names(had).unwrap(),
            expires_at: NOW.as_secs() + left,
            ..subject()
        };
        let body = format!("{TOKENS}&scope={}&resource={resource}", asked.join("+"));
        let client = caller(&["spa"]);
        if let Ok(issued) = decide(&body, &client, &token, None) {
            prop_assert!(issued.scopes.is_within(&token.scopes));
            prop_assert!(issued.scopes.is_within(&client.scopes));
            prop_assert!(issued.lifetime_secs > 0 && issued.lifetime_secs <= left);
            prop_assert!(!own_token || issued.audiences == token.audiences);
            prop_assert_eq!(issued.subject, token.subject);
        }
    }
}
