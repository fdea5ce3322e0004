//! The registry of a single replica.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postern_registry::{Instance, Listed, Listing, MAX_INSTANCES, Standing, Version};
use postern_request::UnixMillis;
use tokio::time::Instant;

use super::{Bells, Checker, Registry, RegistryError, Report};
use crate::BoxFuture;

/// The most services that are kept.
const MAX_SERVICES: usize = 10_000;
/// There is one: it remembers for as long as the process lives.
const EPOCH: u64 = 1;

/// Instances in memory: gone with the process.
#[derive(Debug, Default)]
pub struct MemoryRegistry {
    services: Mutex<Services>,
    bells: Bells,
}

#[derive(Debug, Default)]
struct Services {
    by_name: BTreeMap<String, Service>,
    /// Of all changes: a service that comes back has a greater number than it had.
    changes: u64,
    /// Whose turn it is to check a service, and until when.
    turns: BTreeMap<String, (Checker, UnixMillis)>,
}

#[derive(Debug, Default)]
struct Service {
    number: u64,
    instances: BTreeMap<String, Kept>,
}

#[derive(Debug)]
struct Kept {
    instance: Instance,
    standing: Standing,
    ends: UnixMillis,
}

impl Services {
    /// A service without what is over by now.
    fn get(&mut self, name: &str, now: UnixMillis) -> Option<&mut Service> {
        let Self { by_name, changes, .. } = self;
        let service = by_name.get_mut(name)?;
        let before = service.instances.len();
        service.instances.retain(|_, kept| kept.ends > now);
        if service.instances.len() < before {
            *changes += 1;
            service.number = *changes;
        }
        Some(service)
    }

    /// The same, made where there is room for one.
    fn get_or_make(&mut self, name: &str, now: UnixMillis) -> Option<&mut Service> {
        if self.get(name, now).is_none() {
            if self.by_name.len() >= MAX_SERVICES {
                self.by_name.retain(|_, service| {
                    service.instances.retain(|_, kept| kept.ends > now);
                    !service.instances.is_empty()
                });
            }
            if self.by_name.len() >= MAX_SERVICES {
                return None;
            }
            self.by_name.insert(name.to_owned(), Service::default());
        }
        self.by_name.get_mut(name)
    }

    /// Counts a change.
    fn change(&mut self, name: &str) {
        self.changes += 1;
        if let Some(service) = self.by_name.get_mut(name) {
            service.number = self.changes;
        }
    }

    fn register(&mut self, instance: &Instance, now: UnixMillis) -> Result<bool, RegistryError> {
        let service = self.get_or_make(&instance.service, now).ok_or(RegistryError::Full)?;
        let ends = UnixMillis(now.0.saturating_add(instance.ttl_ms));
        let full = service.instances.len() >= MAX_INSTANCES;
        let is_changed = match service.instances.get_mut(&instance.id) {
            Some(kept) => {
                kept.ends = ends;
                let is_changed = kept.instance != *instance;
                if kept.instance.socket() != instance.socket() {
                    kept.standing = Standing::new(now);
                }
                kept.instance = instance.clone();
                is_changed
            }
            None if full => return Err(RegistryError::Full),
            None => {
                let standing = Standing::new(now);
                let kept = Kept { instance: instance.clone(), standing, ends };
                service.instances.insert(instance.id.clone(), kept);
                true
            }
        };
        if is_changed {
            self.change(&instance.service);
        }
        Ok(is_changed)
    }

    fn heartbeat(&mut self, service: &str, id: &str, now: UnixMillis) -> bool {
        let service = self.get(service, now);
        let kept = service.and_then(|service| service.instances.get_mut(id));
        let is_there = kept.is_some();
        if let Some(kept) = kept {
            kept.ends = UnixMillis(now.0.saturating_add(kept.instance.ttl_ms));
        }
        is_there
    }

    fn deregister(&mut self, service: &str, id: &str, now: UnixMillis) -> bool {
        let was_there =
            self.get(service, now).is_some_and(|service| service.instances.remove(id).is_some());
        if was_there {
            self.change(service);
        }
        was_there
    }

