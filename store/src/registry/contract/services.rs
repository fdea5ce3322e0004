//! How many services there are.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Case, instance};
use crate::registry::RegistryError;

/// More than any registry takes.
const TOO_MANY: usize = 10_100;
/// How many are registered at the same time.
const AT_ONCE: usize = 50;

pub(super) async fn run(case: &Case<'_>) {
    let mut known = fill(case).await;
    let late = case.service("late");
    let refused = case.registry.register(&instance(&late, "a", 1), case.now()).await;
    assert_eq!(refused, Err(RegistryError::Full));
    assert!(case.list(&late).await.entries.is_empty(), "and it is not there");
    let listed = case.registry.services(case.now()).await.unwrap();
    assert!(known.is_subset(&listed.into_iter().collect()), "one is off the list");

    let first = known.pop_first().unwrap();
    assert!(case.heartbeat(&first, "a").await);
    assert!(case.deregister(&first, "a").await);
    assert!(case.register(&instance(&late, "a", 1)).await, "there is room again");
    known.insert(late);
    clear(case, known).await;
}

/// The services that there was room for.
async fn fill(case: &Case<'_>) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for first in (0..TOO_MANY).step_by(AT_ONCE) {
        let mut registering = JoinSet::new();
        for number in first..first + AT_ONCE {
            let (registry, now) = (Arc::clone(case.registry), case.now());
            let service = case.service(&format!("one-of-many-{number}"));
            registering.spawn(async move {
                let registered = registry.register(&instance(&service, "a", 1), now).await;
                (service, registered)
            });
        }
        let mut is_full = false;
        for (service, registered) in registering.join_all().await {
            match registered {
                Ok(is_new) => assert!(is_new && known.insert(service)),
                Err(error) => {
                    assert_eq!(error, RegistryError::Full);
                    is_full = true;
                }
            }
        }
        if is_full {
            return known;
        }
    }
    panic!("there is no bound: {}", known.len());
}

async fn clear(case: &Case<'_>, known: BTreeSet<String>) {
    let mut going = JoinSet::new();
    for service in known {
        let (registry, now) = (Arc::clone(case.registry), case.now());
        going.spawn(async move { registry.deregister(&service, "a", now).await });
        if going.len() >= AT_ONCE {
            assert_eq!(going.join_next().await.unwrap().unwrap(), Ok(true));
        }
    }
    assert!(going.join_all().await.into_iter().all(|gone| gone == Ok(true)));
}
