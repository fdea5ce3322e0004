//! The stores against a real server: the same contract that the ones in memory keep.
#![allow(clippy::expect_used, reason = "tests")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use postern_e2e::redis::Redis;
use postern_request::UnixMillis;
use postern_store::volatile::contract;
use postern_store_redis::RedisStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_the_volatile_contract() {
    let redis = Redis::start().await;
    let store = RedisStore::new(&redis.url()).expect("a store");
    tokio::time::timeout(Duration::from_secs(10), store.keep_connected()).await.expect("connected");
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let now = UnixMillis(u64::try_from(since.as_millis()).expect("a time"));
    contract::run(&store, now, 1).await;
}
