//! What one limit says.

use postern_limits::Outcome as Taken;
use postern_request::{RateLimitStatus, UnixMillis};

use super::Asking;
use crate::ask::Hits;

/// What a limit says of one descriptor.
pub(super) struct Verdict {
    /// There is no room, whatever comes of that.
    pub(super) over: bool,
    pub(super) status: RateLimitStatus,
}

impl Verdict {
    /// Of a rule of zero requests: it refuses everything, a look too, because there never will be
    /// room. What is given back it does not mind.
    pub(super) fn closed(hits: Hits, period_secs: u64, now: UnixMillis) -> Self {
        let into = now.as_secs().checked_rem(period_secs).unwrap_or_default();
        let status = RateLimitStatus {
            limit: 0,
            remaining: 0,
            reset_secs: period_secs.saturating_sub(into),
            window_secs: period_secs,
        };
        Self { over: matches!(hits, Hits::Take(_)), status }
    }

    /// Of one that is counted.
    pub(super) fn counted(hits: Hits, outcome: Taken, asking: &Asking) -> Self {
        let mut status = outcome.status;
        let over = match hits {
            Hits::Take(hits) if asking.only_looked => hits > status.remaining,
            Hits::Take(_) => !outcome.allowed,
            Hits::GiveBack(hits) => {
                if asking.given_back {
                    let remaining = status.remaining.saturating_add(hits);
                    status.remaining = remaining.min(status.limit);
                }
                false
            }
        };
        Self { over, status }
    }

    /// More than 80 % used.
    pub(super) const fn is_near(&self) -> bool {
        self.status.remaining.saturating_mul(5) < self.status.limit
    }
}
