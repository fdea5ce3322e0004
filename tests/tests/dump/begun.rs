//! What was begun and not ended: a device that waits for its user, and a pushed request. Users of
//! both have come to our pages, and have to log in first.

use postern_e2e::browser;
use postern_e2e::client::Call;
use postern_e2e::gateway::Gateway;
use postern_e2e::oauth;

use super::everything::text;
use super::secrets::Secrets;

/// A device shows its code.
pub async fn device(gateway: &Gateway, secrets: &mut Secrets) {
    let device = oauth::app(gateway, "content.read", &["--grant", "device_code"]).await;
    let body = [("client_id", device.client_id.as_str()), ("scope", "content.read")];
    let call = Call::post("/oauth2/device_authorization").form(&browser::encode(&body));
    let begun = gateway.send(&call).await.expect(200).json();
    secrets.saw("device code", &text(&begun, "device_code"));
    let code = text(&begun, "user_code");
    secrets.saw("user code", &code);
    secrets.saw("user code", &code.replace('-', ""));
    has_to_log_in(gateway, secrets, &text(&begun, "verification_uri_complete")).await;
}

/// An application pushes its request, and says whom it expects.
pub async fn pushed_request(gateway: &Gateway, secrets: &mut Secrets) {
    let body = [
        ("client_id", secrets.app.as_str()),
        ("response_type", "code"),
        ("redirect_uri", oauth::CALLBACK),
        ("code_challenge", oauth::CHALLENGE),
        ("code_challenge_method", "S256"),
        ("scope", "openid"),
        ("id_token_hint", secrets.id_token.as_str()),
    ];
    let call = Call::post("/oauth2/par").form(&browser::encode(&body));
    let pushed = gateway.send(&call).await.expect(201).json();
    let uri = text(&pushed, "request_uri");
    let (_, name) = uri.rsplit_once(':').expect("a name");
    let query = [("client_id", secrets.app.as_str()), ("request_uri", uri.as_str())];
    let target = format!("/oauth2/authorize?{}", browser::encode(&query));
    secrets.saw("pushed request", name);
    has_to_log_in(gateway, secrets, &target).await;
}

async fn has_to_log_in(gateway: &Gateway, secrets: &mut Secrets, target: &str) {
    let mut browser = gateway.browser();
    let page = browser.open(target).await.expect(200);
    assert!(page.target.starts_with("/login?"), "{}", page.target);
    secrets.saw_log_in(&browser);
}
