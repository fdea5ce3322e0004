//! One health check: what it is about, how long it may take, and what it found.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use serde_json::Value;

/// A future behind a pointer, so that checks of different types stand in one list.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a check runs.
pub type CheckFn = Box<dyn Fn() -> BoxFuture<CheckResult> + Send + Sync>;

/// How well something is; ordered from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// As it should be.
    Healthy,
    /// It works, but slowly, not in full or not for much longer.
    Degraded,
    /// It does not work.
    Unhealthy,
}

impl Status {
    /// As the health answer spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What a check is about: its place in the health answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckKind {
    /// The volatile store.
    Redis,
    /// The durable store.
    Database,
    /// A service of the document, by name.
    Service(String),
    /// Certificates that we present or trust.
    Certificates,
    /// Signing keys: a token is issued and verified.
    Keys,
}

impl CheckKind {
    /// The member of `checks` that it stands in.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Database => "database",
            Self::Service(_) => "services",
            Self::Certificates => "certificates",
            Self::Keys => "keys",
        }
    }

    /// What it is called: a service by its own name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Service(name) => name.as_str(),
            kind => kind.as_str(),
        }
    }

    /// Slower than this is degraded.
    const fn slow_after(&self) -> Option<Duration> {
        match self {
            Self::Redis => Some(Duration::from_millis(100)),
            Self::Database => Some(Duration::from_secs(5)),
            // 80 % of its timeout.
            Self::Service(_) => Some(Duration::from_secs(4)),
            Self::Certificates | Self::Keys => None,
        }
    }

    /// No answer after this is unhealthy.
    const fn timeout(&self) -> Duration {
        match self {
            // It is only slow at 5 s, so it must have more time than that.
            Self::Database => Duration::from_secs(8),
            _ => Duration::from_secs(5),
        }
    }
}

impl fmt::Display for CheckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a check says.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckResult {
    /// How it is.
    pub status: Status,
    /// Why, for people. Everyone who can reach `/health` reads it: no address, no secret and no
    /// error text of a library.
    pub message: Option<String>,
    /// Shown with `?detailed=true` only; the same holds.
    pub details: Option<Value>,
}

impl CheckResult {
    /// All is well.
    #[must_use]
    pub const fn healthy() -> Self {
        Self { status: Status::Healthy, message: None, details: None }
    }

    /// It works, but…
    #[must_use]
    pub fn degraded(message: impl Into<String>) -> Self {
        Self { status: Status::Degraded, message: Some(message.into()), details: None }
    }

    /// It does not work.
    #[must_use]
    pub fn unhealthy(message: impl Into<String>) -> Self {
        Self { status: Status::Unhealthy, message: Some(message.into()), details: None }
    }

    /// With something to say, e.g. `in memory`.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..self }
    }

    /// With details.
    #[must_use]
    pub fn with_details(self, details: Value) -> Self {
        Self { details: Some(details), ..self }
    }
}

/// A check to be run again and again.
pub struct Check {
    pub(crate) kind: CheckKind,
    pub(crate) critical: bool,
    slow_after: Option<Duration>,
    timeout: Duration,
    run: CheckFn,
}

impl Check {
    /// A check that is not critical, with the contract's times for its kind.
    pub fn new<F, R>(kind: CheckKind, run: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = CheckResult> + Send + 'static,
    {
        Self {
            critical: false,
            slow_after: kind.slow_after(),
            timeout: kind.timeout(),
            run: Box::new(move || Box::pin(run())),
            kind,
        }
    }

    /// Without it nothing works: when it is unhealthy, all is.
    #[must_use]
    pub fn critical(self) -> Self {
        Self { critical: true, ..self }
    }

    /// Degraded when it takes longer than this.
    #[must_use]
    pub fn slow_after(self, limit: Duration) -> Self {
        Self { slow_after: Some(limit), ..self }
    }

    /// Unhealthy when it takes longer than this; at most some 15 s, or results go stale between
    /// two rounds.
    #[must_use]
    pub fn timeout(self, limit: Duration) -> Self {
        Self { timeout: limit, ..self }
    }

    /// Runs it once; never takes longer than its timeout.
    pub(crate) async fn run(&self) -> (CheckResult, Duration) {
        let begun = tokio::time::Instant::now();
        let answer = tokio::time::timeout(self.timeout, (self.run)()).await;
        let took = begun.elapsed();
        let result = answer.unwrap_or_else(|_| {
            CheckResult::unhealthy(format!("no answer within {} ms", self.timeout.as_millis()))
        });
        (self.judge(result, took), took)
    }

    /// A good answer that came late is worth less.
    fn judge(&self, result: CheckResult, took: Duration) -> CheckResult {
        match self.slow_after {
            Some(limit) if result.status == Status::Healthy && took > limit => CheckResult {
                status: Status::Degraded,
                message: Some(format!("slower than {} ms", limit.as_millis())),
                ..result
            },
            _ => result,
        }
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check")
            .field("kind", &self.kind)
            .field("critical", &self.critical)
            .field("slow_after", &self.slow_after)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_degraded_by_the_times_of_the_contract() {
        let service = CheckKind::Service("payments".to_owned());
        for (kind, millis, expected) in [
            (CheckKind::Redis, 100, Status::Healthy),
            (CheckKind::Redis, 101, Status::Degraded),
            (CheckKind::Database, 5000, Status::Healthy),
            (CheckKind::Database, 5001, Status::Degraded),
            (service.clone(), 4000, Status::Healthy),
            (service, 4001, Status::Degraded),
            (CheckKind::Keys, 4900, Status::Healthy),
        ] {
            let name = format!("{kind:?} after {millis} ms");
            let check = Check::new(kind, || async { CheckResult::healthy() });
            let judged = check.judge(CheckResult::healthy(), Duration::from_millis(millis));
            assert_eq!(judged.status, expected, "{name}");
        }
    }

    #[test]
    fn a_service_goes_by_its_own_name() {
        assert_eq!(CheckKind::Service("issuer-keys".to_owned()).to_string(), "issuer-keys");
        assert_eq!(CheckKind::Redis.to_string(), "redis");
    }

    #[test]
    fn a_slow_failure_stays_a_failure() {
        let check = Check::new(CheckKind::Redis, || async { CheckResult::healthy() });
        let result = CheckResult::unhealthy("refused");
        assert_eq!(check.judge(result.clone(), Duration::from_secs(1)), result);
    }

    #[tokio::test]
    async fn no_answer_is_unhealthy() {
        let check = Check::new(CheckKind::Redis, std::future::pending)
            .critical()
            .timeout(Duration::from_millis(1));
        let (result, _) = check.run().await;
        assert_eq!(result, CheckResult::unhealthy("no answer within 1 ms"));
    }
}
