use super::*;
use crate::fixtures::{self, CALLBACK, CHALLENGE, NOW, scopes};
use crate::{Client, ErrorCode, Form, GrantType, RedirectUri, ServerRules};

mod flow;
mod properties;

const BASE: &str = "response_type=code&client_id=web&\
                    redirect_uri=https%3A%2F%2Fapp.example%2Fcallback&\
                    code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&\
                    code_challenge_method=S256&state=xyz";

/// What a query comes to: read, refused at the client, or told to the user.
type Outcome = Result<Result<AuthorizeRequest, AuthorizeError>, AuthorizeFault>;

fn read_as(query: &str, client: Option<&Client>, server: &ServerRules) -> Outcome {
    let form = Form::parse(query.as_bytes())?;
    Ok(Received::parse(&form)?.verify(client)?.read(server))
}

fn read(query: &str) -> Outcome {
    read_as(query, Some(&fixtures::confidential()), &fixtures::rules())
}

fn code_of(outcome: Outcome) -> Result<Option<ErrorCode>, AuthorizeFault> {
    outcome.map(|read| read.err().map(|refused| refused.error.code))
}

fn without(parameter: &str) -> String {
    let prefix = format!("{parameter}=");
    BASE.split('&').filter(|pair| !pair.starts_with(&prefix)).collect::<Vec<_>>().join("&")
}

#[test]
fn authorization_parameters_are_read_strictly() {
    use ErrorCode::{InvalidRequest, InvalidScope, InvalidTarget};
    for (more, expected) in [
        ("", Ok(None)),
        ("&unknown=1", Ok(None)),
        ("&scope=", Ok(None)),
        ("&scope=read&prompt=&max_age=", Ok(None)),
        ("&state=abc", Err(AuthorizeFault::Unreadable)),
        ("&unknown=1&unknown=2", Err(AuthorizeFault::Unreadable)),
        ("&x=%zz", Err(AuthorizeFault::Unreadable)),
        ("&scope=a%22b", Ok(Some(InvalidScope))),
        ("&scope=read++write", Ok(Some(InvalidScope))),
        ("&resource=https://api.example&resource=https://other.example", Ok(None)),
        ("&resource=api", Ok(Some(InvalidTarget))),
        ("&resource=https://unknown.example", Ok(Some(InvalidTarget))),
        ("&resource=https://api.example%23a", Ok(Some(InvalidTarget))),
        ("&dpop_jkt=short", Ok(Some(InvalidRequest))),
        ("&response_mode=query", Ok(None)),
        ("&response_mode=fragment", Ok(Some(InvalidRequest))),
        ("&response_mode=form_post", Ok(Some(InvalidRequest))),
    ] {
        assert_eq!(code_of(read(&format!("{BASE}{more}"))), expected, "{more}");
    }
    let long = format!("{BASE}&x={}", "y".repeat(5000));
    assert_eq!(code_of(read(&long)), Err(AuthorizeFault::TooLarge));
    let long_state = format!("{}&state={}", without("state"), "y".repeat(MAX_STATE_BYTES + 1));
    assert_eq!(code_of(read(&long_state)), Err(AuthorizeFault::TooLarge));
}

#[test]
fn only_code_is_a_response_type() {
    for (value, expected) in [
        ("code", None),
        ("", Some(ErrorCode::InvalidRequest)),
        ("token", Some(ErrorCode::UnsupportedResponseType)),
        ("id_token", Some(ErrorCode::UnsupportedResponseType)),
        ("code+id_token", Some(ErrorCode::UnsupportedResponseType)),
        ("none", Some(ErrorCode::UnsupportedResponseType)),
        ("CODE", Some(ErrorCode::UnsupportedResponseType)),
    ] {
        let query = format!("{}&response_type={value}", without("response_type"));
        assert_eq!(code_of(read(&query)), Ok(expected), "{value}");
    }
    let missing = code_of(read(&without("response_type")));
    assert_eq!(missing, Ok(Some(ErrorCode::InvalidRequest)));
}

