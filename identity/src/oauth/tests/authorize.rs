use super::*;
use crate::oauth::LogoutAnswer;
use postern_oauth::{AuthorizeFault, ScopeSet};
use postern_request::login::ReturnTo;
use postern_store::durable::GrantStore as _;

fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

async fn authorize(fixture: &Fixture, query: &str, session: Option<&SessionRecord>) -> Authorized {
    fixture.oauth.authorize(query.as_bytes(), session, "id", NOW).await.unwrap()
}

#[tokio::test]
async fn a_stranger_logs_in_and_comes_back_to_the_same_request() {
    let fixture = fixture().await;
    let asked = request("spa", "openid read");
    let answer = authorize(&fixture, &format!("{asked}&prompt=login&login_hint=a"), None).await;
    let Authorized::LogIn { return_to, hint, acr, again } = answer else { panic!("{answer:?}") };
    assert_eq!((hint.as_deref(), acr, again), (Some("a"), None, true), "no session elsewhere does");
    assert!(return_to.starts_with("/oauth2/authorize?"), "{return_to}");
    assert_eq!(parameter(&return_to, "prompt"), None, "or it would ask for ever");
    for name in ["client_id", "redirect_uri", "state", "nonce", "code_challenge", "scope"] {
        assert_eq!(parameter(&return_to, name), parameter(&format!("?{asked}"), name), "{name}");
    }
    let session = fixture.log_in().await;
    let (_, back) = return_to.split_once('?').unwrap();
    let answer = authorize(&fixture, back, Some(&session)).await;
    let Authorized::Redirect(location) = answer else { panic!("{answer:?}") };
    assert!(location.starts_with("https://app.example/callback?"), "{location}");
    assert_eq!(parameter(&location, "state").as_deref(), Some("xyz"));
    assert_eq!(parameter(&location, "iss").as_deref(), Some("http://127.0.0.1:8080"));
    assert_eq!(parameter(&location, "code").map(|code| code.len()), Some(43));
}

#[tokio::test]
async fn nobody_is_sent_to_a_place_that_is_not_registered() {
    let fixture = fixture().await;
    let session = fixture.log_in().await;
    let good = request("spa", "read");
    for (query, expected) in [
        (good.replace("spa", "nobody"), AuthorizeFault::UnknownClient),
        (good.replace("app.example", "evil.test"), AuthorizeFault::RedirectUri),
        (format!("{good}&client_id=spa"), AuthorizeFault::Unreadable),
        (format!("{good}&x={}", "y".repeat(9000)), AuthorizeFault::TooLarge),
        (String::new(), AuthorizeFault::UnknownClient),
        (
            "client_id=spa&request_uri=urn:ietf:params:oauth:request_uri:none".to_owned(),
            AuthorizeFault::UnknownRequest,
        ),
    ] {
        let answer = authorize(&fixture, &query, Some(&session)).await;
        assert_eq!(answer, Authorized::Fault(expected), "{query:.80}");
        let return_to = ReturnTo::parse(
            &format!("/oauth2/authorize?{}", query.replace(' ', "+")),
            "http://127.0.0.1:8080",
            &[],
        );
        if let Some(return_to) = return_to {
            assert_eq!(fixture.oauth.form_target(&return_to, NOW).await, None);
        }
    }
}

#[tokio::test]
async fn a_form_may_lead_to_the_client_that_is_answered() {
    let fixture = fixture().await;
    for (to, expected) in [
        (format!("/oauth2/authorize?{}", request("spa", "read")), Some("https://app.example")),
        // It is refused, and the refusal goes there.
        (format!("/oauth2/authorize?{}", request("spa", "root")), Some("https://app.example")),
        ("/oauth2/authorize".to_owned(), None),
        ("/oauth2/authorizex?client_id=spa".to_owned(), None),
        ("/login/account".to_owned(), None),
    ] {
        let return_to = ReturnTo::parse(&to, "http://127.0.0.1:8080", &[]).unwrap();
        let target = fixture.oauth.form_target(&return_to, NOW).await;
        assert_eq!(target.as_deref(), expected, "{to}");
    }
}

#[tokio::test]
async fn a_session_that_was_revoked_is_nobodys() {
    let fixture = fixture().await;
    let session = fixture.log_in().await;
    fixture.oauth.ending.session(&session.id, "test", "system", later(1)).await.unwrap();
    let answer = authorize(&fixture, &request("spa", "read"), Some(&session)).await;
    assert!(matches!(answer, Authorized::LogIn { .. }), "{answer:?}");
}

