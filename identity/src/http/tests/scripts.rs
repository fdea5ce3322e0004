use super::*;
use crate::oauth::fixture::{CHALLENGE, VERIFIER};

const CREDENTIALS: &str = "grant_type=client_credentials&client_id=web&client_secret=s3cret";

fn form(path: &str) -> axum::http::request::Builder {
    Request::post(path).header(CONTENT_TYPE, FORM)
}

async fn token(router: &Router, body: &str) -> Answer {
    send(router, form(TOKEN_PATH).body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn answers_with_tokens_are_kept_nowhere() {
    let router = router_of(&everything().await.oauth);
    let answer = token(&router, CREDENTIALS).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    assert_eq!(answer.header("pragma"), "no-cache");
    assert_eq!(answer.header("x-correlation-id").len(), 36);
}

#[tokio::test]
async fn the_token_endpoint_takes_post_alone() {
    let router = router_of(&everything().await.oauth);
    for (method, path, allowed) in [
        (Method::GET, TOKEN_PATH, "POST"),
        (Method::PUT, TOKEN_PATH, "POST"),
        (Method::GET, Endpoint::Revoke.path(), "POST"),
        (Method::POST, JWKS_PATH, "GET,HEAD"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = send(&router, request).await;
        assert_eq!((answer.status, answer.header("allow")), (405, allowed), "{path}");
    }
}

#[tokio::test]
async fn credentials_in_the_query_are_ignored_and_refused() {
    let router = router_of(&everything().await.oauth);
    let path = format!("{TOKEN_PATH}?client_id=web&client_secret=s3cret");
    let body = "grant_type=client_credentials";
    let answer = send(&router, form(&path).body(Body::from(body)).unwrap()).await;
    assert_eq!((answer.status, answer.text("error")), (401, "invalid_client"));
}

#[tokio::test]
async fn each_error_has_its_status_and_challenge() {
    let router = router_of(&everything().await.oauth);
    for (body, status, error, challenge) in [
        ("", 400, "invalid_request", ""),
        ("grant_type=password&client_id=spa", 400, "unsupported_grant_type", ""),
        ("grant_type=password&client_id=web", 401, "invalid_client", "Basic"),
        ("grant_type=client_credentials&client_id=web", 401, "invalid_client", "Basic"),
        ("grant_type=refresh_token&client_id=spa&refresh_token=x", 400, "invalid_grant", ""),
        ("grant_type=client_credentials&client_id=spa", 401, "invalid_client", "Basic"),
    ] {
        let answer = token(&router, body).await;
        assert_eq!((answer.status, answer.text("error")), (status, error), "{body}");
        assert!(answer.header("www-authenticate").starts_with(challenge), "{body}");
        assert_eq!(answer.header("www-authenticate").is_empty(), challenge.is_empty());
        // RFC 6749 §5.2: what a description may consist of.
        let may = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        let told = answer.text("error_description");
        assert!(!told.is_empty() && told.bytes().all(may), "{told}");
    }
}

#[tokio::test]
async fn giving_a_token_back_is_answered_with_200() {
    let router = router_of(&everything().await.oauth);
    let own = token(&router, CREDENTIALS).await;
    for given in [own.text("access_token"), own.text("access_token"), "junk"] {
        let body = format!("client_id=web&client_secret=s3cret&token={given}");
        let request = form(Endpoint::Revoke.path()).body(Body::from(body)).unwrap();
        let answer = send(&router, request).await;
        assert_eq!((answer.status, &answer.body), (200, &Value::Null), "{given:.10}");
    }
}

#[tokio::test]
async fn userinfo_challenges_as_rfc_6750_says() {
    let router = router_of(&everything().await.oauth);
    for (header, challenge) in [
        (None, "Bearer realm=\"postern\""),
        (Some("Bearer junk"), "Bearer realm=\"postern\", error=\"invalid_token\""),
        (Some("DPoP junk"), "DPoP realm=\"postern\", error=\"invalid_token\""),
    ] {
        for method in [Method::GET, Method::POST] {
            let mut request = Request::builder().method(method).uri(Endpoint::Userinfo.path());
            if let Some(header) = header {
                request = request.header(AUTHORIZATION, header);
            }
            let answer = send(&router, request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, 401, "{header:?}");
            let told = answer.header("www-authenticate").split(", algs=").next();
            assert_eq!(told, Some(challenge), "{header:?}");
        }
    }
    // A token in the query or in a form is not even looked at.
    let own = token(&router, CREDENTIALS).await;
    let shown = format!("access_token={}", own.text("access_token"));
    let path = Endpoint::Userinfo.path();
    let by_query = Request::get(format!("{path}?{shown}")).body(Body::empty()).unwrap();
    let by_form = form(path).body(Body::from(shown)).unwrap();
    for request in [by_query, by_form] {
        let answer = send(&router, request).await;
        let told = (answer.status, answer.header("www-authenticate"));
        assert_eq!(told, (401, "Bearer realm=\"postern\""));
    }
}

#[tokio::test]
async fn userinfo_answers_get_and_post_alike() {
    let fixture = everything().await;
    fixture.log_in().await;
    let router = router_of(&fixture.oauth);
    let redirect = "https%3A%2F%2Fapp.example%2Fcallback";
    let target = format!(
        "{}?response_type=code&client_id=spa&redirect_uri={redirect}&scope=openid\
         &code_challenge={CHALLENGE}&code_challenge_method=S256",
        Endpoint::Authorize.path()
    );
    let request = Request::get(target).header("cookie", "session=good");
    let sent = send(&router, request.body(Body::empty()).unwrap()).await;
    let (_, code) = sent.header("location").split_once("?code=").unwrap();
    let code = code.split('&').next().unwrap();
    let body = format!(
        "grant_type=authorization_code&client_id=spa&code={code}&redirect_uri={redirect}\
         &code_verifier={VERIFIER}"
    );
    let tokens = token(&router, &body).await;
    let bearer = format!("Bearer {}", tokens.text("access_token"));
    for method in [Method::GET, Method::POST] {
        let request = Request::builder().method(method).uri(Endpoint::Userinfo.path());
        let request = request.header(AUTHORIZATION, &bearer).body(Body::empty()).unwrap();
        let answer = send(&router, request).await;
        assert_eq!((answer.status, answer.text("sub")), (200, "u-1"), "{}", answer.body);
    }
}

#[tokio::test]
async fn only_named_origins_read_answers() {
    let router = router_of(&everything().await.oauth);
    let body = format!("{CREDENTIALS}&token=a");
    for path in [TOKEN_PATH, Endpoint::Revoke.path()] {
        for (origin, expected) in [
            ("https://app.example", "https://app.example"),
            ("https://app.example.evil.test", ""),
            ("https://APP.example", ""),
            ("null", ""),
        ] {
            let request = form(path).header("origin", origin);
            let answer = send(&router, request.body(Body::from(body.clone())).unwrap()).await;
            assert_eq!(answer.status, 200, "{path} {origin}");
            assert_eq!(answer.header("access-control-allow-origin"), expected, "{path} {origin}");
            assert_eq!(answer.header("vary"), "origin");
            assert_eq!(answer.header("access-control-allow-credentials"), "");

            let asks = Request::builder().method(Method::OPTIONS).header("origin", origin);
            let asks = asks.uri(path).body(Body::empty()).unwrap();
            let answer = send(&router, asks).await;
            assert_eq!(answer.status, 204);
            assert_eq!(answer.header("access-control-allow-origin"), expected);
            let has_headers = !answer.header("access-control-allow-headers").is_empty();
            assert_eq!(has_headers, !expected.is_empty(), "{path} {origin}");
        }
    }
}

/// RFC 9700 §2.6: browsers are sent there, scripts do not call it.
#[tokio::test]
async fn scripts_read_nothing_at_the_authorization_endpoint() {
    let router = router_of(&everything().await.oauth);
    let path = Endpoint::Authorize.path();
    let target = format!("{path}?client_id=spa");
    for (method, target, status) in
        [(Method::OPTIONS, path, 405), (Method::GET, &*target, 302), (Method::GET, path, 400)]
    {
        let request = Request::builder().method(method).uri(target);
        let request = request.header("origin", "https://app.example").body(Body::empty()).unwrap();
        let answer = send(&router, request).await;
        assert_eq!(answer.status, status, "{target}");
        for name in ["access-control-allow-origin", "access-control-allow-headers"] {
            assert_eq!(answer.header(name), "", "{target}");
        }
    }
}

#[tokio::test]
async fn metadata_names_what_is_turned_on() {
    let router = router_of(&everything().await.oauth);
    let path = postern_oauth::OPENID_CONFIGURATION_PATH;
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = send(&router, request).await;
    assert_eq!(answer.text("authorization_endpoint"), format!("{ISSUER}/oauth2/authorize"));
    assert_eq!(answer.text("end_session_endpoint"), format!("{ISSUER}/oauth2/logout"));
    assert_eq!(answer.body.get("registration_endpoint"), None);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}
