//! Noticing that a clock went back.

use postern_request::UnixMillis;

/// How often a sidecar looks at its clock at least, while it holds slices. A smaller step back
/// than the time since the last look cannot be seen, so this is what one can hide.
pub const LOOK_MS: u64 = 100;

/// The latest that a clock has shown: one for each sidecar, beside its [`crate::Borrower`]s.
///
/// When it says that the clock went back, every slice that is held must end
/// ([`crate::Borrower::end`]), what the lender said of when there is room again must be forgotten
/// ([`crate::Borrower::forget_answer`]), and the answer to every question that is under way must
/// be returned whole: by this clock nobody can say how old they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watch {
    latest: UnixMillis,
}

impl Watch {
    /// Whether the clock went back since the last look.
    #[must_use]
    pub fn went_back(&mut self, now: UnixMillis) -> bool {
        let back = now < self.latest;
        self.latest = now;
        back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_is_seen_once() {
        let mut watch = Watch::default();
        let seen = [5, 5, 6, 3, 3, 4].map(|now| watch.went_back(UnixMillis(now)));
        assert_eq!(seen, [false, false, false, true, false, false]);
    }
}
