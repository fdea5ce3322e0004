//! Who waits hears of what changes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_registry::instance::TTL_MS;
use postern_registry::{Health, Instance, Listing, Version};
use tokio::task::JoinHandle;

use super::checks::Turn;
use super::{Case, PATIENCE, SOON, checked, ids, instance};

pub(super) async fn run(case: &Case<'_>) {
    every_change_wakes(case).await;
    what_happened_before_is_not_missed(case).await;
    what_ends_meanwhile_is_not_listed(case).await;
}

/// Waits for another state than the one that was seen.
fn wait(case: &Case<'_>, service: &str, seen: Option<Version>) -> JoinHandle<Listing> {
    let (registry, service, now) = (Arc::clone(case.registry), service.to_owned(), case.now());
    tokio::spawn(async move { registry.watch(&service, seen, PATIENCE, now).await.unwrap() })
}

async fn every_change_wakes(case: &Case<'_>) {
    let service = case.service("watched");
    let first = checked(instance(&service, "a", 1));
    let mut seen = case.list(&service).await.version;
    let turn = Turn::take(case, &service, 1).await;
    for change in 0..4 {
        let waiting = wait(case, &service, Some(seen));
        // It waits by then; were it not to, it would be asked for what is there already.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let began = Instant::now();
        match change {
            0 => assert!(case.register(&first).await),
            1 => assert!(case.register(&Instance { weight: 4, ..first.clone() }).await),
            2 => assert!(turn.report(&first, Health::Unhealthy).await),
            _ => assert!(case.deregister(&service, "a").await),
        }
        let heard = waiting.await.unwrap();
        assert!(began.elapsed() < SOON, "{change}: {:?}", began.elapsed());
        assert_ne!(heard.version, seen, "{change}");
        assert_eq!(heard.entries.is_empty(), change == 3, "{change}");
        seen = heard.version;
    }
}

async fn what_happened_before_is_not_missed(case: &Case<'_>) {
    let service = case.service("missed");
    case.register(&instance(&service, "a", 1)).await;
    let seen = case.list(&service).await.version;
    case.register(&instance(&service, "b", 2)).await;
    let began = Instant::now();
    let heard = wait(case, &service, Some(seen)).await.unwrap();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(ids(&heard), ["a", "b"]);
}

async fn what_ends_meanwhile_is_not_listed(case: &Case<'_>) {
    let service = case.service("ends-meanwhile");
    let brief_ms = *TTL_MS.start();
    let brief = Instance { ttl_ms: brief_ms, ..instance(&service, "a", 1) };
    let lasting = instance(&service, "b", 2);
    assert!(case.register(&brief).await);
    assert!(case.register(&lasting).await);
    let seen = case.list(&service).await.version;
    let wait = Duration::from_millis(brief_ms + 500);
    let heard = case.registry.watch(&service, Some(seen), wait, case.now()).await.unwrap();
    assert_eq!(ids(&heard), ["b"]);
    // Whoever hears this adds it to their own now.
    let left = heard.entries[0].expires_in_ms.unwrap();
    assert!(left <= lasting.ttl_ms - brief_ms, "{left}");
}
