//! Keys that the server brings to Envoys: found from the issuer alone, or fetched in their place.

use std::time::Duration;

use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Key, Token};
use postern_e2e::upstream::Upstream;
use postern_e2e::wait;
use serde_json::json;

use super::{
    INVALID, KINDS, PASSES, UNAVAILABLE, Verdict, assert_everywhere, both_kinds, id_of, logged,
};

const DOCUMENT: &str = include_str!("../../fixtures/tokens-keys.yaml");
/// A token with an unknown key has its issuer's keys fetched again every ten seconds at most, and
/// metadata that was refused is looked at again after twice as long each time.
const LONGEST: Duration = Duration::from_secs(60);

/// Where issuers publish.
struct Elsewhere {
    upstream: Upstream,
}

impl Elsewhere {
    async fn start() -> Self {
        Self { upstream: Upstream::start().await }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.upstream.address())
    }

    /// From now on this is found at a path.
    async fn publish(&self, path: &str, text: &str) {
        let call = Call::new("PUT", &format!("/_sample/static?path={path}"));
        let client = Client::new(Protocol::Http1, self.upstream.address().port());
        client.send(&call.body(text.to_owned())).await.expect(200);
    }

    /// Metadata of an issuer that says that its keys are at this path.
    async fn describe(&self, path: &str, issuer: &str, keys: &str) {
        let metadata = json!({"issuer": self.url(issuer), "jwks_uri": self.url(keys)});
        self.publish(path, &metadata.to_string()).await;
    }

    /// A token of an issuer here, by this key.
    fn token(&self, issuer: &str, key: Key) -> String {
        Token::of("alice").key(key).claim("iss", json!(self.url(issuer))).sign()
    }
}

fn call(kind: &str, token: &str) -> Call {
    Call::get(&format!("/{kind}/any")).bearer(token)
}

async fn assert_tokens(gateway: &Gateway, expected: Verdict, what: &str, token: &str) {
    assert_everywhere(gateway, expected, what, |kind| call(kind, token)).await;
}

/// Until both kinds of routes take a token.
async fn until_taken(gateway: &Gateway, token: &str) {
    for kind in KINDS {
        let call = call(kind, token);
        wait::until("keys", LONGEST, || async {
            let answer = gateway.send(&call).await;
            if answer.status == 200 { Ok(()) } else { Err(answer.to_string()) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_the_server_brings() {
    let elsewhere = Elsewhere::start().await;
    elsewhere.publish("/keys/oidc", &keys::jwks_of(&["rsa-1"])).await;
    elsewhere.publish("/keys/oauth", &keys::jwks_of(&["ec-1"])).await;
    elsewhere.publish("/keys/liar", &keys::jwks_of(&["rsa-1"])).await;
    elsewhere.publish("/keys/fetched", &keys::jwks_of(&["rsa-1", "ec-1"])).await;
    elsewhere.describe("/oidc/.well-known/openid-configuration", "/oidc", "/keys/oidc").await;
    let oauth = "/.well-known/oauth-authorization-server/oauth";
    elsewhere.describe(oauth, "/oauth", "/keys/oauth").await;
    let liar = "/liar/.well-known/openid-configuration";
    elsewhere.describe(liar, "/oidc", "/keys/liar").await;

    let document = both_kinds(DOCUMENT).replace("$ELSEWHERE", &elsewhere.url(""));
    let mut gateway = Gateway::builder().document(document).start().await;
    let fetched = |key| {
        let token = Token::of("alice").key(key);
        token.claim("iss", json!("https://fetched.example.test")).sign()
    };
    for (what, token) in [
        ("OpenID Connect's metadata", elsewhere.token("/oidc", Key::Rsa)),
        ("OAuth's metadata", elsewhere.token("/oauth", Key::Ec)),
        ("an address", fetched(Key::Rsa)),
        ("an address", fetched(Key::Ec)),
    ] {
        until_taken(&gateway, &token).await;
        assert_tokens(&gateway, PASSES, what, &token).await;
        assert_tokens(&gateway, INVALID, what, &keys::tampered(&token)).await;
    }
    let others_key = elsewhere.token("/oauth", Key::Rsa);
    assert_tokens(&gateway, INVALID, "another issuer's key", &others_key).await;

    // Not a bad token: nobody knows.
    let of_the_liar = elsewhere.token("/liar", Key::Rsa);
    let what = "metadata of another issuer";
    assert_tokens(&gateway, UNAVAILABLE, what, &of_the_liar).await;
    let unknown = id_of(&gateway.send(&call("bundle", &of_the_liar)).await);

    // A key that comes later, and metadata that is mended.
    let later = elsewhere.token("/oidc", Key::Ec);
    assert_tokens(&gateway, INVALID, "a key that is not there yet", &later).await;
    elsewhere.publish("/keys/oidc", &keys::jwks_of(&["rsa-1", "ec-1"])).await;
    elsewhere.describe(liar, "/liar", "/keys/liar").await;
    until_taken(&gateway, &later).await;
    until_taken(&gateway, &of_the_liar).await;
    assert_tokens(&gateway, PASSES, "a key that came later", &later).await;
    assert_tokens(&gateway, PASSES, "its own metadata", &of_the_liar).await;
    let lines = logged(&gateway, &[unknown]).await;
    assert_eq!(lines[0]["reason"], "keys_missing", "{}", lines[0]);
    gateway.envoy.assert_no_failed_machine().await;
}
