//! Instances' part of the contract.

use std::net::{IpAddr, Ipv4Addr};

use postern_registry::{Check, Health, Instance, Probe};
use postern_request::UnixMillis;

use super::{entries, entry};
use crate::durable::{IdentityStore, InstanceHealth, InstanceRecord};

pub(super) async fn run(store: &dyn IdentityStore) {
    instances_are_kept_and_found(store).await;
    what_is_kept_is_changed(store).await;
    lists_go_on_where_they_ended(store).await;
    what_is_deleted_is_gone(store).await;
}

fn bare(service: &str, id: &str) -> Instance {
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    Instance { stays: true, ..Instance::new(service.to_owned(), id.to_owned(), address, 8080) }
}

fn full(service: &str, id: &str) -> Instance {
    let check = Check {
        interval_ms: 10_000,
        timeout_ms: 2_000,
        tries: 2,
        threshold: 4,
        recovery_ms: 20_000,
        ..Check::new(Probe::Http { path: "/health".to_owned() })
    };
    Instance {
        address: "2001:db8::1".parse().unwrap(),
        port: 65_535,
        weight: 1_000,
        base_path: "/api".to_owned(),
        check: Some(check),
        max_connections: 1_000_000,
        version: Some("2.1".to_owned()),
        environment: Some("production".to_owned()),
        region: Some("eu".to_owned()),
        zone: Some("a".to_owned()),
        ttl_ms: 600_000,
        ..bare(service, id)
    }
}

fn record(instance: Instance, created_at: u64, updated_at: u64) -> InstanceRecord {
    InstanceRecord {
        instance,
        health: InstanceHealth::default(),
        created_at: UnixMillis(created_at),
        updated_at: UnixMillis(updated_at),
    }
}

async fn put(store: &dyn IdentityStore, instance: &Instance, at: u64) {
    let said = entry("service.registered", &instance.id);
    store.put_instance(instance, UnixMillis(at), &said).await.unwrap();
}

async fn instances_are_kept_and_found(store: &dyn IdentityStore) {
    assert_eq!(store.find_instance("shop", "shop-1").await.unwrap(), None);
    let before = entries(store).await;
    let tcp = Instance { check: Some(Check::new(Probe::Tcp)), ..bare("shop", "shop-3") };
    for instance in [bare("shop", "shop-1"), full("shop", "shop-2"), tcp] {
        put(store, &instance, 5).await;
        let found = store.find_instance("shop", &instance.id).await.unwrap();
        assert_eq!(found, Some(record(instance, 5, 5)));
    }
    assert_eq!(entries(store).await, before + 3);
    assert_eq!(store.find_instance("shop\0", "shop-1").await.unwrap(), None);
    assert_eq!(store.find_instance("shop-1", "shop").await.unwrap(), None);
}

async fn what_is_kept_is_changed(store: &dyn IdentityStore) {
    let health = InstanceHealth { health: Health::Unhealthy, failures: 7, average_ms: u32::MAX };
    let before = entries(store).await;
    assert!(store.set_instance_health("shop", "shop-2", health).await.unwrap());
    assert!(!store.set_instance_health("shop", "none", health).await.unwrap());
    assert_eq!(entries(store).await, before, "how it is is nobody's doing");
    let other = Instance { weight: 3, zone: None, ..full("shop", "shop-2") };
    put(store, &other, 9).await;
    let expected = InstanceRecord { health, ..record(other, 5, 9) };
    assert_eq!(store.find_instance("shop", "shop-2").await.unwrap(), Some(expected));
}

async fn lists_go_on_where_they_ended(store: &dyn IdentityStore) {
    put(store, &bare("pay", "z"), 6).await;
    let names = async |after, limit| {
        let records = store.list_instances(after, limit).await.unwrap();
        let name = |record: InstanceRecord| (record.instance.service, record.instance.id);
        let names: Vec<(String, String)> = records.into_iter().map(name).collect();
        names.into_iter().map(|(service, id)| format!("{service}/{id}")).collect::<Vec<_>>()
    };
    let all = ["pay/z", "shop/shop-1", "shop/shop-2", "shop/shop-3"];
    assert_eq!(names(None, 100).await, all);
    assert_eq!(names(None, 2).await, all[..2]);
    assert_eq!(names(Some(("shop", "shop-1")), 1).await, all[2..3]);
    assert_eq!(names(Some(("pay", "zz")), 100).await, all[1..]);
    assert_eq!(names(Some(("shop", "shop-3")), 100).await, [""; 0]);
}

async fn what_is_deleted_is_gone(store: &dyn IdentityStore) {
    let said = entry("service.deregistered", "pay/z");
    let before = entries(store).await;
    assert!(store.delete_instance("pay", "z", &said).await.unwrap());
    assert!(!store.delete_instance("pay", "z", &said).await.unwrap());
    assert!(!store.delete_instance("pay\0", "z", &said).await.unwrap());
    assert_eq!(store.find_instance("pay", "z").await.unwrap(), None);
    assert_eq!(entries(store).await, before + 1);
}
