//! When to come back: never all at the same time.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::settings::Answers;

/// An Envoy that has had no use for what it knows for so many times the interval may wait that
/// much longer.
const IDLE_SHARE: u32 = 8;
/// The longest pause between an answer that a waiting Envoy got and its next question: news
/// that come close together then come in one answer.
const AFTER_NEWS: Duration = Duration::from_millis(100);

/// Numbers that spread, for pauses; nothing secret hangs on them.
#[derive(Debug)]
pub struct Jitter(AtomicU64);

impl Jitter {
    /// The same numbers for the same seed.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Other numbers in every process.
    #[must_use]
    pub fn random() -> Self {
        Self::seeded(RandomState::new().hash_one(0_u8))
    }

    /// A time between the two.
    pub(crate) fn between(&self, least: Duration, most: Duration) -> Duration {
        // SplitMix64: every state is its own stream's next number.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut number = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let part = u32::try_from((number ^ (number >> 31)) >> 40).unwrap_or_default();
        least + most.saturating_sub(least).mul_f64(f64::from(part) / f64::from(1_u32 << 24))
    }

    /// A time within a tenth of `about`.
    #[must_use]
    pub fn around(&self, about: Duration) -> Duration {
        self.between(about - about / 10, about + about / 10)
    }
}

/// When who comes back.
pub(crate) struct Pace {
    max_wait: Duration,
    jitter: Jitter,
}

impl Pace {
    pub(crate) const fn new(answers: &Answers, jitter: Jitter) -> Self {
        Self { max_wait: answers.max_wait, jitter }
    }

    /// For one that does not wait: soon while it is busy, later when it is idle. A quiet feed
    /// alone is no reason to ask less often: the next revocation is as urgent as any.
    pub(crate) fn poll(&self, answers: &Answers, idle: Duration) -> Duration {
        let Answers { poll_interval, idle_poll_interval, .. } = *answers;
        let interval = (idle / IDLE_SHARE).clamp(poll_interval, idle_poll_interval);
        self.jitter.around(interval)
    }

    /// For one that waited and got something.
    pub(crate) fn after_news(&self) -> Duration {
        self.jitter.between(Duration::ZERO, AFTER_NEWS)
    }

    /// For one that was turned away, to come back after `pause` or up to twice as long.
    pub(crate) fn turned_away(&self, pause: Duration) -> Duration {
        self.jitter.between(pause, pause * 2)
    }

    /// How long an answer may wait: those that came together do not leave together.
    pub(crate) fn wait(&self, wanted: Duration) -> Duration {
        let most = wanted.min(self.max_wait);
        self.jitter.between(most - most / 5, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace::new(&Answers::default(), Jitter::seeded(1))
    }

    #[test]
    fn pauses_spread_within_their_bounds() {
        let jitter = Jitter::seeded(7);
        let (least, most) = (Duration::from_millis(100), Duration::from_millis(300));
        let times: Vec<Duration> = (0..1_000).map(|_| jitter.between(least, most)).collect();
        assert!(times.iter().all(|time| (least..=most).contains(time)));
        let mean = times.iter().sum::<Duration>() / 1_000;
        assert!((190..=210).contains(&mean.as_millis()), "{mean:?}");
        assert_eq!(jitter.between(most, least), most, "nothing between: the least");
        assert_eq!(Jitter::seeded(7).between(least, most), times[0]);
    }

    #[test]
    fn idle_ones_come_back_later() {
        let pace = pace();
        for (idle, from, to) in
            [(0, 900, 1_100), (8, 900, 1_100), (40, 4_500, 5_500), (9_999, 9_000, 11_000)]
        {
            let next = pace.poll(&Answers::default(), Duration::from_secs(idle)).as_millis();
            assert!((from..=to).contains(&next), "{idle} s idle: {next} ms");
        }
    }

    #[test]
    fn waits_are_capped() {
        let pace = pace();
        for (wanted, from, to) in [(0, 0, 0), (10, 8_000, 10_000), (3_600, 20_000, 25_000)] {
            let wait = pace.wait(Duration::from_secs(wanted)).as_millis();
            assert!((from..=to).contains(&wait), "{wanted} s wanted: {wait} ms");
        }
    }
}
