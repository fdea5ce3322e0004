//! Pushed authorization requests (RFC 9126), from the push to the token.

use crate::kit::grants::{
    self, CHALLENGE, VERIFIER, add_client, add_user, escaped, parameter, post, public,
};
use postern_e2e::client::Call;
use postern_store::durable::ClientRecord;

fn request(client: &str) -> String {
    let callback = escaped(grants::CALLBACK);
    format!(
        "response_type=code&client_id={client}&redirect_uri={callback}&scope=openid+content.read\
         &state=xyz&code_challenge={CHALLENGE}&code_challenge_method=S256"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pushed_request_becomes_tokens() {
    let gateway = grants::start("").await;
    add_client(&gateway, ClientRecord { require_par: true, ..public("spa") }).await;
    add_client(&gateway, public("other")).await;
    let password = add_user(&gateway).await;

    // RFC 9126 §4: this client's requests count where they were pushed, and nowhere else.
    let plain = gateway.send(&Call::get(&format!("/oauth2/authorize?{}", request("spa")))).await;
    let refused = plain.expect(302);
    let location = refused.header("location").expect("a place");
    assert!(location.starts_with(grants::CALLBACK), "{location}");
    assert_eq!(parameter(location, "error").as_deref(), Some("invalid_request"));

    let pushed = post(&gateway, "/oauth2/par", &request("spa")).await.expect(201);
    assert_eq!(pushed.header("cache-control"), Some("no-store"), "{pushed}");
    let pushed = pushed.json();
    assert_eq!(pushed["expires_in"], 60, "{pushed}");
    let uri = escaped(grants::text(&pushed, "request_uri"));
    let others = format!("/oauth2/authorize?client_id=other&request_uri={uri}");
    let told = gateway.send(&Call::get(&others)).await.expect(400);
    assert_eq!(told.header("location"), None, "{told}");

    let target = format!("/oauth2/authorize?client_id=spa&request_uri={uri}");
    let to_page = gateway.send(&Call::get(&target)).await.expect(303);
    let page = to_page.header("location").expect("the page");
    let (back, cookies) = grants::log_in_at(&gateway, page, &password).await;
    let path = back.strip_prefix(&gateway.url("")).unwrap_or(&back).to_owned();
    let call = Call::get(&path).header("cookie", cookies);
    let answered = gateway.send(&call).await.expect(302);
    let location = answered.header("location").expect("a place");
    assert_eq!(parameter(location, "state").as_deref(), Some("xyz"));
    let code = parameter(location, "code").expect("a code");
    let again = gateway.send(&call).await.expect(400);
    assert_eq!(again.header("location"), None, "it is answered once");

    let form = format!(
        "grant_type=authorization_code&client_id=spa&code={code}&code_verifier={VERIFIER}\
         &redirect_uri={}",
        escaped(grants::CALLBACK)
    );
    let tokens = post(&gateway, "/oauth2/token", &form).await.expect(200).json();
    let opened = Call::get("/content/items").bearer(grants::text(&tokens, "access_token"));
    gateway.until_status(200, &opened).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_everybody_must_push() {
    let gateway = grants::start("require_pushed_requests: true").await;
    add_client(&gateway, public("spa")).await;
    let plain = Call::get(&format!("/oauth2/authorize?{}", request("spa")));
    let refused = gateway.send(&plain).await.expect(302);
    let location = refused.header("location").expect("a place");
    assert_eq!(parameter(location, "error").as_deref(), Some("invalid_request"));
    post(&gateway, "/oauth2/par", &request("spa")).await.expect(201);
    // A form of a browser's is kept as well, and is nobody's proof.
    let kept = post(&gateway, "/oauth2/authorize", &request("spa")).await.expect(303);
    let path = kept.header("location").expect("a place").to_owned();
    let refused = gateway.send(&Call::get(&path)).await.expect(302);
    let location = refused.header("location").expect("a place");
    assert_eq!(parameter(location, "error").as_deref(), Some("invalid_request"));
    let metadata = gateway.send(&Call::get("/.well-known/oauth-authorization-server")).await;
    assert_eq!(metadata.json()["require_pushed_authorization_requests"], true);
}
