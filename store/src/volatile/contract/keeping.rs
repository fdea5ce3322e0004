//! Giving back, looking at keys, forgetting them.

use super::{Case, every_way};
use crate::volatile::LimitAsk;

pub(super) async fn run(case: Case<'_>) {
    what_is_given_back_can_be_taken(case).await;
    no_more_is_given_back_than_was_taken(case).await;
    a_key_is_looked_at_without_a_trace(case).await;
    what_is_forgotten_counts_no_more(case).await;
    places_are_looked_at_and_forgotten_too(case).await;
}

async fn what_is_given_back_can_be_taken(case: Case<'_>) {
    for (way, spec) in every_way(5) {
        let weighing = |cost| case.rate(&format!("w{way}"), spec, cost);
        assert_eq!(case.take(weighing(3)).await, (true, 2), "{way}");
        case.give_back(weighing(0)).await;
        assert_eq!(case.take(weighing(3)).await, (false, 2), "{way}");
        case.give_back(weighing(1)).await;
        assert_eq!(case.take(weighing(3)).await, (true, 0), "{way}");
        case.give_back(weighing(3)).await;
        case.give_back(weighing(2)).await;
        assert_eq!(case.take(weighing(5)).await, (true, 0), "{way}");
        assert_eq!(case.take(weighing(1)).await, (false, 0), "{way}");
    }
}

async fn no_more_is_given_back_than_was_taken(case: Case<'_>) {
    for (way, spec) in every_way(5) {
        let weighing = |cost| case.rate(&format!("x{way}"), spec, cost);
        case.give_back(weighing(2)).await;
        assert_eq!(inspected(case, weighing(1)).await, None, "{way}: nothing was there");
        assert_eq!(case.take(weighing(2)).await, (true, 3), "{way}");
        for cost in [3, u64::MAX] {
            case.give_back(weighing(cost)).await;
            assert_eq!(case.take(weighing(0)).await, (true, 5), "{way}");
        }
        assert_eq!(case.take(weighing(5)).await, (true, 0), "{way}");
        assert_eq!(case.take(weighing(1)).await, (false, 0), "{way}");
    }
}

/// What is left, when something counts.
async fn inspected(case: Case<'_>, limit: LimitAsk) -> Option<u64> {
    let inspected = case.store.inspect(limit.key, limit.take, case.now).await.unwrap()?;
    let two_months_ms = 62 * 86_400_000;
    assert!((1..=two_months_ms).contains(&inspected.expires_in_ms), "{inspected:?}");
    Some(inspected.status.remaining)
}

async fn a_key_is_looked_at_without_a_trace(case: Case<'_>) {
    for (way, spec) in every_way(5) {
        let limit = case.rate(&format!("y{way}"), spec, 2);
        assert_eq!(inspected(case, limit).await, None, "{way}");
        assert_eq!(case.take(limit).await, (true, 3), "{way}");
        for _ in 0..2 {
            let found = case.store.inspect(limit.key, limit.take, case.now).await.unwrap();
            let found = found.unwrap();
            assert_eq!((found.status.limit, found.status.remaining), (5, 3), "{way}");
            assert!(found.status.reset_secs >= 1, "{way}");
            assert_eq!(found.status.window_secs, spec.rate().window_secs(), "{way}");
            assert_eq!(inspected(case, limit).await, Some(3), "{way}");
        }
        assert_eq!(case.take(limit).await, (true, 1), "{way}");
    }
}

async fn what_is_forgotten_counts_no_more(case: Case<'_>) {
    assert_eq!(case.store.reset(&[]).await, Ok(0));
    for (way, spec) in every_way(2) {
        let limit = case.rate(&format!("z{way}"), spec, 2);
        let other = case.rate(&format!("0{way}"), spec, 1);
        assert_eq!(case.take(limit).await, (true, 0), "{way}");
        assert_eq!(case.take(other).await, (true, 1), "{way}");
        let unknown = case.key("1unknown");
        assert_eq!(case.store.reset(&[unknown, limit.key]).await, Ok(1), "{way}");
        assert_eq!(inspected(case, limit).await, None, "{way}");
        assert_eq!(inspected(case, other).await, Some(1), "{way}: another key");
        assert_eq!(case.take(limit).await, (true, 0), "{way}");
        assert_eq!(case.store.reset(&[limit.key, other.key]).await, Ok(2), "{way}");
        assert_eq!(case.store.reset(&[limit.key, other.key]).await, Ok(0), "{way}");
    }
}

async fn places_are_looked_at_and_forgotten_too(case: Case<'_>) {
    let place = |id| case.place("2places", 3, id);
    assert_eq!(inspected(case, place(1)).await, None);
    for id in [1, 2] {
        assert!(case.take(place(id)).await.0);
    }
    for id in [1, 3] {
        assert_eq!(inspected(case, place(id)).await, Some(1), "looking takes no place");
    }
    case.give_back(place(1)).await;
    assert_eq!(inspected(case, place(1)).await, Some(2));
    assert_eq!(case.store.reset(&[place(0).key]).await, Ok(1));
    assert_eq!(inspected(case, place(2)).await, None);
    assert_eq!(case.take(place(3)).await, (true, 2));
    case.give_back(place(3)).await;
    assert_eq!(inspected(case, place(3)).await, None, "all have left");
}
