//! What the registry says of services, as Envoys are told it.

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_ads::{EndpointSource, Endpoints, KnownEndpoint};
use postern_document::{Document, Endpoint};
use postern_registry::{Endpoint as Instance, ServiceEndpoints};
use postern_store::registry::Endpoints as _;
use postern_store::registry::Follower;
use tokio::sync::watch;

/// Services where a registry says that they are.
pub struct Registered {
    follower: Arc<Follower>,
    changes: watch::Receiver<()>,
}

impl Registered {
    /// As the follower hears it.
    pub fn new(follower: Arc<Follower>) -> Self {
        let changed = watch::Sender::new(());
        let changes = changed.subscribe();
        tokio::spawn(keep_telling(Arc::clone(&follower), changed));
        Self { follower, changes }
    }
}

/// For as long as it is polled.
async fn keep_telling(follower: Arc<Follower>, changed: watch::Sender<()>) {
    // That of nothing: what there is by now is told, too.
    let mut seen = 0;
    loop {
        seen = follower.changed(seen).await.version();
        changed.send_replace(());
    }
}

impl EndpointSource for Registered {
    fn of(&self, document: &Document) -> Arc<Endpoints> {
        let heard = self.follower.snapshot();
        let found = document.services.iter().filter_map(|service| {
            let known = heard.get(&service.discover.as_ref()?.registry)?;
            Some((service.name.clone(), told(known)))
        });
        Arc::new(found.collect())
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changes.clone()
    }
}

fn told(service: &ServiceEndpoints) -> Arc<[KnownEndpoint]> {
    let known = |instance: &Instance| KnownEndpoint {
        endpoint: Endpoint {
            address: instance.address,
            port: instance.port,
            weight: instance.weight,
            zone: zone(instance),
            labels: BTreeMap::new(),
            service_account: None,
        },
        is_healthy: instance.is_healthy,
    };
    service.endpoints.iter().map(known).collect()
}

/// `region/zone` or `region`, as documents write it. A zone is one of a region.
fn zone(instance: &Instance) -> Option<String> {
    let region = instance.region.as_deref()?;
    Some(match &instance.zone {
        Some(zone) => format!("{region}/{zone}"),
        None => region.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, Instant};

    use postern_registry::{Instance as Registration, WEIGHT_UNIT};
    use postern_telemetry::MetricsRegistry;
    use tokio::time::timeout;

    use super::*;
    use crate::commands::now;
    use crate::serve::services::testing;

    const FOUND: &str = r#"{"version": 1,
        "services": {"here": {"upstream": "h:1"}, "shop": {"discover": {"registry": "found"}},
                     "also": {"discover": {"registry": "found"}}},
        "routes": [{"name": "a", "match": {"path": "/a"}, "service": "shop", "auth": "none"},
                   {"name": "b", "match": {"path": "/b"}, "service": "also", "auth": "none"},
                   {"name": "c", "match": {"path": "/c"}, "service": "here", "auth": "none"}]}"#;

    fn instance(id: &str, region: Option<&str>, zone: Option<&str>) -> Registration {
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
        let mut instance = Registration::new("found".to_owned(), id.to_owned(), address, 80);
        instance.weight = 3;
        instance.region = region.map(str::to_owned);
        instance.zone = zone.map(str::to_owned);
        instance
    }

    #[tokio::test]
    async fn services_are_told_by_the_documents_names_as_soon_as_somebody_knows() {
        let document = postern_document::from_json(FOUND.as_bytes()).unwrap();
        let metrics = MetricsRegistry::new("test", Instant::now()).unwrap();
        let services = testing::in_memory(&metrics);
        let registered = Registered::new(Arc::clone(&services.endpoints));
        assert!(registered.of(&document).is_empty(), "nobody is followed");
        let mut changes = registered.changes();
        let instance = instance("a", Some("eu"), Some("eu-1"));
        services.registry.register(&instance, now()).await.unwrap();
        services.follow(&[&document]);
        timeout(Duration::from_secs(20), changes.changed()).await.unwrap().unwrap();
        let told = registered.of(&document);
        assert_eq!(told.keys().collect::<Vec<_>>(), ["also", "shop"], "one there, two here");
        let [known] = &*told["shop"] else { panic!("{told:?}") };
        assert!(known.is_healthy, "nobody has said otherwise");
        assert_eq!(known.endpoint.zone.as_deref(), Some("eu/eu-1"));
        assert_eq!(known.endpoint.address, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7)));
        assert_eq!(known.endpoint.weight, 3 * WEIGHT_UNIT);
    }

    #[test]
    fn a_region_has_zones_and_need_not() {
        let zone_of = |region, zone| {
            let Registration { id, address, port, region, zone, version, .. } =
                instance("a", region, zone);
            let endpoint = Instance {
                instance: id,
                address,
                port,
                weight: 1,
                is_healthy: false,
                region,
                zone,
                version,
            };
            let service = ServiceEndpoints::new("found".to_owned(), vec![endpoint]);
            assert!(!told(&service)[0].is_healthy);
            told(&service)[0].endpoint.zone.clone()
        };
        assert_eq!(zone_of(Some("eu"), Some("eu-1")).as_deref(), Some("eu/eu-1"));
        assert_eq!(zone_of(Some("eu"), None).as_deref(), Some("eu"));
        assert_eq!(zone_of(None, None), None);
    }
}
