//! What happens next, for a request that can be read.

use super::*;
use crate::fixtures::{ISSUER, session};
use crate::{Acr, CodeGrant, OAuthError, Secret};
use postern_request::UnixMillis;

fn request(more: &str) -> AuthorizeRequest {
    read(&format!("{BASE}{more}")).unwrap().unwrap()
}

/// Somebody who is logged in, and has agreed to everything.
fn browser() -> Browser {
    let resources = vec![fixtures::API.to_owned(), ISSUER.to_owned()];
    Browser {
        session: Some(session()),
        consented: Some(Consented { scopes: fixtures::confidential().scopes, resources }),
        ..Browser::default()
    }
}

fn next_for(client: &Client, more: &str, browser: &Browser) -> Next {
    decide(&request(more), client, &fixtures::rules(), browser, NOW)
}

fn next(more: &str, browser: &Browser) -> Next {
    next_for(&fixtures::confidential(), more, browser)
}

fn issued(next: Next) -> CodeGrant {
    match next {
        Next::Issue(grant) => *grant,
        other => panic!("{other:?}"),
    }
}

fn refused(next: &Next) -> Option<ErrorCode> {
    match next {
        Next::Refuse(refused) => Some(refused.error.code),
        _ => None,
    }
}

fn log_in(acr: Option<Acr>) -> Next {
    Next::LogIn { hint: None, acr }
}

#[test]
fn a_code_stands_for_what_was_agreed_to() {
    let more =
        format!("&scope=openid+read&nonce=n-1&dpop_jkt={CHALLENGE}&resource=https://api.example");
    let grant = issued(next(&more, &browser()));
    let asked = request(&more);
    assert_eq!(
        grant,
        CodeGrant {
            scopes: scopes("openid read"),
            resources: vec![fixtures::API.to_owned()],
            dpop_jkt: asked.dpop_jkt,
            challenge: asked.challenge,
            ..fixtures::code_grant()
        }
    );
    let unnamed = read(&without("redirect_uri")).unwrap().unwrap();
    let client = fixtures::confidential();
    let next = decide(&unnamed, &client, &fixtures::rules(), &browser(), NOW);
    assert_eq!(issued(next).redirect_uri, None);
}

#[test]
fn nobody_gets_a_code_without_a_session() {
    let nobody = Browser { session: None, ..browser() };
    assert_eq!(next("", &nobody), log_in(None));
    assert_eq!(
        next("&login_hint=ada&acr_values=urn:postern:acr:2", &nobody),
        Next::LogIn { hint: Some("ada".to_owned()), acr: Some(Acr::SeveralFactors) }
    );
    assert_eq!(refused(&next("&prompt=none", &nobody)), Some(ErrorCode::LoginRequired));
}

#[test]
fn an_old_authentication_is_done_again() {
    // A minute ago.
    for (more, expected) in [
        ("&max_age=60", None),
        ("&max_age=59", Some(log_in(None))),
        ("&max_age=0", Some(log_in(None))),
        ("&max_age=18446744073709551615", None),
        ("&prompt=login", Some(log_in(None))),
        ("&prompt=select_account", Some(log_in(None))),
    ] {
        let found = next(more, &browser());
        assert_eq!(matches!(found, Next::Issue(_)), expected.is_none(), "{more}");
        if let Some(expected) = expected {
            assert_eq!(found, expected, "{more}");
        }
        let form = Form::parse(format!("{BASE}{more}").as_bytes()).unwrap();
        let back = Received::parse(&form).unwrap().return_query();
        let request = read(&back).unwrap().unwrap();
        let (client, server) = (fixtures::confidential(), fixtures::rules());
        let found = decide(&request, &client, &server, &logged_in_at(NOW.0 - 1000), NOW);
        assert!(matches!(found, Next::Issue(_)), "{more}: and then it goes on");
    }
    let found = next("&prompt=none&max_age=1", &browser());
    assert_eq!(refused(&found), Some(ErrorCode::LoginRequired));
}

