//! The bus of revocations in a real Redis: the contract that the one in memory keeps, and what
//! happens when Redis goes away or forgets.

use std::sync::Arc;
use std::time::Duration;

use postern_e2e::redis::Redis;
use postern_e2e::wait;
use postern_request::UnixMillis;
use postern_revocation::{Revocation, RevocationKind};
use postern_store::StoreError;
use postern_store::bus::{RevocationBus as _, Wakeup, Wakeups, contract};
use postern_store_redis::RedisStore;
use redis::FromRedisValue;
use tokio::time::timeout;

const NOW: UnixMillis = UnixMillis(1_000_000);
const LONGEST: Duration = Duration::from_secs(15);

/// One replica's end: connected, and its listener at work.
async fn replica(url: &str) -> Arc<RedisStore> {
    let store = Arc::new(RedisStore::new(url).expect("a store"));
    let mut wakeups = store.subscribe();
    let listener = Arc::clone(&store);
    tokio::spawn(async move { listener.keep_listening().await });
    timeout(LONGEST, store.keep_connected()).await.expect("connected");
    until(&mut wakeups, Wakeup::Connected).await;
    store
}

/// A listener that has heard that it hears: that word stands for news that came before it.
async fn connected(replica: &RedisStore) -> Wakeups {
    let mut wakeups = replica.subscribe();
    until(&mut wakeups, Wakeup::Connected).await;
    wakeups
}

/// Listens until this is heard; others may come before it.
async fn until(wakeups: &mut Wakeups, expected: Wakeup) {
    let heard = async { while wakeups.next().await.expect("the bus is gone") != expected {} };
    let in_time = timeout(LONGEST, heard).await;
    assert!(in_time.is_ok(), "{expected:?} was not heard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_the_contract_of_the_bus() {
    let redis = Redis::start().await;
    let (here, there) = (replica(&redis.url()).await, replica(&redis.url()).await);
    contract::run(&*here, &*there).await;
}

/// What a command answers.
async fn ask<T: FromRedisValue>(redis: &Redis, words: &[&str]) -> T {
    let client = redis::Client::open(redis.url()).expect("a client");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command.query_async(&mut connection).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_marked_for_as_long_as_they_live() {
    let redis = Redis::start().await;
    let store = replica(&redis.url()).await;
    let token = Revocation::at(1_000, RevocationKind::Token, "i", "t", 1_060).unwrap();
    let key = Revocation::at(1_000, RevocationKind::Key, "i", "k", 9_000).unwrap();
    store.publish(1, &[token, key], NOW).await.unwrap();

    // printf 'i\nt' | sha256sum
    let mark =
        "postern:jwt:blacklist:{4ecaa68a96ebd83b1804267dcf73fffe4c5a921e43d451b8c2cc6ca37fe3ca6b}";
    let value: Option<String> = ask(&redis, &["GET", mark]).await;
    assert_eq!(value.as_deref(), Some("revoked"));
    let left: u64 = ask(&redis, &["TTL", mark]).await;
    assert!((50..=60).contains(&left), "{left}");
    let marks: Vec<String> = ask(&redis, &["KEYS", "postern:jwt:*"]).await;
    assert_eq!(marks, [mark], "nothing but tokens is marked");
    let left: u64 = ask(&redis, &["TTL", "postern:revocations"]).await;
    assert!((3_000..=3_600).contains(&left), "every key has an end: {left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flushed_stream_deafens_nobody() {
    let redis = Redis::start().await;
    let (here, there) = (replica(&redis.url()).await, replica(&redis.url()).await);
    let mut wakeups = connected(&there).await;
    let _: u64 = ask(&redis, &["DEL", "postern:revocations"]).await;
    here.publish(1, &[], NOW).await.unwrap();
    until(&mut wakeups, Wakeup::News(1)).await;

    // An entry of a server whose clock was far ahead: all that come after the flush are older.
    let entry = ["XADD", "postern:revocations", "9999999999999-0", "seq", "2"];
    let _: String = ask(&redis, &entry).await;
    until(&mut wakeups, Wakeup::News(2)).await;
    let _: u64 = ask(&redis, &["DEL", "postern:revocations"]).await;
    here.publish(3, &[], NOW).await.unwrap();
    until(&mut wakeups, Wakeup::Connected).await;
    here.publish(4, &[], NOW).await.unwrap();
    until(&mut wakeups, Wakeup::News(4)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_find_each_other_again_after_redis_was_away() {
    let Some(mut redis) = Redis::down_or_skip() else { return };
    redis.bring_up().await;
    let (here, there) = (replica(&redis.url()).await, replica(&redis.url()).await);
    let (mut own, mut wakeups) = (connected(&here).await, connected(&there).await);
    here.publish(1, &[], NOW).await.unwrap();
    until(&mut wakeups, Wakeup::News(1)).await;

    redis.take_down();
    let answer = here.publish(2, &[], NOW).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    until(&mut own, Wakeup::News(2)).await;

    // The other replica is told of the gap, and that it is over: it reads what it missed.
    until(&mut wakeups, Wakeup::Lost).await;
    redis.bring_up().await;
    until(&mut wakeups, Wakeup::Connected).await;
    let publish = || here.publish(3, &[], NOW);
    wait::until("published revocation", LONGEST, publish).await;
    until(&mut wakeups, Wakeup::News(3)).await;
}