#[test]
fn a_redirect_uri_is_one_of_the_registered() {
    let second = "http://127.0.0.1/cb";
    let uris = [CALLBACK, second].map(|uri| RedirectUri::parse(uri).unwrap());
    let client = Client { redirect_uris: uris.to_vec(), ..fixtures::confidential() };
    for (uri, expected) in [
        (CALLBACK, Some(CALLBACK)),
        ("http://127.0.0.1:6000/cb", Some("http://127.0.0.1:6000/cb")),
        ("https://app.example/callback/", None),
        ("https://app.example/callback?a", None),
        ("https://evil.test/callback", None),
        ("javascript:alert(1)", None),
        ("", None),
    ] {
        let query = format!("{}&redirect_uri={uri}", without("redirect_uri"));
        let found = read_as(&query, Some(&client), &fixtures::rules());
        let found = found.map(|read| read.unwrap().redirect_uri);
        let expected = expected.map(str::to_owned).ok_or(AuthorizeFault::RedirectUri);
        assert_eq!(found, expected, "{uri}");
    }
}

#[test]
fn one_registered_uri_need_not_be_named() {
    let request = read(&without("redirect_uri")).unwrap().unwrap();
    assert_eq!(request.redirect_uri, CALLBACK);
    assert!(!request.redirect_uri_was_named);
    let two = [CALLBACK, "https://app.example/other"].map(|uri| RedirectUri::parse(uri).unwrap());
    for redirect_uris in [Vec::new(), two.to_vec()] {
        let client = Client { redirect_uris, ..fixtures::confidential() };
        let found = read_as(&without("redirect_uri"), Some(&client), &fixtures::rules());
        assert_eq!(code_of(found), Err(AuthorizeFault::RedirectUri), "{client:?}");
    }
}

#[test]
fn whoever_asks_is_a_client_of_ours() {
    let inactive = Client { is_active: false, ..fixtures::confidential() };
    let other = Client { client_id: "other".to_owned(), ..fixtures::confidential() };
    for client in [None, Some(&inactive), Some(&other)] {
        let found = read_as(BASE, client, &fixtures::rules());
        assert_eq!(code_of(found), Err(AuthorizeFault::UnknownClient), "{client:?}");
    }
    assert_eq!(code_of(read(&without("client_id"))), Err(AuthorizeFault::UnknownClient));
}

#[test]
fn public_clients_cannot_do_without_pkce() {
    let bare = without("code_challenge").replace("code_challenge_method=S256&", "");
    let public = Client { require_pkce: false, ..fixtures::public() };
    let trusting = Client { require_pkce: false, ..fixtures::confidential() };
    let plain = BASE.replace("S256", "plain");
    for (client, query, expected) in [
        (public.clone(), bare.as_str(), Some(ErrorCode::InvalidRequest)),
        (fixtures::confidential(), bare.as_str(), Some(ErrorCode::InvalidRequest)),
        (trusting.clone(), bare.as_str(), None),
        (public, BASE, None),
        (trusting, plain.as_str(), Some(ErrorCode::InvalidRequest)),
    ] {
        let found = read_as(query, Some(&client), &fixtures::rules());
        assert_eq!(code_of(found), Ok(expected), "{client:?} {query}");
    }
}

#[test]
fn what_is_not_supported_says_so() {
    for (parameter, expected) in [
        ("request=e30.e30.", ErrorCode::RequestNotSupported),
        ("request_uri=https://app.example/r", ErrorCode::RequestUriNotSupported),
        ("registration={}", ErrorCode::RegistrationNotSupported),
        ("prompt=create", ErrorCode::InvalidRequest),
        ("prompt=none+login", ErrorCode::InvalidRequest),
        ("max_age=-1", ErrorCode::InvalidRequest),
        ("max_age=%2B1", ErrorCode::InvalidRequest),
        ("max_age=1.5", ErrorCode::InvalidRequest),
        ("nonce=a%00b", ErrorCode::InvalidRequest),
        ("login_hint=a%0Ab", ErrorCode::InvalidRequest),
    ] {
        let query = format!("{BASE}&{}", parameter.replace('{', "%7B").replace('}', "%7D"));
        assert_eq!(code_of(read(&query)), Ok(Some(expected)), "{parameter}");
    }
    let long = format!("{BASE}&nonce={}", "n".repeat(513));
    assert_eq!(code_of(read(&long)), Ok(Some(ErrorCode::InvalidRequest)));
}

