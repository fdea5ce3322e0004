//! Passwords that were found in breaches: in a file of the operator's, or at a service.
//!
//! Either way a password's SHA-1 is looked for, because that is how such lists are made. Nothing
//! is kept of it, and nothing that names a password goes into a log.

mod file;
mod metrics;
mod range;

use std::sync::Arc;

use postern_store::BoxFuture;

pub use file::BreachedFile;
pub use metrics::BreachedMetrics;
pub use range::BreachedRange;

use crate::ports::{BreachedPasswords, OutboundError};

/// Counts what is looked for elsewhere.
pub struct CountedBreached {
    inner: Arc<dyn BreachedPasswords>,
    metrics: BreachedMetrics,
}

impl CountedBreached {
    /// Counts what this one is asked.
    #[must_use]
    pub const fn new(inner: Arc<dyn BreachedPasswords>, metrics: BreachedMetrics) -> Self {
        Self { inner, metrics }
    }
}

impl BreachedPasswords for CountedBreached {
    fn is_breached(&self, sha1: [u8; 20]) -> BoxFuture<'_, Result<bool, OutboundError>> {
        Box::pin(async move {
            let answer = self.inner.is_breached(sha1).await;
            self.metrics.count(&answer);
            answer
        })
    }
}

/// Upper-case hexadecimal, as the lists write it.
fn hex(hash: [u8; 20]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let digits = hash.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]);
    digits.map(|digit| digit.to_ascii_uppercase()).collect()
}
