//! What an Envoy gives back and asks to borrow, in our own terms, and whether it makes sense; and
//! what it gets.

use std::time::Duration;

use postern_leases::{Ask, Grant, LeaseId, Return};
use postern_store::LimitKey;

use crate::ask::{AskError, check_asker};
use crate::metrics::{BorrowOutcome, LeaseOutcome};

/// The most questions of one call, and the most returns.
const MOST_AT_ONCE: usize = 256;
/// Both together.
pub(crate) const MOST_IN_ALL: u64 = 512;

/// What slices are cut from. It means the same whichever document the asker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeasedKey {
    /// The limit and its numbers, see [`postern_limits::key::stamp`].
    pub stamp: u64,
    /// What the limit counts a request under.
    pub key: LimitKey,
}

/// What an Envoy gives back and asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Borrowing {
    /// The workload that it guards.
    pub workload: String,
    /// Its own name.
    pub envoy_id: String,
    /// Digest of the document that it runs.
    pub document_digest: String,
    /// Leases that are over.
    pub returns: Vec<(LeasedKey, Return)>,
    /// Slices that it would like.
    pub asks: Vec<(LeasedKey, Ask)>,
}

/// What does not make sense: the asker's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BorrowError {
    /// Who asks makes no sense.
    #[error(transparent)]
    Asker(#[from] AskError),
    /// Too many of one kind.
    #[error("a call has at most {MOST_AT_ONCE} asks and as many returns")]
    TooMany,
    /// Not as long as it must be.
    #[error("`id` and `key` are 16 bytes")]
    Bytes,
    /// A question that asks for nothing.
    #[error("`asked` is at least 1")]
    Nothing,
}

impl Borrowing {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), BorrowError> {
        check_asker(&self.workload, &self.envoy_id, [&self.document_digest])?;
        if self.asks.len() > MOST_AT_ONCE || self.returns.len() > MOST_AT_ONCE {
            return Err(BorrowError::TooMany);
        }
        if self.asks.iter().any(|(_, ask)| ask.asked == 0) {
            return Err(BorrowError::Nothing);
        }
        Ok(())
    }

    /// What it counts: each thing that the store is asked, and one where that is nothing.
    pub(crate) fn weight(&self) -> u64 {
        let things = self.asks.len().saturating_add(self.returns.len());
        u64::try_from(things).unwrap_or(u64::MAX).max(1)
    }
}

/// The answer to one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The question's.
    pub id: LeaseId,
    /// What was lent; none where the document has no such limit to lend from.
    pub grant: Option<Grant>,
}

impl Lease {
    pub(crate) fn outcome(&self) -> LeaseOutcome {
        match self.grant {
            None => LeaseOutcome::Refused,
            Some(grant) if grant.granted == 0 => LeaseOutcome::Nothing,
            Some(_) => LeaseOutcome::Granted,
        }
    }
}

/// What an Envoy gets. What is missing, the store could not be asked for: it is worth asking
/// again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lent {
    /// Answers, in the order of the questions.
    pub leases: Vec<Lease>,
    /// What was given back and need not be again.
    pub returned: Vec<LeaseId>,
    /// When to come back.
    pub next: Duration,
    /// Digest of the document that this server runs.
    pub document_digest: String,
}

impl Lent {
    pub(crate) fn outcome(&self, borrowing: &Borrowing) -> BorrowOutcome {
        let answered = (self.leases.len(), self.returned.len());
        if answered == (borrowing.asks.len(), borrowing.returns.len()) {
            BorrowOutcome::Answered
        } else {
            BorrowOutcome::Partly
        }
    }
}

/// Why an Envoy gets nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BorrowRefusal {
    /// What it asks makes no sense: its fault, and a retry does not help.
    #[error(transparent)]
    Invalid(#[from] BorrowError),
    /// It may not ask for this workload: its fault, or the document's.
    #[error("this peer may not ask for this workload")]
    NotPermitted,
    /// It has asked for too much; a retry helps.
    #[error("asked too often")]
    OverQuota {
        /// When to come back.
        next_poll: Duration,
    },
    /// The store answers nothing; a retry may help.
    #[error("limits cannot be counted at the moment")]
    Unavailable {
        /// When to come back.
        next_poll: Duration,
    },
}

impl BorrowRefusal {
    pub(crate) const fn outcome(&self) -> BorrowOutcome {
        match self {
            Self::Invalid(_) => BorrowOutcome::Invalid,
            Self::NotPermitted => BorrowOutcome::NotPermitted,
            Self::OverQuota { .. } => BorrowOutcome::OverQuota,
            Self::Unavailable { .. } => BorrowOutcome::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        let of = LeasedKey { stamp: 7, key: LimitKey { owner: 1, hash: [1; 16] } };
        let ask = |asked| (of, Ask { id: LeaseId([1; 16]), asked });
        let back = || (of, Return { id: LeaseId([1; 16]), unused: 0 });
        let borrowing = || Borrowing {
            workload: "payments".to_owned(),
            envoy_id: "a".to_owned(),
            ..Borrowing::default()
        };
        let with = |change: &dyn Fn(&mut Borrowing)| {
            let mut borrowing = borrowing();
            change(&mut borrowing);
            borrowing.check()
        };
        assert_eq!(with(&|_| ()), Ok(()));
        let asker = BorrowError::Asker;
        assert_eq!(with(&|it| it.workload.clear()), Err(asker(AskError::Workload)));
        assert_eq!(with(&|it| it.envoy_id.clear()), Err(asker(AskError::EnvoyId)));
        assert_eq!(with(&|it| it.document_digest = "\n".into()), Err(asker(AskError::Digest)));
        assert_eq!(with(&|it| it.asks = vec![ask(1); 256]), Ok(()));
        assert_eq!(with(&|it| it.asks = vec![ask(1); 257]), Err(BorrowError::TooMany));
        assert_eq!(with(&|it| it.asks = vec![ask(1), ask(0)]), Err(BorrowError::Nothing));
        assert_eq!(with(&|it| it.returns = vec![back(); 256]), Ok(()));
        assert_eq!(with(&|it| it.returns = vec![back(); 257]), Err(BorrowError::TooMany));
        let mut full = borrowing();
        assert_eq!(full.weight(), 1, "asking is not for nothing");
        (full.asks, full.returns) = (vec![ask(1); 256], vec![back(); 256]);
        assert_eq!((full.check(), full.weight()), (Ok(()), MOST_IN_ALL));
    }
}
