//! How long a circuit stays open: longer each time that recovery fails, and never quite the same.

use crate::settings::{Recovery, WHOLE};

/// How long a circuit stays open whose recovery has failed so often in a row: the first time,
/// doubled for each, up to the longest, and then longer or shorter by some of the jitter, which
/// `random` chooses. At least 1.
#[must_use]
pub fn recovery_ms(recovery: Recovery, failed: u8, random: u32) -> u64 {
    let Recovery { first_ms, longest_ms, jitter } = recovery;
    let factor = 1_u64.checked_shl(failed.into()).unwrap_or(u64::MAX);
    let even = first_ms.saturating_mul(factor).min(longest_ms.max(first_ms));
    let even = u128::from(even);
    let most = even * u128::from(jitter.0.min(WHOLE)) / u128::from(WHOLE);
    // From nothing to twice the most, and as often one as the other.
    let some = ((2 * most + 1) * u128::from(random)) >> u32::BITS;
    u64::try_from(even - most + some).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Share;

    #[test]
    fn it_doubles_up_to_the_longest() {
        let recovery = Recovery { first_ms: 10_000, longest_ms: 60_000, jitter: Share(0) };
        let times: Vec<u64> = (0..5).map(|failed| recovery_ms(recovery, failed, 7)).collect();
        assert_eq!(times, [10_000, 20_000, 40_000, 60_000, 60_000]);
        assert_eq!(recovery_ms(recovery, u8::MAX, u32::MAX), 60_000);
        let shorter = Recovery { longest_ms: 1, ..recovery };
        assert_eq!(recovery_ms(shorter, 9, 0), 10_000, "never shorter than the first");
    }

    #[test]
    fn jitter_goes_both_ways_and_no_further() {
        let recovery = Recovery { first_ms: 1_000, longest_ms: 1_000, jitter: Share::percent(10) };
        assert_eq!(recovery_ms(recovery, 0, 0), 900);
        assert_eq!(recovery_ms(recovery, 0, 1 << 31), 1_000);
        assert_eq!(recovery_ms(recovery, 0, u32::MAX), 1_100);
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(
            first_ms in any::<u64>(),
            longest_ms in any::<u64>(),
            jitter in 0..=WHOLE,
            failed in any::<u8>(),
            random in any::<u32>(),
        ) {
            let recovery = Recovery { first_ms, longest_ms, jitter: Share(jitter) };
            let even = Recovery { jitter: Share(0), ..recovery };
            let even = u128::from(recovery_ms(even, failed, random));
            let some = u128::from(recovery_ms(recovery, failed, random));
            prop_assert!(some >= 1);
            prop_assert!(even <= u128::from(first_ms.max(longest_ms).max(1)));
            let off = some.abs_diff(even) * u128::from(WHOLE);
            // The millisecond that is left of a recovery of nothing.
            prop_assert!(off <= even * u128::from(jitter) + u128::from(WHOLE));
            if failed < u8::MAX {
                let longer = recovery_ms(Recovery { jitter: Share(0), ..recovery }, failed + 1, 0);
                prop_assert!(u128::from(longer) >= even);
            }
        }

        #[test]
        fn as_often_shorter_as_longer(random in any::<u32>(), first_ms in 100..1_000_000_u64) {
            let recovery = Recovery { first_ms, longest_ms: first_ms, jitter: Share::percent(30) };
            let (one, other) = (recovery_ms(recovery, 0, random), recovery_ms(recovery, 0, !random));
            prop_assert!((one + other).abs_diff(2 * first_ms) <= 1, "{} {}", one, other);
        }
    }
}
