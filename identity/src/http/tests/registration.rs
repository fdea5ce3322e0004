use super::*;
use crate::oauth::fixture::{REDIRECT, for_strangers, strangers};

const PATH: &str = Endpoint::Register.path();

fn request(content_type: &str) -> axum::http::request::Builder {
    let request = Request::post(PATH).header(CONTENT_TYPE, content_type);
    request.header("x-forwarded-for", "192.0.2.1")
}

async fn register(router: &Router, body: &str) -> Answer {
    send(router, request("application/json").body(Body::from(body.to_owned())).unwrap()).await
}

fn body(members: &str) -> String {
    format!(r#"{{"redirect_uris": ["{REDIRECT}"]{members}}}"#)
}

#[tokio::test]
async fn a_client_registers_itself_and_is_one() {
    let fixture = strangers().await;
    let router = router_of(&fixture.oauth);
    let answer = register(&router, &body(r#", "client_name": "Agent""#)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
    assert_eq!(answer.body.get("client_secret_expires_at"), Some(&Value::Integer(0)));
    let (id, secret) = (answer.text("client_id"), answer.text("client_secret"));
    for (secret, expected) in [(secret, "invalid_grant"), ("wrong", "invalid_client")] {
        let form = format!(
            "grant_type=authorization_code&code=x&client_id={id}&client_secret={secret}\
             &code_verifier={}",
            crate::oauth::fixture::VERIFIER
        );
        let request = Request::post(TOKEN_PATH).header(CONTENT_TYPE, FORM);
        let answer = send(&router, request.body(Body::from(form)).unwrap()).await;
        assert_eq!(answer.text("error"), expected);
    }
}

#[tokio::test]
async fn registration_errors() {
    let router = router_of(&strangers().await.oauth);
    for (body, expected) in [
        ("{}".to_owned(), (400, "invalid_redirect_uri")),
        (r#"{"redirect_uris": ["http://app.example/"]}"#.to_owned(), (400, "invalid_redirect_uri")),
        (body(r#", "scope": "write""#), (400, "invalid_client_metadata")),
        (body(r#", "grant_types": ["client_credentials"]"#), (400, "invalid_client_metadata")),
        (body(r#", "software_statement": "a.b.c""#), (400, "unapproved_software_statement")),
        ("{".to_owned(), (400, "invalid_client_metadata")),
        (body(&format!(r#", "x": "{}""#, "y".repeat(20_000))), (413, "invalid_request")),
    ] {
        let answer = register(&router, &body).await;
        assert_eq!((answer.status, answer.text("error")), expected, "{body:.80}");
        assert!(!answer.text("error_description").is_empty());
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let form = request(FORM).body(Body::from("redirect_uris=x")).unwrap();
    let answer = send(&router, form).await;
    assert_eq!((answer.status, answer.text("error")), (400, "invalid_request"));
    let get = Request::get(PATH).body(Body::empty()).unwrap();
    let answer = send(&router, get).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
}

#[tokio::test]
async fn registering_is_limited_by_address() {
    let fixture = strangers().await;
    let router = router_of(&fixture.oauth);
    for _ in 0..10 {
        assert_eq!(register(&router, &body("")).await.status, 201);
    }
    let refused = register(&router, &body("")).await;
    assert_eq!((refused.status, refused.text("error")), (429, "RATE_LIMIT_EXCEEDED"));
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    let clients = fixture.store.list_clients(None, 100).await.unwrap();
    assert_eq!(clients.len(), 13, "ten of them are strangers");
}

#[tokio::test]
async fn nobody_registers_where_the_document_does_not_say_so() {
    let mut with_token = for_strangers();
    with_token.registration.mode = postern_document::RegistrationMode::Token;
    let with_token = with_rules(OAuthRules::of(ISSUER, Some(&with_token))).await;
    for (oauth, is_named, status) in [
        (everything().await.oauth, false, 404),
        (with_token.oauth, true, 401),
        (strangers().await.oauth, true, 201),
    ] {
        let router = router_of(&oauth);
        let request = Request::get(postern_oauth::OPENID_CONFIGURATION_PATH);
        let told = send(&router, request.body(Body::empty()).unwrap()).await;
        assert_eq!(told.text("registration_endpoint").is_empty(), !is_named);
        let answer = register(&router, &body("")).await;
        assert_eq!(answer.status, status);
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge == "Bearer realm=\"postern\"", status == 401, "{challenge}");
    }
}
