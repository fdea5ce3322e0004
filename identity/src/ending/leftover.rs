//! What the volatile store did not do when it was asked, and is asked again.

use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use postern_request::UnixMillis;
use postern_store::FlowKey;
use tokio::time::MissedTickBehavior;

use super::Ending;
use crate::Clock;

/// How often it is asked again.
const RETRY_EVERY: Duration = Duration::from_secs(10);
/// For how long.
const RETRY_FOR_MS: u64 = 60 * 60 * 1000;
/// Most ends that wait.
pub(super) const MAX_WAITING: usize = 10_000;

/// What the volatile store has yet to forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leftover {
    Family(FlowKey),
    Session(String),
    /// A session that it could not show: what came of it has to be found first.
    Whole {
        id: String,
        why: &'static str,
        by: String,
    },
    /// All sessions of a user.
    SessionsOf(String),
    /// What may have begun in a browser's session while that was ended.
    GrantsOf {
        user_id: String,
        parent: String,
        why: &'static str,
    },
}

pub(super) struct Waiting {
    pub(super) what: Leftover,
    pub(super) until: UnixMillis,
}

impl Ending {
    pub(super) fn put_off(&self, what: Leftover, now: UnixMillis) {
        let mut waiting = self.waiting();
        if waiting.iter().any(|known| known.what == what) {
            return;
        }
        if waiting.len() >= MAX_WAITING {
            waiting.pop_front();
            tracing::error!("more ends wait for the volatile store than are kept");
        }
        waiting.push_back(Waiting { what, until: UnixMillis(now.0.saturating_add(RETRY_FOR_MS)) });
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a session as [`Ending::session`] does; where a store does not answer, that is tried
    /// again, for those whose own work stands whatever comes of it.
    pub async fn session_or_later(&self, id: &str, why: &'static str, by: &str, now: UnixMillis) {
        if let Err(error) = self.session(id, why, by, now).await {
            tracing::warn!(%error, why, session = id, "a session has yet to end");
            self.put_off(Leftover::Whole { id: id.to_owned(), why, by: by.to_owned() }, now);
        }
    }

    /// Tries what the volatile store has not done; how much is left. What was tried for an hour is
    /// given up: nothing is good again for that, its end is remembered for as long as it can live.
    pub async fn retry(&self, now: UnixMillis) -> usize {
        let all = std::mem::take(&mut *self.waiting());
        for Waiting { what, until } in all {
            let done = match what.clone() {
                Leftover::Family(key) => self.flows.end_family(key, None, now).await.map(drop),
                Leftover::Session(id) => self.flows.end_session(&id, now).await.map(drop),
                Leftover::SessionsOf(id) => self.forget_sessions_of(&id, now).await.map(drop),
                Leftover::GrantsOf { user_id, parent, why } => {
                    self.end_grants_of(&user_id, &parent, why, now).await
                }
                // It puts itself off again, for as long as is left.
                Leftover::Whole { id, why, by } => self.session(&id, why, &by, now).await.map(drop),
            };
            let mut waiting = self.waiting();
            waiting.retain(|known| known.what != what);
            if done.is_err() && now < until {
                waiting.push_back(Waiting { what, until });
            }
        }
        self.waiting().len()
    }
}

/// Calls [`Ending::retry`] for as long as it is polled: spawn it, and abort it at the end.
pub async fn retry_ends(ending: Arc<Ending>, clock: Clock) {
    let mut ticks = tokio::time::interval(RETRY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        ending.retry(clock()).await;
    }
}
