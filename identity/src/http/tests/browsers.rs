use super::*;
use crate::oauth::fixture::CHALLENGE;

const PATH: &str = Endpoint::Authorize.path();

fn request() -> String {
    format!(
        "response_type=code&client_id=spa&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback\
         &scope=openid+read&state=xyz&code_challenge={CHALLENGE}&code_challenge_method=S256"
    )
}

async fn get(router: &Router, target: &str, cookie: &str) -> Answer {
    let request = Request::get(target).header("cookie", cookie).body(Body::empty()).unwrap();
    send(router, request).await
}

async fn post(router: &Router, path: &str, body: String) -> Answer {
    let request = Request::post(path).header(CONTENT_TYPE, FORM).body(Body::from(body)).unwrap();
    send(router, request).await
}

#[tokio::test]
async fn a_browser_is_sent_where_it_has_to_go() {
    let router = router_of(&everything().await.oauth);
    let target = format!("{PATH}?{}", request());
    let stranger = get(&router, &target, "").await;
    assert_eq!(stranger.status, 303);
    assert!(stranger.header("location").starts_with("/login?return_to=%2foauth2%2fauthorize"));
    assert_eq!(stranger.header("cache-control"), "no-store");

    let known = get(&router, &target, "session=good").await;
    assert_eq!((known.status, known.header("referrer-policy")), (302, "no-referrer"));
    let location = known.header("location");
    assert!(location.starts_with("https://app.example/callback?code="), "{location}");

    let of_web = target.replace("client_id=spa", "client_id=web");
    let asked = get(&router, &of_web, "session=good");
    let asked = asked.await;
    assert_eq!(asked.status, 303);
    assert!(asked.header("location").starts_with("/login/consent?response_type=code"));
}

#[tokio::test]
async fn who_cannot_be_answered_is_told_and_sent_nowhere() {
    let router = router_of(&everything().await.oauth);
    for (query, cookie, status) in [
        (request().replace("spa", "nobody"), "", 400),
        (request().replace("app.example", "evil.test"), "session=good", 400),
        (format!("{}&x={}", request(), "y".repeat(9000)), "session=good", 400),
        (request(), "session=away", 503),
    ] {
        let answer = get(&router, &format!("{PATH}?{query}"), cookie).await;
        assert_eq!((answer.status, answer.header("location")), (status, ""), "{query:.60}");
        assert!(!answer.text("told").is_empty());
    }
}

#[tokio::test]
async fn authorize_by_post() {
    let router = router_of(&everything().await.oauth);
    let kept = post(&router, PATH, request()).await;
    assert_eq!(kept.status, 303, "forms are answered with 303");
    let to = kept.header("location").to_owned();
    assert!(to.starts_with("/oauth2/authorize?client_id=spa&request_uri=urn%3a"), "{to}");
    let answer = get(&router, &to, "session=good").await;
    assert!(answer.header("location").starts_with("https://app.example/callback?code="));
    let again = get(&router, &to, "session=good").await;
    assert_eq!(again.status, 400, "a kept request is answered once");
    let large = post(&router, PATH, format!("{}&x={}", request(), "y".repeat(20_000))).await;
    assert_eq!((large.status, large.header("location")), (400, ""));
}

#[tokio::test]
async fn forms_are_answered_with_303() {
    let router = router_of(&everything().await.oauth);
    let asked = "client_id=spa&post_logout_redirect_uri=https%3A%2F%2Fapp.example%2Fbye";
    let by_form = post(&router, Endpoint::EndSession.path(), asked.to_owned()).await;
    assert_eq!(by_form.status, 303);
    let to = by_form.header("location").to_owned();
    assert!(to.starts_with("/oauth2/logout?client_id=spa&post_logout_redirect_uri="), "{to}");

    let asks = get(&router, &to, "session=good").await;
    assert_eq!(asks.status, 303);
    assert!(asks.header("location").starts_with("/login/out?return_to=%2foauth2%2flogout"));
    assert_eq!(asks.header("set-cookie"), "");
    let gone = get(&router, &to, "").await;
    assert_eq!((gone.status, gone.header("location")), (303, "https://app.example/bye"));
    assert_eq!(gone.header("set-cookie"), "session=");
    let nowhere = get(&router, Endpoint::EndSession.path(), "").await;
    assert_eq!((nowhere.status, nowhere.text("told")), (200, "LoggedOut"));
    let elsewhere = to.replace("app.example", "evil.test");
    let refused = get(&router, &elsewhere, "").await;
    assert_eq!((refused.status, refused.header("location")), (400, ""));
}
