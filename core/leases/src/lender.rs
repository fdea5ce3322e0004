//! How large a slice may be, and what is said about it.

use postern_limits::{Spec, State};
use postern_request::UnixMillis;

use crate::reset::reset_ms;

/// What a lease is known by: 16 random bytes, chosen by the borrower for each question that is
/// new, so that a question which is asked again is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LeaseId(pub [u8; 16]);

/// A borrower asks for a slice of one key's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// The lease that is to be.
    pub id: LeaseId,
    /// How much it would like.
    pub asked: u64,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// How much may be spent: nothing up to what was asked.
    pub granted: u64,
    /// For how long, counted from when the borrower first sent the question; never past the end
    /// of a fixed window.
    pub life_ms: u64,
    /// What is left of the limit, this slice taken off.
    pub remaining: u64,
    /// Where nothing is left, until one request fits again; else until the window ends, the
    /// bucket is full or the oldest request of the log no longer counts. It is exact: who was told
    /// that nothing is left asks again when there is something.
    pub reset_ms: u64,
}

impl Grant {
    /// What was granted, beside where the limit stands, that slice taken off. Every store says it
    /// by this.
    #[must_use]
    pub fn of(granted: u64, life_ms: u64, spec: Spec, state: &mut State, now: UnixMillis) -> Self {
        let remaining = spec.take(state, 0, now).status.remaining;
        Self { granted, life_ms, remaining, reset_ms: reset_ms(spec, state, now) }
    }
}

/// How much of `asked` is granted.
///
/// Never more than a fair share of what remains: divided by those who hold a lease and the one
/// who asks, and by two at least, so that whoever comes first leaves something for whoever comes
/// next. For the same reason never more than half of the room that is left under the cap: one
/// sidecar with very much traffic must not keep the others from getting any.
#[must_use]
pub fn grant(asked: u64, remaining: u64, outstanding: u64, cap: u64, live_leases: u64) -> u64 {
    let share = remaining.div_ceil(live_leases.saturating_add(1).max(2));
    let room = cap.saturating_sub(outstanding);
    asked.min(share).min(room.div_ceil(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_smallest_of_three_is_granted() {
        for (asked, remaining, outstanding, cap, live, expected, why) in [
            (30, 1000, 0, 100, 0, 30, "asked"),
            (800, 1000, 0, 2000, 0, 500, "half for the first"),
            (800, 1000, 200, 2000, 1, 500, "half for the second"),
            (800, 1000, 200, 2000, 4, 200, "a fifth for the fifth"),
            (300, 1000, 80, 100, 3, 10, "half of the room"),
            (300, 1000, 99, 100, 3, 1, "the last of the room"),
            (300, 1000, 100, 100, 3, 0, "no room"),
            (300, 1000, 150, 100, 3, 0, "a cap that has shrunk"),
            (300, 1, 0, 100, 9, 1, "the last one goes to somebody"),
            (300, 0, 0, 100, 0, 0, "nothing left"),
            (0, 1000, 0, 100, 0, 0, "nothing asked"),
            (u64::MAX, u64::MAX, 0, u64::MAX, u64::MAX, 1, "no overflow"),
        ] {
            assert_eq!(grant(asked, remaining, outstanding, cap, live), expected, "{why}");
        }
    }

    proptest! {
        #[test]
        fn never_more_than_there_is(
            asked: u64, remaining: u64, outstanding: u64, cap: u64, live: u64,
        ) {
            let granted = grant(asked, remaining, outstanding, cap, live);
            prop_assert!(granted <= asked && granted <= remaining && granted <= cap);
        }
    }
}
