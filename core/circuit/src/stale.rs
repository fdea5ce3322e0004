//! Answers of a service that stand in for it while its circuit is open: which may be kept, for
//! whom, and for how long (RFC 9111, RFC 5861).
//!
//! Nothing here asks the service again, so whatever must be asked for again is not kept. What is
//! kept for everybody is what a shared cache may keep; what is for one caller alone is kept only
//! where the document says so, and under a key that names that caller.
//!
//! [`Asking`] reads a request and judges its answer, [`Entry`] is an answer as bytes.
//!
//! Deliberately absent: where answers are kept, who made an answer, who calls.

mod asking;
mod cache_control;
mod entry;

pub use asking::{Asking, Judged, Whose};
pub use entry::{Entry, Told};

#[cfg(test)]
mod tests;
