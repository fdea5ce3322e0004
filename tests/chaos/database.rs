//! PostgreSQL is refused, hangs, or crashes: what must be looked up says so, what is known goes on,
//! and when it is back nothing has to be started again.

use postern_e2e::client::{Call, Protocol};
use postern_e2e::fault_proxy::{FaultProxy, Way};
use postern_e2e::gateway::Gateway;
use postern_e2e::oauth::{api_key, client_credentials};
use postern_e2e::postgres::{self, Postgres};
use postern_e2e::server::{self, Durable};
use postern_e2e::{documents, keys};

use crate::until_metric;

const REVOCATION: &str = "\nrevocation:\n  max_staleness: 2m\n  when_stale: deny\n";
const READS: &str = "postern_feed_store_reads_total";
const DECISIONS: &str = "postern_ext_authz_decisions_total";

/// What is asked in one outage.
struct Round {
    durable: Durable,
    /// An API key that the server has seen, and one that it has not.
    seen: Call,
    unseen: Call,
    /// For a token.
    grant: Call,
}

fn with_key(key: &str) -> Call {
    Call::get("/commerce/orders").header("x-api-key", key)
}

impl Round {
    async fn prepare(gateway: &Gateway) -> Self {
        let durable = gateway.durable.clone().expect("a durable store");
        let seen = with_key(&api_key(&durable).await);
        gateway.until_status(200, &seen).await;
        let unseen = with_key(&api_key(&durable).await);
        let (grant, _) = client_credentials(&durable).await;
        Self { durable, seen, unseen, grant }
    }

    /// What need not be looked up, and the keys that must be.
    async fn without_it(&self, gateway: &Gateway) {
        let labels = [("route", "commerce"), ("outcome", "UNAVAILABLE")];
        let counted = gateway.server.metric(DECISIONS, &labels).await;
        for protocol in Protocol::ALL {
            let client = gateway.client(protocol);
            let asked = gateway.upstream.total();
            let answer = client.send(&self.unseen).await.expect_denial(503, "UNAVAILABLE");
            assert!(answer.number("retry-after") >= 1, "{answer}");
            assert_eq!(gateway.upstream.total(), asked, "the upstream was asked");
            for call in [&self.seen, &with_key(&documents::sample_api_key())] {
                client.send(call).await.expect(200);
            }
            client.send(&Call::get("/oauth2/jwks")).await.expect(200);
        }
        let now = gateway.server.metric(DECISIONS, &labels).await;
        assert!(now >= counted + 2, "{now} after {counted}");
    }

    /// The same where the database says no at once: so does everything that writes.
    async fn refused(&self, gateway: &Gateway) {
        let failed = gateway.server.metric(READS, &[("outcome", "failed")]).await;
        self.without_it(gateway).await;
        let answer = gateway.send(&self.grant).await;
        let answer = answer.expect_denial(503, "temporarily_unavailable");
        assert!(answer.number("retry-after") >= 1, "{answer}");
        let words = ["token", "revoke", "--issuer", keys::ISSUER, "--subject", "somebody"];
        let finished = server::run(self.durable.arguments(&words)).await;
        assert_ne!(finished.code, Some(0), "{finished}");
        until_metric(gateway, READS, &[("outcome", "failed")], |now| now > failed).await;
    }

    async fn with_it(&self, gateway: &Gateway) {
        let good = gateway.server.metric(READS, &[("outcome", "good")]).await;
        for call in [&self.unseen, &self.grant, &self.seen] {
            gateway.until_status(200, call).await;
        }
        until_metric(gateway, READS, &[("outcome", "good")], |now| now > good).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_postgresql_what_is_known_goes_on_and_the_rest_says_so() {
    let mut postgres = Postgres::start().await;
    postgres.database("gate").await;
    let proxy = FaultProxy::to_port(postgres.port()).await;
    let document = format!("{}{REVOCATION}", documents::sample());
    let builder = Gateway::builder().document(document);
    let gateway = builder.durable_at(postgres::url(proxy.port(), "gate")).start().await;

    let round = Round::prepare(&gateway).await;
    proxy.switch(Way::HalfOpen).await;
    round.without_it(&gateway).await;
    proxy.switch(Way::FREE).await;
    round.with_it(&gateway).await;

    let round = Round::prepare(&gateway).await;
    proxy.switch(Way::Refused).await;
    round.refused(&gateway).await;
    proxy.switch(Way::FREE).await;
    round.with_it(&gateway).await;

    let round = Round::prepare(&gateway).await;
    postgres.take_down();
    round.refused(&gateway).await;
    postgres.bring_up().await;
    round.with_it(&gateway).await;
}
