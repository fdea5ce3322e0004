//! How the feed runs. The defaults are for a deployment of a thousand Envoys and more.

use std::time::Duration;

use postern_limits::{Algorithm, Anchor, Rate, RateError, Spec, SpecError};

use crate::borrowing::MOST_IN_ALL;
use crate::circuits::reports;
use crate::quota::Counted;

/// The longest page that a store gives.
const MAX_PAGE: u32 = 10_000;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// What is kept.
    pub bounds: Bounds,
    /// How the durable list is read.
    pub reading: Reading,
    /// How Envoys are answered.
    pub answers: Answers,
    /// How often a peer may ask.
    pub quotas: Quotas,
}

/// What is kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Live records at most: 16 bytes each and some more. What lies beyond is refused, and the
    /// server says that what it knows is stale.
    pub max_records: usize,
    /// Records that are remembered in their order, 24 bytes each: an Envoy that has missed more
    /// takes a snapshot.
    pub max_recent: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { max_records: 2_000_000, max_recent: 65_536 }
    }
}

/// How the durable list is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// How often it is read although nobody said that there is news.
    pub safety_interval: Duration,
    /// The same while nobody could say so.
    pub deaf_interval: Duration,
    /// The shortest time from read to read, however much news there is.
    pub shortest_interval: Duration,
    /// Pause after the first failure; it doubles up to `last_retry`.
    pub first_retry: Duration,
    /// The longest pause after a failure.
    pub last_retry: Duration,
    /// What one call to the store may take.
    pub timeout: Duration,
    /// Entries a call.
    pub page: u32,
    /// How often what has expired is let go.
    pub sweep_interval: Duration,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            safety_interval: Duration::from_secs(30),
            deaf_interval: Duration::from_secs(1),
            shortest_interval: Duration::from_millis(50),
            first_retry: Duration::from_millis(100),
            last_retry: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            page: 10_000,
            sweep_interval: Duration::from_secs(60),
        }
    }
}

/// How Envoys are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// The longest that an answer waits for something new.
    pub max_wait: Duration,
    /// Answers that wait at once. Further askers are answered at once and come back later.
    pub max_waiting: usize,
    /// When an Envoy that does not wait comes back.
    pub poll_interval: Duration,
    /// The same for one that has had no use for what it knows for long.
    pub idle_poll_interval: Duration,
    /// Snapshots that are being taken at once.
    pub max_snapshots: usize,
    /// How long somebody who takes a snapshot may pause between two pieces.
    pub snapshot_pause: Duration,
    /// The longest piece of a snapshot.
    pub piece_bytes: usize,
    /// The most records of a delta.
    pub delta_records: usize,
    /// The most bytes of key sets in one answer; one set is sent whatever its length.
    pub key_bytes: usize,
    /// When an Envoy comes back for slices of limits.
    pub borrow_interval: Duration,
    /// When an Envoy that has something to say of services says more.
    pub report_interval: Duration,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_secs(25),
            max_waiting: 20_000,
            poll_interval: Duration::from_secs(1),
            idle_poll_interval: Duration::from_secs(10),
            max_snapshots: 16,
            snapshot_pause: Duration::from_secs(10),
            piece_bytes: 262_144,
            // What an Envoy adds one by one: a few milliseconds' work.
            delta_records: 2_048,
            key_bytes: 524_288,
            borrow_interval: Duration::from_secs(1),
            report_interval: Duration::from_secs(1),
        }
    }
}

/// So often, and so much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How often in a period.
    pub times: u64,
    /// The period.
    pub period: Duration,
    /// How much at once.
    pub burst: u64,
}

impl Quota {
    /// The bucket that counts it.
    ///
    /// # Errors
    /// When a number is zero or beyond what a limit may have.
    fn spec(&self, name: &'static str) -> Result<Spec, SettingsError> {
        if self.burst == 0 {
            return Err(SettingsError::Zero(name));
        }
        let period_ms = u64::try_from(self.period.as_millis()).unwrap_or(u64::MAX);
        let rate =
            Rate::new(self.times, period_ms).map_err(|error| SettingsError::Rate(name, error))?;
        Spec::new(Algorithm::TokenBucket, rate, Some(self.burst), Anchor::Clock)
            .map_err(|error| SettingsError::Limit(name, error))
    }
}

/// How often one peer may ask. A peer is an identity: all Envoys of one workload, most of the
/// time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// Exchanges.
    pub exchanges: Quota,
    /// Snapshots begun.
    pub snapshots: Quota,
    /// Slices of limits: each one that is asked for or given back.
    pub leases: Quota,
    /// Reports: each service that is spoken of.
    pub reports: Quota,
    /// Peers that are counted one by one. Beyond, they share one account.
    pub max_peers: usize,
}

impl Quotas {
    /// The bucket that counts one of them.
    ///
    /// # Errors
    /// When a number is zero or beyond what a limit may have.
    pub(crate) fn spec(&self, what: Counted) -> Result<Spec, SettingsError> {
        match what {
            Counted::Exchanges => self.exchanges.spec("quotas.exchanges"),
            Counted::Snapshots => self.snapshots.spec("quotas.snapshots"),
            Counted::Leases => self.leases.spec("quotas.leases"),
            Counted::Reports => self.reports.spec("quotas.reports"),
        }
    }
}

