//! What shared data may hold: what was written, or anything else.

use proptest::prelude::*;

use super::*;
use crate::{Admission, BREAKER_BYTES, Breaker, Verdict};

/// A breaker that has been through something, up to time's end.
fn used() -> impl Strategy<Value = Breaker> {
    let event = (0..6_u8, prop_oneof![9 => 0..2_000_u64, 1 => any::<u64>()], any::<u32>());
    prop::collection::vec(event, 0..60).prop_map(|events| {
        let (mut breaker, mut now) = (Breaker::default(), at(0));
        for (what, wait, random) in events {
            now = UnixMillis(now.0.saturating_add(wait));
            go_on(&mut breaker, what, now, random);
        }
        breaker
    })
}

fn go_on(breaker: &mut Breaker, what: u8, now: UnixMillis, random: u32) {
    let slow = random.is_multiple_of(2);
    match what {
        0 => {
            breaker.record(&SMALL, Verdict::Success { slow }, now, random);
        }
        1 | 2 => {
            breaker.record(&SMALL, Verdict::Failure { slow }, now, random);
        }
        3 => {
            breaker.grant(&SMALL, now);
        }
        _ => {
            if let Admission::Refused { retry_after_ms } = breaker.admit(&SMALL, now, random) {
                assert!(retry_after_ms > 0);
            }
        }
    }
    let totals = breaker.totals(now);
    assert!(totals.failures <= totals.calls && totals.slow <= totals.calls);
}

#[test]
fn they_fit() {
    const { assert!(BREAKER_BYTES <= 128) };
}

#[test]
fn what_is_no_breaker_knows_nothing() {
    let mut breaker = Breaker::default();
    breaker.record(&SMALL, Verdict::Failure { slow: false }, at(0), 0);
    let good = breaker.to_bytes();
    assert_eq!(Breaker::from_bytes(&good), breaker);
    let mut other_format = good;
    other_format[0] += 1;
    let mut no_state = good;
    no_state[1] = 3;
    let mut more_failures_than_calls = good;
    more_failures_than_calls[BREAKER_BYTES - 6] = 1;
    let mut too_long = good.to_vec();
    too_long.push(0);
    let bad: [&[u8]; 6] =
        [&[], &good[1..], &other_format, &no_state, &more_failures_than_calls, &too_long];
    for bad in bad {
        assert_eq!(Breaker::from_bytes(bad), Breaker::default(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(breaker in used()) {
        prop_assert_eq!(Breaker::from_bytes(&breaker.to_bytes()), breaker);
    }

    #[test]
    fn whatever_is_read_goes_on(
        start in used(),
        flips in prop::collection::vec((0..BREAKER_BYTES, any::<u8>()), 0..12),
        events in prop::collection::vec((0..6_u8, any::<u64>(), any::<u32>()), 0..12),
    ) {
        let mut bytes = start.to_bytes();
        for (place, byte) in flips {
            bytes[place] = byte;
        }
        let mut breaker = Breaker::from_bytes(&bytes);
        prop_assert_eq!(Breaker::from_bytes(&breaker.to_bytes()), breaker);
        for (what, now, random) in events {
            go_on(&mut breaker, what, UnixMillis(now), random);
        }
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..140)) {
        let _ = Breaker::from_bytes(&bytes);
    }
}