    fn list(&mut self, service: &str, now: UnixMillis) -> Listing {
        let Some(service) = self.get(service, now) else {
            return Listing {
                version: Version { epoch: EPOCH, number: 0 },
                at: now,
                ..Listing::default()
            };
        };
        let listed = |kept: &Kept| Listed {
            instance: kept.instance.clone(),
            standing: kept.standing,
            expires_in_ms: Some(kept.ends.millis_since(now)),
        };
        Listing {
            version: Version { epoch: EPOCH, number: service.number },
            at: now,
            entries: service.instances.values().map(listed).collect(),
            left_out: 0,
        }
    }

    fn claim(&mut self, name: &str, checker: Checker, life_ms: u64, now: UnixMillis) -> bool {
        let turn = self.turns.get(name);
        if turn.is_some_and(|(whose, until)| *whose != checker && *until > now) {
            return false;
        }
        if self.turns.len() >= MAX_SERVICES {
            self.turns.retain(|_, (_, until)| *until > now);
        }
        let until = UnixMillis(now.0.saturating_add(life_ms));
        self.turns.insert(name.to_owned(), (checker, until));
        true
    }

    /// Whether it counts, and whether the instance is healthier or less healthy by it.
    fn report(&mut self, report: &Report<'_>, now: UnixMillis) -> (bool, bool) {
        let turn = self.turns.get(report.service);
        if turn.is_none_or(|(whose, until)| *whose != report.checker || *until <= now) {
            return (false, false);
        }
        let Some(service) = self.get(report.service, now) else { return (false, false) };
        let at_place = |kept: &&mut Kept| kept.instance.socket() == report.place;
        let Some(kept) = service.instances.get_mut(report.id).filter(at_place) else {
            return (false, false);
        };
        let is_changed = kept.standing.health != report.standing.health;
        kept.standing = report.standing;
        if is_changed {
            self.change(report.service);
        }
        (true, is_changed)
    }
}

impl MemoryRegistry {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No method panics between two changes, so what a poisoned lock guards is still whole.
    fn state(&self) -> MutexGuard<'_, Services> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rung<T>(&self, service: &str, is_changed: bool, answer: T) -> T {
        if is_changed {
            self.bells.ring(service);
        }
        answer
    }
}

impl Registry for MemoryRegistry {
    fn register<'a>(
        &'a self,
        instance: &'a Instance,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        let registered = self.state().register(instance, now);
        let is_changed = registered.as_ref().is_ok_and(|is_changed| *is_changed);
        Box::pin(ready(self.rung(&instance.service, is_changed, registered)))
    }

    fn heartbeat<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        Box::pin(ready(Ok(self.state().heartbeat(service, id, now))))
    }

    fn deregister<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        let was_there = self.state().deregister(service, id, now);
        Box::pin(ready(Ok(self.rung(service, was_there, was_there))))
    }

    fn list<'a>(
        &'a self,
        service: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Listing, RegistryError>> {
        Box::pin(ready(Ok(self.state().list(service, now))))
    }

    fn watch<'a>(
        &'a self,
        service: &'a str,
        seen: Option<Version>,
        wait: Duration,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Listing, RegistryError>> {
        Box::pin(async move {
            let began = Instant::now();
            let mut ear = self.bells.listen(service);
            let listing = self.state().list(service, now);
            if seen != Some(listing.version) {
                return Ok(listing);
            }
            // The bell is ours, and outlives this; that nobody has rung it is an answer, too.
            drop(tokio::time::timeout(wait, ear.changed()).await);
            let waited = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let listing = self.state().list(service, UnixMillis(now.0.saturating_add(waited)));
            Ok(listing)
        })
    }

    fn services(&self, now: UnixMillis) -> BoxFuture<'_, Result<Vec<String>, RegistryError>> {
        let services = self.state();
        let lives = |service: &Service| service.instances.values().any(|kept| kept.ends > now);
        let names = services.by_name.iter().filter(|(_, service)| lives(service));
        let names: Vec<String> = names.map(|(name, _)| name.clone()).collect();
        Box::pin(ready(Ok(names)))
    }

    fn claim<'a>(
        &'a self,
        service: &'a str,
        checker: Checker,
        life_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        Box::pin(ready(Ok(self.state().claim(service, checker, life_ms, now))))
    }

    fn report<'a>(
        &'a self,
        report: Report<'a>,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        let (counts, is_changed) = self.state().report(&report, now);
        Box::pin(ready(Ok(self.rung(report.service, is_changed, counts))))
    }
}

#[cfg(test)]
mod tests;
