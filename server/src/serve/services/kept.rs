//! Renews the instances that stay, so that they are in the registry whatever it has forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use postern_feed::Jitter;
use postern_registry::Instance;
use postern_store::durable::{InstanceRecord, MAX_PAGE};
use postern_store::{IdentityStore, Registry, RegistryError, StoreError};
use tokio::time::{sleep, timeout};

use super::metrics::Metrics;
use crate::commands::now;

/// How often. An instance that stays is there for three times as long at least.
const EVERY: Duration = Duration::from_secs(60);
/// The same where the last time went wrong.
const AGAIN: Duration = Duration::from_secs(5);
/// What one time may take.
const PATIENCE: Duration = Duration::from_secs(55);

/// Service and instance.
type Name = (String, String);

/// For as long as it is polled. Every server does: they do each other no harm.
pub async fn keep_renewing(
    registry: Arc<dyn Registry>,
    durable: Arc<dyn IdentityStore>,
    metrics: Metrics,
) {
    let jitter = Jitter::random();
    let mut known: BTreeSet<Name> = BTreeSet::new();
    loop {
        let renewed = timeout(PATIENCE, renew(&*registry, &*durable)).await;
        let renewed = renewed
            .unwrap_or_else(|_| Err(StoreError::Unavailable("it took too long".to_owned()).into()));
        metrics.renewed(renewed.is_ok());
        let pause = match renewed {
            Ok(all) => {
                known = all;
                EVERY
            }
            Err(error) => {
                tracing::warn!(%error, "instances that stay cannot be renewed");
                if timeout(PATIENCE, go_on(&*registry, &known)).await.is_err() {
                    tracing::debug!("the registry takes too long");
                }
                AGAIN
            }
        };
        sleep(jitter.around(pause)).await;
    }
}

/// Renews all that stay, and says which those are.
async fn renew(
    registry: &dyn Registry,
    durable: &dyn IdentityStore,
) -> Result<BTreeSet<Name>, RegistryError> {
    let mut all = BTreeSet::new();
    let mut after: Option<Name> = None;
    loop {
        let begins = after.as_ref().map(|(service, id)| (service.as_str(), id.as_str()));
        let page = durable.list_instances(begins, MAX_PAGE).await?;
        let Some(last) = page.last().map(name) else { return Ok(all) };
        renew_page(registry, &page).await?;
        let now_there = durable.list_instances(begins, MAX_PAGE).await?;
        take_out(registry, durable, &page, &now_there).await?;
        all.extend(page.iter().map(name));
        after = Some(last);
    }
}

/// Renews what stayed when the durable store was read last. Nobody has been taken out since: that
/// takes the store, too.
async fn go_on(registry: &dyn Registry, known: &BTreeSet<Name>) {
    for (service, id) in known {
        if let Err(error) = registry.heartbeat(service, id, now()).await {
            tracing::debug!(%error, "the registry cannot be told who stays");
            return;
        }
    }
}

fn name(record: &InstanceRecord) -> Name {
    (record.instance.service.clone(), record.instance.id.clone())
}

async fn renew_page(registry: &dyn Registry, page: &[InstanceRecord]) -> Result<(), RegistryError> {
    for record in page {
        register(registry, &record.instance).await?;
    }
    Ok(())
}

async fn register(registry: &dyn Registry, instance: &Instance) -> Result<(), RegistryError> {
    match registry.register(instance, now()).await {
        Err(RegistryError::Full) => {
            let Instance { service, id, .. } = instance;
            tracing::warn!(service, id, "there is no room for an instance that stays");
            Ok(())
        }
        renewed => renewed.map(drop),
    }
}

