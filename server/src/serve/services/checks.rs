//! Checks the instances of services. Of several servers one does, for each service: whoever has the
//! turn, for as long as it goes on with it.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use postern_feed::Jitter;
use postern_registry::{Health, Instance, Listed, Standing};
use postern_request::UnixMillis;
use postern_store::durable::InstanceHealth;
use postern_store::registry::{Checker, Report, Tasks};
use postern_store::{IdentityStore, Registry, RegistryError};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::known::Known;
use super::metrics::Metrics;
use super::probe::{Prober, Share};
use crate::commands::now;

/// How long a turn is. A server that is gone is followed by another one after that.
const TURN: Duration = Duration::from_secs(15);
/// How often it is gone on with.
const RENEW: Duration = Duration::from_secs(5);
/// How often somebody who has not the turn asks for it.
const ASK: Duration = Duration::from_secs(5);
/// How long nothing is heard of a service where nothing changes.
const LISTEN: Duration = Duration::from_secs(30);

/// Checks services.
pub struct Checks {
    shared: Arc<Shared>,
    tasks: Tasks,
}

struct Shared {
    registry: Arc<dyn Registry>,
    durable: Option<Arc<dyn IdentityStore>>,
    metrics: Metrics,
    prober: Prober,
    jitter: Jitter,
    checker: Checker,
}

impl Checks {
    /// Checks nothing yet.
    ///
    /// # Errors
    /// When there is nothing to ask with.
    pub fn new(
        registry: Arc<dyn Registry>,
        durable: Option<Arc<dyn IdentityStore>>,
        metrics: Metrics,
    ) -> Result<Self> {
        let shared = Shared {
            registry,
            durable,
            metrics,
            prober: Prober::new()?,
            jitter: Jitter::random(),
            checker: Checker(RandomState::new().hash_one(0_u8)),
        };
        Ok(Self { shared: Arc::new(shared), tasks: Tasks::default() })
    }

    /// Checks these services from now on, and no others.
    pub fn follow(&self, services: &BTreeSet<String>) {
        self.tasks.follow(services, |service| {
            tokio::spawn(keep_checking(Arc::clone(&self.shared), service.to_owned()))
        });
    }
}

/// What came of a check.
struct Checked {
    id: String,
    place: SocketAddr,
    standing: Standing,
}

async fn keep_checking(shared: Arc<Shared>, service: String) {
    loop {
        let turn = async {
            if shared.claim(&service).await? {
                turn(&shared, &service).await?;
            }
            Ok::<_, RegistryError>(())
        };
        if let Err(error) = turn.await {
            tracing::debug!(service, %error, "the registry cannot be asked what to check");
        }
        sleep(shared.jitter.around(ASK)).await;
    }
}

/// Until somebody else has the turn, or the registry does not answer.
async fn turn(shared: &Arc<Shared>, service: &str) -> Result<(), RegistryError> {
    let mut known = Known::new();
    // What is under way ends with the turn.
    let mut running: JoinSet<Checked> = JoinSet::new();
    let share = Arc::new(Share::default());
    let mut renew_at = Instant::now() + RENEW;
    let mut asked = shared.registry.watch(service, None, LISTEN, now());
    loop {
        tokio::select! {
            listing = &mut asked => {
                known.learn(listing?);
                asked = shared.registry.watch(service, known.version(), LISTEN, now());
            }
            Some(checked) = running.join_next() => match checked {
                Ok(Checked { id, place, standing }) => known.done(&id, place, standing),
                Err(_) => known.lost(),
            },
            () = sleep_until(renew_at) => {
                if !shared.claim(service).await? {
                    return Ok(());
                }
                renew_at = Instant::now() + RENEW;
            }
            () = sleep_until(known.next_due()) => {}
        }
        let (at, heard) = (known.now(), Instant::now());
        for listed in known.take_due() {
            running.spawn(check(Arc::clone(shared), Arc::clone(&share), listed, at, heard));
        }
    }
}

/// Checks an instance, and says what came of it. `at` was the registry's time at `heard`.
async fn check(
    shared: Arc<Shared>,
    share: Arc<Share>,
    listed: Listed,
    at: UnixMillis,
    heard: Instant,
) -> Checked {
    let Listed { instance, standing: before, .. } = listed;
    let place = instance.socket();
    let Some(check) = &instance.check else {
        return Checked { id: instance.id, place, standing: before };
    };
    let outcome = shared.prober.check(&instance, check, &share).await;
    shared.metrics.checked(outcome);
    let passed = u64::try_from(heard.elapsed().as_millis()).unwrap_or(u64::MAX);
    let theirs = UnixMillis(at.0.saturating_add(passed));
    let standing = before.after(check, outcome, theirs);
    shared.report(&instance, before, standing, theirs).await;
    Checked { id: instance.id, place, standing }
}

impl Shared {
    async fn claim(&self, service: &str) -> Result<bool, RegistryError> {
        let life_ms = u64::try_from(TURN.as_millis()).unwrap_or(u64::MAX);
        self.registry.claim(service, self.checker, life_ms, now()).await
    }

    async fn report(
        &self,
        instance: &Instance,
        before: Standing,
        standing: Standing,
        now: UnixMillis,
    ) {
        let (service, id) = (instance.service.as_str(), instance.id.as_str());
        let place = instance.socket();
        let report = Report { service, id, place, checker: self.checker, standing };
        match self.registry.report(report, now).await {
            Ok(true) if before.health != standing.health => {
                tell(instance, before.health, standing);
                self.keep(instance, standing).await;
            }
            Ok(_) => {}
            // The next check says it again.
            Err(error) => tracing::debug!(service, id, %error, "a check was not told of"),
        }
    }

    /// For whoever looks at the table of instances that stay.
    async fn keep(&self, instance: &Instance, standing: Standing) {
        let Some(durable) = self.durable.as_ref().filter(|_| instance.stays) else { return };
        let (service, id) = (instance.service.as_str(), instance.id.as_str());
        let health = InstanceHealth {
            health: standing.health,
            failures: standing.failures,
            average_ms: standing.response_ms,
        };
        if let Err(error) = durable.set_instance_health(service, id, health).await {
            tracing::debug!(service, id, %error, "how an instance is was not written down");
        }
    }
}

fn tell(instance: &Instance, before: Health, standing: Standing) {
    let (service, id, address) = (&instance.service, &instance.id, instance.place());
    let (before, health) = (before.as_str(), standing.health.as_str());
    if standing.health == Health::Unhealthy {
        tracing::warn!(service, id, address, before, "an instance is unhealthy");
    } else {
        tracing::info!(service, id, address, before, health, "an instance is another one now");
    }
}

#[cfg(test)]
mod tests;
