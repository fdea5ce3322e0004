use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use postern_registry::{Check, Health, Instance, Listing, Probe, Standing, Version};

use super::*;
use crate::registry::{Checker, MemoryRegistry, Report};

const PATIENCE: Duration = Duration::from_secs(20);
const CHECKER: Checker = Checker(1);

/// A registry in memory that can be away.
#[derive(Default)]
struct Moody {
    inner: MemoryRegistry,
    is_away: AtomicBool,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, RegistryError>>;

impl Moody {
    fn or_away<'a, T: Send + 'a>(&'a self, answer: Answer<'a, T>) -> Answer<'a, T> {
        Box::pin(async move {
            let away = || Err(StoreError::Unavailable("away".to_owned()).into());
            if self.is_away.load(Ordering::Relaxed) {
                return away();
            }
            let answer = answer.await;
            if self.is_away.load(Ordering::Relaxed) { away() } else { answer }
        })
    }
}

impl Registry for Moody {
    fn register<'a>(&'a self, instance: &'a Instance, now: UnixMillis) -> Answer<'a, bool> {
        self.inner.register(instance, now)
    }

    fn heartbeat<'a>(&'a self, service: &'a str, id: &'a str, now: UnixMillis) -> Answer<'a, bool> {
        self.inner.heartbeat(service, id, now)
    }

    fn deregister<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        now: UnixMillis,
    ) -> Answer<'a, bool> {
        self.inner.deregister(service, id, now)
    }

    fn list<'a>(&'a self, service: &'a str, now: UnixMillis) -> Answer<'a, Listing> {
        self.or_away(self.inner.list(service, now))
    }

    fn watch<'a>(
        &'a self,
        service: &'a str,
        seen: Option<Version>,
        wait: Duration,
        now: UnixMillis,
    ) -> Answer<'a, Listing> {
        self.or_away(self.inner.watch(service, seen, wait, now))
    }

    fn services(&self, now: UnixMillis) -> Answer<'_, Vec<String>> {
        self.inner.services(now)
    }

    fn claim<'a>(
        &'a self,
        service: &'a str,
        checker: Checker,
        life_ms: u64,
        now: UnixMillis,
    ) -> Answer<'a, bool> {
        self.inner.claim(service, checker, life_ms, now)
    }

    fn report<'a>(&'a self, report: Report<'a>, now: UnixMillis) -> Answer<'a, bool> {
        self.inner.report(report, now)
    }
}

#[derive(Default)]
struct Counted {
    heard: AtomicUsize,
    failed: AtomicUsize,
    left: AtomicUsize,
}

impl FollowerEvents for Counted {
    fn heard(&self, _: &str, _: &View, _: u32) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    fn failed(&self, _: &str, _: &RegistryError) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    fn left(&self, _: &str) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }
}

struct World {
    registry: Arc<Moody>,
    events: Arc<Counted>,
    follower: Follower,
    clock: Clock,
}

impl World {
    fn following(services: &[&str]) -> Self {
        let registry = Arc::new(Moody::default());
        let events = Arc::new(Counted::default());
        let born = Instant::now();
        let clock: Clock = Arc::new(move || {
            UnixMillis(1_000_000 + u64::try_from(born.elapsed().as_millis()).unwrap())
        });
        let follower = Follower::new(
            Arc::clone(&registry) as Arc<dyn Registry>,
            Arc::clone(&clock),
            Arc::clone(&events) as Arc<dyn FollowerEvents>,
        );
        follower.follow(&names(services));
        Self { registry, events, follower, clock }
    }

    async fn register(&self, instance: &Instance) {
        self.registry.register(instance, (self.clock)()).await.unwrap();
    }

    /// Waits for a snapshot that fits, through all that come before it.
    async fn until(&self, fits: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let found = async {
            let mut snapshot = self.follower.snapshot();
            while !fits(&snapshot) {
                snapshot = self.follower.changed(snapshot.version()).await;
            }
            snapshot
        };
        timeout(PATIENCE, found).await.unwrap()
    }
}

