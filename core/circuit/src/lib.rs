//! Circuits: which answers say that a service fails, when that is enough to cut it off, and who
//! may try it again.
//!
//! Two of them stand before a service, and either may refuse. An Envoy's *own breaker*
//! ([`Breaker`]) judges by that Envoy's own calls, and acts at once. The *shared circuit* judges
//! by what all of them report ([`fleet`]), so that a call is refused in Envoys that have seen no
//! failure yet. Both pass through one [`Gate`]: `CLOSED` lets everything through, `OPEN` nothing
//! until the recovery time is over, `HALF_OPEN` a few probes, whose outcomes close it or open it
//! again for longer. An operator's word ([`Forced`]) goes before both.
//!
//! Time and randomness are handed in, and all numbers are integers.
//!
//! # Clocks
//!
//! Workers read the clock one after the other and count in another order: behind by little, time
//! stands still. Behind by more than a wait or a window can take, the clock was set, and what
//! hung on it counts as of now: nobody waits for hours until it has caught up.
//!
//! While a service is cut off, its last good answers may stand in for it: [`stale`] says which.
//!
//! Not Envoy's *circuit breaking* (connection thresholds) and not its *outlier detection*
//! (ejecting single hosts): both stay Envoy's business. Deliberately absent: clocks, where state
//! is kept, how reports travel and who is believed to be whom.

mod backoff;
mod breaker;
pub mod fleet;
mod forced;
mod gate;
mod settings;
pub mod stale;
mod state;
mod verdict;
mod window;

pub use backoff::recovery_ms;
pub use breaker::{BREAKER_BYTES, Breaker};
pub use fleet::{Report, Reporter, ReporterTotals};
pub use forced::{Forced, ForcedState};
pub use gate::Gate;
pub use settings::{Probes, Recovery, Settings, Share, Slow};
pub use state::{Admission, Reason, State, Transition};
pub use verdict::{Counts, Ended, MadeBy, StatusRanges, Verdict};
pub use window::{Totals, Window};

#[cfg(test)]
mod tests;
