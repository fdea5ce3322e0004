//! The contract of [`RevocationBus`], as a test suite that every implementation passes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "assertions of a test suite, compiled for tests only"
)]

use std::time::Duration;

use postern_request::UnixMillis;
use tokio::time::timeout;

use super::{RevocationBus, Wakeup, Wakeups};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const LONGEST: Duration = Duration::from_secs(10);

/// Runs the suite on two replicas' connected ends of one bus, or twice on the same end.
///
/// # Panics
/// When the bus breaks the contract.
pub async fn run(here: &dyn RevocationBus, there: &dyn RevocationBus) {
    let (mut first, mut second) = (there.subscribe(), there.subscribe());
    let mut own = here.subscribe();
    for wakeups in [&mut first, &mut second, &mut own] {
        assert_eq!(heard(wakeups).await, Wakeup::Connected, "each is told at first");
    }
    here.publish(7, &[], NOW).await.unwrap();
    for wakeups in [&mut first, &mut second, &mut own] {
        until(wakeups, 7).await;
    }

    // Whoever is slow hears the last of many.
    for seq in 8..=40 {
        here.publish(seq, &[], NOW).await.unwrap();
    }
    until(&mut first, 40).await;
    drop(first);

    // A store that was restored from a backup counts from an earlier number.
    there.publish(3, &[], NOW).await.unwrap();
    until(&mut second, 3).await;
    until(&mut own, 3).await;

    let mut late = there.subscribe();
    assert_eq!(heard(&mut late).await, Wakeup::Connected);
    here.publish(4, &[], NOW).await.unwrap();
    until(&mut late, 4).await;
}

/// Listens until a number is heard; earlier ones may come before it.
async fn until(wakeups: &mut Wakeups, seq: u64) {
    while heard(wakeups).await != Wakeup::News(seq) {}
}

async fn heard(wakeups: &mut Wakeups) -> Wakeup {
    match timeout(LONGEST, wakeups.next()).await {
        Ok(wakeup) => wakeup.unwrap(),
        Err(_) => panic!("nothing was heard within {LONGEST:?}"),
    }
}