fn names(services: &[&str]) -> BTreeSet<String> {
    services.iter().map(|name| (*name).to_owned()).collect()
}

fn instance(number: u8) -> Instance {
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
    Instance::new("shop".to_owned(), format!("shop-{number}"), address, 80)
}

fn count(snapshot: &Snapshot) -> Option<usize> {
    snapshot.get("shop").map(|service| service.endpoints.len())
}

#[tokio::test]
async fn what_is_registered_is_told_within_a_second() {
    let world = World::following(&["shop", "pay"]);
    world.until(|snapshot| count(snapshot) == Some(0) && snapshot.get("pay").is_some()).await;
    let began = Instant::now();
    world.register(&instance(1)).await;
    world.until(|snapshot| count(snapshot) == Some(1)).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(world.events.failed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_registry_that_is_away_changes_nothing() {
    let world = World::following(&["shop"]);
    world.register(&instance(1)).await;
    let before = world.until(|snapshot| count(snapshot) == Some(1)).await;
    world.registry.is_away.store(true, Ordering::Relaxed);
    world.register(&instance(2)).await;
    let began = Instant::now();
    while world.events.failed.load(Ordering::Relaxed) < 2 {
        assert!(began.elapsed() < PATIENCE);
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.follower.snapshot().version(), before.version());
    world.registry.is_away.store(false, Ordering::Relaxed);
    world.until(|snapshot| count(snapshot) == Some(2)).await;
}

#[tokio::test]
async fn a_service_is_unknown_until_it_was_heard_of() {
    let world = World::following(&[]);
    world.registry.is_away.store(true, Ordering::Relaxed);
    world.follower.follow(&names(&["shop"]));
    let waiting = timeout(Duration::from_millis(300), world.follower.changed(0)).await;
    assert!(waiting.is_err(), "{waiting:?}");
    assert_eq!(count(&world.follower.snapshot()), None);
    assert!(!world.follower.is_complete());
    world.registry.is_away.store(false, Ordering::Relaxed);
    world.until(|snapshot| count(snapshot) == Some(0)).await;
    assert!(world.follower.is_complete());
}

#[tokio::test]
async fn services_that_are_not_wanted_any_more_go() {
    let world = World::following(&["shop", "pay"]);
    world.until(|snapshot| snapshot.services().count() == 2).await;
    world.follower.follow(&names(&["shop"]));
    let snapshot = world.follower.snapshot();
    assert!(snapshot.get("pay").is_none() && snapshot.get("shop").is_some());
    assert_eq!(world.events.left.load(Ordering::Relaxed), 1);
    world.follower.follow(&names(&["shop", "pay"]));
    world.until(|snapshot| snapshot.get("pay").is_some()).await;
}

#[tokio::test]
async fn weights_come_back_without_anybody_asking() {
    let world = World::following(&["shop"]);
    let check = Check { recovery_ms: 1_000, ..Check::new(Probe::Tcp) };
    let checked = Instance { check: Some(check), ..instance(1) };
    world.register(&checked).await;
    let now = (world.clock)();
    assert_eq!(world.registry.claim("shop", CHECKER, 60_000, now).await, Ok(true));
    let standing = Standing { health: Health::Recovering, since: now, ..Standing::default() };
    let place = checked.socket();
    let report = Report { service: "shop", id: "shop-1", place, checker: CHECKER, standing };
    assert_eq!(world.registry.report(report, now).await, Ok(true));
    let weight = |snapshot: &Snapshot| {
        let service = snapshot.get("shop")?;
        service.endpoints.first().map(|endpoint| endpoint.weight)
    };
    world.until(|snapshot| weight(snapshot).is_some_and(|weight| weight < 10)).await;
    world.until(|snapshot| weight(snapshot) == Some(10)).await;
    assert!(world.events.heard.load(Ordering::Relaxed) < 9, "time alone has done it");
}
