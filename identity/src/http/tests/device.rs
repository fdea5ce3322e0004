use super::*;
use crate::oauth::fixture::strangers;

const PATH: &str = Endpoint::Device.path();
const FROM: &str = "192.0.2.1";

async fn post(router: &Router, body: &str) -> Answer {
    let request = Request::post(PATH).header(CONTENT_TYPE, FORM).header("x-forwarded-for", FROM);
    send(router, request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_device_is_told_where_to_send_its_user() {
    let router = router_of(&strangers().await.oauth);
    let answer = post(&router, "client_id=tv&scope=read").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
    assert_eq!(answer.header("content-type"), "application/json");
    let page = format!("{ISSUER}/login/device");
    let code = answer.text("user_code");
    assert_eq!(answer.text("verification_uri"), page);
    assert_eq!(answer.text("verification_uri_complete"), format!("{page}?user_code={code}"));
    assert_eq!((code.len(), answer.text("device_code").len()), (9, 43));
    assert_eq!(answer.body.get("expires_in"), Some(&Value::Integer(900)));
    assert_eq!(answer.body.get("interval"), Some(&Value::Integer(5)));
}

#[tokio::test]
async fn a_device_is_the_client_that_it_says_it_is() {
    let router = router_of(&strangers().await.oauth);
    for (body, expected) in [
        ("", (401, "invalid_client")),
        ("client_id=nobody", (401, "invalid_client")),
        ("client_id=web&scope=read", (401, "invalid_client")),
        ("client_id=web&client_secret=s3cret", (400, "unauthorized_client")),
        ("client_id=web&client_secret=s3cret&scope=%22", (400, "invalid_scope")),
        ("client_id=web&client_secret=wrong&scope=%22", (401, "invalid_client")),
        ("client_id=nobody&scope=%22", (401, "invalid_client")),
        ("client_id=tv&scope=admin", (400, "invalid_scope")),
        ("client_id=tv&scope=read&scope=write", (400, "invalid_request")),
        ("client_id=tv&resource=https%3A%2F%2Funknown.example", (400, "invalid_target")),
    ] {
        let answer = post(&router, body).await;
        assert_eq!((answer.status, answer.text("error")), expected, "{body}");
    }
    let large = Request::post(PATH).header(CONTENT_TYPE, FORM);
    let large = large.body(Body::from(format!("client_id=tv&x={}", "y".repeat(20_000)))).unwrap();
    assert_eq!(send(&router, large).await.status, 413);
    let get = Request::get(PATH).body(Body::empty()).unwrap();
    let answer = send(&router, get).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
}

#[tokio::test]
async fn one_address_begins_so_many_and_no_more() {
    let router = router_of(&strangers().await.oauth);
    for _ in 0..10 {
        assert_eq!(post(&router, "client_id=tv&scope=read").await.status, 200);
    }
    let refused = post(&router, "client_id=tv&scope=read").await;
    assert_eq!((refused.status, refused.text("error")), (429, "RATE_LIMIT_EXCEEDED"));
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    let elsewhere = Request::post(PATH).header("x-forwarded-for", "192.0.2.2");
    let elsewhere = elsewhere.header(CONTENT_TYPE, FORM).body(Body::from("client_id=tv")).unwrap();
    assert_eq!(send(&router, elsewhere).await.status, 200);
}

#[tokio::test]
async fn metadata_names_the_endpoint_where_it_works() {
    for (oauth, expected) in [
        (strangers().await.oauth, format!("{ISSUER}{PATH}")),
        (everything().await.oauth, String::new()),
    ] {
        let router = router_of(&oauth);
        let request = Request::get(postern_oauth::AUTHORIZATION_SERVER_PATH);
        let told = send(&router, request.body(Body::empty()).unwrap()).await;
        assert_eq!(told.text("device_authorization_endpoint"), expected);
        let grants = told.body.get("grant_types_supported").unwrap().to_string();
        assert_eq!(grants.contains("device_code"), !expected.is_empty(), "{grants}");
        let status = if expected.is_empty() { 404 } else { 200 };
        assert_eq!(post(&router, "client_id=tv&scope=read").await.status, status);
    }
}
