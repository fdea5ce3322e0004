//! The contract of [`FlowStore`], as a test suite that every implementation passes. Each run has
//! keys of its own, so that many of them go against one server.
//!
//! Stores have clocks of their own: what ends is given a short life and waited for.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "assertions of a test suite, compiled for tests only"
)]

mod codes;
mod families;
mod parallel;
mod sessions;
mod touches;
mod values;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_request::UnixMillis;

use super::{FlowKey, FlowKind, FlowStore};

/// How long what lives shortly lives: long enough for a few calls to a store that is busy.
const SHORT_MS: u64 = 1_500;
/// How long nothing here takes.
const LONG_MS: u64 = 3_600_000;
/// How long is waited for an end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs every case. The clock must be near the store's own.
///
/// # Panics
/// When the store breaks the contract.
pub async fn run(store: &dyn FlowStore, clock: &dyn Fn() -> UnixMillis) {
    let case = Case { store, clock, salt: salt() };
    values::run(case).await;
    codes::run(case).await;
    families::run(case).await;
    sessions::run(case).await;
    touches::run(case).await;
}

/// Lets many ask the same at once.
///
/// # Panics
/// When the store breaks the contract.
pub async fn parallel(store: Arc<dyn FlowStore>, clock: &dyn Fn() -> UnixMillis) {
    parallel::run(&store, clock(), salt()).await;
}

fn salt() -> u64 {
    RandomState::new().hash_one(0_u8)
}

#[derive(Clone, Copy)]
struct Case<'s> {
    store: &'s dyn FlowStore,
    clock: &'s dyn Fn() -> UnixMillis,
    /// Keeps runs apart.
    salt: u64,
}

impl Case<'_> {
    fn now(self) -> UnixMillis {
        (self.clock)()
    }

    /// A moment so much later.
    fn in_ms(self, millis: u64) -> UnixMillis {
        UnixMillis(self.now().0 + millis)
    }

    /// A name for this run.
    fn name(self, name: &str) -> String {
        format!("{name} {:016x}", self.salt)
    }

    fn key(self, kind: FlowKind, name: &str) -> FlowKey {
        FlowKey::of(kind, self.name(name).as_bytes())
    }

    async fn put(self, key: FlowKey, value: &[u8], keep_ms: u64) -> bool {
        self.store.put(key, value, keep_ms, self.now()).await.unwrap()
    }

    async fn peek(self, key: FlowKey) -> Option<Vec<u8>> {
        self.store.peek(key, self.now()).await.unwrap()
    }

    async fn take(self, key: FlowKey) -> Option<Vec<u8>> {
        self.store.take(key, self.now()).await.unwrap()
    }

    async fn swap(self, key: FlowKey, from: &[u8], to: &[u8]) -> bool {
        self.store.swap(key, from, to, self.now()).await.unwrap()
    }
}

/// Waits until something is over.
async fn until(what: &str, mut is_over: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_over().await {
        assert!(began.elapsed() < PATIENCE, "still not over: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Longer than what lives shortly lives.
async fn wait_out_what_is_short() {
    tokio::time::sleep(Duration::from_millis(SHORT_MS + 300)).await;
}
