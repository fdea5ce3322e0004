//! Limits, circuits and what was seen, in memory: for one replica, and for a share of a limit
//! while the shared store is away.

mod replays;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use postern_circuit::{Admission, Circuit};
use postern_limits::sliding_window::Window;
use postern_request::UnixMillis;

use crate::volatile::{
    CircuitAsk, Decision, DecisionAsk, LimitAsk, LimitKey, ReplayKey, VolatileStore,
};
use crate::{BoxFuture, StoreError};
use replays::Replays;

const SHARDS: usize = 64;
/// Keys that one shard holds; 64 shards make four million.
const KEYS_PER_SHARD: usize = 65_536;
/// Circuits are as many as services; this bounds what a broken caller could add.
const MAX_CIRCUITS: usize = 100_000;

#[derive(Debug, Clone, Copy)]
struct Counted {
    window: Window,
    /// When both windows are over and the key can go.
    expires: UnixMillis,
}

/// The store.
#[derive(Debug)]
pub struct MemoryStore {
    shards: Vec<Mutex<HashMap<LimitKey, Counted>>>,
    circuits: Mutex<HashMap<String, Circuit>>,
    replays: Replays,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            circuits: Mutex::default(),
            replays: Replays::default(),
        }
    }
}

/// A poisoned lock guards what is whole in every state, so it is used as it is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shard_of(key: LimitKey) -> usize {
    // The key is a hash: any of its bytes spreads.
    key.0.last().copied().map_or(0, usize::from) % SHARDS
}

impl MemoryStore {
    /// Decides at once; the port wraps it.
    fn decide_now(&self, ask: &DecisionAsk, now: UnixMillis) -> Decision {
        let mut circuits = ask.circuit.as_ref().map(|circuit| (circuit, lock(&self.circuits)));
        let asked = circuits.as_ref().map(|(circuit, circuits)| {
            let standing = circuits.get(&circuit.service).copied().unwrap_or_default();
            standing.admit(circuit.settings, now)
        });
        let admission = asked.map_or(Admission::Pass, |(_, admission)| admission);
        if matches!(admission, Admission::Refused { .. }) {
            return Decision { limits: Vec::new(), admission };
        }
        // All shards of the request, locked in one order so that two requests never wait for
        // each other.
        let mut wanted: Vec<usize> = ask.limits.iter().map(|limit| shard_of(limit.key)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut locked: Vec<(usize, MutexGuard<'_, HashMap<LimitKey, Counted>>)> =
            wanted.into_iter().filter_map(|at| Some((at, lock(self.shards.get(at)?)))).collect();
        let mut taken = Vec::with_capacity(ask.limits.len());
        for limit in &ask.limits {
            let found = locked
                .iter()
                .find(|(at, _)| *at == shard_of(limit.key))
                .and_then(|(_, shard)| shard.get(&limit.key));
            let window = found.map_or_else(Window::default, |counted| counted.window);
            taken.push(window.take(limit.rate, limit.cost, now));
        }
        let decision = Decision { limits: taken.iter().map(|(_, o)| *o).collect(), admission };
        if decision.allows() {
            for (limit, (window, _)) in ask.limits.iter().zip(taken) {
                let shard = locked.iter_mut().find(|(at, _)| *at == shard_of(limit.key));
                if let Some((_, shard)) = shard {
                    remember(shard, limit, window, now);
                }
            }
            if let (Some((circuit, circuits)), Some((standing, Admission::Probe))) =
                (&mut circuits, asked)
            {
                circuits.insert(circuit.service.clone(), standing);
            }
        }
        decision
    }

    /// How many keys are counted; for health and tests.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }
}

fn remember(
    shard: &mut HashMap<LimitKey, Counted>,
    limit: &LimitAsk,
    window: Window,
    now: UnixMillis,
) {
    if shard.len() >= KEYS_PER_SHARD && !shard.contains_key(&limit.key) {
        shard.retain(|_, counted| counted.expires > now);
        if shard.len() >= KEYS_PER_SHARD {
            // Full of living keys: the one that ends first makes room.
            let first = shard.iter().min_by_key(|(_, counted)| counted.expires);
            if let Some(first) = first.map(|(key, _)| *key) {
                shard.remove(&first);
            }
        }
    }
    let expires = UnixMillis(now.0.saturating_add(limit.rate.period_ms().saturating_mul(2)));
    shard.insert(limit.key, Counted { window, expires });
}

impl VolatileStore for MemoryStore {
    fn decide<'a>(
        &'a self,
        ask: &'a DecisionAsk,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Decision, StoreError>> {
        Box::pin(async move { Ok(self.decide_now(ask, now)) })
    }

    fn record_outcome<'a>(
        &'a self,
        circuit: &'a CircuitAsk,
        success: bool,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Circuit, StoreError>> {
        Box::pin(async move {
            let mut circuits = lock(&self.circuits);
            if circuits.len() >= MAX_CIRCUITS && !circuits.contains_key(&circuit.service) {
                return Err(StoreError::Unavailable("too many circuits".to_owned()));
            }
            let standing = circuits.get(&circuit.service).copied().unwrap_or_default();
            let standing = standing.record(circuit.settings, success, now);
            circuits.insert(circuit.service.clone(), standing);
            Ok(standing)
        })
    }

    fn remember_once(
        &self,
        key: ReplayKey,
        keep_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { self.replays.remember_once(key, keep_ms, now) })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_limits::Rate;

    #[tokio::test]
    async fn it_keeps_the_contract() {
        let store = MemoryStore::default();
        crate::volatile::contract::run(&store, UnixMillis(7_200_000), 1).await;
    }

    #[tokio::test]
    async fn keys_are_bounded() {
        let store = MemoryStore::default();
        let rate = Rate::parse("1/1m").unwrap();
        for i in 0_u32..70_000 {
            let mut key = [0; 16];
            key[..4].copy_from_slice(&i.to_le_bytes());
            let ask = DecisionAsk {
                limits: vec![LimitAsk { key: LimitKey(key), rate, cost: 1 }],
                circuit: None,
            };
            store.decide(&ask, UnixMillis(0)).await.unwrap();
            if usize::try_from(i).unwrap() == KEYS_PER_SHARD + 10 {
                break;
            }
        }
        assert_eq!(store.keys(), KEYS_PER_SHARD);
    }
}
