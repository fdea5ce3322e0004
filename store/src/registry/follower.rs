//! Follows the services of a document, and makes of what registries say what Envoys are told.
//!
//! Each service has a task. It waits for the registry's word, and asks by itself when an instance's
//! time is over. A registry that does not answer changes nothing of what was told before.

use std::collections::BTreeSet;
use std::future::pending;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postern_registry::{Snapshot, View};
use postern_request::UnixMillis;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Endpoints, Registry, RegistryError, Tasks};
use crate::{BoxFuture, StoreError};

/// The longest that a service is not asked about: what the registry has not said is found by then.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The shortest, where an instance's time is over and the registry has it still.
const SHORTEST_WAIT: Duration = Duration::from_millis(250);
/// How long after an end the registry is asked about it.
const AFTER_AN_END: Duration = Duration::from_millis(50);
/// Changes that come faster are told together.
const APART: Duration = Duration::from_millis(50);
/// How much longer than asked a registry may take.
const GRACE: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The time. It has to go on evenly: a clock that is set does more harm than one that is wrong.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// Who is told how following goes.
pub trait FollowerEvents: Send + Sync {
    /// The registry has said how a service is. So many of its instances made no sense.
    fn heard(&self, service: &str, view: &View, left_out: u32);

    /// It did not.
    fn failed(&self, service: &str, error: &RegistryError);

    /// A service is not followed any more.
    fn left(&self, service: &str);
}

/// Follows services, for as long as it lives.
pub struct Follower {
    shared: Arc<Shared>,
    tasks: Tasks,
}

struct Shared {
    registry: Arc<dyn Registry>,
    clock: Clock,
    events: Arc<dyn FollowerEvents>,
    wanted: Mutex<BTreeSet<String>>,
    snapshot: watch::Sender<Arc<Snapshot>>,
}

/// No holder panics in between, so what a poisoned lock guards is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Follower {
    /// One that follows nothing yet.
    #[must_use]
    pub fn new(registry: Arc<dyn Registry>, clock: Clock, events: Arc<dyn FollowerEvents>) -> Self {
        let shared = Shared {
            registry,
            clock,
            events,
            wanted: Mutex::default(),
            snapshot: watch::Sender::new(Arc::default()),
        };
        Self { shared: Arc::new(shared), tasks: Tasks::default() }
    }

    /// Follows these services from now on, and no others. What is known of those that stay is
    /// kept.
    pub fn follow(&self, services: &BTreeSet<String>) {
        // First, so that a task that is about to end tells nothing any more.
        lock(&self.shared.wanted).clone_from(services);
        let gone = self.tasks.follow(services, |service| {
            tokio::spawn(follow_one(Arc::clone(&self.shared), service.to_owned()))
        });
        for service in &gone {
            self.shared.events.left(service);
        }
        self.shared.change(|snapshot| snapshot.only(|name| services.contains(name)));
    }

    /// Whether something is known of each service that is followed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let snapshot = self.snapshot();
        lock(&self.shared.wanted).iter().all(|service| snapshot.get(service).is_some())
    }
}

impl Endpoints for Follower {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shared.snapshot.borrow())
    }

    fn changed(&self, seen: u64) -> BoxFuture<'_, Arc<Snapshot>> {
        let mut ear = self.shared.snapshot.subscribe();
        Box::pin(async move {
            let found = ear
                .wait_for(|snapshot| snapshot.version() != seen)
                .await
                .map(|snapshot| Arc::clone(&snapshot));
            match found {
                Ok(snapshot) => snapshot,
                // The other end is ours: it cannot be gone.
                Err(_) => pending().await,
            }
        })
    }
}

impl Shared {
    fn now(&self) -> UnixMillis {
        (self.clock)()
    }

    fn change(&self, make: impl FnOnce(&Snapshot) -> Option<Snapshot>) {
        self.snapshot.send_if_modified(|snapshot| {
            let Some(next) = make(snapshot) else { return false };
            *snapshot = Arc::new(next);
            true
        });
    }

    fn publish(&self, service: &str, view: &View) {
        let Some(endpoints) = view.endpoints(service, self.now()) else { return };
        self.change(|snapshot| {
            let is_wanted = lock(&self.wanted).contains(service);
            is_wanted.then(|| snapshot.with(endpoints)).flatten()
        });
    }

    /// How long the registry is waited for.
    fn wait(&self, view: &View) -> Duration {
        let end = view.next_end().map(|end| {
            Duration::from_millis(end.millis_since(self.now())).saturating_add(AFTER_AN_END)
        });
        end.unwrap_or(LONGEST_WAIT).clamp(SHORTEST_WAIT, LONGEST_WAIT)
    }

    /// Until the view says something else by the passing of time alone.
    async fn step(&self, view: &View) {
        let now = self.now();
        match view.next_step(now) {
            Some(at) => sleep(Duration::from_millis(at.millis_since(now))).await,
            None => pending().await,
        }
    }
}

async fn follow_one(shared: Arc<Shared>, service: String) {
    let mut view = View::default();
    let mut pause = FIRST_PAUSE;
    loop {
        let wait = shared.wait(&view);
        let asked = shared.registry.watch(&service, view.seen(), wait, shared.now());
        let asked = timeout(wait.saturating_add(GRACE), asked);
        tokio::pin!(asked);
        let answer = loop {
            tokio::select! {
                answer = &mut asked => break answer,
                () = shared.step(&view) => shared.publish(&service, &view),
            }
        };
        let answer = answer.unwrap_or_else(|_| {
            let why = "no answer from the registry".to_owned();
            Err(StoreError::Unavailable(why).into())
        });
        match answer {
            Ok(listing) => {
                let left_out = listing.left_out;
                view.apply(listing, shared.now());
                shared.events.heard(&service, &view, left_out);
                shared.publish(&service, &view);
                pause = FIRST_PAUSE;
                sleep(APART).await;
            }
            Err(error) => {
                shared.events.failed(&service, &error);
                sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// From half of a pause to all of it: a thousand services do not come back as one.
fn jittered(pause: Duration) -> Duration {
    // A keyed hash, with a key of its own each time, is as good as any number here.
    let part = u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(f64::from(part) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests;
