//! How many in what time.

use core::num::NonZeroU64;

/// The longest period, in milliseconds: 366 days.
pub const MAX_PERIOD_MS: u64 = 366 * 86_400_000;
/// The largest count a period may have. Envoy's rate limit protocol counts in 32 bits too.
pub const MAX_REQUESTS: u64 = u32::MAX as u64;

const WEEK_MS: u64 = 7 * 86_400_000;
/// The longest month.
const MONTH_MS: u64 = 31 * 86_400_000;

/// What a rate counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// So many milliseconds.
    Millis(NonZeroU64),
    /// A calendar month in UTC. Only a fixed window that follows the clock has such.
    Month,
}

impl Period {
    /// In milliseconds; of a month, the longest there is: 31 days.
    #[must_use]
    pub const fn longest_ms(self) -> u64 {
        match self {
            Self::Millis(millis) => millis.get(),
            Self::Month => MONTH_MS,
        }
    }
}

/// So many requests in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    requests: NonZeroU64,
    period: Period,
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
    #[error("at most 4294967295 requests a period")]
    TooManyRequests,
    /// Above [`MAX_PERIOD_MS`].
    #[error("a period is at most 366 days")]
    PeriodTooLong,
    /// Not a duration.
    #[error(
        "write the period as a whole number and ms, s, m, h, d or w, for example 30s, or as 1mo"
    )]
    Period,
    /// Several calendar months.
    #[error("of calendar months a period is one, 1mo; write other lengths in days, as 90d")]
    Months,
}

impl Rate {
    /// A rate of whole requests a period of milliseconds.
    ///
    /// # Errors
    /// When either is zero or beyond its bound.
    pub const fn new(requests: u64, period_ms: u64) -> Result<Self, RateError> {
        if period_ms > MAX_PERIOD_MS {
            return Err(RateError::PeriodTooLong);
        }
        match NonZeroU64::new(period_ms) {
            Some(period_ms) => Self::of(requests, Period::Millis(period_ms)),
            None => Err(RateError::Zero),
        }
    }

    /// A rate of whole requests a calendar month.
    ///
    /// # Errors
    /// When there are none, or too many.
    pub const fn monthly(requests: u64) -> Result<Self, RateError> {
        Self::of(requests, Period::Month)
    }

    const fn of(requests: u64, period: Period) -> Result<Self, RateError> {
        if requests > MAX_REQUESTS {
            return Err(RateError::TooManyRequests);
        }
        match NonZeroU64::new(requests) {
            Some(requests) => Ok(Self { requests, period }),
            None => Err(RateError::Zero),
        }
    }

    /// Reads `2000/1m`, `5/2w` or `100/1mo`.
    ///
    /// # Errors
    /// When the text has another form or a number is out of bounds.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let (requests, period) = text.split_once('/').ok_or(RateError::Form)?;
        let requests = digits(requests.trim()).ok_or(RateError::Form)?;
        // More than 64 bits are too many in any case.
        let requests = requests.parse().unwrap_or(u64::MAX);
        let period = period.trim();
        if let Some(months) = period.strip_suffix("mo") {
            return match whole(months) {
                Some(1) => Self::monthly(requests),
                Some(0) => Err(RateError::Zero),
                Some(_) => Err(RateError::Months),
                None => Err(RateError::Period),
            };
        }
        let period_ms = match period.strip_suffix('w') {
            Some(weeks) => whole(weeks).and_then(|weeks| weeks.checked_mul(WEEK_MS)),
            None => parse_duration_ms(period),
        };
        Self::new(requests, period_ms.ok_or(RateError::Period)?)
    }

    /// Requests a period.
    #[must_use]
    pub const fn requests(self) -> u64 {
        self.requests.get()
    }

    /// What it counts in.
    #[must_use]
    pub const fn period(self) -> Period {
        self.period
    }

    /// The period in milliseconds; of a month, the longest there is: 31 days.
    #[must_use]
    pub const fn period_ms(self) -> u64 {
        self.period.longest_ms()
    }

    /// The period in seconds, at least 1, as the limit headers tell it.
    #[must_use]
    pub const fn window_secs(self) -> u64 {
        self.period_ms().div_ceil(1000)
    }

    /// The same rate for one of `parties` that share it, at least one request.
    #[must_use]
    pub fn share_of(self, parties: NonZeroU64) -> Self {
        let requests = NonZeroU64::new(self.requests.get() / parties).unwrap_or(NonZeroU64::MIN);
        Self { requests, ..self }
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

/// Digits and nothing else, at least one.
fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

fn whole(text: &str) -> Option<u64> {
    digits(text)?.parse().ok()
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
            ("5/2w", Ok((5, 1_209_600_000))),
            ("5/366d", Ok((5, MAX_PERIOD_MS))),
            ("4294967295/1s", Ok((4_294_967_295, 1000))),
            ("0/1m", Err(RateError::Zero)),
            ("5/0s", Err(RateError::Zero)),
            ("5/0w", Err(RateError::Zero)),
            ("-5/1m", Err(RateError::Form)),
            ("1.5/1m", Err(RateError::Form)),
            ("NaN/1m", Err(RateError::Form)),
            ("/1m", Err(RateError::Form)),
            ("5", Err(RateError::Form)),
            ("", Err(RateError::Form)),
            ("5/minute", Err(RateError::Period)),
            ("5/", Err(RateError::Period)),
            ("5/w", Err(RateError::Period)),
            ("5/1 m", Err(RateError::Period)),
            ("5/367d", Err(RateError::PeriodTooLong)),
            ("5/53w", Err(RateError::PeriodTooLong)),
            ("5/99999999999999999999d", Err(RateError::Period)),
            ("4294967296/1s", Err(RateError::TooManyRequests)),
            ("99999999999999999999/1s", Err(RateError::TooManyRequests)),
        ] {
            let rate = Rate::parse(text).map(|r| (r.requests(), r.period_ms()));
            assert_eq!(rate, expected, "{text}");
        }
    }

    #[test]
    fn a_calendar_month_is_one_or_none() {
        let month = Rate::parse("7/1mo").unwrap();
        assert_eq!(month, Rate::monthly(7).unwrap());
        assert_eq!(month.period(), Period::Month);
        assert_eq!((month.period_ms(), month.window_secs()), (2_678_400_000, 2_678_400));
        assert_ne!(month, Rate::parse("7/31d").unwrap());
        for (text, error) in [
            ("7/0mo", RateError::Zero),
            ("0/1mo", RateError::Zero),
            ("7/2mo", RateError::Months),
            ("7/mo", RateError::Period),
            ("4294967296/1mo", RateError::TooManyRequests),
        ] {
            assert_eq!(Rate::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_share_is_never_nothing() {
        let rate = Rate::parse("5/1m").unwrap();
        assert_eq!(rate.share_of(NonZeroU64::new(2).unwrap()).requests(), 2);
        assert_eq!(rate.share_of(NonZeroU64::new(50).unwrap()).requests(), 1);
    }
}
