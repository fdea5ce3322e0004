//! What the document says of a leased limit, and whether its numbers make sense.

use core::fmt;

use postern_limits::{Algorithm, Spec};

/// The most sidecars that a document may expect.
pub const MAX_SIDECARS: u32 = 100_000;
/// Percent of a limit that may be out at once, unless the document says otherwise.
pub const DEFAULT_OUTSTANDING: u32 = 10;
/// The shortest life of a lease: a poll's interval.
pub const MIN_LIFE_MS: u64 = 1000;
/// How long a lease lives unless the document says otherwise.
pub const DEFAULT_LIFE_MS: u64 = 5000;
/// The longest life of a lease: what a sidecar that died keeps from the others.
pub const MAX_LIFE_MS: u64 = 60_000;
/// The largest allowance of an optimistic start.
pub const MAX_ALLOWANCE: u32 = 10_000;
/// With smaller slices a sidecar asks so often that it could ask for each request.
pub const USEFUL_SLICE: u64 = 10;

/// What a sidecar does with requests while it has no slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Start {
    /// None passes.
    #[default]
    Strict,
    /// So many pass on credit, and are paid for out of the next slice.
    Optimistic {
        /// The most that a sidecar may owe for one key.
        allowance: u32,
    },
}

/// What the document says of a leased limit; checked when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Terms {
    sidecars: u32,
    outstanding: u32,
    life_ms: u64,
    start: Start,
}

/// Why terms were refused: always the document's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// Zero, or above [`MAX_SIDECARS`].
    #[error("the expected sidecars are a number from 1 to 100000")]
    Sidecars,
    /// Zero, or more than there is.
    #[error("what may be out at once is 1 to 100 percent of the limit")]
    Outstanding,
    /// Shorter than [`MIN_LIFE_MS`] or longer than [`MAX_LIFE_MS`].
    #[error("a lease lives 1 s to 60 s")]
    Life,
    /// Zero, or above [`MAX_ALLOWANCE`].
    #[error("an allowance is a number from 1 to 10000; for none, start strict")]
    Allowance,
}

impl Terms {
    /// Terms with `outstanding` in percent of the limit.
    ///
    /// # Errors
    /// When a number is out of its bounds.
    pub const fn new(
        sidecars: u32,
        outstanding: u32,
        life_ms: u64,
        start: Start,
    ) -> Result<Self, TermsError> {
        if sidecars == 0 || sidecars > MAX_SIDECARS {
            return Err(TermsError::Sidecars);
        }
        if outstanding == 0 || outstanding > 100 {
            return Err(TermsError::Outstanding);
        }
        if life_ms < MIN_LIFE_MS || life_ms > MAX_LIFE_MS {
            return Err(TermsError::Life);
        }
        if let Start::Optimistic { allowance } = start
            && (allowance == 0 || allowance > MAX_ALLOWANCE)
        {
            return Err(TermsError::Allowance);
        }
        Ok(Self { sidecars, outstanding, life_ms, start })
    }

    /// The defaults: a tenth out at once, five seconds, a strict start.
    ///
    /// # Errors
    /// When the number of sidecars is out of its bounds.
    pub const fn of(sidecars: u32) -> Result<Self, TermsError> {
        Self::new(sidecars, DEFAULT_OUTSTANDING, DEFAULT_LIFE_MS, Start::Strict)
    }

    /// How many sidecars are expected to see one key.
    #[must_use]
    pub const fn sidecars(&self) -> u32 {
        self.sidecars
    }

    /// Percent of the limit that may be out at once.
    #[must_use]
    pub const fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// How long a lease lives.
    #[must_use]
    pub const fn life_ms(&self) -> u64 {
        self.life_ms
    }

    /// What a sidecar without a slice does.
    #[must_use]
    pub const fn start(&self) -> Start {
        self.start
    }

    /// The most that a sidecar may owe for one key: zero with a strict start.
    #[must_use]
    pub fn allowance(&self) -> u64 {
        match self.start {
            Start::Strict => 0,
            Start::Optimistic { allowance } => u64::from(allowance),
        }
    }

    /// The most that may be out at once, in requests.
    #[must_use]
    pub fn cap(&self, spec: Spec) -> u64 {
        leasable(spec).saturating_mul(u64::from(self.outstanding)) / 100
    }
}

/// What the percentage is taken of: the limit, or the burst where that is smaller, because more
/// is never there to be lent.
fn leasable(spec: Spec) -> u64 {
    spec.rate().requests().min(spec.capacity())
}

