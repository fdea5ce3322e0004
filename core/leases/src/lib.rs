//! Leases: a limit that all sidecars share, at the price of a local one.
//!
//! The server debits a slice of the limit *before* it hands it to a sidecar, and the sidecar
//! spends it without asking. So what sidecars spend together was taken before, and what goes
//! wrong on the way (a message lost, sent twice or late, a sidecar that dies) costs requests
//! that could have passed, never requests that should not have. [`lender`] and [`ledger`] are
//! the server's half, [`borrower`] is the sidecar's, [`terms`] says what both add up to.
//!
//! # Time
//!
//! A lease has a length, not an end: lender and borrower each count it on their own clock, so
//! clocks that disagree do no harm. The borrower counts from the moment it *sent* its request
//! and stops [`GUARD_MS`] early, so its lease is over before the lender's. The guard pays for
//! what a clock can do unseen: a step back is noticed when somebody looks at the clock next
//! ([`Watch`], every [`LOOK_MS`]), and until then can prolong a lease by as much. The lender's
//! clock is the clock of the limit: when it jumps forward, windows end early by it, leases do so
//! too, and until those end at their borrowers one more share may be out.
//!
//! Deliberately absent: clocks, messages and where state is kept; who may draw leases at all,
//! and how many.

pub mod borrower;
mod demand;
pub mod ledger;
pub mod lender;
mod reset;
pub mod terms;
pub mod watch;

pub use borrower::{Borrower, ENCODED_BYTES, Return, Spent};
pub use ledger::{Ledger, late_ms};
pub use lender::{Ask, Grant, LeaseId, grant};
pub use terms::{
    Bound, NotEligible, Start, Terms, TermsError, eligibility, eligibility_of, over_admission,
};
pub use watch::{LOOK_MS, Watch};

/// How much earlier than its lender a borrower takes a lease to be over. One look at the clock
/// and the jitter of workers are what a step back can hide; the rest is for clocks that run at
/// different speeds.
pub const GUARD_MS: u64 = 250;

#[cfg(test)]
mod tests;
