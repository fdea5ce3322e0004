//! How an instance is checked.

use std::ops::RangeInclusive;

use crate::instance::{Invalid, is_path, within};

/// How far checks of an instance may be apart.
pub const INTERVAL_MS: RangeInclusive<u64> = 1_000..=3_600_000;
/// How long one try may take.
pub const TIMEOUT_MS: RangeInclusive<u64> = 100..=60_000;
/// How often one check may try.
pub const TRIES: RangeInclusive<u32> = 1..=10;
/// How many checks in a row may have to fail.
pub const THRESHOLD: RangeInclusive<u32> = 1..=100;
/// How long an instance that is not well may be left alone at first.
pub const RECOVERY_MS: RangeInclusive<u64> = 1_000..=3_600_000;

/// What a check does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It connects.
    Tcp,
    /// It asks for a path by HTTP/1.1, without TLS, and wants a status of 200 to 299.
    Http {
        /// The path, behind the instance's own.
        path: String,
    },
}

impl Probe {
    /// As it is written.
    #[must_use]
    pub const fn protocol(&self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http { .. } => "http",
        }
    }

    /// What it asks for.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Tcp => None,
            Self::Http { path } => Some(path),
        }
    }
}

/// How an instance is checked, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is done.
    pub probe: Probe,
    /// How far checks are apart.
    pub interval_ms: u64,
    /// How long one try may take.
    pub timeout_ms: u64,
    /// How often one check tries before it has failed.
    pub tries: u32,
    /// After so many failed checks in a row it is not well.
    pub threshold: u32,
    /// How long it is left alone then. Each check that fails meanwhile doubles it, and as long it
    /// takes until an instance that is well again gets its whole weight.
    pub recovery_ms: u64,
}

impl Check {
    /// A check with the usual numbers.
    #[must_use]
    pub const fn new(probe: Probe) -> Self {
        Self {
            probe,
            interval_ms: 30_000,
            timeout_ms: 5_000,
            tries: 3,
            threshold: 5,
            recovery_ms: 60_000,
        }
    }

    /// Whether an instance may be checked so.
    ///
    /// # Errors
    /// The first value that cannot be.
    pub fn validate(&self) -> Result<(), Invalid> {
        within("interval", self.interval_ms, INTERVAL_MS, "it must be 1s to 1h")?;
        within("timeout", self.timeout_ms, TIMEOUT_MS, "it must be 100ms to 1m")?;
        within("retries", self.tries, TRIES, "it must be 1 to 10, the first try included")?;
        within("failure threshold", self.threshold, THRESHOLD, "it must be 1 to 100")?;
        within("recovery", self.recovery_ms, RECOVERY_MS, "it must be 1s to 1h")?;
        if self.timeout_ms > self.interval_ms {
            let reason = "a try cannot take longer than checks are apart (`interval`)";
            return Err(Invalid { what: "timeout", reason });
        }
        match &self.probe {
            Probe::Http { path } if !is_path(path) => {
                let reason = "it must be a path that begins with a slash, of at most 255 bytes";
                Err(Invalid { what: "health path", reason })
            }
            _ => Ok(()),
        }
    }
}

/// What somebody says of how an instance is checked. What is none is as usual.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckParts {
    /// `http` or `tcp`.
    pub protocol: Option<String>,
    /// The path that is asked for.
    pub health_path: Option<String>,
    /// How far checks are apart.
    pub interval_ms: Option<u64>,
    /// How long one try may take.
    pub timeout_ms: Option<u64>,
    /// How often one check tries.
    pub tries: Option<u32>,
    /// After so many failed checks in a row it is not well.
    pub threshold: Option<u32>,
    /// How long it is left alone then.
    pub recovery_ms: Option<u64>,
}

impl CheckParts {
    /// The check; none where nothing is said.
    ///
    /// # Errors
    /// What does not go together.
    pub fn check(self) -> Result<Option<Check>, Invalid> {
        let says_numbers = self.interval_ms.or(self.timeout_ms).or(self.recovery_ms).is_some()
            || self.tries.or(self.threshold).is_some();
        let probe = match (self.protocol.as_deref(), self.health_path) {
            (None, None) if says_numbers => {
                let reason = "say how it is checked: `http` with a path, or `tcp`";
                return Err(Invalid { what: "protocol", reason });
            }
            (None, None) => return Ok(None),
            (None | Some("http"), Some(path)) => Probe::Http { path },
            (Some("tcp"), None) => Probe::Tcp,
            (Some("http"), None) => {
                let reason = "say which path is asked for";
                return Err(Invalid { what: "health path", reason });
            }
            (Some("tcp"), Some(_)) => {
                let reason = "by `tcp` nothing is asked for";
                return Err(Invalid { what: "health path", reason });
            }
            (Some(_), _) => {
                return Err(Invalid { what: "protocol", reason: "it must be `http` or `tcp`" });
            }
        };
        let usual = Check::new(probe);
        let interval_ms = self.interval_ms.unwrap_or(usual.interval_ms);
        Ok(Some(Check {
            interval_ms,
            // Nobody is told off for a value that they have not given.
            timeout_ms: self.timeout_ms.unwrap_or_else(|| usual.timeout_ms.min(interval_ms)),
            tries: self.tries.unwrap_or(usual.tries),
            threshold: self.threshold.unwrap_or(usual.threshold),
            recovery_ms: self.recovery_ms.unwrap_or(usual.recovery_ms),
            probe: usual.probe,
        }))
    }
}
