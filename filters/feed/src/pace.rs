//! When to ask again. Envoys that began together, or lost a server together, must not come back
//! together.

/// The longest pause after the first failure, and after any.
const FIRST_RETRY_MS: u64 = 500;
const LAST_RETRY_MS: u64 = 15_000;
/// No server is believed that it wants to be asked less often.
pub(crate) const LONGEST_PAUSE_MS: u64 = 60_000;
/// Nor that it wants to be asked at once by those whom it turns away.
const SHORTEST_PAUSE_MS: u64 = 100;

/// FNV-1a, for what is not secret and comes from the configuration alone.
pub(crate) fn hash(text: &str) -> u64 {
    const PRIME: u64 = 0x100_0000_01b3;
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    // The upper bits of a short text's hash hardly differ.
    mix(hash)
}

/// The finaliser of SplitMix64.
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Pauses, spread by numbers that every Envoy has of its own: a module has no randomness, and
/// nothing secret hangs on these.
#[derive(Debug)]
pub(crate) struct Pace {
    state: u64,
    failures: u32,
}

impl Pace {
    pub(crate) fn new(envoy_id: &str) -> Self {
        Self { state: hash(envoy_id), failures: 0 }
    }

    /// An answer was taken.
    pub(crate) const fn went_well(&mut self) {
        self.failures = 0;
    }

    /// The pause after a failure, in milliseconds: anything up to a bound that doubles.
    pub(crate) fn after_failure(&mut self) -> u64 {
        let most = FIRST_RETRY_MS << self.failures.min(5);
        self.failures = self.failures.saturating_add(1);
        self.between(0, most.min(LAST_RETRY_MS))
    }

    /// The pause for one that was turned away.
    pub(crate) fn after_refusal(asked_for_ms: u64) -> u64 {
        asked_for_ms.clamp(SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS)
    }

    /// A time within a tenth of this one.
    pub(crate) fn around(&mut self, millis: u64) -> u64 {
        let tenth = millis / 10;
        self.between(millis - tenth, millis.saturating_add(tenth))
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        // SplitMix64: every state is its own stream's next number.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let span = most.saturating_sub(least).saturating_add(1);
        least.saturating_add(mix(self.state) % span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_ever_longer_and_never_together() {
        let mut paces: Vec<Pace> = (0..1_000).map(|at| Pace::new(&format!("envoy-{at}"))).collect();
        for most in [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000] {
            let pauses: Vec<u64> = paces.iter_mut().map(Pace::after_failure).collect();
            assert!(pauses.iter().all(|pause| *pause <= most));
            let mean = pauses.iter().sum::<u64>() / 1_000;
            assert!((most * 45 / 100..=most * 55 / 100).contains(&mean), "{mean} of {most}");
        }
        let mut pace = Pace::new("a");
        for _ in 0..100 {
            pace.after_failure();
        }
        pace.went_well();
        assert!(pace.after_failure() <= 500);
    }

    #[test]
    fn polls_spread_by_a_tenth() {
        let mut pace = Pace::new("a");
        let times: Vec<u64> = (0..1_000).map(|_| pace.around(1_000)).collect();
        assert!(times.iter().all(|time| (900..=1_100).contains(time)));
        assert!((990..=1_010).contains(&(times.iter().sum::<u64>() / 1_000)));
        assert_eq!((pace.around(0), pace.around(5)), (0, 5));
    }

    #[test]
    fn a_refusal_is_honoured_within_bounds() {
        for (asked, expected) in [(0, 100), (700, 700), (u64::MAX, LONGEST_PAUSE_MS)] {
            assert_eq!(Pace::after_refusal(asked), expected);
        }
    }

    #[test]
    fn hashes_differ_in_all_their_bits() {
        let hashes: std::collections::BTreeSet<u64> =
            (0..64).map(|at| hash(&format!("https://i{at}.test")) >> 56).collect();
        assert!(hashes.len() > 40, "{}", hashes.len());
    }
}
