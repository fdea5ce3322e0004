//! Whoever gets hold of a copy of Redis and of the database has nothing that opens anything: no
//! token, code, session, key, password or seed is in them, in whichever form, and nothing that is in
//! them is taken for one. What was begun is in them, too, and goes on afterwards.
mod begun;
mod doors;
mod elsewhere;
mod everything;
mod keys;
mod passkeys;
mod proofs;
mod secrets;
mod stored;

use postern_e2e::documents;
use postern_e2e::gateway::{Builder, Gateway, Store};
use postern_e2e::postgres::Postgres;
use postern_e2e::provider::Provider;
use postern_e2e::redis;
use tempfile::TempDir;

use doors::{candidates, opens};
use everything::{Everything, everything};
use stored::{of_postgres, of_redis, of_sqlite};

/// More than a store of a test holds.
const MAX_CANDIDATES: usize = 5_000;
/// The suite's secret at the provider. Nothing in it is escaped on the way there.
const SECRET: &str = "Xq7Rb2Lw9Kd4Tn6Vy1Hs8Pm3Jc5Gz0Fa";

/// A gateway, and a provider at which people log in as well.
struct Stage {
    gateway: Gateway,
    provider: Provider,
    _folder: TempDir,
}

impl Stage {
    /// At `localhost`, because browsers bind passkeys to a name.
    async fn set(builder: Builder) -> Self {
        let provider = Provider::start().await;
        let more = ", users: create, role: teacher, domains: [corp.test]";
        let (document, folder) =
            crate::kit::elsewhere::document(&document(), &provider.issuer(), SECRET, more);
        let builder = builder.document(document).named("localhost").store(Store::Redis);
        Self { gateway: builder.start().await, provider, _folder: folder }
    }
}

/// The gateway of the other tests, with a route for keys.
fn document() -> String {
    let keyed = "\n  - name: keyed\n    match:\n      path: /keyed\n    service: content\n    \
                 auth:\n      any: [api_key]\n";
    let document = format!("{}{keyed}", documents::IDENTITY);
    let document = document.replacen("  session: {}\n", "  session: {}\n  api_key: {}\n", 1);
    document.replacen("\nlogin:\n", "\nlogin:\n  passkeys: {}\n", 1)
}

async fn holds_nothing(stage: &Stage, everything: Everything, stored: &[Vec<u8>]) {
    let total: usize = stored.iter().map(Vec::len).sum();
    assert!(total > 10_000, "only {total} bytes were found");
    let secrets = &everything.secrets;
    // The check can fail: what is no secret is found in the same way.
    for known in &secrets.known {
        let known = known.as_bytes();
        let is_there = |bytes: &Vec<u8>| bytes.windows(known.len()).any(|window| window == known);
        assert!(stored.iter().any(is_there), "no {}", String::from_utf8_lossy(known));
    }
    let found = secrets.found_in(stored);
    assert!(found.is_empty(), "stored as they are: {found:?}");

    let candidates = candidates(stored);
    assert!(candidates.len() > 20 && candidates.len() < MAX_CANDIDATES, "{}", candidates.len());
    for text in &candidates {
        let opened = opens(stage, &everything, text).await;
        assert!(opened.is_empty(), "{text} is taken for: {opened:?}");
    }
    // And it is the right door: the secrets themselves open.
    everything.open(stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_redis_and_sqlite_hold_no_secret() {
    if redis::is_skipped() {
        return;
    }
    let stage = Stage::set(Gateway::builder().durable()).await;
    let everything = everything(&stage).await;
    let mut stored = of_redis(&stage.gateway).await;
    stored.extend(of_sqlite(&stage.gateway));
    stored.push(stage.gateway.server.log().into_bytes());
    stored.push(stage.gateway.envoy.log().into_bytes());
    holds_nothing(&stage, everything, &stored).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_redis_and_postgresql_hold_no_secret() {
    if redis::is_skipped() {
        return;
    }
    let postgres = Postgres::start().await;
    let url = postgres.database("gate").await;
    let stage = Stage::set(Gateway::builder().durable_at(url)).await;
    let everything = everything(&stage).await;
    let mut stored = of_redis(&stage.gateway).await;
    stored.extend(of_postgres(&postgres, "gate").await);
    holds_nothing(&stage, everything, &stored).await;
}