#[test]
fn each_parameter_of_openid_connect() {
    let query = format!(
        "{BASE}&scope=openid+email&nonce=n-0S6&prompt=login+consent&max_age=300&\
         acr_values=urn:postern:acr:2+other&login_hint=ada%40example.test&id_token_hint=e.y.J&\
         ui_locales=de-CH+en&resource=https://api.example&display=page&claims_locales=de"
    );
    let request = read(&query).unwrap().unwrap();
    assert_eq!(request.scopes, Some(scopes("openid email")));
    assert_eq!(request.nonce.as_deref(), Some("n-0S6"));
    assert!(request.prompt.login && request.prompt.consent && !request.prompt.none);
    assert_eq!(request.max_age_secs, Some(300));
    assert_eq!(request.acr_values, ["urn:postern:acr:2", "other"]);
    assert_eq!(request.login_hint.as_deref(), Some("ada@example.test"));
    assert_eq!(request.id_token_hint.as_deref(), Some("e.y.J"));
    assert_eq!(request.ui_locales, ["de-CH", "en"]);
    assert_eq!(request.resources, ["https://api.example"]);
    assert_eq!((request.dpop_jkt, request.kept_at), (None, None));
}

#[test]
fn a_client_without_the_grant_gets_no_code() {
    let grants = vec![GrantType::ClientCredentials];
    let client = Client { grant_types: grants.clone(), ..fixtures::confidential() };
    let found = read_as(BASE, Some(&client), &fixtures::rules());
    assert_eq!(code_of(found), Ok(Some(ErrorCode::UnauthorizedClient)));
    let server = ServerRules { grants, ..fixtures::rules() };
    let found = read_as(BASE, Some(&fixtures::confidential()), &server);
    assert_eq!(code_of(found), Ok(Some(ErrorCode::UnauthorizedClient)));
}

/// A request that was kept for `client_id`.
fn kept(client_id: &str, parameters: &str, is_pushed: bool) -> KeptRequest {
    KeptRequest {
        client_id: client_id.to_owned(),
        parameters: parameters.to_owned(),
        is_pushed,
        dpop_jkt: None,
        kept_at: NOW,
        is_opened: false,
    }
}

fn resume(query: &str, kept: &KeptRequest, client: &Client, server: &ServerRules) -> Outcome {
    let form = Form::parse(query.as_bytes())?;
    let parameters = Form::parse(kept.parameters.as_bytes())?;
    let received = Received::parse(&form)?.resume(kept, &parameters)?;
    Ok(received.verify(Some(client))?.read(server))
}

const PUSHED: &str = "client_id=web&request_uri=urn:ietf:params:oauth:request_uri:abc";

#[test]
fn a_pushed_request_is_its_clients() {
    let (client, server) = (fixtures::confidential(), fixtures::rules());
    let form = Form::parse(PUSHED.as_bytes()).unwrap();
    let uri = Received::parse(&form).unwrap().pushed();
    let nested = PUSHED.replace("client_id=web&", "");
    assert_eq!(uri, Some("urn:ietf:params:oauth:request_uri:abc"));
    for (kept, expected) in [
        (kept("web", BASE, true), Ok(None)),
        (kept("other", BASE, true), Err(AuthorizeFault::UnknownRequest)),
        (
            kept("web", &BASE.replace("client_id=web", "client_id=other"), true),
            Err(AuthorizeFault::UnknownRequest),
        ),
        // RFC 9126 §2.1: none that leads to another one.
        (kept("web", &format!("{BASE}&{nested}"), true), Err(AuthorizeFault::UnknownRequest)),
        (kept("web", "", true), Err(AuthorizeFault::UnknownRequest)),
    ] {
        assert_eq!(code_of(resume(PUSHED, &kept, &client, &server)), expected, "{kept:?}");
    }
    let foreign = kept("web", &format!("{BASE}&request_uri=https://evil.test"), false);
    let found = resume(PUSHED, &foreign, &client, &server);
    assert_eq!(code_of(found), Ok(Some(ErrorCode::RequestUriNotSupported)));
    // What is in the query beside it does not count (RFC 9126 §4).
    let query = format!("{PUSHED}&state=other&scope=admin&redirect_uri=https://evil.test");
    let request = resume(&query, &kept("web", BASE, true), &client, &server).unwrap().unwrap();
    assert_eq!((request.state.as_deref(), request.scopes), (Some("xyz"), None));
    assert_eq!((request.redirect_uri.as_str(), request.kept_at), (CALLBACK, Some(NOW)));
    // One that nobody has fetched is none.
    let found = read_as(&format!("{BASE}&{nested}"), Some(&client), &server);
    assert_eq!(code_of(found), Err(AuthorizeFault::UnknownRequest));
}