impl Default for Quotas {
    fn default() -> Self {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        Self {
            exchanges: Quota { times: 5_000, period: second, burst: 10_000 },
            snapshots: Quota { times: 1_000, period: minute, burst: 1_000 },
            // A thousand Envoys with twenty busy keys each.
            leases: Quota { times: 20_000, period: second, burst: 40_000 },
            // The same with twenty services that they call.
            reports: Quota { times: 20_000, period: second, burst: 40_000 },
            max_peers: 10_000,
        }
    }
}

/// What is wrong with a setting: the operator's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Zero means nothing at all here, not "no limit".
    #[error("`{0}` must not be zero")]
    Zero(&'static str),
    /// The first must not be beyond the second.
    #[error("`{0}` must not be beyond `{1}`")]
    Beyond(&'static str, &'static str),
    /// Not a rate.
    #[error("`{0}`: {1}")]
    Rate(&'static str, RateError),
    /// A rate with a burst beyond what a limit may have.
    #[error("`{0}`: {1}")]
    Limit(&'static str, SpecError),
}

impl Settings {
    /// Everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> Vec<SettingsError> {
        let (bounds, reading, answers) = (&self.bounds, &self.reading, &self.answers);
        let numbers = [
            ("bounds.max_records", bounds.max_records),
            ("bounds.max_recent", bounds.max_recent),
            ("answers.max_waiting", answers.max_waiting),
            ("answers.max_snapshots", answers.max_snapshots),
            ("answers.piece_bytes", answers.piece_bytes),
            ("answers.delta_records", answers.delta_records),
            ("answers.key_bytes", answers.key_bytes),
            ("quotas.max_peers", self.quotas.max_peers),
            ("reading.page", usize::try_from(reading.page).unwrap_or(usize::MAX)),
        ];
        let times = [
            ("reading.safety_interval", reading.safety_interval),
            ("reading.deaf_interval", reading.deaf_interval),
            ("reading.shortest_interval", reading.shortest_interval),
            ("reading.first_retry", reading.first_retry),
            ("reading.timeout", reading.timeout),
            ("reading.sweep_interval", reading.sweep_interval),
            ("answers.max_wait", answers.max_wait),
            ("answers.poll_interval", answers.poll_interval),
            ("answers.snapshot_pause", answers.snapshot_pause),
            ("answers.borrow_interval", answers.borrow_interval),
            ("answers.report_interval", answers.report_interval),
        ];
        let most_reports = u64::try_from(reports::MOST_AT_ONCE).unwrap_or(u64::MAX);
        let orders = [
            (
                SettingsError::Beyond("reading.deaf_interval", "reading.safety_interval"),
                reading.deaf_interval > reading.safety_interval,
            ),
            (
                SettingsError::Beyond("reading.first_retry", "reading.last_retry"),
                reading.first_retry > reading.last_retry,
            ),
            (SettingsError::Beyond("reading.page", "10000"), reading.page > MAX_PAGE),
            (
                SettingsError::Beyond("answers.poll_interval", "answers.idle_poll_interval"),
                answers.poll_interval > answers.idle_poll_interval,
            ),
            // One that is beyond the burst would never be answered.
            (
                SettingsError::Beyond("all that is in one call", "quotas.leases"),
                (1..MOST_IN_ALL).contains(&self.quotas.leases.burst),
            ),
            (
                SettingsError::Beyond("all that is in one report", "quotas.reports"),
                (1..most_reports).contains(&self.quotas.reports.burst),
            ),
        ];
        let quotas = Counted::ALL.map(|what| self.quotas.spec(what));
        let zero_numbers = numbers.into_iter().filter(|(_, number)| *number == 0);
        let zero_times = times.into_iter().filter(|(_, time)| time.is_zero());
        zero_numbers
            .map(|(name, _)| SettingsError::Zero(name))
            .chain(zero_times.map(|(name, _)| SettingsError::Zero(name)))
            .chain(orders.into_iter().filter(|(_, wrong)| *wrong).map(|(error, _)| error))
            .chain(quotas.into_iter().filter_map(Result::err))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_in_order() {
        assert!(Settings::default().problems().is_empty());
    }

    #[test]
    fn every_problem_is_told() {
        let mut settings = Settings::default();
        settings.bounds.max_records = 0;
        settings.reading.timeout = Duration::ZERO;
        settings.reading.last_retry = Duration::from_millis(1);
        settings.quotas.exchanges.times = 0;
        settings.quotas.snapshots.burst = 0;
        assert_eq!(
            settings.problems(),
            [
                SettingsError::Zero("bounds.max_records"),
                SettingsError::Zero("reading.timeout"),
                SettingsError::Beyond("reading.first_retry", "reading.last_retry"),
                SettingsError::Rate("quotas.exchanges", RateError::Zero),
                SettingsError::Zero("quotas.snapshots"),
            ]
        );
    }

    #[test]
    fn a_burst_has_its_bound() {
        let mut settings = Settings::default();
        settings.quotas.exchanges.burst = u64::MAX;
        let expected = SettingsError::Limit("quotas.exchanges", SpecError::BurstTooLarge);
        assert_eq!(settings.problems(), [expected]);
        let mut settings = Settings::default();
        settings.quotas.leases.burst = 511;
        let expected = SettingsError::Beyond("all that is in one call", "quotas.leases");
        assert_eq!(settings.problems(), [expected]);
        settings.quotas.leases.burst = 512;
        assert!(settings.problems().is_empty());
        settings.quotas.reports.burst = 999;
        let expected = SettingsError::Beyond("all that is in one report", "quotas.reports");
        assert_eq!(settings.problems(), [expected]);
        settings.quotas.reports.burst = 1_000;
        assert!(settings.problems().is_empty());
    }
}
