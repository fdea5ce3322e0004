//! What a token is (RFC 7662), and what strangers learn of the authorization server (RFC 8414,
//! RFC 9728, OpenID Connect Discovery).

use std::time::Duration;

use crate::kit::grants::{self, add_client, add_user, by_secret, confidential, post, text};
use postern_e2e::client::Call;
use postern_e2e::gateway::Gateway;
use postern_e2e::wait;
use postern_store::durable::ClientRecord;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_server_asks_what_it_was_shown() {
    let gateway = grants::start("").await;
    let content = gateway.url("/content");
    for (id, resource) in [("api", gateway.url("")), ("content", content), ("all", "*".to_owned())]
    {
        let client = ClientRecord { may_introspect: vec![resource], ..confidential(id) };
        add_client(&gateway, client).await;
    }
    add_client(&gateway, confidential("other")).await;
    let password = add_user(&gateway).await;
    let tokens = grants::log_in(&gateway, &password).await;
    let (access, refresh) = (text(&tokens, "accessToken"), text(&tokens, "refreshToken"));
    let ask = async |client: &str, token: &str| ask(&gateway, client, token).await;
    let said = grants::claims(access);
    let answer = ask("api", access).await;
    assert_eq!((&answer["active"], &answer["sub"]), (&json!(true), &said["sub"]), "{answer}");
    assert_eq!((&answer["scope"], &answer["exp"]), (&said["scope"], &said["exp"]), "{answer}");
    let inactive = json!({"active": false});
    assert_eq!(ask("other", access).await, inactive, "none of its business");
    assert_eq!(ask("api", refresh).await, inactive, "it opens no door");
    assert_eq!(ask("api", "junk").await, inactive);
    let stranger = post(&gateway, "/oauth2/introspect", &format!("token={access}")).await;
    assert_eq!(stranger.expect(401).json()["error"], "invalid_client");
    let counted = async |active: &str| {
        let name = "postern_identity_introspections_total";
        gateway.server.metric(name, &[("active", active)]).await
    };
    assert_eq!((counted("true").await, counted("false").await), (1, 3));
    each_is_told_of_tokens_that_are_for_it(&gateway, access).await;

    gateway.send(&Call::post("/auth/logout").bearer(access)).await.expect(204);
    let ask = &ask;
    wait::until("a token that was revoked", Duration::from_secs(20), || async move {
        let answer = ask("api", access).await;
        if answer == json!({"active": false}) { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
}

async fn ask(gateway: &Gateway, client: &str, token: &str) -> Value {
    let form = format!("{}&token={token}", by_secret(client));
    post(gateway, "/oauth2/introspect", &form).await.expect(200).json()
}

/// RFC 7662 §4: whether a token can be used where it was shown.
async fn each_is_told_of_tokens_that_are_for_it(gateway: &Gateway, for_issuer: &str) {
    let own = format!("grant_type=client_credentials&{}", by_secret("other"));
    let form = format!("{own}&resource={}", gateway.url("/content"));
    let tokens = post(gateway, "/oauth2/token", &form).await.expect(200).json();
    for (token, told) in [
        (for_issuer, &["api", "all"][..]),
        (text(&tokens, "access_token"), &["content", "all", "other"]),
    ] {
        for client in ["api", "content", "all", "other"] {
            let answer = ask(gateway, client, token).await;
            let expected = told.contains(&client);
            assert_eq!(answer["active"], expected, "{client} of {token}: {answer}");
            assert!(expected || answer == json!({"active": false}), "{client}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_strangers_learn() {
    let gateway = grants::start("").await;
    both_discoveries(&gateway).await;
    a_stranger_finds_the_authorization_server(&gateway).await;
    only_named_origins_read_answers(&gateway).await;
}

async fn both_discoveries(gateway: &Gateway) {
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        let call = Call::get(path).header("origin", "https://anybody.test");
        let answer = gateway.send(&call).await.expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{answer}");
        let metadata = answer.json();
        assert_eq!(metadata["issuer"], gateway.url(""), "{metadata}");
        for (member, path) in [
            ("token_endpoint", "/oauth2/token"),
            ("authorization_endpoint", "/oauth2/authorize"),
            ("introspection_endpoint", "/oauth2/introspect"),
            ("revocation_endpoint", "/oauth2/revoke"),
            ("pushed_authorization_request_endpoint", "/oauth2/par"),
        ] {
            assert_eq!(metadata[member], gateway.url(path), "{member}");
            // What is named is there: it says what is wrong with nothing at all.
            let answer = post(gateway, path, "").await;
            assert_ne!(answer.status, 404, "{member}: {answer}");
        }
        let methods = metadata["token_endpoint_auth_methods_supported"].clone();
        let expected =
            json!(["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]);
        assert_eq!(methods, expected, "nobody sees certificates here");
    }
}

/// RFC 9728 §3, and from there to RFC 8414 §3.
async fn a_stranger_finds_the_authorization_server(gateway: &Gateway) {
    let path = "/.well-known/oauth-protected-resource";
    for (below, resource) in [("", gateway.url("")), ("/content", gateway.url("/content"))] {
        let metadata = gateway.send(&Call::get(&format!("{path}{below}"))).await.expect(200).json();
        assert_eq!(metadata["resource"], resource, "{metadata}");
        assert_eq!(metadata["authorization_servers"], json!([gateway.url("")]), "{metadata}");
    }
    gateway.send(&Call::get(&format!("{path}/other"))).await.expect(404);
}

async fn only_named_origins_read_answers(gateway: &Gateway) {
    for (origin, expected) in
        [("https://app.example.test", Some("https://app.example.test")), ("https://b.test", None)]
    {
        let asks = Call::new("OPTIONS", "/oauth2/token").header("origin", origin);
        let asks = asks.header("access-control-request-method", "POST");
        let answer = gateway.send(&asks).await.expect(204);
        assert_eq!(answer.header("access-control-allow-origin"), expected, "{answer}");
    }
}
