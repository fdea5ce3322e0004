use super::*;
use crate::oauth::fixture::{CHALLENGE, confidential, document, whole_document};
use postern_document::{OAuth, ProtectedResource};

const CREDENTIALS: &str = "client_id=web&client_secret=s3cret";
const CERTIFICATE: &str = "x-forwarded-client-cert";

async fn post(router: &Router, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::post(path).header(CONTENT_TYPE, FORM);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(router, request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn get(router: &Router, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(router, request.body(Body::empty()).unwrap()).await
}

fn pushed(more: &str) -> String {
    format!(
        "response_type=code&{CREDENTIALS}&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback\
         &scope=openid+read&state=xyz&code_challenge={CHALLENGE}&code_challenge_method=S256{more}"
    )
}

#[tokio::test]
async fn pushing_a_request() {
    let router = router_of(&everything().await.oauth);
    let path = Endpoint::Par.path();
    let reference = "&request_uri=urn:ietf:params:oauth:request_uri:abc";
    let long = format!("&x={}", "y".repeat(20_000));
    for (body, status, error) in [
        (pushed(""), 201, ""),
        (pushed("").replace("s3cret", "wrong"), 401, "invalid_client"),
        (pushed("").replace("&client_secret=s3cret", ""), 401, "invalid_client"),
        (pushed("").replace(CREDENTIALS, "x=1"), 401, "invalid_client"),
        (pushed("").replace(CREDENTIALS, "client_id=spa"), 201, ""),
        (pushed(reference), 400, "invalid_request"),
        (pushed("&request=e30.e30."), 400, "request_not_supported"),
        (pushed("").replace("app.example", "evil.test"), 400, "invalid_request"),
        (pushed("").replace("openid+read", "admin"), 400, "invalid_scope"),
        (pushed("").replace("=code&", "=token&"), 400, "unsupported_response_type"),
        (pushed("").replace("S256", "plain"), 400, "invalid_request"),
        (pushed("&state=again"), 400, "invalid_request"),
        (pushed(&long), 413, "invalid_request"),
    ] {
        let answer = post(&router, path, &body, &[]).await;
        assert_eq!((answer.status, answer.text("error")), (status, error), "{body:.150}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let is_named = answer.text("request_uri").starts_with("urn:ietf:params:oauth:request_uri:");
        assert_eq!(is_named, status == 201);
        if status == 201 {
            assert_eq!(answer.body.get("expires_in"), Some(&Value::Integer(60)));
        }
    }
    let answer = get(&router, path, &[]).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    let from_page = [("origin", "https://app.example")];
    let answer = post(&router, path, &pushed(""), &from_page).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
}

#[tokio::test]
async fn one_address_leaves_so_many_requests_without_a_proof_and_no_more() {
    let router = router_of(&everything().await.oauth);
    let (par, form) = (Endpoint::Par.path(), Endpoint::Authorize.path());
    let body = pushed("").replace(CREDENTIALS, "client_id=spa");
    let from = [("x-forwarded-for", "192.0.2.1")];
    // Both ways are one: what they leave lies in one place.
    for _ in 0..30 {
        assert_eq!(post(&router, par, &body, &from).await.status, 201);
        assert_eq!(post(&router, form, &body, &from).await.status, 303);
    }
    for path in [par, form] {
        let refused = post(&router, path, &body, &from).await;
        assert_eq!((refused.status, refused.text("error")), (429, "RATE_LIMIT_EXCEEDED"), "{path}");
        assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    }
    let proven = post(&router, par, &pushed(""), &from).await;
    assert_eq!(proven.status, 201, "whoever has shown a secret is no stranger");
    let elsewhere = post(&router, par, &body, &[("x-forwarded-for", "192.0.2.2")]).await;
    assert_eq!(elsewhere.status, 201);
}

#[tokio::test]
async fn a_browser_brings_what_was_pushed() {
    let router = router_of(&everything().await.oauth);
    let body = pushed("").replace(CREDENTIALS, "client_id=spa");
    let answer = post(&router, Endpoint::Par.path(), &body, &[]).await;
    let uri = answer.text("request_uri").replace(':', "%3A");
    let path = Endpoint::Authorize.path();
    let target = format!("{path}?client_id=spa&request_uri={uri}");
    let cookie = [("cookie", "session=good")];
    let stranger = get(&router, &target, &[]).await;
    assert!(stranger.header("location").starts_with("/login?return_to="));
    let known = get(&router, &target, &cookie).await;
    let location = known.header("location");
    assert!(location.starts_with("https://app.example/callback?code="), "{location}");
    let again = get(&router, &target, &cookie).await;
    assert_eq!((again.status, again.header("location")), (400, ""), "once");
}

#[tokio::test]
async fn where_nobody_logs_in_nothing_is_pushed_and_tokens_are_asked_about() {
    let fixture = fixture().await;
    for endpoint in [Endpoint::Par, Endpoint::Introspect] {
        let answer = post(&fixture.router, endpoint.path(), "", &[]).await;
        assert_eq!((answer.status, answer.text("error")), (404, "NOT_FOUND"), "{endpoint:?}");
    }
}

#[tokio::test]
async fn a_token_is_asked_about_by_post() {
    let router = router_of(&everything().await.oauth);
    let path = Endpoint::Introspect.path();
    let form = format!("grant_type=client_credentials&{CREDENTIALS}");
    let own = post(&router, TOKEN_PATH, &form, &[]).await;
    let asked = format!("{CREDENTIALS}&token={}", own.text("access_token"));
    let answer = post(&router, path, &asked, &[]).await;
    assert_eq!(answer.body.get("active"), Some(&Value::Bool(true)), "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    let answer = post(&router, path, &format!("{CREDENTIALS}&token=junk"), &[]).await;
    assert_eq!((answer.status, answer.body.to_string()), (200, r#"{"active":false}"#.to_owned()));
    for (body, status) in [("token=junk", 401), (CREDENTIALS, 400), ("client_id=spa&token=a", 401)]
    {
        assert_eq!(post(&router, path, body, &[]).await.status, status, "{body}");
    }
    assert_eq!(get(&router, path, &[]).await.status, 405);
    let from_page = [("origin", "https://app.example")];
    let answer = post(&router, path, &asked, &from_page).await;
    assert_eq!(answer.header("access-control-allow-origin"), "", "servers ask, not pages");
}

#[tokio::test]
async fn a_certificate_is_believed_where_the_document_says_so() {
    let digits = "07".repeat(32);
    let told = format!("Hash={digits};Subject=\"CN=batch\";URI=;DNS=batch.example");
    let forged = format!("{told},Hash={digits}");
    for (oauth, expected) in [(document(), 401), (whole_document(), 200)] {
        let fixture = with_rules(OAuthRules::of(ISSUER, Some(&oauth))).await;
        let client = ClientRecord {
            client_id: "batch".to_owned(),
            auth_method: "tls_client_auth".to_owned(),
            tls_subject: Some("dns:batch.example".to_owned()),
            ..confidential()
        };
        fixture.store.insert_client(client).await.unwrap();
        let router = router_of(&fixture.oauth);
        let body = "grant_type=client_credentials&client_id=batch";
        let answer = post(&router, TOKEN_PATH, body, &[(CERTIFICATE, &told)]).await;
        assert_eq!(answer.status, expected, "{}", answer.body);
        assert_eq!(post(&router, TOKEN_PATH, body, &[]).await.status, 401, "none was shown");
        if expected == 200 {
            let twice = [(CERTIFICATE, told.as_str()), (CERTIFICATE, told.as_str())];
            for headers in [&twice[..], &[(CERTIFICATE, forged.as_str())]] {
                let answer = post(&router, TOKEN_PATH, body, headers).await;
                assert_eq!((answer.status, answer.text("error")), (400, "invalid_request"));
            }
        }
    }
}

#[tokio::test]
async fn who_tries_secrets_is_told_to_wait() {
    let router = router_of(&everything().await.oauth);
    let wrong = "grant_type=client_credentials&client_id=web&client_secret=wrong";
    let right = wrong.replace("wrong", "s3cret");
    let (here, there) = ([("x-forwarded-for", "192.0.2.1")], [("x-forwarded-for", "192.0.2.2")]);
    for _ in 0..11 {
        assert_eq!(post(&router, TOKEN_PATH, wrong, &here).await.status, 401);
    }
    let answer = post(&router, TOKEN_PATH, &right, &here).await;
    assert_eq!((answer.status, answer.text("error")), (429, "invalid_client"));
    assert_eq!(answer.header("retry-after"), "60");
    // Whoever writes entries of their own stands behind the one that Envoy has added.
    let lying = [("x-forwarded-for", "192.0.2.9, 192.0.2.1")];
    assert_eq!(post(&router, TOKEN_PATH, &right, &lying).await.status, 429);
    assert_eq!(post(&router, TOKEN_PATH, &right, &there).await.status, 200);
}

/// RFC 6749 §5.2: a client that fails to show who it is hears of that, whatever else is wrong.
#[tokio::test]
async fn a_client_shows_who_it_is_before_anything_it_asks_for_is_judged() {
    let exchange = GrantType::TokenExchange.as_str();
    let device = GrantType::DeviceCode.as_str();
    let token = |grant: &str| format!("grant_type={grant}");
    for (endpoint, asked, expected) in [
        (Endpoint::Token, token("refresh_token&refresh_token=x"), "invalid_grant"),
        (Endpoint::Token, token("refresh_token"), "invalid_request"),
        (Endpoint::Token, token("authorization_code"), "invalid_request"),
        (Endpoint::Token, token("authorization_code&code=c&resource=x"), "invalid_target"),
        (Endpoint::Token, token("client_credentials&scope=%22"), "invalid_scope"),
        (Endpoint::Token, token(device), "invalid_request"),
        (Endpoint::Token, token(exchange), "invalid_request"),
        (Endpoint::Token, token("password"), "unsupported_grant_type"),
        (Endpoint::Revoke, "x=y".to_owned(), "invalid_request"),
        (Endpoint::Introspect, "x=y".to_owned(), "invalid_request"),
        (Endpoint::Par, "request_uri=urn:x".to_owned(), "invalid_request"),
    ] {
        let router = router_of(&everything().await.oauth);
        for (client, status, error) in [
            (CREDENTIALS, 400, expected),
            ("client_id=web&client_secret=wrong", 401, "invalid_client"),
            ("client_id=web", 401, "invalid_client"),
            ("client_id=nobody&client_secret=s3cret", 401, "invalid_client"),
        ] {
            let body = format!("{client}&{asked}");
            let answer = post(&router, endpoint.path(), &body, &[]).await;
            assert_eq!((answer.status, answer.text("error")), (status, error), "{body}");
            assert_eq!(answer.header("www-authenticate").is_empty(), status == 400, "{body}");
        }
    }
}

/// RFC 6749 §2.3.1: any endpoint that takes secrets.
#[tokio::test]
async fn secrets_are_limited_wherever_they_are_taken() {
    let endpoints = [Endpoint::Token, Endpoint::Revoke, Endpoint::Introspect, Endpoint::Par];
    let from = [("x-forwarded-for", "192.0.2.1")];
    let body = |secret: &str| {
        format!("grant_type=client_credentials&client_id=web&client_secret={secret}&token=a")
    };
    for tried in endpoints {
        let router = router_of(&everything().await.oauth);
        for _ in 0..11 {
            let answer = post(&router, tried.path(), &body("wrong"), &from).await;
            assert_eq!(answer.status, 401, "{tried:?}");
        }
        for endpoint in endpoints {
            let answer = post(&router, endpoint.path(), &body("s3cret"), &from).await;
            assert_eq!(answer.status, 429, "{tried:?} {endpoint:?}");
        }
    }
}

#[tokio::test]
async fn an_exchange_brings_two_tokens_and_every_other_grant_less() {
    let fixture = with_rules(OAuthRules::of(ISSUER, Some(&whole_document()))).await;
    let router = router_of(&fixture.oauth);
    let token = "t".repeat(15_000);
    let kind = "urn:ietf:params:oauth:token-type:access_token";
    let grant = GrantType::TokenExchange.as_str();
    let body = format!(
        "grant_type={grant}&{CREDENTIALS}&subject_token={token}&subject_token_type={kind}\
         &actor_token={token}&actor_token_type={kind}"
    );
    let answer = post(&router, TOKEN_PATH, &body, &[]).await;
    assert_eq!((answer.status, answer.text("error")), (400, "invalid_request"), "they are none");
    let other = body.replace(grant, "client_credentials");
    assert_eq!(post(&router, TOKEN_PATH, &other, &[]).await.status, 413);
    let larger = format!("{body}&x={}", "y".repeat(40_000));
    assert_eq!(post(&router, TOKEN_PATH, &larger, &[]).await.status, 413);
}

#[tokio::test]
async fn a_resource_says_who_its_tokens_come_from() {
    let resource = ProtectedResource {
        resource: format!("{ISSUER}/content"),
        scopes: vec!["read".to_owned()],
    };
    let oauth = OAuth { resources: vec![resource], ..document() };
    let router = router_of(&with_rules(OAuthRules::of(ISSUER, Some(&oauth))).await.oauth);
    let path = "/.well-known/oauth-protected-resource";
    for (below, resource) in [("", ISSUER.to_owned()), ("/content", format!("{ISSUER}/content"))] {
        let answer = get(&router, &format!("{path}{below}"), &[]).await;
        assert_eq!((answer.status, answer.text("resource")), (200, resource.as_str()), "{below}");
        let servers = answer.body.get("authorization_servers").unwrap().to_string();
        assert_eq!(servers, format!("[\"{ISSUER}\"]"));
        assert_eq!(answer.header("cache-control"), PUBLIC_CACHE);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
    for below in ["/other", "/content/x"] {
        assert_eq!(get(&router, &format!("{path}{below}"), &[]).await.status, 404, "{below}");
    }
}
