//! What every volatile store must do. Each case uses keys of its own, so that all of them run
//! against one server.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod circuits;
mod failing;
mod in_flight;
mod keeping;
mod leases;
mod rates;
mod replays;
mod together;

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use postern_limits::{Algorithm, Anchor, InFlight, Rate, Spec};
use postern_request::UnixMillis;

use super::{Decision, DecisionAsk, GiveBack, LimitAsk, LimitKey, Take, VolatileStore};
use crate::BoxFuture;

pub use failing::open_circuit;

/// Runs every case. `now` must be near the store's own clock; `salt` keeps runs apart.
pub async fn run(store: &dyn VolatileStore, now: UnixMillis, salt: u8) {
    store.ping().await.unwrap();
    let case = Case { store, now, salt };
    rates::run(case).await;
    together::run(case).await;
    in_flight::run(case).await;
    keeping::run(case).await;
    leases::run(case).await;
    circuits::run(case).await;
    replays::run(case).await;
}

/// Runs what two replicas of one store have in common.
pub async fn run_replicas(
    one: &dyn VolatileStore,
    other: &dyn VolatileStore,
    now: UnixMillis,
    salt: u8,
) {
    circuits::replicas(Case { store: one, now, salt }, Case { store: other, now, salt }).await;
}

#[derive(Clone, Copy)]
struct Case<'s> {
    store: &'s dyn VolatileStore,
    now: UnixMillis,
    salt: u8,
}

impl Case<'_> {
    /// A key for this run. Names that begin with the same three letters have one owner.
    fn key(self, name: &str) -> LimitKey {
        let mut hash = [0; 16];
        let bytes = name.as_bytes();
        assert!(bytes.len() <= 15, "{name}");
        hash[..bytes.len()].copy_from_slice(bytes);
        hash[15] = self.salt;
        let owner = bytes
            .iter()
            .take(3)
            .fold(u64::from(self.salt), |owner, byte| (owner << 8) | u64::from(*byte));
        LimitKey { owner, hash }
    }

    /// One request of a rate that is kept for an hour, as a sliding window.
    fn ask(self, name: &str, requests: u64) -> LimitAsk {
        self.rate(name, hourly(Algorithm::SlidingWindow, requests), 1)
    }

    fn rate(self, name: &str, spec: Spec, cost: u64) -> LimitAsk {
        LimitAsk { key: self.key(name), take: Take::Rate { spec, cost }, shadow: false }
    }

    /// One of so many at a time, each for an hour at most.
    fn place(self, name: &str, max: u32, id: u64) -> LimitAsk {
        let spec = InFlight::new(max, 3_600_000).unwrap();
        LimitAsk { key: self.key(name), take: Take::InFlight { spec, id }, shadow: false }
    }

    async fn decide(self, limits: &[LimitAsk]) -> Decision {
        let ask = DecisionAsk { limits: limits.to_vec(), circuit: None };
        self.store.decide(&ask, self.now).await.unwrap()
    }

    /// Whether one limit lets a request through, and what it says is left.
    async fn take(self, limit: LimitAsk) -> (bool, u64) {
        let decision = self.decide(&[limit]).await;
        assert_eq!(decision.limits.len(), 1);
        let outcome = decision.limits[0];
        assert_eq!(decision.allowed, outcome.allowed || limit.shadow);
        (outcome.allowed, outcome.status.remaining)
    }

    async fn give_back(self, limit: LimitAsk) {
        let taken = [GiveBack { key: limit.key, take: limit.take }];
        self.store.give_back(&taken, self.now).await.unwrap();
    }

    /// The same case so much later; the store's own clock goes on too.
    async fn later(self, millis: u64) -> Self {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Self { now: UnixMillis(self.now.0 + millis), ..self }
    }
}

fn shadow(limit: LimitAsk) -> LimitAsk {
    LimitAsk { shadow: true, ..limit }
}

/// What each limit said.
fn allowed(decision: &Decision) -> Vec<bool> {
    decision.limits.iter().map(|limit| limit.allowed).collect()
}

/// What each limit has left.
fn remaining(decision: &Decision) -> Vec<u64> {
    decision.limits.iter().map(|limit| limit.status.remaining).collect()
}

fn hourly(algorithm: Algorithm, requests: u64) -> Spec {
    spec(algorithm, Rate::new(requests, 3_600_000).unwrap(), Anchor::Clock)
}

fn spec(algorithm: Algorithm, rate: Rate, anchor: Anchor) -> Spec {
    Spec::new(algorithm, rate, None, anchor).unwrap()
}

/// Every way of counting so many requests, each with a name for its keys.
fn every_way(requests: u64) -> Vec<(&'static str, Spec)> {
    let first_hit = Rate::new(requests, 3_600_000).unwrap();
    let monthly = Rate::monthly(requests).unwrap();
    vec![
        ("window", hourly(Algorithm::SlidingWindow, requests)),
        ("log", hourly(Algorithm::SlidingLog, requests)),
        ("bucket", hourly(Algorithm::TokenBucket, requests)),
        ("gcra", hourly(Algorithm::Gcra, requests)),
        ("fixed", hourly(Algorithm::FixedWindow, requests)),
        ("first", spec(Algorithm::FixedWindow, first_hit, Anchor::FirstHit)),
        ("month", spec(Algorithm::FixedWindow, monthly, Anchor::Clock)),
    ]
}

/// Waits for all calls at the same time.
async fn all_at_once<T>(mut calls: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut answers = Vec::with_capacity(calls.len());
    poll_fn(|context| {
        calls.retain_mut(|call| match call.as_mut().poll(context) {
            Poll::Ready(answer) => {
                answers.push(answer);
                false
            }
            Poll::Pending => true,
        });
        if calls.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers
}
