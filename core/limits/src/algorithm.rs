//! How a limit counts, and where its windows begin.

/// How a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// Two fixed windows, the earlier one weighted by how much of it still counts.
    SlidingWindow,
    /// Every request with its time: exact, and the only one whose memory grows with the limit.
    SlidingLog,
    /// Refills evenly, up to the burst.
    TokenBucket,
    /// The same as the token bucket, told by the time at which the next request is due.
    Gcra,
    /// Counts up, and begins anew when the window is over.
    FixedWindow,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::SlidingWindow, Self::SlidingLog, Self::TokenBucket, Self::Gcra, Self::FixedWindow];

    /// As the document spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SlidingWindow => "sliding_window",
            Self::SlidingLog => "sliding_log",
            Self::TokenBucket => "token_bucket",
            Self::Gcra => "gcra",
            Self::FixedWindow => "fixed_window",
        }
    }

    /// Reads what [`Algorithm::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text)
    }

    /// Whether more or fewer than the rate's requests may pass at once.
    #[must_use]
    pub const fn has_burst(self) -> bool {
        matches!(self, Self::TokenBucket | Self::Gcra)
    }

    /// Whether it multiplies counts by times; the others count in milliseconds.
    pub(crate) const fn works_in_ticks(self) -> bool {
        matches!(self, Self::SlidingWindow | Self::TokenBucket | Self::Gcra)
    }
}

/// Where the windows of a fixed window begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Anchor {
    /// At multiples of the period since the epoch, in UTC: days begin at midnight, weeks, as the
    /// epoch did, on a Thursday. Or with the calendar month, in UTC too.
    Clock,
    /// With the first request after the window before is over.
    FirstHit,
}

impl Anchor {
    /// As the document spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::FirstHit => "first_hit",
        }
    }

    /// Reads what [`Anchor::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Clock, Self::FirstHit].into_iter().find(|anchor| anchor.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
        }
        for anchor in [Anchor::Clock, Anchor::FirstHit] {
            assert_eq!(Anchor::parse(anchor.as_str()), Some(anchor));
        }
        for bad in ["", "Gcra", "leaky_bucket", "clock "] {
            assert_eq!(Algorithm::parse(bad), None, "{bad}");
            assert_eq!(Anchor::parse(bad), None, "{bad}");
        }
    }
}