/// Why a limit cannot be leased sensibly: the document's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotEligible {
    /// The share that may be out, divided by the sidecars, is not worth a message.
    #[error(
        "{outstanding} % of {limit} is {share}, and {sidecars} sidecars need slices of {slice}, \
         {needed} in all: use `mode: exact`, or a limit of at least {least}"
    )]
    SlicesTooSmall {
        /// Percent that may be out at once.
        outstanding: u32,
        /// The limit, or the burst where that is smaller.
        limit: u64,
        /// What these come to.
        share: u64,
        /// The expected sidecars.
        sidecars: u32,
        /// A useful slice.
        slice: u64,
        /// A useful slice for each of them.
        needed: u64,
        /// The smallest limit with these terms.
        least: u64,
    },
    /// Too little of a period is left when a lease is over.
    #[error(
        "a lease of {life_ms} ms is more than half of a period of {period_ms} ms: use \
         `mode: exact`, a shorter lease or a longer period"
    )]
    PeriodTooShort {
        /// How long a lease lives.
        life_ms: u64,
        /// The limit's period.
        period_ms: u64,
    },
    /// Starts alone could let through as much again as the limit.
    #[error(
        "{sidecars} sidecars with an allowance of {allowance} could let {together} pass beyond a \
         limit of {limit}: use `start: strict` or a smaller allowance"
    )]
    AllowanceTooLarge {
        /// The expected sidecars.
        sidecars: u32,
        /// What each may owe.
        allowance: u64,
        /// What all may owe.
        together: u64,
        /// Requests a period.
        limit: u64,
    },
}

/// Whether leases of this limit make sense, for requests that weigh 1.
///
/// # Errors
/// When its numbers are too small; the text holds them and says to use `exact`.
pub fn eligibility(spec: Spec, terms: &Terms) -> Result<(), NotEligible> {
    eligibility_of(spec, terms, 1)
}

/// Whether leases of this limit make sense, for requests that weigh up to `weight`.
///
/// # Errors
/// When its numbers are too small; the text holds them and says to use `exact`.
pub fn eligibility_of(spec: Spec, terms: &Terms, weight: u64) -> Result<(), NotEligible> {
    let sidecars = terms.sidecars;
    let share = terms.cap(spec);
    let slice = USEFUL_SLICE.saturating_mul(weight.max(1));
    let needed = slice.saturating_mul(u64::from(sidecars));
    if share < needed {
        return Err(NotEligible::SlicesTooSmall {
            outstanding: terms.outstanding,
            limit: leasable(spec),
            share,
            sidecars,
            slice,
            needed,
            least: needed.saturating_mul(100).div_ceil(u64::from(terms.outstanding)),
        });
    }
    let (life_ms, period_ms) = (terms.life_ms, spec.rate().period_ms());
    if period_ms < life_ms.saturating_mul(2) {
        return Err(NotEligible::PeriodTooShort { life_ms, period_ms });
    }
    let (allowance, limit) = (terms.allowance(), spec.rate().requests());
    let together = allowance.saturating_mul(u64::from(sidecars));
    if together > limit {
        return Err(NotEligible::AllowanceTooLarge { sidecars, allowance, together, limit });
    }
    Ok(())
}

/// How much more may pass than the algorithm alone lets through.
///
/// | | in | at most |
/// |---|---|---|
/// | `fixed_window` | one of its windows | limit + sidecars × allowance |
/// | the others | any period | worst case of the algorithm + outstanding + sidecars × allowance |
///
/// A lease never outlives the fixed window that it was taken from, so there nothing is left
/// over. With the others, what was lent just before a period began is spent in it beside all
/// that the algorithm lets through during the period: as much as was out at that moment. What
/// sidecars owe was passed and not yet taken from the limit, each of them its allowance at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// What the algorithm lets through by itself.
    pub alone: u64,
    /// What may be out at once and is spent later.
    pub outstanding: u64,
    /// What all sidecars together may owe.
    pub optimistic: u64,
    /// Requests a period.
    pub limit: u64,
}

impl Bound {
    /// Requests beyond what the algorithm lets through by itself.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.outstanding.saturating_add(self.optimistic)
    }

    /// The most that may pass in all.
    #[must_use]
    pub const fn most(&self) -> u64 {
        self.alone.saturating_add(self.requests())
    }

    /// [`Bound::requests`] in thousandths of the limit.
    #[must_use]
    pub fn per_mille(&self) -> u64 {
        self.requests().saturating_mul(1000).div_ceil(self.limit.max(1))
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (requests, per_mille) = (self.requests(), self.per_mille());
        write!(f, "at most {requests} ({}.{} % of the limit)", per_mille / 10, per_mille % 10)
    }
}

