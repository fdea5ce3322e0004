//! The feed is cut, and nothing else: what is known counts for as long as the document says, then
//! nobody gets in whose token may have been revoked meanwhile.

use postern_e2e::client::{Call, Protocol};
use postern_e2e::fault_proxy::{FaultProxy, Way};
use postern_e2e::gateway::Gateway;
use postern_e2e::watch::Watch;
use postern_e2e::{documents, envoy, ports};

use crate::mix::{checked, content, token};
use crate::profile::Profile;
use crate::until_filter_stat;

const FAILURES: &str = "postern_filter_feed_failures_total";
const STALENESS: &str = "postern_filter_feed_staleness_ms";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_for_longer_than_the_document_allows_nobody_gets_in_until_it_is_back() {
    let profile = Profile::get();
    let proxy = FaultProxy::to_port(ports::free()).await;
    let port = proxy.port();
    let builder = Gateway::builder().document(documents::chaos(1, profile.staleness)).durable();
    let builder = builder.workers(2).edit_envoy(move |config| {
        envoy::lead_to(envoy::cluster(config, "postern_feed"), port);
    });
    let gateway = builder.start().await;
    proxy.lead_to(ports::local(gateway.server.ports().grpc));
    let client = gateway.client(Protocol::Http1);
    let (good, revoked) = (token("good"), token("revoked"));
    for token in [&good, &revoked] {
        gateway.until_everywhere(200, &content(token)).await;
    }
    gateway.revoke(&[&revoked]).await;
    gateway.until_revoked_everywhere(&content(&revoked)).await;

    for way in [Way::HalfOpen, Way::Refused] {
        let watch = Watch::begin(client, content(&revoked));
        cut(&gateway, &proxy, way, &good).await;
        watch.end(&[401, 503]).await;
    }
    until_filter_stat(&gateway, FAILURES, |failures| failures > 0).await;
}

async fn cut(gateway: &Gateway, proxy: &FaultProxy, way: Way, good: &str) {
    let profile = Profile::get();
    let client = gateway.client(Protocol::Http1);
    let later = token("later");
    gateway.until_everywhere(200, &content(&later)).await;
    proxy.switch(way).await;
    // Nobody hears of it.
    gateway.revoke(&[&later]).await;
    client.send(&content(good)).await.expect(200);

    tokio::time::sleep(profile.cut).await;
    for call in [content(good), checked(good), content(&later)] {
        let asked = gateway.upstream.total();
        for answer in gateway.until_everywhere(503, &call).await {
            let answer = answer.expect_denial(503, "UNAVAILABLE");
            assert!(answer.number("retry-after") >= 1, "{answer}");
        }
        assert_eq!(gateway.upstream.total(), asked, "the upstream was asked");
    }
    client.send(&Call::get("/open/page")).await.expect(200);
    let bound = u64::try_from(profile.cut.as_millis()).expect("a time") / 2;
    until_filter_stat(gateway, STALENESS, |millis| millis >= bound).await;

    proxy.switch(Way::FREE).await;
    gateway.until_everywhere(200, &content(good)).await;
    gateway.until_revoked_everywhere(&content(&later)).await;
    until_filter_stat(gateway, STALENESS, |millis| millis <= 2_000).await;
}
