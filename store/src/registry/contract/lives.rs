//! How instances come, stay and go.

use postern_registry::instance::TTL_MS;
use postern_registry::{Check, Health, Instance, MAX_INSTANCES, Probe};

use super::{Case, checked, ids, instance, until};
use crate::registry::RegistryError;

pub(super) async fn run(case: &Case<'_>) {
    what_was_registered_is_listed(case).await;
    what_changes_is_told_from_what_is_renewed(case).await;
    who_moves_has_never_been_checked(case).await;
    who_is_not_renewed_is_gone(case).await;
    a_service_has_room_for_so_many(case).await;
}

async fn what_was_registered_is_listed(case: &Case<'_>) {
    let service = case.service("listed");
    let check = Check {
        interval_ms: 1_000,
        timeout_ms: 500,
        tries: 1,
        threshold: 2,
        recovery_ms: 7_000,
        ..Check::new(Probe::Http { path: "/ready?deep=1".to_owned() })
    };
    let full = Instance {
        address: "2001:db8::7".parse().unwrap(),
        port: 65_535,
        weight: 1_000,
        base_path: "/api".to_owned(),
        check: Some(check),
        max_connections: 7,
        version: Some("v1.2".to_owned()),
        environment: Some("test".to_owned()),
        region: Some("r".to_owned()),
        zone: Some("z".to_owned()),
        ttl_ms: 180_000,
        stays: true,
        ..instance(&service, "b", 1)
    };
    let tcp = Instance { check: Some(Check::new(Probe::Tcp)), ..instance(&service, "c", 3) };
    let all = [instance(&service, "a", 2), full, tcp];
    for instance in all.iter().rev() {
        assert!(case.register(instance).await);
    }
    let listing = case.list(&service).await;
    let listed: Vec<Instance> =
        listing.entries.iter().map(|listed| listed.instance.clone()).collect();
    assert_eq!(listed, all, "all of it, by id");
    for listed in &listing.entries {
        assert_eq!(listed.standing.health, Health::Unknown);
        assert_eq!((listed.standing.failures, listed.standing.last_check), (0, None));
        let left = listed.expires_in_ms.unwrap();
        assert!(left > 0 && left <= listed.instance.ttl_ms, "{left}");
    }
    assert!(case.registry.services(case.now()).await.unwrap().contains(&service));
    assert!(case.deregister(&service, "b").await);
    assert!(!case.deregister(&service, "b").await, "once");
    assert!(!case.deregister(&case.service("none"), "b").await);
    assert_eq!(ids(&case.list(&service).await), ["a", "c"]);
}

async fn what_changes_is_told_from_what_is_renewed(case: &Case<'_>) {
    let service = case.service("renewed");
    let first = instance(&service, "a", 1);
    assert!(case.register(&first).await);
    let before = case.list(&service).await.version;
    assert!(!case.register(&first).await, "it is that already");
    assert!(case.heartbeat(&service, "a").await);
    assert_eq!(case.list(&service).await.version, before, "nothing is different");

    let heavier = Instance { weight: 3, ..first };
    assert!(case.register(&heavier).await);
    let after = case.list(&service).await;
    assert!(after.version.number > before.number && after.version.epoch == before.epoch);
    assert_eq!(after.entries[0].instance, heavier);
    assert!(case.deregister(&service, "a").await);
    let gone = case.list(&service).await;
    assert!(gone.version.number > after.version.number);
    assert!(gone.entries.is_empty() && !gone.version.has_forgotten(after.version));
    assert!(!case.heartbeat(&service, "a").await, "who is gone has to register");
    assert!(!case.heartbeat(&case.service("none"), "a").await);
}

async fn who_moves_has_never_been_checked(case: &Case<'_>) {
    let service = case.service("moves");
    let first = checked(instance(&service, "a", 1));
    case.register(&first).await;
    let turn = super::checks::Turn::take(case, &service, 1).await;
    turn.report(&first, Health::Unhealthy).await;
    let heavier = Instance { weight: 2, ..first.clone() };
    assert!(case.register(&heavier).await);
    let health = async || case.find(&service, "a").await.unwrap().standing.health;
    assert_eq!(health().await, Health::Unhealthy, "it is where it was");
    assert!(case.register(&Instance { port: 81, ..first.clone() }).await);
    assert_eq!(health().await, Health::Unknown);

    // Nothing else is different.
    turn.report(&Instance { port: 81, ..first.clone() }, Health::Unhealthy).await;
    let before = case.list(&service).await.version;
    let moved = Instance { port: 82, ..first };
    assert!(case.register(&moved).await);
    assert!(case.list(&service).await.version.number > before.number);
    let there = case.find(&service, "a").await.unwrap();
    assert_eq!((there.instance, there.standing.health), (moved, Health::Unknown));
}

async fn who_is_not_renewed_is_gone(case: &Case<'_>) {
    let service = case.service("ends");
    let brief = |id| Instance { ttl_ms: *TTL_MS.start(), ..instance(&service, id, 1) };
    assert!(case.register(&brief("a")).await);
    assert!(case.register(&brief("b")).await);
    let before = case.list(&service).await.version;
    until("the end of what is not renewed", async || {
        assert!(case.heartbeat(&service, "b").await, "it is renewed all the time");
        case.find(&service, "a").await.is_none()
    })
    .await;
    let after = case.list(&service).await;
    assert_eq!(ids(&after), ["b"]);
    assert!(after.version.number > before.number && !after.version.has_forgotten(before));
    assert!(!case.heartbeat(&service, "a").await);
}

async fn a_service_has_room_for_so_many(case: &Case<'_>) {
    let service = case.service("many");
    for number in 0..MAX_INSTANCES {
        let id = format!("i-{number:04}");
        assert!(case.register(&instance(&service, &id, 1)).await);
    }
    let one_more = instance(&service, "j", 2);
    let refused = case.registry.register(&one_more, case.now()).await;
    assert_eq!(refused, Err(RegistryError::Full));
    let known = Instance { weight: 9, ..instance(&service, "i-0000", 1) };
    assert!(case.register(&known).await, "who is there may change");
    let listing = case.list(&service).await;
    assert_eq!(listing.entries.len(), MAX_INSTANCES);
    assert!(listing.entries.is_sorted_by_key(|listed| listed.instance.id.clone()));
    assert!(case.deregister(&service, "i-0500").await);
    assert!(case.register(&one_more).await);
}
