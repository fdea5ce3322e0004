//! Consul's catalog as the registry of services, by what a Consul once answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_e2e::consul::{Consul, TOKEN};
use postern_registry::{Health, Listing};
use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::registry::contract::{self, SHOP};
use postern_store::registry::{Registry, RegistryError};
use postern_store_consul::ConsulRegistry;

const PATIENCE: Duration = Duration::from_secs(20);
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

async fn playing() -> (Consul, Arc<ConsulRegistry>) {
    let consul = Consul::play("shop.json").await;
    let registry = ConsulRegistry::new(&consul.url(), Some(TOKEN)).expect("a client");
    (consul, Arc::new(registry))
}

/// Ids, how they are, and their weights.
fn told(listing: &Listing) -> Vec<(&str, Health, u32)> {
    let entries = listing.entries.iter();
    entries
        .map(|one| (one.instance.id.as_str(), one.standing.health, one.instance.weight))
        .collect()
}

#[tokio::test]
async fn consul_keeps_the_part_of_the_contract_that_reads() {
    let (_consul, registry) = playing().await;
    contract::reads(registry.as_ref(), &|| NOW).await;
    contract::refuses(registry.as_ref(), NOW).await;
    assert_eq!(registry.services(NOW).await, Ok(vec!["consul".to_owned(), "shop".to_owned()]));
}

#[tokio::test]
async fn whoever_waits_hears_of_every_state_also_of_one_that_came_back() {
    let (consul, registry) = playing().await;
    let mut seen = registry.list(SHOP, NOW).await.expect("a list").version;
    for expected in [
        &[("shop-1", Health::Healthy, 1), ("shop-2", Health::Unhealthy, 1)][..],
        &[("shop-1", Health::Healthy, 1), ("shop-2", Health::Healthy, 2)],
    ] {
        let asking = Arc::clone(&registry);
        let waiting =
            tokio::spawn(async move { asking.watch(SHOP, Some(seen), PATIENCE, NOW).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!waiting.is_finished(), "it waits");
        let began = Instant::now();
        consul.go_on();
        let heard = waiting.await.expect("no panic").expect("a list");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert_eq!(told(&heard), expected);
        seen = heard.version;
    }
    let listing = registry.list(SHOP, NOW).await.expect("a list");
    assert_eq!(listing.left_out, 1, "whose address is a name");
    // From a backup, with an index that was there before: asked with the one that it has seen, it
    // waits for nothing, and is asked with the other one from then on.
    consul.go_on();
    let wait = Duration::from_millis(100);
    let back = registry.watch(SHOP, Some(seen), wait, NOW).await.expect("a list");
    assert!(back.version.has_forgotten(seen));
    assert_eq!(told(&back), [("shop-1", Health::Healthy, 1)]);
}

#[tokio::test]
async fn what_consul_cannot_or_may_not_say_is_no_empty_list() {
    let (consul, registry) = playing().await;
    let is_away = |answer: Result<Listing, RegistryError>| {
        matches!(answer, Err(RegistryError::Store(StoreError::Unavailable(_))))
    };
    consul.lose_its_leader(true);
    assert!(is_away(registry.list(SHOP, NOW).await));
    consul.lose_its_leader(false);
    consul.filter(true);
    assert!(is_away(registry.list(SHOP, NOW).await));
    consul.filter(false);
    assert_eq!(registry.list(SHOP, NOW).await.expect("a list").entries.len(), 2);
    for token in [None, Some("another-one")] {
        let stranger = ConsulRegistry::new(&consul.url(), token).expect("a client");
        let refused = stranger.list(SHOP, NOW).await;
        let text = format!("{refused:?}");
        assert!(
            is_away(refused) && text.contains("403") && !text.contains("another-one"),
            "{text}"
        );
    }
    let nobody = ConsulRegistry::new("http://127.0.0.1:1", None).expect("a client");
    assert!(is_away(nobody.list(SHOP, NOW).await));
}
