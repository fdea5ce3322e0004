use std::net::SocketAddr;

use postern_registry::{Check, Probe};
use postern_store::MemoryRegistry;
use postern_store::durable::ServiceStore as _;
use postern_store::durable::memory::MemoryDurableStore;
use postern_telemetry::MetricsRegistry;
use tokio::net::TcpListener;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn instance(place: SocketAddr) -> Instance {
    let check = Check {
        interval_ms: 1_000,
        timeout_ms: 500,
        tries: 1,
        threshold: 1,
        recovery_ms: 1_000,
        ..Check::new(Probe::Tcp)
    };
    let mut instance = Instance::new("shop".to_owned(), "a".to_owned(), place.ip(), place.port());
    instance.check = Some(check);
    instance.stays = true;
    instance
}

struct World {
    registry: Arc<MemoryRegistry>,
    durable: Arc<MemoryDurableStore>,
    checks: Checks,
}

fn world() -> World {
    let registry = Arc::new(MemoryRegistry::new());
    let durable = Arc::new(MemoryDurableStore::new());
    let metrics = MetricsRegistry::new("test", std::time::Instant::now()).unwrap();
    let checks = Checks::new(
        Arc::clone(&registry) as Arc<dyn Registry>,
        Some(Arc::clone(&durable) as Arc<dyn IdentityStore>),
        Metrics::new(&metrics).unwrap(),
    );
    World { registry, durable, checks: checks.unwrap() }
}

impl World {
    async fn until(&self, health: Health) {
        let began = Instant::now();
        loop {
            let listing = self.registry.list("shop", now()).await.unwrap();
            if listing.entries.iter().any(|listed| listed.standing.health == health) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "never {health:?}: {listing:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn an_instance_is_checked_as_soon_as_it_comes_and_for_as_long_as_it_is_there() {
    let world = world();
    world.checks.follow(&BTreeSet::from(["shop".to_owned()]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    let instance = instance(place);
    let said = postern_identity::audit_entry(now(), "test", "service.registered", "a", &[]);
    world.durable.put_instance(&instance, now(), &said).await.unwrap();
    world.registry.register(&instance, now()).await.unwrap();
    world.until(Health::Healthy).await;
    drop(listener);
    world.until(Health::Unhealthy).await;
    let kept = async || world.durable.find_instance("shop", "a").await.unwrap().unwrap().health;
    // It is written down after it was told.
    while kept().await.health != Health::Unhealthy {
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(kept().await.failures, 1);
    let listener = TcpListener::bind(place).await.unwrap();
    world.until(Health::Recovering).await;
    world.until(Health::Healthy).await;
    drop(listener);
}

#[tokio::test]
async fn whoever_has_not_the_turn_checks_nothing() {
    let world = world();
    let other = Checker(1);
    assert_eq!(world.registry.claim("shop", other, 60_000, now()).await, Ok(true));
    world.checks.follow(&BTreeSet::from(["shop".to_owned()]));
    let place = SocketAddr::from(([127, 0, 0, 1], 1));
    world.registry.register(&instance(place), now()).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    let listing = world.registry.list("shop", now()).await.unwrap();
    assert_eq!(listing.entries[0].standing.last_check, None);
}

#[tokio::test]
async fn a_service_that_is_slow_keeps_no_other_one_waiting() {
    let world = world();
    // Nobody ever answers there, and whoever connects waits for that.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = silent.local_addr().unwrap();
    for number in 0..100 {
        let mut slow = instance(place);
        (slow.service, slow.id) = ("slow".to_owned(), number.to_string());
        let probe = Probe::Http { path: "/".to_owned() };
        slow.check = Some(Check { timeout_ms: 10_000, tries: 3, ..Check::new(probe) });
        world.registry.register(&slow, now()).await.unwrap();
    }
    let both = ["shop", "slow"].map(str::to_owned);
    world.checks.follow(&BTreeSet::from([both[1].clone()]));
    sleep(Duration::from_secs(1)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.registry.register(&instance(listener.local_addr().unwrap()), now()).await.unwrap();
    world.checks.follow(&BTreeSet::from(both));
    let seen = tokio::time::timeout(Duration::from_secs(5), world.until(Health::Healthy)).await;
    assert!(seen.is_ok(), "it waits for the slow ones");
}
