//! How an instance does: what checks make of it.
//!
//! | is | a check passes | a check fails |
//! |---|---|---|
//! | unknown | healthy | unhealthy: it has never been seen to work |
//! | healthy | healthy | unhealthy after `threshold` in a row |
//! | unhealthy | recovering | left alone for twice as long, up to [`LONGEST_PAUSE`] times `recovery` |
//! | recovering | healthy, once `recovery` is over | unhealthy, and left alone for twice as long as before |

use postern_request::UnixMillis;

use crate::check::Check;

/// How many times `recovery` an instance is left alone at most.
pub const LONGEST_PAUSE: u64 = 16;
/// Parts that a weight is told in.
pub const TENTHS: u32 = 10;
/// Doublings up to [`LONGEST_PAUSE`].
const MAX_ATTEMPTS: u32 = LONGEST_PAUSE.ilog2() + 1;
/// Of response times, so much of each new one counts: 1 in 8.
const SMOOTHING: u32 = 8;

/// How an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// No check has looked at it yet.
    #[default]
    Unknown,
    /// It works.
    Healthy,
    /// It does not.
    Unhealthy,
    /// It works again, since a short time.
    Recovering,
}

impl Health {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Healthy, Self::Unhealthy, Self::Recovering];

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Recovering => "recovering",
        }
    }

    /// Reads [`Health::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|health| health.as_str() == text)
    }
}

/// What came of a check, all of its tries included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered, after so many milliseconds.
    Passed {
        /// How long the answer took.
        took_ms: u32,
    },
    /// It was not, or not as it should be.
    Failed,
}

/// How an instance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// How it is.
    pub health: Health,
    /// Since when.
    pub since: UnixMillis,
    /// Checks in a row that have failed.
    pub failures: u32,
    /// How often in a row it was found not to have recovered; what it is left alone for doubles
    /// with each.
    pub attempts: u32,
    /// When it was checked last.
    pub last_check: Option<UnixMillis>,
    /// How long its answers take, in milliseconds, smoothed.
    pub response_ms: u32,
}

impl Standing {
    /// Of an instance that has just come.
    #[must_use]
    pub fn new(now: UnixMillis) -> Self {
        Self { since: now, ..Self::default() }
    }

    /// After a check that ended at `now`.
    #[must_use]
    pub fn after(self, check: &Check, outcome: Outcome, now: UnixMillis) -> Self {
        let checked = Self { last_check: Some(now), ..self };
        match outcome {
            Outcome::Passed { took_ms } => checked.passed(check, took_ms, now),
            Outcome::Failed => checked.failed(check, now),
        }
    }

    fn passed(self, check: &Check, took_ms: u32, now: UnixMillis) -> Self {
        let response_ms = match self.response_ms {
            0 => took_ms,
            before => before - before / SMOOTHING + took_ms / SMOOTHING,
        };
        let answered = Self { failures: 0, response_ms, ..self };
        match self.health {
            Health::Healthy => answered,
            Health::Unknown => answered.become_now(Health::Healthy, 0, now),
            Health::Unhealthy => answered.become_now(Health::Recovering, self.attempts, now),
            Health::Recovering if now.millis_since(self.since) >= check.recovery_ms => {
                answered.become_now(Health::Healthy, 0, now)
            }
            Health::Recovering => answered,
        }
    }

    fn failed(self, check: &Check, now: UnixMillis) -> Self {
        let failed = Self { failures: self.failures.saturating_add(1), ..self };
        let attempts = self.attempts.saturating_add(1).min(MAX_ATTEMPTS);
        match self.health {
            Health::Healthy if failed.failures < check.threshold => failed,
            Health::Healthy | Health::Unknown | Health::Recovering => {
                failed.become_now(Health::Unhealthy, attempts, now)
            }
            Health::Unhealthy => Self { attempts, ..failed },
        }
    }

    const fn become_now(self, health: Health, attempts: u32, now: UnixMillis) -> Self {
        Self { health, since: now, attempts, ..self }
    }

    /// When the next check is due. `spread` is any number that belongs to the instance: up to a
    /// tenth of the time is added by it, so that checks do not stay together that began together.
    #[must_use]
    pub fn due_at(self, check: &Check, spread: u64) -> UnixMillis {
        let Some(last) = self.last_check else { return self.since };
        let apart = match self.health {
            Health::Unhealthy => {
                let doublings = self.attempts.saturating_sub(1).min(MAX_ATTEMPTS - 1);
                check.recovery_ms.saturating_mul(1 << doublings)
            }
            Health::Unknown | Health::Healthy | Health::Recovering => check.interval_ms,
        };
        UnixMillis(last.0.saturating_add(apart).saturating_add(spread % (apart / 10).max(1)))
    }

    /// How much of its weight it has, in tenths; all of it where it is not checked, and also where
    /// it is unhealthy, which is told apart from its weight.
    #[must_use]
    pub fn tenths(self, check: Option<&Check>, now: UnixMillis) -> u32 {
        match (check, self.health) {
            // Nobody has seen it work; it may be all that there is.
            (Some(_), Health::Unknown) => 1,
            (Some(check), Health::Recovering) => {
                let steps = now.millis_since(self.since) / step_ms(check);
                u32::try_from(steps).map_or(TENTHS, |steps| steps.saturating_add(1).min(TENTHS))
            }
            _ => TENTHS,
        }
    }

    /// When [`Standing::tenths`] says something else, without a check in between.
    #[must_use]
    pub fn next_step(self, check: Option<&Check>, now: UnixMillis) -> Option<UnixMillis> {
        let check = check.filter(|_| self.health == Health::Recovering)?;
        if self.tenths(Some(check), now) >= TENTHS {
            return None;
        }
        let step = step_ms(check);
        let steps = now.millis_since(self.since) / step + 1;
        Some(UnixMillis(self.since.0.saturating_add(steps.saturating_mul(step))))
    }
}

/// From the first tenth to the last one.
fn step_ms(check: &Check) -> u64 {
    check.recovery_ms.div_ceil(u64::from(TENTHS) - 1).max(1)
}

/// A number of its own for an instance and a moment, for [`Standing::due_at`]: FNV-1a.
#[must_use]
pub fn spread(instance: &str, at: Option<UnixMillis>) -> u64 {
    let moment = at.unwrap_or_default().0.to_le_bytes();
    instance.bytes().chain(moment).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