#[tokio::test]
async fn whose_session_does_not_do_authenticates_from_the_first_factor_on() {
    let fixture = fixture().await;
    let session = fixture.log_in().await;
    let asked = request("spa", "openid read");
    for (more, expected) in [
        ("&prompt=login", true),
        ("&prompt=login&acr_values=urn:postern:acr:2", true),
        // Only a second factor is missing.
        ("&acr_values=urn:postern:acr:2", false),
    ] {
        let answer = authorize(&fixture, &format!("{asked}{more}"), Some(&session)).await;
        let Authorized::LogIn { again, .. } = answer else { panic!("{answer:?}") };
        assert_eq!(again, expected, "{more}");
    }
}

#[tokio::test]
async fn a_second_factor_of_long_ago_is_none_of_the_last_authentication() {
    let fixture = fixture().await;
    let asked = format!("{}&acr_values=urn:postern:acr:2", request("spa", "openid read"));
    for (mfa_at, authenticated_at, is_enough) in
        [(Some(NOW), NOW, true), (Some(NOW), later(1), false), (None, NOW, false)]
    {
        let session = SessionRecord { mfa_at, authenticated_at, ..session() };
        let answer =
            fixture.oauth.authorize(asked.as_bytes(), Some(&session), "id", later(2)).await;
        let is_issued = matches!(answer, Ok(Authorized::Redirect(_)));
        assert_eq!(is_issued, is_enough, "{mfa_at:?} {answer:?}");
    }
}

#[tokio::test]
async fn what_was_agreed_to_for_one_place_is_asked_again_for_another() {
    let fixture = fixture().await;
    let session = fixture.log_in().await;
    let at = |scope: &str| format!("{}&resource=https%3A%2F%2Fapi.example", request("web", scope));
    let agree = async |query: &str, names: &str| {
        let allowed = scopes(names);
        fixture.oauth.consent(query.as_bytes(), &session, Some(&allowed), "id", NOW).await.unwrap()
    };
    agree(&at("read"), "read").await;
    let same = authorize(&fixture, &at("read"), Some(&session)).await;
    assert!(matches!(same, Authorized::Redirect(_)), "{same:?}");
    let gateway = authorize(&fixture, &request("web", "read"), Some(&session)).await;
    assert!(matches!(gateway, Authorized::Consent(_)), "{gateway:?}");
    agree(&request("web", "write"), "write").await;
    let never = authorize(&fixture, &at("write"), Some(&session)).await;
    assert!(matches!(never, Authorized::Consent(_)), "to write there was never asked: {never:?}");
}

#[tokio::test]
async fn people_are_asked_once_and_get_what_they_agreed_to() {
    let fixture = fixture().await;
    let session = fixture.log_in().await;
    let asked = request("web", "openid read write");
    let answer = authorize(&fixture, &asked, Some(&session)).await;
    let Authorized::Consent(ask) = answer else { panic!("{answer:?}") };
    assert_eq!(ask.client_name, "The shop");
    assert_eq!(ask.form_target, "https://app.example");
    assert!(ask.scopes.contains(&("read".to_owned(), "Text of read".to_owned())), "{ask:?}");
    assert!(ask.scopes.contains(&("openid".to_owned(), "Know who you are".to_owned())));

    let consent = async |allowed: Option<ScopeSet>| {
        let query = ask.query.as_bytes();
        fixture.oauth.consent(query, &session, allowed.as_ref(), "id", NOW).await.unwrap()
    };
    let denied = consent(None).await;
    for (name, expected) in
        [("error", "access_denied"), ("state", "xyz"), ("iss", "http://127.0.0.1:8080")]
    {
        assert_eq!(parameter(&denied, name).as_deref(), Some(expected), "{name}");
    }
    let given = consent(Some(scopes("openid read"))).await;
    let code = parameter(&given, "code").unwrap();
    let body = format!("{}&client_secret=s3cret", exchange("web", &code));
    let tokens = fixture.token(&body, NOW).await.unwrap();
    assert_eq!(text(&tokens, "scope"), "openid read", "and no more");

    let again = authorize(&fixture, &request("web", "openid read"), Some(&session)).await;
    assert!(matches!(again, Authorized::Redirect(_)), "{again:?}");
    let more = authorize(&fixture, &asked, Some(&session)).await;
    assert!(matches!(more, Authorized::Consent(_)), "{more:?}");
    // What was agreed to once and is not now is taken back.
    consent(Some(scopes("openid write"))).await;
    let kept = fixture.store.find_consent("u-1", "web").await.unwrap().unwrap();
    assert_eq!(kept.scopes, ["openid", "write"]);
}

