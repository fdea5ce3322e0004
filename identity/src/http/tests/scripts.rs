use super::*;

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
        ("grant_type=password&client_id=web", 400, "unsupported_grant_type", ""),
        ("grant_type=client_credentials&client_id=web", 401, "invalid_client", "Basic"),
        ("grant_type=refresh_token&client_id=spa&refresh_token=x", 400, "invalid_grant", ""),
        ("grant_type=client_credentials&client_id=spa", 401, "invalid_client", "Basic"),
    ] {
        let answer = token(&router, body).await;
        assert_eq!((answer.status, answer.text("error")), (status, error), "{body}");
        assert!(answer.header("www-authenticate").starts_with(challenge), "{body}");
        assert_eq!(answer.header("www-authenticate").is_empty(), challenge.is_empty());
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
}

#[tokio::test]
async fn only_named_origins_read_answers() {
    let router = router_of(&everything().await.oauth);
    for (origin, expected) in [
        ("https://app.example", "https://app.example"),
        ("https://app.example.evil.test", ""),
        ("https://APP.example", ""),
        ("null", ""),
    ] {
        let request = form(TOKEN_PATH).header("origin", origin);
        let answer = send(&router, request.body(Body::from(CREDENTIALS)).unwrap()).await;
        assert_eq!(answer.header("access-control-allow-origin"), expected, "{origin}");
        assert_eq!(answer.header("vary"), "origin");
        assert_eq!(answer.header("access-control-allow-credentials"), "");

        let asks = Request::builder().method(Method::OPTIONS).header("origin", origin);
        let asks = asks.uri(TOKEN_PATH).body(Body::empty()).unwrap();
        let answer = send(&router, asks).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("access-control-allow-origin"), expected);
        let has_headers = !answer.header("access-control-allow-headers").is_empty();
        assert_eq!(has_headers, !expected.is_empty(), "{origin}");
    }
    let asks = Request::builder().method(Method::OPTIONS).uri(Endpoint::Authorize.path());
    let answer = send(&router, asks.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 405, "pages are for people");
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