/// The bound of a limit that is leased on these terms, to as many sidecars as they expect.
#[must_use]
pub fn over_admission(spec: Spec, terms: &Terms) -> Bound {
    let optimistic = terms.allowance().saturating_mul(u64::from(terms.sidecars));
    let limit = spec.rate().requests();
    let (alone, outstanding) = match spec.algorithm() {
        Algorithm::FixedWindow => (limit, 0),
        Algorithm::SlidingWindow
        | Algorithm::SlidingLog
        | Algorithm::TokenBucket
        | Algorithm::Gcra => (spec.worst_case(), terms.cap(spec)),
    };
    Bound { alone, outstanding, optimistic, limit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_limits::{Anchor, Rate};

    fn spec(algorithm: Algorithm, rate: &str, burst: Option<u64>) -> Spec {
        Spec::new(algorithm, Rate::parse(rate).unwrap(), burst, Anchor::Clock).unwrap()
    }

    fn sliding(rate: &str) -> Spec {
        spec(Algorithm::SlidingWindow, rate, None)
    }

    #[test]
    fn terms_have_bounds() {
        let optimistic = |allowance| Start::Optimistic { allowance };
        for (terms, expected) in [
            (Terms::of(0), Err(TermsError::Sidecars)),
            (Terms::of(MAX_SIDECARS + 1), Err(TermsError::Sidecars)),
            (Terms::new(1, 0, 5000, Start::Strict), Err(TermsError::Outstanding)),
            (Terms::new(1, 101, 5000, Start::Strict), Err(TermsError::Outstanding)),
            (Terms::new(1, 10, 999, Start::Strict), Err(TermsError::Life)),
            (Terms::new(1, 10, 60_001, Start::Strict), Err(TermsError::Life)),
            (Terms::new(1, 10, 5000, optimistic(0)), Err(TermsError::Allowance)),
            (Terms::new(1, 10, 5000, optimistic(MAX_ALLOWANCE + 1)), Err(TermsError::Allowance)),
            (Terms::new(1, 100, 60_000, optimistic(1)), Ok(1)),
            (Terms::of(MAX_SIDECARS), Ok(0)),
        ] {
            assert_eq!(terms.map(|terms| terms.allowance()), expected);
        }
    }

    #[test]
    fn a_limit_must_feed_its_sidecars() {
        let terms = Terms::of(10).unwrap();
        assert_eq!(eligibility(sliding("1000/1m"), &terms), Ok(()));
        let refused = eligibility(sliding("999/1m"), &terms).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "10 % of 999 is 99, and 10 sidecars need slices of 10, 100 in all: use `mode: exact`, \
             or a limit of at least 1000"
        );
        let heavy = eligibility_of(sliding("1000/1m"), &terms, 5).unwrap_err();
        assert!(matches!(heavy, NotEligible::SlicesTooSmall { slice: 50, least: 5000, .. }));
    }

    #[test]
    fn what_is_never_there_cannot_be_lent() {
        let terms = Terms::of(1).unwrap();
        let small = spec(Algorithm::TokenBucket, "1000/1m", Some(20));
        assert_eq!(terms.cap(small), 2);
        assert!(eligibility(small, &terms).is_err());
        let large = spec(Algorithm::TokenBucket, "1000/1m", Some(5000));
        assert_eq!(terms.cap(large), 100);
        assert_eq!(eligibility(large, &terms), Ok(()));
    }

    #[test]
    fn a_period_must_be_worth_a_lease() {
        let terms = Terms::of(1).unwrap();
        assert_eq!(eligibility(sliding("1000/10s"), &terms), Ok(()));
        let refused = eligibility(sliding("1000/9s"), &terms).unwrap_err();
        assert_eq!(refused, NotEligible::PeriodTooShort { life_ms: 5000, period_ms: 9000 });
    }

    #[test]
    fn starts_must_not_outweigh_the_limit() {
        let terms = Terms::new(10, 10, 5000, Start::Optimistic { allowance: 101 }).unwrap();
        let refused = eligibility(sliding("1000/1m"), &terms).unwrap_err();
        assert!(matches!(refused, NotEligible::AllowanceTooLarge { together: 1010, .. }));
    }

    #[test]
    fn bounds_are_what_is_out_and_what_is_owed() {
        let strict = Terms::of(10).unwrap();
        let optimistic = Terms::new(10, 10, 5000, Start::Optimistic { allowance: 3 }).unwrap();
        for (algorithm, terms, most, text) in [
            (Algorithm::FixedWindow, strict, 1000, "at most 0 (0.0 % of the limit)"),
            (Algorithm::FixedWindow, optimistic, 1030, "at most 30 (3.0 % of the limit)"),
            (Algorithm::SlidingWindow, strict, 2100, "at most 100 (10.0 % of the limit)"),
            (Algorithm::SlidingLog, strict, 1100, "at most 100 (10.0 % of the limit)"),
            (Algorithm::TokenBucket, optimistic, 2130, "at most 130 (13.0 % of the limit)"),
            (Algorithm::Gcra, strict, 2100, "at most 100 (10.0 % of the limit)"),
        ] {
            let bound = over_admission(spec(algorithm, "1000/1m", None), &terms);
            assert_eq!((bound.most(), bound.to_string().as_str()), (most, text), "{algorithm:?}");
        }
    }
}
