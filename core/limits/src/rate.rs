//! How many in what time.

use core::num::NonZeroU64;

/// The longest window, in milliseconds: 366 days.
pub const MAX_PERIOD_MS: u64 = 366 * 86_400_000;
/// The largest count a window may have; keeps every product below within 64 bits.
pub const MAX_REQUESTS: u64 = 10_000_000;

/// So many requests in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    requests: NonZeroU64,
    period_ms: NonZeroU64,
}

/// Why a rate was refused: always the document's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Not of the form `100/1m`.
    #[error("write a rate as REQUESTS/PERIOD, for example 100/1m")]
    Form,
    /// Zero requests or a zero period.
    #[error("a rate of zero allows nothing; to close a route, leave it out")]
    Zero,
    /// Above [`MAX_REQUESTS`].
    #[error("at most 10000000 requests a period")]
    TooManyRequests,
    /// Above [`MAX_PERIOD_MS`].
    #[error("a period is at most 366 days")]
    PeriodTooLong,
    /// Not a duration.
    #[error("write the period as a whole number and ms, s, m, h or d, for example 30s")]
    Period,
}

impl Rate {
    /// A rate of whole requests a period of milliseconds.
    ///
    /// # Errors
    /// When either is zero or beyond its bound.
    pub const fn new(requests: u64, period_ms: u64) -> Result<Self, RateError> {
        if requests > MAX_REQUESTS {
            return Err(RateError::TooManyRequests);
        }
        if period_ms > MAX_PERIOD_MS {
            return Err(RateError::PeriodTooLong);
        }
        match (NonZeroU64::new(requests), NonZeroU64::new(period_ms)) {
            (Some(requests), Some(period_ms)) => Ok(Self { requests, period_ms }),
            _ => Err(RateError::Zero),
        }
    }

    /// Reads `2000/1m`.
    ///
    /// # Errors
    /// When the text has another form or a number is out of bounds.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let (requests, period) = text.split_once('/').ok_or(RateError::Form)?;
        let requests = whole(requests.trim()).ok_or(RateError::Form)?;
        let period_ms = parse_duration_ms(period.trim()).ok_or(RateError::Period)?;
        Self::new(requests, period_ms)
    }

    /// Requests a period.
    #[must_use]
    pub const fn requests(self) -> u64 {
        self.requests.get()
    }

    /// The period in milliseconds.
    #[must_use]
    pub const fn period_ms(self) -> u64 {
        self.period_ms.get()
    }

    /// The period in seconds, at least 1, as the limit headers tell it.
    #[must_use]
    pub const fn window_secs(self) -> u64 {
        self.period_ms.get().div_ceil(1000)
    }

    /// The same rate for one of `parties` that share it, at least one request.
    #[must_use]
    pub fn share_of(self, parties: NonZeroU64) -> Self {
        let requests = NonZeroU64::new(self.requests.get() / parties).unwrap_or(NonZeroU64::MIN);
        Self { requests, period_ms: self.period_ms }
    }
}

/// Reads `250ms`, `30s`, `15m`, `24h` or `7d` as milliseconds; none on any other form or on
/// overflow.
#[must_use]
pub fn parse_duration_ms(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(at)?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    whole(number)?.checked_mul(factor)
}

fn whole(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_strictly() {
        for (text, expected) in [
            ("100/1m", Ok((100, 60_000))),
            ("1/250ms", Ok((1, 250))),
            ("5 / 15m", Ok((5, 900_000))),
            ("0/1m", Err(RateError::Zero)),
            ("5/0s", Err(RateError::Zero)),
            ("-5/1m", Err(RateError::Form)),
            ("1.5/1m", Err(RateError::Form)),
            ("NaN/1m", Err(RateError::Form)),
            ("5", Err(RateError::Form)),
            ("5/minute", Err(RateError::Period)),
            ("5/367d", Err(RateError::PeriodTooLong)),
            ("5/99999999999999999999d", Err(RateError::Period)),
            ("10000001/1s", Err(RateError::TooManyRequests)),
        ] {
            let rate = Rate::parse(text).map(|r| (r.requests(), r.period_ms()));
            assert_eq!(rate, expected, "{text}");
        }
    }

    #[test]
    fn a_share_is_never_nothing() {
        let rate = Rate::parse("5/1m").unwrap();
        assert_eq!(rate.share_of(NonZeroU64::new(2).unwrap()).requests(), 2);
        assert_eq!(rate.share_of(NonZeroU64::new(50).unwrap()).requests(), 1);
    }
}