#[test]
fn a_kept_request_wants_an_authentication_that_is_later_than_itself() {
    let (client, server) = (fixtures::confidential(), fixtures::rules());
    let kept = kept("web", &format!("{BASE}&prompt=login"), true);
    let request = resume(PUSHED, &kept, &client, &server).unwrap().unwrap();
    for (auth_time, is_enough) in [(NOW.0 - 1, false), (NOW.0, true), (NOW.0 + 5, true)] {
        let session = SessionFacts { auth_time: UnixMillis(auth_time), ..session() };
        let browser = Browser { session: Some(session), ..browser() };
        let later = UnixMillis(NOW.0 + 3_600_000);
        let found = decide(&request, &client, &server, &browser, later);
        assert_eq!(matches!(found, Next::Issue(_)), is_enough, "{auth_time}");
    }
}

#[test]
fn an_id_token_names_who_is_expected() {
    let hinted = |subject: &str| Browser { hinted_subject: Some(subject.to_owned()), ..browser() };
    assert!(matches!(next("", &hinted("ada")), Next::Issue(_)));
    assert_eq!(next("", &hinted("bob")), log_in(None));
    assert_eq!(refused(&next("&prompt=none", &hinted("bob"))), Some(ErrorCode::LoginRequired));
    for (auth_time, is_just_now) in [(NOW.0, true), (NOW.0 - 59_999, true), (NOW.0 - 60_000, false)]
    {
        let again =
            Browser { hinted_subject: hinted("bob").hinted_subject, ..logged_in_at(auth_time) };
        let expected = is_just_now.then_some(ErrorCode::LoginRequired);
        assert_eq!(refused(&next("", &again)), expected, "not for ever: {auth_time}");
        assert!(matches!(next("", &logged_in_at(auth_time)), Next::Issue(_)));
    }
    // Nobody is refused for having logged in as whom nobody has named.
    assert_eq!(next("&prompt=login", &logged_in_at(NOW.0)), log_in(None));
}

#[test]
fn who_logs_in_as_somebody_else_for_a_kept_request_is_not_asked_again() {
    let (client, server) = (fixtures::confidential(), fixtures::rules());
    let request = resume(PUSHED, &kept("web", BASE, true), &client, &server).unwrap().unwrap();
    let hinted_subject = Some("bob".to_owned());
    let later = UnixMillis(NOW.0 + 3_600_000);
    for (auth_time, expected) in [(NOW.0 - 1, None), (NOW.0, Some(ErrorCode::LoginRequired))] {
        let again = Browser { hinted_subject: hinted_subject.clone(), ..logged_in_at(auth_time) };
        let found = decide(&request, &client, &server, &again, later);
        assert_eq!(refused(&found), expected, "{auth_time}");
    }
}

/// A browser in which the user has authenticated then.
fn logged_in_at(auth_time: u64) -> Browser {
    let session = SessionFacts { auth_time: UnixMillis(auth_time), ..session() };
    Browser { session: Some(session), ..browser() }
}

#[test]
fn an_acr_that_cannot_be_met_is_refused() {
    let strong = SessionFacts { acr: Acr::SeveralFactors, ..session() };
    let strong = Browser { session: Some(strong), ..browser() };
    let step_up = Next::StepUp(Acr::SeveralFactors);
    for (values, browser, expected) in [
        ("urn:postern:acr:1", browser(), None),
        ("urn:postern:acr:2", strong.clone(), None),
        ("urn:postern:acr:2", browser(), Some(step_up)),
        ("urn:postern:acr:2+urn:postern:acr:1", browser(), None),
        ("urn:example:gold+urn:postern:acr:1", browser(), None),
    ] {
        let found = next(&format!("&acr_values={values}"), &browser);
        assert_eq!(matches!(found, Next::Issue(_)), expected.is_none(), "{values}");
        assert!(expected.is_none_or(|expected| expected == found), "{values}");
    }
    let unmet = Some(ErrorCode::UnmetAuthenticationRequirements);
    for browser in [browser(), strong, Browser::default()] {
        assert_eq!(refused(&next("&acr_values=urn:example:gold", &browser)), unmet);
    }
    let quiet = next("&acr_values=urn:postern:acr:2&prompt=none", &browser());
    assert_eq!(refused(&quiet), Some(ErrorCode::LoginRequired));
}

