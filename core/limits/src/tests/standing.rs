//! What a status says is what happens.

use super::*;

proptest! {
    #[test]
    fn what_remains_fits_and_no_more(spec in small_spec(), requests in stepping_requests()) {
        let (state, now) = after(spec, &requests);
        let status = spec.status(&state, 1, UnixMillis(now));
        let fits = |cost| spec.take(&mut state.clone(), cost, UnixMillis(now)).allowed;
        prop_assert!(fits(0) && fits(status.remaining));
        prop_assert!(!fits(status.remaining + 1));
        prop_assert!(!fits(spec.capacity() + 1) && !fits(u64::MAX));
        prop_assert!(status.remaining <= status.limit);
        prop_assert_eq!(status.limit, spec.capacity());
    }

    /// Whoever waits as long as they are told gets in, and nobody is told to wait a second more
    /// than that takes.
    #[test]
    fn reset_is_when_there_is_room(
        spec in small_spec(),
        requests in stepping_requests(),
        thousandths in 1_u64..=1000,
    ) {
        let (mut state, now) = after(spec, &requests);
        let room = remaining(spec, &state, now);
        prop_assert!(spec.take(&mut state, room, UnixMillis(now)).allowed);
        let cost = (spec.capacity() * thousandths).div_ceil(1000);
        let refused = spec.take(&mut state, cost, UnixMillis(now));
        prop_assert!(!refused.allowed);
        prop_assert_eq!(refused.status, spec.status(&state, cost, UnixMillis(now)));
        let wait = refused.status.reset_secs;
        prop_assert!(wait >= 1);
        let fits_after =
            |secs: u64| spec.fits(&mut state.clone(), cost, UnixMillis(now + secs * 1000));
        prop_assert!(fits_after(wait), "{wait} s");
        prop_assert!(!fits_after(wait - 1), "{wait} s");
    }

    /// The same for all limits that there may be, asked once each.
    #[test]
    fn reset_is_when_there_is_room_in_large_limits(
        spec in any_spec(),
        offset in 0_u64..100_000_000,
        (taken, wanted) in (1_u64..=1000, 1_u64..=1000),
    ) {
        let now = START + offset;
        let share = |thousandths: u64| (spec.capacity() * thousandths).div_ceil(1000);
        let mut state = spec.fresh(UnixMillis(now));
        prop_assert!(spec.take(&mut state, share(taken), UnixMillis(now)).allowed);
        let outcome = spec.take(&mut state, share(wanted), UnixMillis(now));
        let wait = outcome.status.reset_secs;
        let fits_after =
            |secs: u64| spec.fits(&mut state.clone(), share(wanted), UnixMillis(now + secs * 1000));
        // The largest burst takes longer to come back at the slowest rate than time goes on.
        if !outcome.allowed && wait < u64::MAX / 2000 {
            prop_assert!(fits_after(wait), "{wait} s");
            prop_assert!(!fits_after(wait - 1), "{wait} s");
        }
    }

    #[test]
    fn what_is_given_back_was_never_taken(
        spec in small_spec(),
        requests in stepping_requests(),
        wait in 0_u64..10_000,
    ) {
        let (state, now) = after(spec, &requests);
        let mut other = state.clone();
        for cost in [1, remaining(spec, &state, now)] {
            if spec.take(&mut other, cost, UnixMillis(now)).allowed {
                spec.give_back(&mut other, cost, UnixMillis(now));
            }
            for at in [now, now + wait] {
                prop_assert_eq!(remaining(spec, &other, at), remaining(spec, &state, at));
            }
        }
    }

    #[test]
    fn asking_first_and_adding_then_is_taking(
        spec in small_spec(),
        requests in stepping_requests(),
        cost in 0_u64..10,
    ) {
        let (state, now) = after(spec, &requests);
        let (mut taken, mut added) = (state.clone(), state);
        let outcome = spec.take(&mut taken, cost, UnixMillis(now));
        let fits = spec.fits(&mut added, cost, UnixMillis(now));
        prop_assert_eq!(fits, outcome.allowed);
        if fits {
            spec.add(&mut added, cost, UnixMillis(now));
        }
        prop_assert_eq!(spec.status(&added, cost, UnixMillis(now)), outcome.status);
        prop_assert_eq!(added, taken);
    }

    #[test]
    fn forgetting_in_time_loses_nothing(
        spec in small_spec(),
        requests in stepping_requests(),
        wait in 0_u64..5000,
    ) {
        let (state, now) = after(spec, &requests);
        let at = spec.forgettable_at(&state).0.max(now);
        prop_assert_eq!(remaining(spec, &state, at + wait), spec.capacity());
    }
}
