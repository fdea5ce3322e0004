//! Another token for one that is there (RFC 8693).

use std::time::Duration;

use crate::kit::grants::{
    self, add_client, add_user, by_secret, claims, confidential, post, text, texts,
};
use postern_e2e::client::Call;
use postern_e2e::wait;
use postern_store::durable::ClientRecord;
use serde_json::json;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

fn exchange(client: &str, subject: &str) -> String {
    let client = by_secret(client);
    format!("grant_type={GRANT}&{client}&subject_token={subject}&subject_token_type={ACCESS}")
}

fn service(id: &str, may_act_for: &str) -> ClientRecord {
    ClientRecord {
        grant_types: texts(&format!("client_credentials {GRANT}")),
        scopes: texts("content.read"),
        may_act_for: may_act_for
            .split(' ')
            .filter(|id| !id.is_empty())
            .map(str::to_owned)
            .collect(),
        ..confidential(id)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_calls_the_next_one_for_its_user() {
    let gateway = grants::start("").await;
    add_client(&gateway, service("orders", "postern-login")).await;
    add_client(&gateway, service("stranger", "")).await;
    let password = add_user(&gateway).await;
    let tokens = grants::log_in(&gateway, &password).await;
    let subject = text(&tokens, "accessToken");

    let own = format!("grant_type=client_credentials&{}", by_secret("orders"));
    let own = post(&gateway, "/oauth2/token", &own).await.expect(200).json();
    let actor = format!(
        "{}&actor_token={}&actor_token_type={ACCESS}",
        exchange("orders", subject),
        text(&own, "access_token")
    );
    let answer = post(&gateway, "/oauth2/token", &actor).await.expect(200).json();
    assert_eq!(
        (text(&answer, "issued_token_type"), text(&answer, "scope")),
        (ACCESS, "content.read")
    );
    let exchanged = text(&answer, "access_token");
    let (before, after) = (claims(subject), claims(exchanged));
    assert_eq!((&after["sub"], &after["client_id"]), (&before["sub"], &json!("orders")));
    assert_eq!(after["act"], json!({"sub": "orders", "client_id": "orders"}));
    assert!(after["exp"].as_u64() <= before["exp"].as_u64(), "{after} {before}");
    let opened = gateway.until_status(200, &Call::get("/content/a").bearer(exchanged)).await;
    assert_eq!(opened.upstream_header("x-postern-client"), Some(json!("orders")));
    assert_eq!(opened.upstream_header("x-postern-subject"), Some(before["sub"].clone()));

    for (form, error) in [
        (exchange("stranger", subject), "unauthorized_client"),
        (exchange("orders", "junk"), "invalid_request"),
        (exchange("orders", text(&tokens, "refreshToken")), "invalid_request"),
        (format!("{}&scope=content.write", exchange("orders", subject)), "invalid_scope"),
        (
            format!("{}&resource=https://unknown.test", exchange("orders", subject)),
            "invalid_target",
        ),
    ] {
        let refused = post(&gateway, "/oauth2/token", &form).await.expect(400);
        assert_eq!(refused.json()["error"], error, "{refused}");
    }

    // Log-out ends what came of the session, whoever holds it.
    gateway.send(&Call::post("/auth/logout").bearer(subject)).await.expect(204);
    let asked = format!("{}&token={exchanged}", by_secret("orders"));
    let gateway = &gateway;
    wait::until("an exchanged token that has ended", Duration::from_secs(20), || {
        let asked = asked.clone();
        async move {
            let answer = post(gateway, "/oauth2/introspect", &asked).await;
            if answer.json()["active"] == false { Ok(()) } else { Err(answer.to_string()) }
        }
    })
    .await;
    let refused = post(gateway, "/oauth2/token", &exchange("orders", subject)).await.expect(400);
    assert_eq!(refused.json()["error"], "invalid_request", "{refused}");
}