#[test]
fn scopes_are_the_clients_and_the_users() {
    for (asked, role, expected) in [
        ("read", "read write", Ok("read")),
        ("openid+email+read+write", "read", Ok("openid email read")),
        ("openid", "", Ok("openid")),
        ("read+admin", "read admin", Err(ErrorCode::InvalidScope)),
        ("READ", "read", Err(ErrorCode::InvalidScope)),
        ("write", "read", Err(ErrorCode::AccessDenied)),
        // Nothing is named: all but what is about the user.
        ("", "read write admin", Ok("read write")),
    ] {
        let session = SessionFacts { role_scopes: scopes(role), ..session() };
        let browser = Browser { session: Some(session), ..browser() };
        let found = match next(&format!("&scope={asked}"), &browser) {
            Next::Issue(grant) => Ok(grant.scopes),
            other => Err(refused(&other).unwrap()),
        };
        assert_eq!(found, expected.map(scopes), "{asked} {role}");
    }
    // The document knows the scope no more.
    let server = ServerRules { scopes: scopes("read"), ..fixtures::rules() };
    let asked = request("&scope=read+write");
    let found = decide(&asked, &fixtures::confidential(), &server, &browser(), NOW);
    assert_eq!(issued(found).scopes, scopes("read"));
}

#[test]
fn users_are_asked_before_a_client_gets_anything() {
    let ask = |names: &str| Next::Consent { scopes: scopes(names), resources: Vec::new() };
    let agreed = |names: &str, just_consented| {
        let consented = Some(Consented { scopes: scopes(names), resources: Vec::new() });
        Browser { consented, just_consented, ..browser() }
    };
    let never = Browser { consented: None, ..browser() };
    for (more, browser, expected) in [
        ("&scope=read", never.clone(), Err(ask("read"))),
        ("&scope=read", agreed("write", false), Err(ask("read"))),
        ("&scope=read+write", agreed("write", false), Err(ask("read write"))),
        ("&scope=read", agreed("write read", false), Ok("read")),
        ("&scope=read&prompt=consent", agreed("read", false), Err(ask("read"))),
        ("&scope=read&prompt=consent", agreed("read", true), Ok("read")),
        // Not all was agreed to.
        ("&scope=read+write", agreed("write", true), Ok("write")),
        ("&scope=read", agreed("", true), Err(ask("read"))),
        ("&scope=read", agreed("openid", true), Err(ask("read"))),
    ] {
        match (next(more, &browser), expected) {
            (Next::Issue(grant), Ok(expected)) => assert_eq!(grant.scopes, scopes(expected)),
            (found, Err(expected)) => assert_eq!(found, expected, "{more}"),
            (found, _) => panic!("{more}: {found:?}"),
        }
    }
    let quiet = next("&scope=read&prompt=none", &never);
    assert_eq!(refused(&quiet), Some(ErrorCode::ConsentRequired));
    let trusted = Client { require_consent: false, ..fixtures::confidential() };
    assert!(matches!(next_for(&trusted, "&scope=read", &never), Next::Issue(_)));
    let asked = next_for(&trusted, "&scope=read&prompt=consent", &never);
    assert_eq!(asked, ask("read"), "the client wants it so");
}

#[test]
fn agreeing_is_for_a_place() {
    let elsewhere = "&scope=read&resource=https://other.example";
    let ask =
        Next::Consent { scopes: scopes("read"), resources: vec![fixtures::OTHER_API.to_owned()] };
    assert_eq!(next(elsewhere, &browser()), ask);
    assert_eq!(next(elsewhere, &Browser { just_consented: true, ..browser() }), ask);
    assert!(matches!(next("&scope=read&resource=https://api.example", &browser()), Next::Issue(_)));
    // A token that names no place is for the gateway itself.
    let there = Consented { scopes: scopes("read"), resources: vec![fixtures::API.to_owned()] };
    let there = Browser { consented: Some(there), ..browser() };
    assert!(matches!(next("&scope=read", &there), Next::Consent { .. }));
}