#[tokio::test]
async fn only_what_a_user_gives_for_longer_outlives_the_session() {
    for (given, lives) in [("openid read", false), ("openid read offline_access", true)] {
        let fixture = fixture().await;
        let session = fixture.log_in().await;
        let asked = request("web", "openid read offline_access");
        let answer = authorize(&fixture, &asked, Some(&session)).await;
        let Authorized::Consent(ask) = answer else { panic!("{answer:?}") };
        let (query, allowed) = (ask.query.as_bytes(), scopes(given));
        let to = fixture.oauth.consent(query, &session, Some(&allowed), "id", NOW).await.unwrap();
        let code = parameter(&to, "code").unwrap();
        let form = format!("{}&client_secret=s3cret", exchange("web", &code));
        let tokens = fixture.token(&form, NOW).await.unwrap();
        fixture.oauth.ending.session(&session.id, "logout", "u-1", later(1)).await.unwrap();
        let form = refresh(text(&tokens, "refresh_token"))
            .replace("client_id=spa", "client_id=web&client_secret=s3cret");
        let next = fixture.token(&form, later(2)).await;
        assert_eq!(next.is_ok(), lives, "{given}: {next:?}");
    }
}

#[tokio::test]
async fn a_form_is_kept_and_answered_once() {
    let fixture = fixture().await;
    let session = fixture.log_in().await;
    let form = format!("{}&prompt=login&client_secret=never-kept", request("spa", "read"));
    let keep =
        async |form: &str, now| fixture.oauth.keep_form(FORM, form.as_bytes(), now).await.unwrap();
    let to = keep(&form, later(1)).await.unwrap();
    assert_eq!(parameter(&to, "client_id").as_deref(), Some("spa"));
    let (_, query) = to.split_once('?').unwrap();

    // The log-in that it asks for is one after it was kept.
    let answer = authorize(&fixture, query, Some(&session)).await;
    let Authorized::LogIn { return_to, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(parameter(&return_to, "request_uri"), parameter(&to, "request_uri"));
    let fresh = SessionRecord { authenticated_at: later(2), ..session.clone() };
    let other = query.replace("client_id=spa", "client_id=web");
    let answer = authorize(&fixture, &other, Some(&fresh)).await;
    assert_eq!(answer, Authorized::Fault(AuthorizeFault::UnknownRequest), "it is the spa's");
    let answer = authorize(&fixture, query, Some(&fresh)).await;
    assert!(matches!(answer, Authorized::Redirect(_)), "{answer:?}");
    let answer = authorize(&fixture, query, Some(&fresh)).await;
    assert_eq!(answer, Authorized::Fault(AuthorizeFault::UnknownRequest));

    assert_eq!(keep("client_id=nobody", NOW).await, Err(AuthorizeFault::UnknownClient));
    assert_eq!(keep("a=%zz", NOW).await, Err(AuthorizeFault::Unreadable));
}

#[tokio::test]
async fn a_hint_of_somebody_else_asks_for_that_somebody() {
    let fixture = fixture().await;
    let tokens = fixture.tokens("openid read").await;
    let hint = text(&tokens, "id_token");
    let asked = format!("{}&prompt=none&id_token_hint={hint}", request("spa", "openid"));
    let mine = session();
    let answer = authorize(&fixture, &asked, Some(&mine)).await;
    let Authorized::Redirect(location) = answer else { panic!("{answer:?}") };
    assert!(parameter(&location, "code").is_some(), "{location}");
    let other = SessionRecord { user_id: "u-2".to_owned(), ..session() };
    let answer = authorize(&fixture, &asked, Some(&other)).await;
    let Authorized::Redirect(location) = answer else { panic!("{answer:?}") };
    assert_eq!(parameter(&location, "error").as_deref(), Some("login_required"));
}

#[tokio::test]
async fn log_out_ends_the_session_and_what_came_of_it() {
    let fixture = fixture().await;
    let tokens = fixture.tokens("openid read").await;
    let session = session();
    let bye = "post_logout_redirect_uri=https%3A%2F%2Fapp.example%2Fbye&state=s";
    let form = |text: &str| Form::parse(text.as_bytes()).unwrap();
    let logout = async |text: &str, session: Option<&SessionRecord>| {
        fixture.oauth.logout(&form(text), session, later(1)).await
    };
    let asked = logout(&format!("client_id=spa&{bye}"), Some(&session)).await.unwrap();
    assert_eq!(asked, LogoutAnswer::Confirm, "any page can send a browser here");
    let elsewhere = "client_id=spa&post_logout_redirect_uri=https%3A%2F%2Fevil.test%2F";
    assert!(logout(elsewhere, None).await.is_err());
    assert!(fixture.flows.find_session(&session.id, later(1)).await.unwrap().is_some());

    let hint = text(&tokens, "id_token");
    let done = logout(&format!("id_token_hint={hint}&{bye}"), Some(&session)).await.unwrap();
    let expected = "https://app.example/bye?state=s".to_owned();
    assert_eq!(done, LogoutAnswer::Done(Some(expected)));
    assert!(fixture.flows.find_session(&session.id, later(1)).await.unwrap().is_none());
    let refused = fixture.token(&refresh(text(&tokens, "refresh_token")), later(2)).await;
    assert_eq!(refused, Err(ErrorCode::InvalidGrant));
}