/// Whoever was taken out while this went on has come back by it, and goes; whoever is another one
/// since then is so again.
async fn take_out(
    registry: &dyn Registry,
    durable: &dyn IdentityStore,
    page: &[InstanceRecord],
    now_there: &[InstanceRecord],
) -> Result<(), RegistryError> {
    let there: BTreeMap<Name, &InstanceRecord> =
        now_there.iter().map(|record| (name(record), record)).collect();
    for record in page {
        let (service, id) = (record.instance.service.as_str(), record.instance.id.as_str());
        let found = match there.get(&name(record)) {
            Some(found) => Some((*found).clone()),
            // What has come since may have pushed it off the page.
            None => durable.find_instance(service, id).await?,
        };
        match found {
            None => {
                registry.deregister(service, id, now()).await?;
            }
            Some(found) if found.instance != record.instance => {
                register(registry, &found.instance).await?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use postern_identity::audit_entry;
    use postern_request::UnixMillis;
    use postern_store::MemoryRegistry;
    use postern_store::durable::ServiceStore as _;
    use postern_store::durable::memory::MemoryDurableStore;

    use super::*;

    fn instance(number: u8) -> Instance {
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
        let id = format!("shop-{number:03}");
        Instance { stays: true, ..Instance::new("shop".to_owned(), id, address, 80) }
    }

    #[tokio::test]
    async fn all_that_stay_are_there_and_none_comes_back() {
        let (registry, durable) = (MemoryRegistry::new(), MemoryDurableStore::new());
        let said = audit_entry(now(), "test", "service.registered", "shop", &[]);
        for number in 1..=250 {
            durable.put_instance(&instance(number), now(), &said).await.unwrap();
        }
        assert_eq!(renew(&registry, &durable).await.unwrap().len(), 250);
        assert_eq!(registry.list("shop", now()).await.unwrap().entries.len(), 250);
        let page = durable.list_instances(None, 2).await.unwrap();
        // Taken out after it was read, and before it was renewed.
        durable.delete_instance("shop", "shop-001", &said).await.unwrap();
        renew_page(&registry, &page).await.unwrap();
        let now_there = durable.list_instances(None, 2).await.unwrap();
        take_out(&registry, &durable, &page, &now_there).await.unwrap();
        let listing = registry.list("shop", now()).await.unwrap();
        assert_eq!(listing.entries.len(), 249);
        assert_eq!(listing.entries[0].instance, instance(2));
    }

    #[tokio::test]
    async fn who_has_moved_while_it_was_renewed_is_where_it_is_now() {
        let (registry, durable) = (MemoryRegistry::new(), MemoryDurableStore::new());
        let said = audit_entry(now(), "test", "service.registered", "shop", &[]);
        for number in 2..=3 {
            durable.put_instance(&instance(number), now(), &said).await.unwrap();
        }
        let page = durable.list_instances(None, 2).await.unwrap();
        let moved = [2, 3].map(|number| Instance { port: 81, ..instance(number) });
        for moved in &moved {
            durable.put_instance(moved, now(), &said).await.unwrap();
            registry.register(moved, now()).await.unwrap();
        }
        // The last one is on the next page by now.
        durable.put_instance(&instance(1), now(), &said).await.unwrap();
        renew_page(&registry, &page).await.unwrap();
        let now_there = durable.list_instances(None, 2).await.unwrap();
        take_out(&registry, &durable, &page, &now_there).await.unwrap();
        let listing = registry.list("shop", now()).await.unwrap();
        let found: Vec<Instance> =
            listing.entries.into_iter().map(|listed| listed.instance).collect();
        assert_eq!(found, moved);
    }

    #[tokio::test]
    async fn what_stays_goes_on_without_the_durable_store() {
        let registry = MemoryRegistry::new();
        let before = UnixMillis(now().0 - 200_000);
        registry.register(&instance(1), before).await.unwrap();
        let named = |id: &str| ("shop".to_owned(), id.to_owned());
        go_on(&registry, &BTreeSet::from([named("gone"), named("shop-001")])).await;
        let listing = registry.list("shop", now()).await.unwrap();
        let left = listing.entries[0].expires_in_ms.unwrap();
        assert!(left > 250_000, "{left}");
    }
}