#[test]
fn an_application_on_the_users_machine_asks_each_time() {
    for (uri, is_asked) in
        [(CALLBACK, false), ("http://127.0.0.1/cb", true), ("com.example.app:/cb", true)]
    {
        let redirect_uris = vec![RedirectUri::parse(uri).unwrap()];
        let client = Client { redirect_uris, ..fixtures::public() };
        let query = format!("{}&scope=read", without("redirect_uri"));
        let request = read_as(&query, Some(&client), &fixtures::rules()).unwrap().unwrap();
        let next = |browser: Browser| decide(&request, &client, &fixtures::rules(), &browser, NOW);
        assert_eq!(matches!(next(browser()), Next::Consent { .. }), is_asked, "{uri}");
        let agreed = next(Browser { just_consented: true, ..browser() });
        assert!(matches!(agreed, Next::Issue(_)), "{uri}");
    }
}

#[test]
fn no_page_is_shown_where_none_is_wanted() {
    let weak = Browser { consented: None, ..browser() };
    for more in ["", "&acr_values=urn:postern:acr:2", "&max_age=1", "&scope=read"] {
        for browser in [Browser::default(), weak.clone(), browser()] {
            let found = next(&format!("&prompt=none{more}"), &browser);
            assert!(matches!(found, Next::Issue(_) | Next::Refuse(_)), "{more}: {found:?}");
        }
    }
}

#[test]
fn each_answer_names_the_issuer() {
    let code = Secret::new("c-1".to_owned());
    let iss = "iss=https%3A%2F%2Fgate.example";
    assert_eq!(
        success(CALLBACK, &code, Some("xyz"), ISSUER),
        format!("{CALLBACK}?code=c-1&state=xyz&{iss}")
    );
    assert_eq!(success(CALLBACK, &code, None, ISSUER), format!("{CALLBACK}?code=c-1&{iss}"));
    let error = AuthorizeError {
        error: OAuthError::unavailable(),
        redirect_uri: format!("{CALLBACK}?a=b"),
        state: None,
    };
    assert_eq!(
        failure(&error, ISSUER),
        format!(
            "{CALLBACK}?a=b&error=temporarily_unavailable&error_description=The%20authorization%20\
             server%20is%20not%20available%20at%20the%20moment&{iss}"
        )
    );
}

#[test]
fn refusals_reach_the_client_with_state_and_issuer() {
    let refused = read(&format!("{BASE}&scope=a%22b")).unwrap().unwrap_err();
    let to = failure(&refused, ISSUER);
    let (uri, query) = to.split_once('?').unwrap();
    assert_eq!(uri, CALLBACK);
    let told = Form::parse(query.as_bytes()).unwrap();
    assert_eq!(told.get("error"), Some("invalid_scope"));
    assert_eq!(told.get("state"), Some("xyz"));
    assert_eq!(told.get("iss"), Some(ISSUER));
    assert!(told.get("error_description").is_some());
    let denied = request("").refuse(OAuthError::new(ErrorCode::AccessDenied, "No"));
    assert!(
        failure(&denied, ISSUER).contains("error=access_denied&error_description=No&state=xyz")
    );
}

#[test]
fn state_comes_back_byte_for_byte() {
    for state in ["a b+c&d=e%20", "é\u{1f511}", "<script>", "\r\nset-cookie: a=b", "\u{0}", "%2500"]
    {
        let escaped: String = state.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let query = format!("{}&state={escaped}", without("state"));
        let request = read(&query).unwrap().unwrap();
        assert_eq!(request.state.as_deref(), Some(state));
        let code = Secret::new("c".to_owned());
        let to = success(&request.redirect_uri, &code, request.state.as_deref(), ISSUER);
        assert!(to.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{to}");
        let told = Form::parse(to.split_once('?').unwrap().1.as_bytes()).unwrap();
        assert_eq!(told.get("state"), Some(state));
    }
    let longest = "\u{1}".repeat(MAX_STATE_BYTES);
    let uri = format!("https://app.example/{}", "a".repeat(2028));
    let code = Secret::new("c".repeat(43));
    let to = success(&uri, &code, Some(&longest), ISSUER);
    assert!(to.len() <= postern_request::headers::MAX_VALUE_BYTES, "{}", to.len());
}
