//! The contract of [`Registry`], as a test suite. [`run`] is for those that keep instances
//! themselves; [`reads`] for all, where somebody has registered [`shop`].
//!
//! Registries have clocks of their own: what ends is given a short life and waited for.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "assertions of a test suite, compiled for tests only"
)]

mod checks;
mod lives;
mod services;
mod watches;

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_registry::{Check, Health, Instance, Listed, Listing, Probe};
use postern_request::UnixMillis;

use super::{Registry, RegistryError};

/// The service of [`shop`].
pub const SHOP: &str = "shop";
/// How long is waited for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// How soon whoever waits is to hear of a change.
const SOON: Duration = Duration::from_secs(2);

/// Runs every case. The clock must be near the registry's own.
///
/// # Panics
/// When the registry breaks the contract.
pub async fn run(registry: Arc<dyn Registry>, clock: &(dyn Fn() -> UnixMillis + Sync)) {
    let salt = RandomState::new().hash_one(0_u8);
    let case = Case { registry: &registry, clock, salt };
    assert_eq!(registry.keeper(), None);
    for instance in shop() {
        assert_eq!(registry.register(&instance, clock()).await, Ok(true));
    }
    reads(registry.as_ref(), clock).await;
    lives::run(&case).await;
    watches::run(&case).await;
    checks::run(&case).await;
}

/// Fills it up with services, and takes them out again: for those that keep instances themselves.
///
/// # Panics
/// When one that somebody runs goes because others come.
pub async fn fills(registry: Arc<dyn Registry>, clock: &(dyn Fn() -> UnixMillis + Sync)) {
    let salt = RandomState::new().hash_one(0_u8);
    services::run(&Case { registry: &registry, clock, salt }).await;
}

/// What everybody who is read from has to say of [`shop`], registered there.
///
/// # Panics
/// When it does not.
pub async fn reads(registry: &dyn Registry, clock: &(dyn Fn() -> UnixMillis + Sync)) {
    let listing = registry.list(SHOP, clock()).await.unwrap();
    let expected = shop();
    assert_eq!(listing.entries.len(), expected.len(), "{listing:?}");
    assert_eq!(listing.left_out, 0);
    for (listed, expected) in listing.entries.iter().zip(&expected) {
        let seen = Seen::of(&listed.instance);
        assert_eq!(seen, Seen::of(expected));
        assert_ne!(listed.standing.health, Health::Unhealthy, "{listed:?}");
    }
    for listed in &listing.entries {
        let found = registry.find(SHOP, &listed.instance.id, clock()).await.unwrap();
        let (found, count) = (found.0.map(|found| found.instance), found.1);
        assert_eq!((found.as_ref(), count), (Some(&listed.instance), expected.len()));
    }
    let found = registry.find(SHOP, "nobody", clock()).await.unwrap();
    assert_eq!(found, (None, expected.len()));
    let nobody = registry.list("nobody-runs-this", clock()).await.unwrap();
    assert_eq!(nobody.entries, []);

    // Whoever has seen nothing waits for nothing, and whoever has seen this waits in vain.
    let asked = registry.watch(SHOP, None, PATIENCE, clock()).await.unwrap();
    assert_eq!(asked.version, listing.version);
    let wait = Duration::from_millis(300);
    let began = Instant::now();
    let again = registry.watch(SHOP, Some(listing.version), wait, clock()).await.unwrap();
    assert!(began.elapsed() >= wait && began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert_eq!(again.entries.len(), expected.len());
}

/// What everybody is told who would write where somebody else does.
///
/// # Panics
/// When the registry takes it.
pub async fn refuses(registry: &dyn Registry, now: UnixMillis) {
    let keeper = registry.keeper().unwrap();
    let refused = RegistryError::ReadOnly(keeper);
    let [first, ..] = shop();
    assert_eq!(registry.register(&first, now).await, Err(refused.clone()));
    assert_eq!(registry.heartbeat(SHOP, &first.id, now).await, Err(refused.clone()));
    assert_eq!(registry.deregister(SHOP, &first.id, now).await, Err(refused));
}

/// Two instances of a service, in different places, one with all that can be said of it.
#[must_use]
pub fn shop() -> [Instance; 2] {
    let address = |number| IpAddr::V4(Ipv4Addr::new(10, 1, 0, number));
    let of =
        |id: &str, number| Instance::new(SHOP.to_owned(), id.to_owned(), address(number), 8080);
    let second = Instance {
        weight: 5,
        version: Some("2.0.1".to_owned()),
        environment: Some("production".to_owned()),
        region: Some("eu-1".to_owned()),
        zone: Some("b".to_owned()),
        ..of("shop-2", 2)
    };
    let region = Some("eu-1".to_owned());
    [Instance { region, ..of("shop-1", 1) }, second]
}

/// What all registries know of an instance.
#[derive(Debug, PartialEq)]
struct Seen<'i> {
    service: &'i str,
    id: &'i str,
    place: String,
    weight: u32,
    labels: [Option<&'i str>; 3],
}

impl<'i> Seen<'i> {
    fn of(instance: &'i Instance) -> Self {
        let Instance { service, id, weight, version, region, zone, .. } = instance;
        let labels = [version.as_deref(), region.as_deref(), zone.as_deref()];
        Self { service, id, place: instance.place(), weight: *weight, labels }
    }
}

struct Case<'r> {
    registry: &'r Arc<dyn Registry>,
    clock: &'r (dyn Fn() -> UnixMillis + Sync),
    /// Keeps runs apart.
    salt: u64,
}

impl Case<'_> {
    fn now(&self) -> UnixMillis {
        (self.clock)()
    }

    /// A service of this run.
    fn service(&self, name: &str) -> String {
        format!("{name}-{:016x}", self.salt)
    }

    async fn register(&self, instance: &Instance) -> bool {
        self.registry.register(instance, self.now()).await.unwrap()
    }

    async fn heartbeat(&self, service: &str, id: &str) -> bool {
        self.registry.heartbeat(service, id, self.now()).await.unwrap()
    }

    async fn deregister(&self, service: &str, id: &str) -> bool {
        self.registry.deregister(service, id, self.now()).await.unwrap()
    }

    async fn list(&self, service: &str) -> Listing {
        self.registry.list(service, self.now()).await.unwrap()
    }

    async fn find(&self, service: &str, id: &str) -> Option<Listed> {
        let listing = self.list(service).await;
        listing.entries.into_iter().find(|listed| listed.instance.id == id)
    }
}

fn instance(service: &str, id: &str, number: u8) -> Instance {
    let address = IpAddr::V4(Ipv4Addr::new(10, 2, 0, number));
    Instance::new(service.to_owned(), id.to_owned(), address, 80)
}

fn checked(instance: Instance) -> Instance {
    let check = Check::new(Probe::Http { path: "/health".to_owned() });
    Instance { check: Some(check), ..instance }
}

fn ids(listing: &Listing) -> Vec<&str> {
    listing.entries.iter().map(|listed| listed.instance.id.as_str()).collect()
}

/// Waits until something is over.
async fn until(what: &str, mut is_over: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_over().await {
        assert!(began.elapsed() < PATIENCE, "still not over: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
