//! What is counted of looking passwords up.

use prometheus::{IntCounterVec, Opts, Registry};

use crate::ports::OutboundError;

/// The metrics of passwords that were found in breaches.
#[derive(Debug, Clone)]
pub struct BreachedMetrics {
    lookups: IntCounterVec,
}

impl BreachedMetrics {
    /// Makes the metrics known to a registry.
    ///
    /// # Errors
    /// When the registry has one of these names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let lookups = IntCounterVec::new(
            Opts::new(
                "postern_identity_breached_passwords_total",
                "Passwords that were looked for among those that were found in breaches.",
            ),
            &["outcome"],
        )?;
        registry.register(Box::new(lookups.clone()))?;
        Ok(Self { lookups })
    }

    pub(super) fn count(&self, answer: &Result<bool, OutboundError>) {
        let outcome = match answer {
            Ok(true) => "known",
            Ok(false) => "unknown",
            Err(_) => "unavailable",
        };
        self.lookups.with_label_values(&[outcome]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_counted_as_what_it_is() {
        let metrics = BreachedMetrics::register(&Registry::new()).unwrap();
        for answer in [Ok(true), Ok(false), Ok(false), Err(OutboundError::TooLarge)] {
            metrics.count(&answer);
        }
        for (outcome, expected) in [("known", 1), ("unknown", 2), ("unavailable", 1)] {
            assert_eq!(metrics.lookups.with_label_values(&[outcome]).get(), expected, "{outcome}");
        }
    }
}
