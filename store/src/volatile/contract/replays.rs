//! What may be seen only once.

use postern_request::UnixMillis;

use super::{Case, all_at_once};
use crate::volatile::ReplayKey;

pub(super) async fn run(case: Case<'_>) {
    what_was_seen_is_known_for_its_time(case).await;
    one_of_many_at_once_is_the_first(case).await;
    an_earlier_clock_forgets_nothing(case).await;
}

impl Case<'_> {
    async fn remember(self, name: u8, keep_ms: u64) -> bool {
        self.store.remember_once(seen(name, self.salt), keep_ms, self.now).await.unwrap()
    }
}

fn seen(name: u8, salt: u8) -> ReplayKey {
    let mut bytes = [name; 32];
    bytes[31] = salt;
    ReplayKey(bytes)
}

async fn what_was_seen_is_known_for_its_time(case: Case<'_>) {
    let (long, short) = (b'a', b'b');
    assert!(case.remember(long, 3_600_000).await);
    assert!(case.remember(short, 200).await);
    for name in [long, short, long] {
        assert!(!case.remember(name, 3_600_000).await);
    }
    let later = case.later(250).await;
    assert!(!later.remember(long, 200).await);
    let again = later.remember(short, 3_600_000).await;
    assert!(again, "its time is over, and being seen again has not prolonged it");
    assert!(!later.remember(short, 200).await);
}

async fn one_of_many_at_once_is_the_first(case: Case<'_>) {
    let see = || case.store.remember_once(seen(b'c', case.salt), 3_600_000, case.now);
    let answers = all_at_once((0..20).map(|_| see()).collect()).await;
    let first = answers.into_iter().filter(|seen| *seen == Ok(true)).count();
    assert_eq!(first, 1);
    assert_eq!(see().await, Ok(false));
}

/// Those who ask have read their clocks some time before, each another time.
async fn an_earlier_clock_forgets_nothing(case: Case<'_>) {
    assert!(case.remember(b'd', 3_600_000).await);
    for (name, earlier_ms) in [(b'e', 1), (b'f', 20), (b'g', 1_000)] {
        let earlier = Case { now: UnixMillis(case.now.0 - earlier_ms), ..case };
        assert!(earlier.remember(name, 3_600_000).await);
        for name in [b'd', name] {
            assert!(!earlier.remember(name, 3_600_000).await, "{earlier_ms} ms earlier");
        }
    }
    assert!(!case.remember(b'd', 3_600_000).await);
}
