//! How much of the traffic is held to auth and limits.

/// How much of the traffic is held to auth and limits, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enforce {
    percent: u8,
}

impl Enforce {
    /// Every request.
    pub const FULL: Self = Self { percent: 100 };

    /// Reads `100%`, `25%` or `shadow`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "shadow" {
            return Some(Self { percent: 0 });
        }
        let percent: u8 = text.strip_suffix('%')?.parse().ok()?;
        (1..=100).contains(&percent).then_some(Self { percent })
    }

    /// Whether a request is held to the rules. The id decides, so that every stage and a retry
    /// come to the same answer; it must be one that the client cannot choose.
    #[must_use]
    pub fn applies(self, request_id: &[u8]) -> bool {
        if self.percent == 100 {
            return true;
        }
        // FNV-1a: spreads, and needs nothing more.
        let hash = request_id.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        (hash >> 16) % 100 < u64::from(self.percent)
    }

    /// In percent; 0 is shadow.
    #[must_use]
    pub const fn percent(self) -> u8 {
        self.percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_enforced_for_about_that_share() {
        assert_eq!(Enforce::parse("100%"), Some(Enforce::FULL));
        for bad in ["0%", "101%", "50", "all", "-1%"] {
            assert_eq!(Enforce::parse(bad), None, "{bad}");
        }
        let quarter = Enforce::parse("25%").unwrap();
        let enforced =
            (0..10_000).filter(|i| quarter.applies(format!("id-{i}").as_bytes())).count();
        assert!((2300..2700).contains(&enforced), "{enforced}");
        assert!(!Enforce::parse("shadow").unwrap().applies(b"any"));
    }
}
