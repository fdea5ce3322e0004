//! What a route asks of its caller's authentication.

/// Only callers who have authenticated by several factors (RFC 9470).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mfa {
    /// How long ago that may have been, in seconds; as long as the credential lives where it is
    /// none.
    pub within_secs: Option<u64>,
}

/// Why an authentication does not do.
#[cfg(feature = "messages")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MfaProblem {
    /// It was not by several factors, as far as anybody knows.
    Missing,
    /// It was, longer ago than the route takes, or nobody knows when.
    Stale,
}

#[cfg(feature = "messages")]
impl MfaProblem {
    /// As logs and metrics have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "mfa_missing",
            Self::Stale => "mfa_stale",
        }
    }
}

/// Clocks differ: an authentication may be so many seconds ahead, and no more.
#[cfg(feature = "messages")]
const LEEWAY_SECS: u64 = 60;

#[cfg(feature = "messages")]
impl Mfa {
    /// Judges an authentication: whether it was by several factors, and when, in seconds since the
    /// epoch.
    ///
    /// # Errors
    /// Why it does not do.
    pub const fn judge(
        self,
        several_factors: bool,
        authenticated_at: Option<u64>,
        now_secs: u64,
    ) -> Result<(), MfaProblem> {
        if !several_factors {
            return Err(MfaProblem::Missing);
        }
        let Some(within) = self.within_secs else { return Ok(()) };
        match authenticated_at {
            Some(at)
                if now_secs.saturating_sub(at) <= within
                    && at <= now_secs.saturating_add(LEEWAY_SECS) =>
            {
                Ok(())
            }
            _ => Err(MfaProblem::Stale),
        }
    }
}

#[cfg(all(test, feature = "messages"))]
mod tests {
    use super::*;

    #[test]
    fn an_authentication_is_by_several_factors_and_not_too_old() {
        let (always, within) = (Mfa { within_secs: None }, Mfa { within_secs: Some(900) });
        for (several, at, by_any, by_recent) in [
            (false, None, Err(MfaProblem::Missing), Err(MfaProblem::Missing)),
            (false, Some(10_000), Err(MfaProblem::Missing), Err(MfaProblem::Missing)),
            (true, None, Ok(()), Err(MfaProblem::Stale)),
            (true, Some(10_000), Ok(()), Ok(())),
            (true, Some(9_100), Ok(()), Ok(())),
            (true, Some(9_099), Ok(()), Err(MfaProblem::Stale)),
            (true, Some(10_060), Ok(()), Ok(())),
            (true, Some(10_061), Ok(()), Err(MfaProblem::Stale)),
            (true, Some(u64::MAX), Ok(()), Err(MfaProblem::Stale)),
        ] {
            let judged = |mfa: Mfa| mfa.judge(several, at, 10_000);
            assert_eq!((judged(always), judged(within)), (by_any, by_recent), "{several} {at:?}");
        }
    }
}
