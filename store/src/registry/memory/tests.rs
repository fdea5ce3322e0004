use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::*;
use crate::registry::contract;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn instance(service: &str, id: &str) -> Instance {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Instance::new(service.to_owned(), id.to_owned(), address, 80)
}

#[tokio::test]
async fn memory_keeps_the_contract_of_registries() {
    let began = Instant::now();
    let clock =
        move || UnixMillis(NOW.0 + u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
    let registry = Arc::new(MemoryRegistry::new());
    contract::run(Arc::<MemoryRegistry>::clone(&registry), &clock).await;
    contract::fills(registry, &clock).await;
}

#[tokio::test]
async fn services_that_nobody_runs_make_room() {
    let registry = MemoryRegistry::new();
    for number in 0..MAX_SERVICES {
        let service = format!("s-{number}");
        assert_eq!(registry.register(&instance(&service, "a"), NOW).await, Ok(true));
    }
    let one_more = instance("one-more", "a");
    assert_eq!(registry.register(&one_more, NOW).await, Err(RegistryError::Full));
    assert_eq!(registry.services(NOW).await.unwrap().len(), MAX_SERVICES);
    let later = UnixMillis(NOW.0 + 300_000);
    assert_eq!(registry.register(&one_more, later).await, Ok(true));
    assert_eq!(registry.services(later).await.unwrap(), ["one-more"]);
}
