//! The port to the service registry: who runs which service, how they do, and who checks them.
//!
//! What is here is volatile. An instance is there until its time is over and nobody has renewed
//! it; one that stays is kept in the durable store ([`crate::durable::ServiceStore`]) and renewed
//! by the servers. `now` is the moment of the call; a registry with a clock of its own goes by that
//! one, and says which time it is ([`Listing::at`]).
//!
//! Every implementation passes the suite in `contract`; those that are somebody else's, and only
//! read here, the part of it that reads.

mod bells;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod follower;
mod memory;
mod tasks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_registry::{Instance, Listed, Listing, Snapshot, Standing, Version};
use postern_request::UnixMillis;

use crate::{BoxFuture, StoreError};

pub use bells::Bells;
pub use follower::{Clock, Follower, FollowerEvents};
pub use memory::MemoryRegistry;
pub use tasks::Tasks;

/// Why a registry did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The registry's; its own text says whether a retry helps.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The caller's: the registry is somebody else's, who is told of instances there.
    #[error("instances are registered with {0}, whose catalog is only read here")]
    ReadOnly(&'static str),
    /// The caller's: the service has as many instances as it may have, or there are as many
    /// services.
    #[error("there is no room for another instance")]
    Full,
}

/// Who checks instances: a number that each process makes up for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checker(pub u64);

/// What a check has made of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report<'a> {
    /// The service.
    pub service: &'a str,
    /// The instance.
    pub id: &'a str,
    /// Where it was checked.
    pub place: SocketAddr,
    /// Who has checked it.
    pub checker: Checker,
    /// How it does now.
    pub standing: Standing,
}

/// Who runs which service.
///
/// # Errors
/// Every method: [`RegistryError::Store`] when the registry cannot be asked (a retry may help), or
/// holds what nobody here wrote. Those that write: [`RegistryError::ReadOnly`] where it is
/// somebody else's. A call that was not answered may have been carried out; each may be repeated.
pub trait Registry: Send + Sync {
    /// Who keeps it, where that is somebody else, whom instances have to be registered with.
    fn keeper(&self) -> Option<&'static str> {
        None
    }

    /// Registers an instance, or renews it, and makes it what it says; whether it was not that
    /// before. One that has moved to another address is a new one: it has never been checked.
    ///
    /// # Errors
    /// Also [`RegistryError::Full`].
    fn register<'a>(
        &'a self,
        instance: &'a Instance,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>>;

    /// Renews an instance; whether it is there. Who is told that it is not has to register it.
    fn heartbeat<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>>;

    /// Takes an instance out; whether it was there.
    fn deregister<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>>;

    /// The instances of a service, by their ids; none where nobody runs it.
    fn list<'a>(
        &'a self,
        service: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Listing, RegistryError>>;

    /// One instance of a service, where it can be read, and how many instances the service has.
    fn find<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(Option<Listed>, usize), RegistryError>> {
        Box::pin(async move {
            let Listing { entries, left_out, .. } = self.list(service, now).await?;
            let left_out = usize::try_from(left_out).unwrap_or(usize::MAX);
            let count = entries.len().saturating_add(left_out);
            Ok((entries.into_iter().find(|listed| listed.instance.id == id), count))
        })
    }

    /// What [`Registry::list`] tells, as soon as it is another state than the one that was seen, or
    /// after a wait as it is then. An instance that is renewed, and an end of an instance's time,
    /// are no change that this wakes for: ask again at the end.
    fn watch<'a>(
        &'a self,
        service: &'a str,
        seen: Option<Version>,
        wait: Duration,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Listing, RegistryError>>;

    /// The services that have had an instance lately, by name.
    fn services(&self, now: UnixMillis) -> BoxFuture<'_, Result<Vec<String>, RegistryError>>;

    /// Takes the turn to check a service's instances, or goes on with it, for so long; whether
    /// nobody else has it.
    fn claim<'a>(
        &'a self,
        service: &'a str,
        checker: Checker,
        life_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>>;

    /// Says how an instance does; whether that counts: not where it is gone, or is elsewhere by
    /// now, or somebody else has the turn.
    fn report<'a>(
        &'a self,
        report: Report<'a>,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>>;
}

impl<T: Registry + ?Sized> Registry for Arc<T> {
    fn keeper(&self) -> Option<&'static str> {
        (**self).keeper()
    }

    fn register<'a>(
        &'a self,
        instance: &'a Instance,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        (**self).register(instance, now)
    }

    fn heartbeat<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        (**self).heartbeat(service, id, now)
    }

    fn deregister<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        (**self).deregister(service, id, now)
    }

    fn list<'a>(
        &'a self,
        service: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Listing, RegistryError>> {
        (**self).list(service, now)
    }

    fn find<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(Option<Listed>, usize), RegistryError>> {
        (**self).find(service, id, now)
    }

    fn watch<'a>(
        &'a self,
        service: &'a str,
        seen: Option<Version>,
        wait: Duration,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Listing, RegistryError>> {
        (**self).watch(service, seen, wait, now)
    }

    fn services(&self, now: UnixMillis) -> BoxFuture<'_, Result<Vec<String>, RegistryError>> {
        (**self).services(now)
    }

    fn claim<'a>(
        &'a self,
        service: &'a str,
        checker: Checker,
        life_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        (**self).claim(service, checker, life_ms, now)
    }

    fn report<'a>(
        &'a self,
        report: Report<'a>,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        (**self).report(report, now)
    }
}

/// What Envoys are to be told of the services of a document, as it changes.
pub trait Endpoints: Send + Sync {
    /// As it is now. A service of which nothing is known yet is not in it.
    fn snapshot(&self) -> Arc<Snapshot>;

    /// The next one whose version is not `seen`: at once where there is one. Nothing is lost
    /// between two calls, and several changes may come as one. It ends only with the process.
    fn changed(&self, seen: u64) -> BoxFuture<'_, Arc<Snapshot>>;
}