#[test]
fn where_pushing_is_required() {
    let client = Client { require_par: true, ..fixtures::confidential() };
    let strict = ServerRules { require_par: true, ..fixtures::rules() };
    for (client, server) in [(&client, &fixtures::rules()), (&fixtures::confidential(), &strict)] {
        let refused = Ok(Some(ErrorCode::InvalidRequest));
        assert_eq!(code_of(read_as(BASE, Some(client), server)), refused);
        // A browser's form was kept, but nobody has proven to be the client.
        assert_eq!(code_of(resume(PUSHED, &kept("web", BASE, false), client, server)), refused);
        assert_eq!(code_of(resume(PUSHED, &kept("web", BASE, true), client, server)), Ok(None));
    }
}

#[test]
fn a_code_may_be_bound_to_a_key() {
    let (client, server) = (fixtures::confidential(), fixtures::rules());
    let named = format!("{BASE}&dpop_jkt={CHALLENGE}");
    let jkt = read(&named).unwrap().unwrap().dpop_jkt;
    assert!(jkt.is_some());
    // RFC 9449 §10.1: the key of the proof that came with a pushed request.
    let of = |parameters: &str, dpop_jkt| KeptRequest { dpop_jkt, ..kept("web", parameters, true) };
    for (kept, expected) in [
        (of(BASE, None), Ok(None)),
        (of(BASE, Some([7; 32])), Ok(Some([7; 32]))),
        (of(&named, jkt), Ok(jkt)),
        (of(&named, None), Ok(jkt)),
        (of(&named, Some([7; 32])), Err(ErrorCode::InvalidRequest)),
    ] {
        let found = resume(PUSHED, &kept, &client, &server).unwrap();
        let found = found.map(|request| request.dpop_jkt).map_err(|refused| refused.error.code);
        assert_eq!(found, expected, "{kept:?}");
    }
}

#[test]
fn a_browser_comes_back_with_what_it_brought_but_for_what_is_done() {
    let query = |text: &str| {
        let form = Form::parse(text.as_bytes()).unwrap();
        let received = Received::parse(&form).unwrap();
        (received.to_query(), received.return_query())
    };
    for (given, kept, back) in [
        ("client_id=web&x=1&client_secret=s", "client_id=web", "client_id=web"),
        ("client_id=web&prompt=login", "client_id=web&prompt=login", "client_id=web"),
        (
            "client_id=web&prompt=consent+login+select_account",
            "client_id=web&prompt=consent%20login%20select_account",
            "client_id=web&prompt=consent",
        ),
        ("client_id=web&max_age=0", "client_id=web&max_age=0", "client_id=web&max_age=60"),
        ("client_id=web&max_age=61", "client_id=web&max_age=61", "client_id=web&max_age=61"),
        (
            "resource=b:2&client_id=web&resource=a:1&state=%26%3D+",
            "client_id=web&state=%26%3D%20&resource=b%3A2&resource=a%3A1",
            "client_id=web&state=%26%3D%20&resource=b%3A2&resource=a%3A1",
        ),
    ] {
        assert_eq!(query(given), (kept.to_owned(), back.to_owned()), "{given}");
    }
    let (kept, _) = query(BASE);
    assert_eq!(read(&kept), read(BASE), "nothing is lost on the way");
}
