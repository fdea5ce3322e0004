//! Envoy is replaced while it runs: no connection is refused, and what is revoked or used up stays
//! so, in the old one and in the new one.

use postern_e2e::documents;
use postern_e2e::gateway::{Gateway, Store};

use crate::mix::{Mix, assert_all_answered, content, limited, token};
use crate::profile::Profile;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envoy_that_takes_over_takes_nothing_back_and_refuses_no_connection() {
    let builder = Gateway::builder().document(documents::chaos(1, "30s")).durable().workers(2);
    let mut gateway = builder.store(Store::Redis).hot_restarts().start().await;
    let mix = Mix::begin(&gateway).await.with_one_used_up(&gateway).await;
    let local = limited("local", &token("local"));
    gateway.until_status(429, &local).await;
    let load = mix.send(&gateway, Profile::get().calm_rate);
    load.until_more(Profile::get().calm_rate).await;
    for _ in 0..2 {
        gateway.envoy.hand_over().await;
        load.until_more(Profile::get().calm_rate).await;
        gateway.envoy.until_alone().await;
    }
    load.until_more(Profile::get().calm_rate).await;
    let sent = load.end().await;
    mix.assert_no_wrong_allow(&sent);
    assert_all_answered(&sent);
    // Until the new one has heard what is revoked it knows no token that is good.
    for one in mix.wrong_denials(&sent) {
        assert_ne!(mix.case(one).name, "open", "{one:?}");
    }
    gateway.until_everywhere(200, &content(&mix.good)).await;
    gateway.until_revoked_everywhere(&content(&mix.revoked)).await;
    // Its own limits begin anew.
    gateway.until_status(200, &local).await;
    gateway.envoy.assert_no_failed_machine().await;
}
